"""Draw figures from tables and arrays, all in one style. Nothing here trains, measures or reads a run."""
