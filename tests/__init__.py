"""Tests, a folder for each folder of `lkca`."""
