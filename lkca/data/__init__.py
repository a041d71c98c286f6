"""Datasets: declared, fetched, split, cut into patches; scenes made from a seed."""
