"""Sharpen many scenes, here or on a cluster. Started again, it continues with those that are missing.

    snakemake --snakefile workflow/sharpen.smk --cores 2 --config scenes='scenes/*.hdr' out=sharp options='--scale 4'

On SLURM add `--profile workflow/profiles/slurm`. Two scenes of the same name cannot go into one folder.
"""

import sys
from glob import glob
from pathlib import Path

from snakemake.exceptions import WorkflowError

OUT, SUFFIX, OPTIONS = config.get("out", "sharp"), config.get("suffix", "tif"), config.get("options", "")
PATHS = sorted(glob(str(config.get("scenes", "*.hdr"))))
SCENES = {Path(path).stem: path for path in PATHS}
PYTHON = sys.executable
if not PATHS or len(SCENES) < len(PATHS):
    raise WorkflowError(f"expected scenes of different names, found {len(PATHS)} with {len(SCENES)} names")


localrules:
    all,


rule all:
    input:
        [f"{OUT}/{name}.{SUFFIX}" for name in SCENES],


rule sharpen:
    input:
        lambda wildcards: SCENES[wildcards.name],
    output:
        f"{OUT}/{{name}}.{SUFFIX}",
    log:
        f"{OUT}/logs/{{name}}.log",
    shell:
        "{PYTHON:q} -m sharpen.cli {input:q} {output:q} {OPTIONS} > {log:q} 2>&1"
