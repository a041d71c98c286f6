"""Pure functions of arrays and modules: resizing, quality, cost, rank."""
