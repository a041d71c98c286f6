"""`check-data`: which reading of a protocol gives the bicubic rows that the paper prints."""
