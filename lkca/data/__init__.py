"""Datasets: declared, fetched, read, split, cut into patches; synthetic scenes drawn from a seed."""
