"""A `Run` becomes weights and metrics."""
