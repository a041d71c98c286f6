"""What of a plan is done, and why the rest is not: read off the files alone, which are a run's metrics.json, a study's
CSV, an executed notebook.
"""

import shutil
from pathlib import Path

from lkca.batch.plan import Plan, study_of
from lkca.studies.catalogue import study_runs
from lkca.studies.results import row
from lkca.studies.rows_of_runs import read_rows
from lkca.training.fingerprint import fingerprint
from lkca.training.run import Run
from lkca.training.run_folder import is_stale, recorded_code


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
