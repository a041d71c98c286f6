"""Draw figures from tables and arrays. Nothing here trains, measures or reads a run; one style for all figures."""
