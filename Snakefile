"""Runs -> tables -> notebooks. `python -m lkca study` (`make study`) starts it with the options that belong to it, in
workflow/profiles/default; it works with snakemake itself as well:

    snakemake --workflow-profile workflow/profiles/default --cores 2 --config study=block_count profile=quick
"""

import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from lkca.batch import plan as batch
from lkca.paths import project_root, runs_folder
from lkca.studies.catalogue import STUDIES, study_runs

try:
    PLAN = batch.make_plan(config.get("study", "all"), config.get("profile", "quick"))
    DEVICE = config.get("device", "auto")
    GPU = int(batch.uses_gpu(DEVICE))
except ValueError as error:
    raise WorkflowError(str(error))

PYTHON = sys.executable
RUNS = batch.shown(runs_folder())
RESULTS = batch.shown(PLAN.table("")).rpartition("/")[0]
PACKAGE = project_root() / "lkca"
# What a figure or table looks like: a change of these draws again, and trains nothing.
LOOKS = [str(path) for path in sorted((PACKAGE / "figures").iterdir()) if path.is_file()] + [str(PACKAGE / "tables.py")]


def metrics(runs):
    return [f"{RUNS}/{run.name}/metrics.json" for run in runs]


def teacher(wildcards):
    """Only that it is finished counts, not when: a run's name holds all that decides its outcome."""
    run = PLAN.find(wildcards.run)
    return ancient(metrics([run.teacher()] if run.distillation else []))


wildcard_constraints:
    run="|".join(PLAN.runs),
    study="|".join(STUDIES),


localrules: all, collect


# The runs stand here too: without them a CSV that is there, as in a fresh clone, would be good enough.
rule all:
    input:
        metrics(PLAN.runs.values()),
        [f"{RESULTS}/{study}.csv" for study in PLAN.studies],
        [f"{RESULTS}/notebooks/{name}.ipynb" for name in PLAN.notebooks],


# metrics.json is written last, and whole. The run's other files are no outputs: Snakemake deletes those of a failed job,
# and the run goes on from them.
rule train:
    input:
        teacher,
    output:
        RUNS + "/{run}/metrics.json",
    log:
        RUNS + "/{run}/log.txt",
    priority: 1  # before notebooks that wait for no run
    threads: int(config.get("threads", 1))
    resources:
        gpu=GPU,
    shell:
        "{PYTHON:q} -m lkca run {wildcards.run:q} --profile {PLAN.profile:q} --device {DEVICE:q} >> {log:q} 2>&1"


def runs_of(wildcards):
    return metrics(study_runs(wildcards.study, PLAN.profile))


COLLECT = "{PYTHON:q} -m lkca collect {wildcards.study} --profile {PLAN.profile} > {log:q} 2>&1"


rule collect:
    wildcard_constraints:
        study="|".join(name for name in STUDIES if name not in batch.MEASURED),
    input:
        runs_of,
    output:
        RESULTS + "/{study}.csv",
    log:
        RESULTS + "/logs/{study}.csv.log",
    shell:
        COLLECT


# Not local: on a cluster it is a job, not work for the login node; here it has all cores, or its times would be others'.
rule measure:
    wildcard_constraints:
        study="|".join(batch.MEASURED),
    input:
        runs_of,
    output:
        RESULTS + "/{study}.csv",
    log:
        RESULTS + "/logs/{study}.csv.log",
    threads: workflow.cores or 1
    shell:
        COLLECT


# papermill saves as it goes, also what failed: the notebook gets its name only when all of it ran. The process number keeps
# it apart from one that a killed batch left running.
rule notebook:
    input:
        notebook=lambda wildcards: str(batch.notebook_folder() / f"{wildcards.name}.ipynb"),
        tables=lambda wildcards: [f"{RESULTS}/{study}.csv" for study in PLAN.tables_of(wildcards.name)],
        looks=LOOKS,
    output:
        RESULTS + "/notebooks/{name}.ipynb",
    log:
        RESULTS + "/logs/{name}.log",
    params:
        given=lambda wildcards: f"-p profile {PLAN.profile}" if batch.takes_profile(wildcards.name) else "",
        folder=str(batch.notebook_folder()),
        unfinished=RESULTS + "/notebooks/{name}.unfinished",
        # Alone on the machine, threads need not sleep between two small operations: that would be measured too.
        waiting=lambda wildcards: "ACTIVE" if wildcards.name in batch.ALONE else "PASSIVE",
    retries: 1
    threads: lambda wildcards: (workflow.cores or 1) if wildcards.name in batch.ALONE else 1
    resources:
        notebook=1,
    shell:
        "rm -f {params.unfinished:q}.*; "
        "OMP_WAIT_POLICY={params.waiting} LKCA_BATCH=1 TQDM_DISABLE=1 "
        "{PYTHON:q} -m papermill -k python3 --language python --no-progress-bar --cwd {params.folder:q} {params.given} "
        "{input.notebook:q} {params.unfinished:q}.$$.ipynb > {log:q} 2>&1 "
        "&& mv {params.unfinished:q}.$$.ipynb {output:q}"
