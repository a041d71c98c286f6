"""Generate synthetic scenes from a seed."""
