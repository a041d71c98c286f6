"""A plan is done by Snakemake (see the `Snakefile`), which goes on where an earlier batch stopped.

Short runs are done first, several in one process; whatever is missing then is Snakemake's.
"""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lkca.batch.plan import MEASURED, Plan, shown, study_of, uses_gpu
from lkca.batch.state import set_aside_damaged, stale_runs, summary, table_is_current
from lkca.paths import data_folder, project_root, results_folder, runs_folder
from lkca.studies.catalogue import study_runs
from lkca.studies.profiles import find_profile
from lkca.studies.results import collect
from lkca.training.machine import find_device
from lkca.training.run import Run
from lkca.training.run_folder import forget

# `redraw` draws without training: not those that train runs of their own or measure, nor without their weights these.
WORKING_NOTEBOOKS = ("quickstart", "speed", "your_scene")
NEED_WEIGHTS = ("visual",)
STOPPED = 130  # the exit status of what Ctrl-C or SIGTERM ended


def do_batch(
    plan: Plan,
    study: str,
    jobs: int | None = None,
    device: str = "auto",
    threads: int = 1,
    gpu_jobs: int = 1,
    cluster: str | None = None,
    dry_run: bool = False,
    redraw: bool = False,
    fresh: bool = False,
) -> bool:
    """Do what is missing of a plan; whether all of it is done.

    Parameters
    ----------
    study : what the plan was made of. jobs : side by side; None takes the number of cores, or what the cluster's
        profile says.
    device : "auto", "cpu" or "cuda". threads : of a run. gpu_jobs : runs that share this machine's GPU.
    cluster : a folder of `workflow/profiles`, or None for this machine.
    dry_run : only show what would be done. redraw : only execute again the notebooks whose study has its CSV.
    fresh : do again, from their beginning, the runs that other code made, and the tables that hold them.

    Raises
    ------
    ValueError
        If another batch is at work in the same folder, the cluster's profile is not there, or there is nothing to
        redraw.
    """
    profiles = project_root() / "workflow" / "profiles"
    if cluster is not None and not (profiles / cluster / "config.yaml").is_file():
        raise ValueError(f"unknown cluster {cluster!r}: there is no {profiles / cluster / 'config.yaml'}")
    find_device("cpu" if cluster else device)
    for variable, folder in (("LKCA_RUNS", runs_folder()), ("LKCA_OUTPUT", results_folder())):
        if set("{}") & set(str(folder)):
            raise ValueError(
                f"{variable}: {folder} has braces in its name, which Snakemake reads otherwise: choose another"
            )
    root = results_folder().parent.absolute()
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(project_root() / "Snakefile")),
        *("--directory", str(root), "--workflow-profile", str(profiles / "default")),
        *("--config", f"study={study}", f"profile={plan.profile}", f"device={device}", f"threads={threads}"),
    ]
    if cluster is None:
        command += ["--cores", str(jobs or os.cpu_count()), "--resources", f"gpu={gpu_jobs}", "notebook=2"]
    else:
        command += ["--profile", str(profiles / cluster), "--resources", "notebook=2"]
        command += ["--jobs", str(jobs)] if jobs else []
    if dry_run:
        command += ["--dry-run"]
    if redraw:
        command += ["--allowed-rules", "notebook", "--forcerun", "notebook", "--", *drawable(plan)]
    lock = None if dry_run else take_lock(root / ".snakemake" / "batch.lock")
    if fresh:
        for run in stale_runs(plan):
            print(f"{run.name}: other code made it, it is {'to be ' * dry_run}done again")
            if not dry_run:
                forget(run)
    for line in set_aside_damaged(plan):
        print(line, file=sys.stderr)
    if cluster is None and not (dry_run or redraw) and find_profile(plan.profile).short:
        side_by_side = gpu_jobs if uses_gpu(device) else max(1, (jobs or os.cpu_count() or 1) // threads)
        if not _do_short_runs(plan, device, side_by_side, _environment(root) | {"OMP_NUM_THREADS": str(threads)}, lock):
            return False
    # Snakemake sees a table of other runs by its own records, which a kill may have kept it from writing.
    stale = [
        plan.table(name) for name in plan.studies if plan.table(name).is_file() and not table_is_current(plan, name)
    ]
    if stale and not redraw:
        command += ["--forcerun", *map(shown, stale)]
    status = _done_by([command], _environment(root), lock, plan)
    if dry_run or redraw:
        return status == 0
    text, done = summary(plan)
    print(text)
    return done and status == 0


def drawable(plan: Plan) -> list[str]:
    """The executed notebooks that can be made without training; a line for each that cannot."""
    drawn = []
    for name in plan.notebooks:
        study = study_of(name)
        if name in WORKING_NOTEBOOKS:
            continue
        if study and not table_is_current(plan, study):
            print(f"not drawn: {name}; {plan.table(study)} is missing, or holds other runs than the study has now")
        elif name in NEED_WEIGHTS and not _have_weights(study_runs(study, plan.profile)):
            print(f"not drawn: {name}; it needs the trained weights, and not all of them are in {runs_folder()}")
        else:
            drawn.append(shown(plan.executed(name)))
    if not drawn:
        raise ValueError(f"nothing to draw at profile {plan.profile!r}: do the study first")
    return drawn


def _do_short_runs(plan: Plan, device: str, side_by_side: int, environment: dict[str, str], lock: int | None) -> bool:
    """Do runs several in a process, then their tables in this one; False where that was stopped.

    What fails here is left to Snakemake: there it is a job of its own, with its own log.
    """
    left = {name: run for name, run in plan.runs.items() if not (run.folder / "metrics.json").is_file()}
    command = [sys.executable, "-m", "lkca", "run", *left, "--profile", plan.profile, "--device", device]
    if len(left) > 1 and _done_by([command] * side_by_side, environment, lock, plan) == STOPPED:
        return False
    for study in plan.studies:
        if study not in MEASURED and left.keys() & {run.name for run in study_runs(study, plan.profile)}:
            with suppress(ValueError, OSError):
                collect(study, plan.profile)
    return True


def _have_weights(runs: Sequence[Run]) -> bool:
    return all((run.folder / "metrics.json").is_file() for run in runs)


def take_lock(path: Path) -> int:
    """The open lock of the batches in one folder.

    Raises
    ------
    ValueError
        If another batch has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = path.read_text() or "just starting"
        os.close(lock)
        raise ValueError(
            f"another batch is at work here ({owner}; its lock is {path}): wait for it, or stop it and start again"
        ) from error
    return lock


def _done_by(commands: Sequence[Sequence[str]], environment: dict[str, str], lock: int | None, plan: Plan) -> int:
    """The highest exit status of commands side by side, 130 where they were stopped.

    Ctrl-C ends the jobs; SIGTERM lets Snakemake finish those at work, and start no others. The commands hold the lock
    too: it stays taken where only this process is killed, and goes where all are.
    """
    held = [] if lock is None else [lock]
    processes = [subprocess.Popen(command, env=environment, pass_fds=held) for command in commands]
    if lock is not None:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"process {processes[0].pid}: profile {plan.profile}, {', '.join(plan.studies)}".encode(), 0)
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True
        for process in processes:
            process.terminate()

    before = signal.signal(signal.SIGTERM, stop)
    try:
        while True:
            try:
                status = max(process.wait() for process in processes)
                return STOPPED if stopped else status
            except KeyboardInterrupt:  # the terminal has sent it to the commands as well
                stopped = True
    finally:
        signal.signal(signal.SIGTERM, before)


def _environment(root: Path) -> dict[str, str]:
    """The environment of Snakemake and its jobs, in their own folders: absolute paths, caches inside the project."""
    cache = root.absolute() / ".cache"
    return {
        # glibc gives large tensors back at every step and asks for them anew: a seventh of a training step.
        "MALLOC_MMAP_THRESHOLD_": "1000000000",
        "MALLOC_TRIM_THRESHOLD_": "4000000000",
        "MALLOC_TOP_PAD_": "100000000",
        **os.environ,
        "LKCA_DATA": str(data_folder().absolute()),
        "LKCA_RUNS": str(runs_folder().absolute()),
        "LKCA_OUTPUT": str(root.absolute()),
        "XDG_CACHE_HOME": str(cache),
        "IPYTHONDIR": str(cache / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(cache / "jupyter"),
        "MPLCONFIGDIR": str(cache / "matplotlib"),
    }
