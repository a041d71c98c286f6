"""Batches: runs, tables and notebooks of the studies, done by Snakemake (see the `Snakefile`) and resumed where they
stopped. What is done is read off the files alone: a run's metrics.json, a study's CSV, an executed notebook.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lkca.paths import data_folder, project_root, results_folder, runs_folder
from lkca.studies.catalogue import STUDIES, study_runs
from lkca.studies.profiles import find_profile
from lkca.studies.results import row
from lkca.studies.rows_of_runs import read_rows
from lkca.training.fingerprint import fingerprint
from lkca.training.machine import find_device
from lkca.training.run import Run
from lkca.training.run_folder import forget, is_stale, recorded_code

# A notebook of a study's name shows that study. These show a study of another name, so they wait for its table.
SHOWN = {"visual": "benchmark", "speed": "benchmark"}
# `redraw` draws without training: not those that train runs of their own or measure, nor without their weights these.
WORKING_NOTEBOOKS = ("quickstart", "speed", "your_scene")
NEED_WEIGHTS = ("visual",)
# Measures time, so nothing else runs meanwhile.
ALONE = ("speed",)
# Studies whose table comes with something fine-tuned and timed: a job of its own, alone on its machine.
MEASURED = ("upsamplers",)


@dataclass(frozen=True)
class Plan:
    """What a batch has to do.

    studies : their names. runs : every run by name, teachers included. notebooks : names of those to execute.
    """

    profile: str
    studies: tuple[str, ...]
    runs: dict[str, Run]
    notebooks: tuple[str, ...]

    def table(self, study: str) -> Path:
        return results_folder() / self.profile / f"{study}.csv"

    def executed(self, notebook: str) -> Path:
        return results_folder() / self.profile / "notebooks" / f"{notebook}.ipynb"

    def log(self, job: str) -> Path:
        """The log of the notebook of that name, or of the making of a CSV."""
        return results_folder() / self.profile / "logs" / f"{job}.log"

    def find(self, name: str) -> Run:
        """The run of that name.

        Raises
        ------
        ValueError
            If there is none.
        """
        if name not in self.runs:
            raise ValueError(
                f"no study has a run {name!r} at profile {self.profile!r} (any more): if lkca/studies changed while a "
                "batch was at it, start the batch again"
            )
        return self.runs[name]


def make_plan(study: str, profile: str) -> Plan:
    """The plan of one study with its notebook, or of "all" with every notebook.

    Raises
    ------
    ValueError
        If there is no such study or profile.
    """
    find_profile(profile)
    if study != "all" and study not in STUDIES:
        raise ValueError(f"unknown study {study!r}: choose all or one of {', '.join(STUDIES)}")
    asked = {name: study_runs(name, profile) for name in (STUDIES if study == "all" else (study,))}
    studies = tuple(name for name, runs in asked.items() if runs)
    if not studies:
        raise ValueError(f"profile {profile!r} has no runs for the study {study!r}: see lkca/studies/profiles.py")
    runs = [run for name in studies for run in asked[name]]
    runs = [run.teacher() for run in runs if run.distillation] + runs
    present = sorted(path.stem for path in notebook_folder().glob("*.ipynb"))
    wanted = {name: study_of(name) for name in present}
    notebooks = tuple(name for name, of in wanted.items() if of in studies or (of is None and study == "all"))
    return Plan(profile, studies, {run.name: run for run in runs}, notebooks)


def study_of(notebook: str) -> str | None:
    """The study whose table the notebook reads, if it reads one."""
    return notebook if notebook in STUDIES else SHOWN.get(notebook)


def notebook_folder() -> Path:
    return project_root() / "notebooks"


def takes_profile(notebook: str) -> bool:
    """Whether the notebook declares a parameter `profile`: papermill may give it only what it declares."""
    cells = json.loads((notebook_folder() / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    declared = ("".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", ()))
    return any(re.search(r"^profile\s*=", source, re.MULTILINE) for source in declared)


def set_aside_damaged(plan: Plan) -> list[str]:
    """Rename every metrics.json that cannot be read, so that its run counts as unfinished; a line for each.

    Little is lost: the run goes on from its last epoch, which mostly means that it only evaluates again.
    """
    lines = []
    for run in plan.runs.values():
        path = run.folder / "metrics.json"
        if path.is_file() and (trouble := _trouble(run)):
            path.replace(path.with_name("metrics.damaged.json"))
            lines.append(
                f"{run.name}: {trouble}. Its metrics.json is set aside as metrics.damaged.json; the run makes anew "
                "what can be made anew"
            )
    return lines


def _trouble(run: Run) -> str | None:
    try:
        row(run)
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        return str(error) if isinstance(error, ValueError | OSError) else f"{run.folder} is damaged ({error!r})"
    return None


def table_is_current(plan: Plan, study: str) -> bool:
    """Whether the study's CSV holds exactly its runs."""
    return read_rows(plan.table(study), study_runs(study, plan.profile)) is not None


def summary(plan: Plan) -> tuple[str, bool]:
    """What is done and what is not, and why not, as text; and whether all is done."""
    runs = {name: None if (run.folder / "metrics.json").is_file() else _why_not(run) for name, run in plan.runs.items()}
    tables = {study: None if table_is_current(plan, study) else _why_no_table(plan, study) for study in plan.studies}
    notebooks = {}
    for name in plan.notebooks:
        waits = tables.get(study_of(name)) is not None
        failed = None if plan.executed(name).is_file() else last_words(plan.log(name))
        notebooks[name] = f"needs the table {study_of(name)}" if waits else failed
    groups = {"runs": runs, "tables": tables, "notebooks": notebooks}
    counts = ", ".join(f"{sum(w is None for w in g.values())} of {len(g)} {kind}" for kind, g in groups.items())
    lines = [f"profile {plan.profile}: {counts} done"]
    for kind, group in groups.items():
        lines += [f"  {kind[:-1]} {name}: {why}" for name, why in group.items() if why is not None]
    done = len(lines) == 1
    lines += [
        f"  run {run.name}: stale, made by other code ({recorded_code(run) or 'unrecorded'}, now {fingerprint(run)}); "
        "`study --fresh` does it again"
        for run in stale_runs(plan)
    ]
    return "\n".join(lines), done


def stale_runs(plan: Plan) -> list[Run]:
    """The runs whose files other code made."""
    return [run for run in plan.runs.values() if is_stale(run)]


def _why_not(run: Run) -> str:
    if run.distillation and not (run.teacher().folder / "metrics.json").is_file():
        return f"needs its teacher {run.teacher().name}"
    return last_words(run.folder / "log.txt")


def _why_no_table(plan: Plan, study: str) -> str:
    missing = sum(not (run.folder / "metrics.json").is_file() for run in study_runs(study, plan.profile))
    return f"needs {missing} more run{'s' * (missing > 1)}" if missing else last_words(plan.log(f"{study}.csv"))


def last_words(log: Path) -> str:
    """What a log ends with: an error with all its lines, else the last line that says something."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "not started"
    said = [line.strip() for line in lines if line.strip()] or ["said nothing"]
    if not said[-1].strip("^~"):  # the marks in a traceback: its last line, the error's name, could not be written
        left = shutil.disk_usage(log.parent).free
        return f"its log breaks off in the middle of an error; {left / 1e6:.0f} MB are free on that disk ({log})"
    errors = [number for number, line in enumerate(said) if line.startswith("error: ")]
    return f"{' '.join(said[errors[-1] if errors else -1 :])} ({log})"


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
    # Snakemake sees a table of other runs by its own records, which a kill may have kept it from writing.
    stale = [
        plan.table(name) for name in plan.studies if plan.table(name).is_file() and not table_is_current(plan, name)
    ]
    if redraw:
        command += ["--allowed-rules", "notebook", "--forcerun", "notebook", "--", *_drawable(plan)]
    elif stale:
        command += ["--forcerun", *map(shown, stale)]
    lock = None if dry_run else _take_lock(root / ".snakemake" / "batch.lock")
    if fresh:
        for run in stale_runs(plan):
            print(f"{run.name}: other code made it, it is {'to be ' * dry_run}done again")
            if not dry_run:
                forget(run)
    for line in set_aside_damaged(plan):
        print(line, file=sys.stderr)
    # Snakemake holds the lock too: it stays taken where only this process is killed, and goes where both are.
    process = subprocess.Popen(command, env=_environment(root), pass_fds=[] if lock is None else [lock])
    if lock is not None:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"process {process.pid}: study {study}, profile {plan.profile}".encode(), 0)
    status = _wait(process)
    if dry_run or redraw:
        return status == 0
    text, done = summary(plan)
    print(text)
    return done and status == 0


def _drawable(plan: Plan) -> list[str]:
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


def _have_weights(runs: Sequence[Run]) -> bool:
    return all((run.folder / "metrics.json").is_file() for run in runs)


def shown(path: Path) -> str:
    """A path as Snakemake shows it: relative to the folder of results/ where it is inside."""
    root = results_folder().parent.absolute()
    path = path.absolute()
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def uses_gpu(device: str) -> bool:
    return find_device(device).type == "cuda" if device == "auto" else device == "cuda"


def _take_lock(path: Path) -> int:
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


def _wait(process: subprocess.Popen) -> int:
    """The exit status. Ctrl-C ends the jobs; SIGTERM lets Snakemake finish those at work, and start no others."""
    stop = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the terminal has sent it to Snakemake as well
                continue
    finally:
        signal.signal(signal.SIGTERM, stop)


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
