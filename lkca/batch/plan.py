"""What a batch has to do: the runs, tables and notebooks of a study, or of all of them, at a profile."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from lkca.paths import project_root, results_folder
from lkca.studies.catalogue import STUDIES, study_runs
from lkca.studies.profiles import find_profile
from lkca.training.machine import find_device
from lkca.training.run import Run

# A notebook of a study's name shows that study. These show a study of another name, so they wait for its table.
SHOWN = {"visual": "benchmark", "speed": "benchmark"}
SHOW_ALL = ("convergence", "line_to_beat", "verdicts")  # these read the tables of every study
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

    def tables_of(self, notebook: str) -> list[str]:
        """The studies whose tables the notebook reads."""
        if notebook in SHOW_ALL:
            return list(self.studies)
        return [of] if (of := study_of(notebook)) else []

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


def shown(path: Path) -> str:
    """A path as Snakemake shows it: relative to the folder of results/ where it is inside."""
    root = results_folder().parent.absolute()
    path = path.absolute()
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def uses_gpu(device: str) -> bool:
    return find_device(device).type == "cuda" if device == "auto" else device == "cuda"
