"""The questions: which runs answer them, and what is computed from finished runs."""
