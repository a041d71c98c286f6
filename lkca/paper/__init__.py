"""The paper: its printed tables, the check of a user's data against them, and the verdicts on its claims."""
