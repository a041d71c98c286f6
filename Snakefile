"""Runs -> tables -> notebooks -> index of results. `lkca study` (`make study`) starts it with the options that belong
to it, in workflow/profiles/default; it works with snakemake itself as well:

    snakemake --workflow-profile workflow/profiles/default --cores 2 --config study=block_count profile=quick
"""

import sys

from snakemake.exceptions import WorkflowError

from lkca.files import project_root, results_folder, runs_folder
from lkca.provenance import find_device
from lkca.studies import notebooks
from lkca.studies.batch import shown
from lkca.studies.collect import finished
from lkca.studies.plan import make_plan

DEVICE = config.get("device", "auto")
THREADS = int(config.get("threads", 1))
try:
    PLAN = make_plan(config.get("study", "all"), config.get("profile", "quick"))
    GPU = int((find_device(DEVICE).type if DEVICE == "auto" else DEVICE) == "cuda")
except ValueError as error:
    raise WorkflowError(str(error))

PYTHON = sys.executable
RUNS, RESULTS = shown(runs_folder()), shown(results_folder())
TABLES = f"{RESULTS}/{PLAN.profile}"
# What tables and figures look like: a change of these executes the notebooks again, and trains nothing.
STYLE = [str(path) for path in sorted((project_root() / "lkca" / "plots").glob("[!_.]*.*"))]
RUNS_PER_JOB = int(config.get("runs_per_job", 1))
SHARED = PLAN.shared_jobs(RUNS_PER_JOB, (workflow.cores or 1) // THREADS or 1) if RUNS_PER_JOB > 1 else []
# Short runs share a process, and so do their tables: starting one takes longer than most of them.
SHARED_TABLES = [
    name
    for name, runs in PLAN.tables.items()
    if RUNS_PER_JOB > 1 and f"{name}.csv" not in PLAN.alone and not (PLAN.has_table(name) and all(map(finished, runs)))
]


def metrics(runs):
    return [f"{RUNS}/{run.name}/metrics.json" for run in runs]


def teachers(runs):
    """Return the metrics of the runs' teachers. Only that a teacher is finished counts, not when."""
    return ancient(metrics({run.teacher(): None for run in runs if run.distillation}))


def any_of(names):
    return "|".join(names) or "none"


def cores_for(name):
    return (workflow.cores or 1) if name in PLAN.alone else 1


# A finished run is never trained again, whichever rule made it: its name holds all that decides its outcome.
wildcard_constraints:
    run=any_of(run.name for run in PLAN.runs.values() if not finished(run) and run not in sum(SHARED, [])),
    study=any_of(name for name in PLAN.tables if name not in SHARED_TABLES),
    notebook=any_of(PLAN.notebooks),


localrules:
    all,
    index,


# The runs are listed too: without them a CSV that exists, as in a fresh clone, would be good enough.
rule all:
    input:
        metrics(PLAN.runs.values()),
        [f"{TABLES}/{study}.csv" for study in PLAN.tables],
        [f"{TABLES}/notebooks/{notebook}.ipynb" for notebook in PLAN.notebooks],
        f"{RESULTS}/README.md",


# metrics.json is written last, and whole. The other files of a run are no outputs: Snakemake would delete those of a
# failed job, and the run continues from them.
rule train:
    input:
        lambda wildcards: teachers([PLAN.find(wildcards.run)]),
    output:
        RUNS + "/{run}/metrics.json",
    log:
        RUNS + "/{run}/log.txt",
    priority: 100
    threads: THREADS
    resources:
        gpu=GPU,
    shell:
        "{PYTHON:q} -m lkca run {wildcards.run:q} --profile {PLAN.profile:q} --device {DEVICE:q} >> {log:q} 2>&1"


for number, runs in enumerate(SHARED):

    rule:
        name:
            f"train_together_{number}"
        input:
            teachers(runs),
        output:
            metrics(runs),
        params:
            runs=[run.name for run in runs],
        priority: 100
        threads: THREADS
        resources:
            gpu=GPU,
        shell:
            "{PYTHON:q} -m lkca run {params.runs:q} --profile {PLAN.profile:q} --device {DEVICE:q}"


rule table:
    input:
        lambda wildcards: metrics(PLAN.tables[wildcards.study]),
    output:
        TABLES + "/{study}.csv",
    log:
        TABLES + "/logs/{study}.csv.log",
    priority: 50
    threads: lambda wildcards: cores_for(f"{wildcards.study}.csv")
    shell:
        "{PYTHON:q} -m lkca collect {wildcards.study} --profile {PLAN.profile:q} > {log:q} 2>&1"


# No params: they would differ from those of the rule above, and the next batch would make the tables again.
if SHARED_TABLES:

    rule tables_together:
        input:
            [metrics(PLAN.tables[name]) for name in SHARED_TABLES],
        output:
            [f"{TABLES}/{name}.csv" for name in SHARED_TABLES],
        log:
            TABLES + "/logs/tables.log",
        priority: 50
        shell:
            "{PYTHON:q} -m lkca collect {SHARED_TABLES:q} --profile {PLAN.profile:q} > {log:q} 2>&1"


# The output is written only after the whole notebook has run. A notebook that measures time is alone on the machine, and
# its idle threads spin: waking them would be measured too.
rule notebook:
    input:
        notebook=lambda wildcards: str(notebooks.notebook_path(wildcards.notebook)),
        tables=lambda wildcards: [f"{TABLES}/{study}.csv" for study in PLAN.notebooks[wildcards.notebook]],
        style=STYLE,
    output:
        TABLES + "/notebooks/{notebook}.ipynb",
    log:
        TABLES + "/logs/{notebook}.log",
    params:
        given=lambda wildcards: f"profile={PLAN.profile}" if notebooks.takes_profile(wildcards.notebook) else "",
        waiting=lambda wildcards: "ACTIVE" if f"{wildcards.notebook}.ipynb" in PLAN.alone else "PASSIVE",
    priority: lambda wildcards: len(PLAN.notebooks[wildcards.notebook])  # those that read most take longest
    retries: 1  # kernels that start at the same time may take the same port
    threads: lambda wildcards: cores_for(f"{wildcards.notebook}.ipynb")
    resources:
        notebook=1,
    shell:
        "OMP_WAIT_POLICY={params.waiting} {PYTHON:q} -m lkca.studies.notebooks {wildcards.notebook} {output:q} "
        "{params.given} > {log:q} 2>&1"


rule index:
    input:
        [f"{TABLES}/{study}.csv" for study in PLAN.tables],
        [f"{TABLES}/notebooks/{notebook}.ipynb" for notebook in PLAN.notebooks],
    output:
        f"{RESULTS}/README.md",
    shell:
        "{PYTHON:q} -m lkca results"
