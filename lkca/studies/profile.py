"""Profiles: on which data the studies run, and how large. Each is a YAML file in profiles/.

`quick` runs on a laptop in minutes, `converged` there in hours on scenes generated on the fly, `cpu` in hours on real
scenes, `evidence` in a day, with the repetitions and controls that decide the paper's claims, `small` on a GPU; `paper`
is the paper's own setting and needs its data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import yaml

from lkca.models import BASELINES
from lkca.run import Run
from lkca.studies import PROFILES, profile_names


@dataclass(frozen=True)
class Profile:
    """What a profile's YAML file says.

    data, sizes : in words, for titles. settings : of every run. lkca : options of every LKCA network.
    models : settings of single models that differ, by model.
    seeds : repetitions of every run. one_seed : models that are trained with the first seed alone.
    teacher_blocks : of the distilling teacher.
    runs_per_job : how many runs share a process: short ones would spend most of their time on starting Python.
    studies : for each study of the profile, what only that study needs.
    partial : its tables are written from the comparisons that are finished, with a list of the runs that are missing.
    """

    name: str
    data: str
    sizes: str
    settings: Mapping[str, object] = field(default_factory=dict)
    lkca: Mapping[str, object] = field(default_factory=dict)
    models: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    one_seed: tuple[str, ...] = ()
    teacher_blocks: int = 64
    runs_per_job: int = 1
    studies: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    partial: bool = False

    @property
    def title(self) -> str:
        """The data and sizes in words, for the titles of tables and figures."""
        return f"{self.data}; {self.sizes}"

    def section(self, study: str) -> Mapping[str, object] | None:
        """Return what the profile says for one study; None if it leaves that study out."""
        return self.studies[study] or {} if study in self.studies else None

    def run(
        self,
        model: str,
        seed: int | None = None,
        options: Mapping[str, object] | None = None,
        distillation: Mapping[str, object] | None = None,
        **settings: object,
    ) -> Run:
        """Return one run of this profile; arguments override the profile's settings.

        seed : the first of the profile by default. distillation : settings of LKCA-KD's, but for the teacher's blocks.
        """
        merged = {**self.settings, **self.models.get(model, {}), **settings}
        ours = self.lkca if model.startswith("lkca") else {}
        merged["options"] = {**ours, **self.models.get(model, {}).get("options", {}), **(options or {})}
        if model == "lkca-kd":
            merged["distillation"] = {"teacher_blocks": self.teacher_blocks, **(distillation or {})}
        return Run(model=model, seed=self.seeds[0] if seed is None else seed, **merged)

    def baselines(self) -> list[Run]:
        """Return the runs that need no training: bicubic, and bicubic with back-projection."""
        return [self.run(model) for model in BASELINES]

    def seeds_of(self, model: str) -> tuple[int, ...]:
        """Return the seeds with which a model is trained: one for baselines and the models of `one_seed`."""
        return self.seeds[:1] if model in self.one_seed or model in BASELINES else self.seeds

    def within(self, study: str) -> "Profile":
        """Return the profile of a study whose section has settings, sizes and models of its own, and no others."""
        section = self.section(study) or {}
        own = {name: section.get(name, {}) for name in ("settings", "lkca", "models")}
        return replace(self, teacher_blocks=section.get("teacher_blocks", self.teacher_blocks), **own)

    def repeated(self, study: str) -> "Profile":
        """Return the profile with the number of seeds that the study's section asks for, if it does."""
        section = self.section(study) or {}
        return replace(self, seeds=tuple(range(section["seeds"]))) if "seeds" in section else self


@cache
def load_profile(name: str) -> Profile:
    """Return the profile of that name.

    Raises
    ------
    ValueError
        If there is none, or its file has unknown or missing keys.
    """
    path = PROFILES / f"{name}.yaml"
    if not path.is_file():
        raise ValueError(f"unknown profile {name!r}: choose one of {', '.join(profile_names())}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        tuples = {key: tuple(content[key]) for key in ("seeds", "one_seed") if key in content}
        return Profile(name=name, **{**content, **tuples})
    except (TypeError, yaml.YAMLError) as error:
        raise ValueError(
            f"{path} is no profile ({error}): its keys are the fields of lkca.studies.profile.Profile"
        ) from error
