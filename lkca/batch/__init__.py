"""Everything in batch: what is done, what is missing, Snakemake, the report."""
