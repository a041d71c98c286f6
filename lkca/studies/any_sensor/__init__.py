"""What one network for every sensor gains, scene by scene, where it fails, and where to be careful with it."""
