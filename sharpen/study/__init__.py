"""How the network was trained, calibrated and measured, and what a sharpened scene is good for."""
