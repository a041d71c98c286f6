"""Declare, fetch, read and split datasets, and cut them into patches; generate synthetic scenes from a seed."""
