"""Run what is missing of a study with Snakemake: its command line and environment.

The `Snakefile` holds the rules. Runs and tables that exist are kept, so a batch that was killed continues.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import lru_cache
from pathlib import Path
from time import perf_counter

from lkca.data.loaders import load_dataset
from lkca.files import data_folder, project_root, results_folder, runs_folder
from lkca.provenance import find_device
from lkca.run import Run
from lkca.studies import EVERY_STUDY, studies
from lkca.studies.collect import finished
from lkca.studies.plan import Plan, has_other_recipe, make_plan
from lkca.studies.profile import load_profile
from lkca.train import train

STOPPED = 130  # exit status of a batch that Ctrl-C or SIGTERM ended
WORKFLOW = project_root() / "workflow" / "profiles"


def run_batch(
    study: str,
    profile: str,
    jobs: int | None = None,
    device: str = "auto",
    threads: int = 1,
    gpu_jobs: int = 1,
    cluster: str | None = None,
    dry_run: bool = False,
    fresh: bool = False,
    redraw: bool = False,
) -> bool:
    """Run what is missing of a study; return whether everything is done.

    Ctrl-C or SIGTERM ends all its jobs and raises KeyboardInterrupt.

    Parameters
    ----------
    jobs : how many run side by side; by default the number of cores, or what the cluster's profile says.
    device : "auto", "cpu" or "cuda". threads : threads of a run. gpu_jobs : runs that share this machine's GPU.
    cluster : a folder of workflow/profiles; by default everything runs on this machine.
    dry_run : only print what would be done. fresh : train again the runs that another recipe made.
    redraw : train nothing; only execute again the notebooks whose tables exist.

    Raises
    ------
    ValueError
        If the arguments are impossible, there is nothing to redraw, or another batch runs in the same folder.
    """
    plan, root = make_plan(study, profile), results_folder().parent.absolute()
    if cluster and not (WORKFLOW / cluster / "config.yaml").is_file():
        raise ValueError(f"unknown cluster {cluster!r}: there is no {WORKFLOW / cluster / 'config.yaml'}")
    find_device("cpu" if cluster else device)
    for variable, folder in (("LKCA_RUNS", runs_folder()), ("LKCA_OUTPUT", root)):
        if set("{}") & set(str(folder)):
            raise ValueError(f"{variable}: {folder} has braces, which Snakemake would interpret: use another folder")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(project_root() / "Snakefile")]
    command += ["--directory", str(root), "--workflow-profile", str(WORKFLOW / "default")]
    if cluster:
        command += ["--profile", str(WORKFLOW / cluster), "--resources", "notebook=2"]
        command += ["--jobs", str(jobs)] if jobs else []
    else:
        command += ["--cores", str(jobs or os.cpu_count()), "--resources", f"gpu={gpu_jobs}", "notebook=2"]
    command += ["--dry-run"] if dry_run else []
    targets = []
    if redraw:
        targets = ["--allowed-rules", "notebook", "--forcerun", "notebook", "--", *_drawable(plan)]
    elif stale := [f"{study}.csv" for study in plan.tables if not plan.has_table(study)]:
        # Snakemake knows only from its own records that a table holds other runs, and a new clone has no records.
        stale = [shown(plan.folder / name) for name in stale if (plan.folder / name).is_file()]
        targets = ["--forcerun", *stale] if stale else []
    if fresh and not dry_run:
        _forget_other_recipes(plan)
    config = {"study": study, "profile": profile, "device": device, "threads": threads}
    # A run that fails blocks all that waits for its process. So what is left is tried again with one run per process.
    for runs_per_job in dict.fromkeys((1 if cluster else load_profile(profile).runs_per_job, 1)):
        pairs = [f"{name}={value}" for name, value in (config | {"runs_per_job": runs_per_job}).items()]
        status = _run_locked([*command, "--config", *pairs, *targets], root, locked=not dry_run)
        if status == STOPPED:
            raise KeyboardInterrupt
        if status == 0 or redraw or dry_run:
            break
    if dry_run or redraw:
        return status == 0
    text, done = plan.summary()
    print(text)
    return done and status == 0


def _run_locked(command: list[str], root: Path, locked: bool = True) -> int:
    """Run Snakemake; return its exit status, `STOPPED` if Ctrl-C or SIGTERM ended it.

    The system frees our lock when all processes that hold it have ended. If Snakemake's own lock is left then, its
    batch was killed, and the lock is removed.
    """
    if not locked:
        return subprocess.run(command, env=environment(root), check=False).returncode
    (root / ".snakemake").mkdir(exist_ok=True)
    with (root / ".snakemake" / "batch.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ValueError(f"another batch runs in {root}: wait for it, or stop it and start again") from error
        if any((root / ".snakemake" / "locks").glob("*")):
            subprocess.run([*command, "--unlock"], env=environment(root), check=True)
        process = subprocess.Popen(command, env=environment(root), start_new_session=True, pass_fds=[lock.fileno()])
        stopped = []

        def stop(*_: object) -> None:
            stopped.append(True)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)  # Snakemake and its jobs: runs continue from their last epoch

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            status = process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return STOPPED if stopped else status


def environment(root: Path) -> dict[str, str]:
    """Return the environment of Snakemake and its jobs: absolute folders, and caches inside the project."""
    cache = root / ".cache"
    return {
        # Else glibc returns large tensors to the system and requests them again: a seventh of the time of a step.
        "MALLOC_MMAP_THRESHOLD_": "1000000000",
        "MALLOC_TRIM_THRESHOLD_": "4000000000",
        "MALLOC_TOP_PAD_": "100000000",
        "OMP_WAIT_POLICY": "PASSIVE",  # with busy waiting, processes slow each other down several times
        **os.environ,
        "LKCA_BATCH": "1",
        "LKCA_DATA": str(data_folder().absolute()),
        "LKCA_RUNS": str(runs_folder().absolute()),
        "LKCA_OUTPUT": str(root),
        "TQDM_DISABLE": "1",
        "XDG_CACHE_HOME": str(cache),
        "IPYTHONDIR": str(cache / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(cache / "jupyter"),
        "MPLCONFIGDIR": str(cache / "matplotlib"),
    }


def shown(path: Path) -> str:
    """Return a path as Snakemake names it: relative to the folder that holds results/, if it is inside."""
    root, path = results_folder().parent.absolute(), path.absolute()
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _forget_other_recipes(plan: Plan) -> None:
    """Mark the runs that another recipe made as unfinished, so that they are trained again."""
    for run in plan.runs.values():
        if finished(run) and has_other_recipe(run):
            print(f"{run.name}: made by another recipe, trained again")
            (run.folder / "metrics.json").unlink()


def _drawable(plan: Plan) -> list[str]:
    """Return the notebooks that can be executed without training; print a line for each other one."""
    drawn = []
    for name, reads in plan.notebooks.items():
        declared = [study for study in studies().values() if study.notebook == name]
        summarises = any(study.reads == EVERY_STUDY for study in declared)
        missing = [] if summarises else [study for study in reads if not plan.has_table(study)]
        weights = any(study.needs_weights for study in declared)
        if missing:
            print(f"not drawn: {name}; the table of {', '.join(missing)} does not hold the study's runs")
        elif weights and not all(finished(run) for study in reads for run in plan.tables[study]):
            print(f"not drawn: {name}; it needs the trained weights, and not all of them are in {runs_folder()}")
        elif not any(study.trains for study in declared) and f"{name}.ipynb" not in plan.alone:
            drawn.append(shown(plan.folder / "notebooks" / f"{name}.ipynb"))
    if not drawn:
        raise ValueError(f"nothing to draw at profile {plan.profile!r}: run the study first")
    return drawn


def train_runs(runs: Sequence[Run], device: str = "auto") -> bool:
    """Train runs one after another in this process; return whether all succeeded.

    Finished runs are skipped, and a run that fails does not stop the others. The output of a run, with its error, is
    appended to log.txt in its folder; this process prints one line per run.
    """
    failed, load = 0, lru_cache(maxsize=1)(load_dataset)  # the next run mostly uses the same dataset
    for number, run in enumerate(runs, start=1):
        if finished(run):
            continue
        start, outcome = perf_counter(), ""
        run.folder.mkdir(parents=True, exist_ok=True)
        with (
            (run.folder / "log.txt").open("a", encoding="utf-8", buffering=1) as log,
            redirect_stdout(log),
            redirect_stderr(log),
        ):
            try:
                train(run, device, split=load(run.dataset, run.variant))
            except (ValueError, OSError, ImportError, MemoryError) as error:
                outcome, failed = f"error: {error}", failed + 1
                print(outcome)
        print(f"run {number} of {len(runs)}, {run.name}: {outcome or f'{perf_counter() - start:.1f} s'}", flush=True)
    return not failed
