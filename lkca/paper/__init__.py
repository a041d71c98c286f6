"""The paper: its printed tables, and the readings of its protocol held against a file."""
