"""Synthetic scenes, drawn from a seed."""
