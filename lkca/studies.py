"""The studies: each is a list of runs, declared once, used by notebooks and batch alike.

A profile says on what and how large: `quick` runs on a laptop in minutes, `small` on a GPU, `paper` is the paper's own
setting and needs its data. A study asks a profile for its runs; a notebook of the same name shows what came out.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lkca.runs import Distillation, Run


@dataclass(frozen=True)
class Profile:
    """On what the studies run, and how large.

    title : what a result of this profile is; it stands in the title of every table and figure.
    settings : of every run.
    options : of every LKCA network.
    seeds : repetitions of every run.
    blocks : the numbers N that `block_count` compares.
    teacher_blocks : of the distilling teacher.
    datasets : where the upsampler's singular values are looked at.
    """

    name: str
    title: str
    settings: Mapping[str, object]
    options: Mapping[str, object]
    seeds: tuple[int, ...]
    blocks: tuple[int, ...]
    teacher_blocks: int
    datasets: tuple[str, ...]

    def run(self, model: str, seed: int, distillation: Distillation | None = None, **changes: object) -> Run:
        """One run of this profile; `changes` are settings, or `options` of the model."""
        settings = {**self.settings, **changes}
        if model.startswith("lkca"):
            settings["options"] = {**self.options, **settings.get("options", {})}
        return Run(model=model, seed=seed, distillation=distillation, **settings)

    def distilled(self, seed: int, **terms: object) -> Run:
        """A run of LKCA-KD with some settings of the distillation changed."""
        return self.run("lkca-kd", seed, Distillation(teacher_blocks=self.teacher_blocks, **terms))


@dataclass(frozen=True)
class Study:
    """A question to the network, and the runs that answer it.

    title : what is varied. table : the paper's table that asks the same, in `lkca/paper_tables`, or None.
    runs : profile -> runs, those of one comparison in the order in which they are shown.
    """

    name: str
    title: str
    table: str | None
    runs: Callable[[Profile], list[Run]] = field(repr=False)


def _block_count(profile: Profile) -> list[Run]:
    return [profile.run("bicubic", profile.seeds[0])] + [
        profile.run("lkca", seed, options={"blocks": blocks}) for blocks in profile.blocks for seed in profile.seeds
    ]


def _upsampler_svd(profile: Profile) -> list[Run]:
    seed = profile.seeds[0]
    return [profile.run(model, seed, dataset=name) for name in profile.datasets for model in ("lkca", "lkca-lr")]


def _without_distillation(profile: Profile) -> list[Run]:
    """What every distilled run is held against: the teacher, and LKCA-LR with the same seeds and no teacher."""
    teacher = profile.distilled(profile.seeds[0]).teacher()
    return [teacher] + [profile.run("lkca-lr", seed) for seed in profile.seeds]


def _kd_decay(profile: Profile) -> list[Run]:
    decays = (1.0, 0.75, 0.66, 0.5)
    runs = [profile.distilled(seed, decay=decay) for decay in decays for seed in profile.seeds]
    return _without_distillation(profile) + runs


def _kd_weight(profile: Profile) -> list[Run]:
    weights = (1.0, 0.1, 0.05, 0.01, 0.005)
    runs = [profile.distilled(seed, weight=weight) for weight in weights for seed in profile.seeds]
    return _without_distillation(profile) + runs


def _kd_terms(profile: Profile) -> list[Run]:
    """Every subset of the three terms but the empty one, which is LKCA-LR without distillation."""
    defaults = Distillation()
    runs = _without_distillation(profile)
    for kept in itertools.product((True, False), repeat=3):
        weights = dict(zip(("l1", "gradient", "cosine"), kept, strict=True))
        terms = {name: getattr(defaults, name) if on else 0.0 for name, on in weights.items()}
        runs += [profile.distilled(seed, **terms) for seed in profile.seeds if any(kept)]
    return runs


def _family(profile: Profile) -> list[Run]:
    models = ("bicubic", "lkca", "lkca-lr")
    return [profile.run(model, seed) for model in models for seed in profile.seeds] + [
        profile.distilled(seed) for seed in profile.seeds
    ]


PROFILES = {
    "quick": Profile(
        name="quick",
        title="synthetic scenes, narrow networks, short training: shows that the study runs, not what the paper claims",
        # More than 20 epochs, or the decay of the distillation would hardly act; so few patches keep them short.
        settings={"dataset": "synthetic", "stride": 40, "epochs": 24, "batch": 4, "learning_rate": 2e-3},
        options={"blocks": 2, "channels": 32},
        seeds=(0,),
        blocks=(1, 2, 4, 8),
        teacher_blocks=4,
        datasets=("synthetic",),
    ),
    "small": Profile(
        name="small",
        title="four small AVIRIS scenes of Los Angeles, airport-3 tests; full-width networks",
        settings={"dataset": "la_aviris"},
        options={"blocks": 16, "channels": 128},
        seeds=(0, 1, 2),
        blocks=(4, 8, 16, 32, 48, 64),
        teacher_blocks=64,
        datasets=("la_aviris", "synthetic"),
    ),
    "paper": Profile(
        name="paper",
        title="Chikusei, the paper's sizes and schedule",
        settings={"dataset": "chikusei", "validation": "paper"},
        options={"blocks": 16, "channels": 128},
        seeds=(0,),
        blocks=(4, 8, 16, 32, 48, 64),
        teacher_blocks=64,
        datasets=("chikusei", "houston2018", "pavia_centre"),
    ),
}

_DECLARATIONS = (
    Study("block_count", "number of large-kernel blocks", "table1_blocks", _block_count),
    Study("upsampler_svd", "singular values of the trained upsampler", None, _upsampler_svd),
    Study("kd_decay", "decay of the distillation", "table2_decay", _kd_decay),
    Study("kd_weight", "weight of the distillation", "table3_kd_weight", _kd_weight),
    Study("kd_terms", "terms of the distillation loss", "table4_kd_terms", _kd_terms),
    Study("family", "bicubic, LKCA-Net, LKCA-LR and LKCA-KD", None, _family),
)

STUDIES: dict[str, Study] = {study.name: study for study in _DECLARATIONS}


def find_profile(name: str) -> Profile:
    """The profile of that name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in PROFILES:
        raise ValueError(f"unknown profile {name!r}: choose one of {', '.join(PROFILES)}")
    return PROFILES[name]


def study_runs(study: str, profile: str, seeds: Sequence[int] | None = None) -> list[Run]:
    """The runs of a study at a profile, each once.

    Raises
    ------
    ValueError
        If there is no such study or profile.
    """
    if study not in STUDIES:
        raise ValueError(f"unknown study {study!r}: choose one of {', '.join(STUDIES)}")
    chosen = find_profile(profile)
    if seeds is not None:
        chosen = Profile(**{**vars(chosen), "seeds": tuple(seeds)})
    return list({run.name: run for run in STUDIES[study].runs(chosen)}.values())
