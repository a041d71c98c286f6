"""The questions of the study. Each file of this folder declares one: its runs, and what is computed from them.

A new study is one new file with a `Study` and, if it has runs, a section in each profile that runs it. Commands, batch
and lists of notebooks follow from the declarations.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch and pandas take seconds to import, and `lkca --help` needs the names alone
    import pandas as pd

    from lkca.run import Run
    from lkca.studies.profile import Profile

FOLDER = Path(__file__).parent
PROFILES = FOLDER / "profiles"
EVERY_STUDY = ("*",)  # value of `reads` for a notebook that summarises all tables


@dataclass(frozen=True)
class Study:
    """A question, the runs that answer it, and the notebook that shows the answer.

    name : also the name of its table, results/PROFILE/NAME.csv.
    question : one sentence, shown in lists of notebooks.
    runs : function of the profile and its section for the study, which returns the runs in the order of the table.
        None for a study without a table.
    notebook : the notebook that shows it; by default the one of its name.
    reads : other studies whose tables that notebook reads.
    files : further tables, written to results/PROFILE/NAME_SUFFIX.csv: suffix -> function of the profile and the
        finished runs. A table that may be partial needs a column `run`.
    comparison : run -> the comparison that it belongs to; by default each run is one. Where the profile's tables may be
        partial, only complete comparisons are written.
    alone : its table, or its notebook if it has no table, measures time, so nothing else may run on the machine.
    trains : its notebook trains or measures by itself, so `lkca figures` leaves it out.
    needs_weights : its notebook needs the weights of the runs, not only their table.
    """

    name: str
    question: str
    runs: "Callable[[Profile, Mapping], list[Run]] | None" = None
    notebook: str = ""
    reads: tuple[str, ...] = ()
    files: "Mapping[str, Callable[[Profile, Sequence[Run]], pd.DataFrame]]" = field(default_factory=dict)
    comparison: "Callable[[Run], object]" = lambda run: run
    alone: bool = False
    trains: bool = False
    needs_weights: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "notebook", self.notebook or self.name)

    def runs_at(self, profile: "Profile") -> "list[Run]":
        """Return the runs at a profile, each once; none if the profile has no section for the study."""
        section = profile.section(self.name)
        if self.runs is None or section is None:
            return []
        return list(dict.fromkeys(self.runs(profile.repeated(self.name), section)))


@cache
def _declarations() -> dict[str, str]:
    """Return the module of each study, read from the source so that listing names does not import torch."""
    declared = (
        (path.stem, re.findall(r'\bStudy\(\s*"(\w+)"', path.read_text("utf-8"))) for path in FOLDER.glob("*.py")
    )
    return {name: module for module, names in sorted(declared) for name in names}


def study_names() -> tuple[str, ...]:
    """Return the names of all studies."""
    return tuple(_declarations())


def profile_names() -> tuple[str, ...]:
    """Return the names of all profiles."""
    return tuple(sorted(path.stem for path in PROFILES.glob("*.yaml")))


@cache
def studies() -> dict[str, Study]:
    """Return all studies by name."""
    modules = [import_module(f"{__name__}.{module}") for module in dict.fromkeys(_declarations().values())]
    found = {value.name: value for module in modules for value in vars(module).values() if isinstance(value, Study)}
    return {name: found[name] for name in _declarations()}


def find_study(name: str) -> Study:
    """Return the study of that name.

    Raises
    ------
    ValueError
        If there is none; the message lists the names.
    """
    if name not in study_names():
        raise ValueError(f"unknown study {name!r}: choose one of {', '.join(study_names())}")
    return studies()[name]


def study_runs(study: str, profile: str) -> "list[Run]":
    """Return the runs of a study at a profile, each once; none if the profile has no section for the study.

    Raises
    ------
    ValueError
        If there is no such study or profile.
    """
    from lkca.studies.profile import load_profile

    return find_study(study).runs_at(load_profile(profile))
