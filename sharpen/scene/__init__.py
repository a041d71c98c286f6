"""Scenes as files: open, read by windows, describe, write."""
