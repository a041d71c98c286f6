"""Profiles: the data and sizes of the studies. Each is a YAML file in profiles/.

`quick` runs on a laptop in minutes. Two CPU cores take hours for `converged` (scenes generated on the fly) and `cpu`
(real scenes), and a day for `evidence`, which has the repetitions and controls that decide the paper's claims. `small`
needs a GPU. `paper` is the paper's own setting, and needs its data and a GPU.
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
    models : model -> settings and options that differ from these.
    seeds : of every run. one_seed : models that are trained with the first seed only.
    teacher_blocks : number of blocks of the teacher in distillation.
    runs_per_job : how many runs share a process; short runs would spend most of their time starting Python.
    studies : study -> its section: what only that study needs.
    partial : tables are written from the comparisons that are finished, with a list of the missing runs.
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
        """Return the section of a study; None if the profile leaves the study out."""
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

        seed : by default the first of the profile. distillation : settings of the distillation, used for LKCA-KD only.
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
        """Return the profile with the settings, LKCA options and models of the study's section in place of its own."""
        section = self.section(study) or {}
        own = {name: section.get(name, {}) for name in ("settings", "lkca", "models")}
        return replace(self, teacher_blocks=section.get("teacher_blocks", self.teacher_blocks), **own)

    def repeated(self, study: str) -> "Profile":
        """Return the profile with as many seeds as the study's section asks for; unchanged if it does not say."""
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
