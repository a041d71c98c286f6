"""Plan the runs, tables and notebooks of a study at a profile, and say which of them are done.

A run is finished when its metrics.json exists, a table when its CSV has exactly the study's runs, a notebook when its
executed copy exists.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from lkca.files import results_folder
from lkca.run import RECIPE, Run
from lkca.studies import EVERY_STUDY, Study, find_study, studies
from lkca.studies.collect import finished
from lkca.studies.notebooks import notebook_path, takes_profile
from lkca.studies.profile import load_profile
from lkca.studies.tables import read_rows


@dataclass(frozen=True)
class Plan:
    """What a batch has to do.

    tables : study -> its runs at the profile. runs : name -> run, teachers first.
    notebooks : notebook -> the studies whose tables it reads.
    alone : tables (STUDY.csv) and notebooks (NAME.ipynb) that must run while nothing else does.
    """

    profile: str
    tables: dict[str, list[Run]]
    runs: dict[str, Run]
    notebooks: dict[str, list[str]]
    alone: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """The folder of the profile's results: STUDY.csv, notebooks/NAME.ipynb, logs/."""
        return results_folder() / self.profile

    def find(self, name: str) -> Run:
        """Return the run of that name; ValueError if no study has it."""
        if name not in self.runs:
            raise ValueError(
                f"no study has a run {name!r} at profile {self.profile!r}: if lkca/studies changed during a batch, "
                "start it again"
            )
        return self.runs[name]

    def has_table(self, study: str) -> bool:
        """Say whether the study's CSV holds exactly its runs."""
        return read_rows(self.folder / f"{study}.csv", self.tables[study]) is not None

    def shared_jobs(self, runs_per_job: int, workers: int) -> list[list[Run]]:
        """Return the unfinished runs in groups that share a process, with enough groups to keep all workers busy.

        Students come in later groups than their teachers.
        """
        groups = []
        for students in (False, True):
            missing = [run for run in self.runs.values() if not finished(run) and bool(run.distillation) == students]
            count = min(len(missing), max(workers, -(-len(missing) // runs_per_job)))
            groups += [missing[number::count] for number in range(count)]
        return groups

    def summary(self) -> tuple[str, bool]:
        """Return a text that says what is done and why the rest is not, and whether all is done."""
        executed, logs = self.folder / "notebooks", self.folder / "logs"
        done = {("run", name, run.folder / "log.txt"): finished(run) for name, run in self.runs.items()}
        done |= {("table", study, logs / f"{study}.csv.log"): self.has_table(study) for study in self.tables}
        done |= {("notebook", n, logs / f"{n}.log"): (executed / f"{n}.ipynb").is_file() for n in self.notebooks}
        counts = []
        for kind in ("run", "table", "notebook"):
            of_kind = [is_done for (each, *_), is_done in done.items() if each == kind]
            counts.append(f"{sum(of_kind)} of {len(of_kind)} {kind}s")
        lines = [f"profile {self.profile}: {', '.join(counts)} done"]
        lines += [f"  {kind} {name}: {_last_line(log)}" for (kind, name, log), is_done in done.items() if not is_done]
        lines += [
            f"  run {name}: made by another recipe, `lkca study --fresh` trains it again"
            for name, run in self.runs.items()
            if has_other_recipe(run)
        ]
        return "\n".join(lines), all(done.values())


def has_other_recipe(run: Run) -> bool:
    """Say whether a run was made by another recipe than the code's."""
    try:
        return json.loads((run.folder / "provenance.json").read_text(encoding="utf-8"))["recipe"] != RECIPE
    except (OSError, ValueError, LookupError, TypeError):  # not begun, or damaged: training reports that
        return False


def make_plan(study: str, profile: str) -> Plan:
    """Return the plan of one study with its notebooks, or of "all" studies.

    Raises
    ------
    ValueError
        If there is no such study or profile, or the profile leaves the study out.
    """
    chosen = load_profile(profile)
    asked = _asked(study)
    needed = dict.fromkeys(name for each in asked for name in (each.name, *each.reads) if name in studies())
    tables = {name: runs for name in needed if (runs := studies()[name].runs_at(chosen))}
    notebooks: dict[str, list[str]] = {}
    for each in asked:
        reads = [name for name in tables if name == each.name or name in each.reads or each.reads == EVERY_STUDY]
        can_run = reads or (each.runs is None and each.reads in ((), EVERY_STUDY))
        # A notebook without a profile shows the same at every profile, and is executed at `quick` only.
        # A notebook of several studies needs the table of the study that it is named after.
        main = studies().get(each.notebook, each)
        can_run = can_run and not (main.runs and main.name not in tables)
        if can_run and notebook_path(each.notebook).is_file() and (profile == "quick" or takes_profile(each.notebook)):
            notebooks[each.notebook] = list(dict.fromkeys([*notebooks.get(each.notebook, []), *reads]))
    if not tables and not notebooks:
        raise ValueError(
            f"profile {profile!r} leaves out the study {study!r}: see lkca/studies/profiles/{profile}.yaml"
        )
    runs = [run for name in tables for run in tables[name]]
    runs = [run.teacher() for run in runs if run.distillation] + runs
    alone = tuple(f"{each.name}.csv" if each.runs else f"{each.notebook}.ipynb" for each in asked if each.alone)
    return Plan(profile, tables, {run.name: run for run in runs}, notebooks, alone)


def _asked(study: str) -> list[Study]:
    """Return the study, those that its notebook shows too, and those without runs that read its table."""
    if study == "all":
        return list(studies().values())
    find_study(study)
    shows = (each for each in studies().values() if each.runs is None and study in each.reads)
    return [each for each in studies().values() if study in (each.name, each.notebook)] + list(shows)


def _last_line(log: Path) -> str:
    """Return the last error in a log, else its last line."""
    if not log.is_file():
        return "not started"
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    return f"{(errors or lines or ['printed nothing'])[-1]} ({log})"
