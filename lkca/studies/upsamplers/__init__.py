"""The studies of upsamplers: their runs, what is computed from them, their tables."""
