"""The studies: each is a list of runs, declared once, used by notebooks and batch alike.

A profile says on what and how large: `quick` runs on a laptop in minutes, `cpu` there in hours on real scenes, `small`
on a GPU, `paper` is the paper's own setting and needs its data. A study asks a profile for its runs; a notebook of the
same name shows what came out.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lkca.datasets import DATASETS
from lkca.heads.runs import heads_elsewhere, upsampling_heads
from lkca.models import model_names
from lkca.runs import Distillation, Run


@dataclass(frozen=True)
class Profile:
    """On what the studies run, and how large.

    data : what the studies of one dataset run on. sizes : of the networks, and how long they train.
    settings : of every run.
    options : of every LKCA network.
    seeds : repetitions of every run.
    blocks : the numbers N that `block_count` compares.
    teacher_blocks : of the distilling teacher.
    datasets : where the upsampler's singular values are looked at.
    cases : (dataset, scale) pairs that `benchmark` compares `models` on.
    baselines : settings of a baseline that are not those of every run, by its name.
    once : models that `benchmark` trains with the first seed alone.
    repeated : cases that it trains with every seed; None for all of them.
    regions : dataset and readings of `regions`; each reading tests on another scene.
    """

    name: str
    data: str
    sizes: str
    settings: Mapping[str, object]
    options: Mapping[str, object]
    seeds: tuple[int, ...]
    blocks: tuple[int, ...]
    teacher_blocks: int
    datasets: tuple[str, ...]
    cases: tuple[tuple[str, int], ...] = ()
    models: tuple[str, ...] = model_names()
    baselines: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    once: tuple[str, ...] = ()
    repeated: tuple[tuple[str, int], ...] | None = None
    regions: tuple[str, tuple[str, ...]] | None = None

    @property
    def title(self) -> str:
        """What a result of this profile is; it stands in the title of every table and figure."""
        return f"{self.data}; {self.sizes}"

    def run(self, model: str, seed: int, distillation: Distillation | None = None, **changes: object) -> Run:
        """One run of this profile; `changes` are settings, or `options` of the model."""
        settings = {**self.settings, **changes}
        if model.startswith("lkca"):
            settings["options"] = {**self.options, **settings.get("options", {})}
        return Run(model=model, seed=seed, distillation=distillation, **settings)

    def distilled(self, seed: int, **terms: object) -> Run:
        """A run of LKCA-KD with some settings of the distillation changed."""
        return self.run("lkca-kd", seed, Distillation(teacher_blocks=self.teacher_blocks, **terms))

    def compared(self, model: str, seed: int, **case: object) -> Run:
        """A run of any model as it is compared with the others; `case` is dataset, reading, scale."""
        if model == "lkca-kd":
            return self.run(model, seed, Distillation(teacher_blocks=self.teacher_blocks), **case)
        return self.run(model, seed, **{**self.baselines.get(model, {}), **case})


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


def benchmark_runs(profile: Profile) -> list[Run]:
    """Every model on every case; bicubic learns nothing, so that one of it is enough."""

    def seeds(model: str, case: tuple[str, int]) -> tuple[int, ...]:
        alone = model == "bicubic" or model in profile.once
        repeated = profile.repeated is None or case in profile.repeated
        return profile.seeds if repeated and not alone else profile.seeds[:1]

    return [
        profile.compared(model, seed, dataset=case[0], scale=case[1])
        for case in profile.cases
        for model in profile.models
        for seed in seeds(model, case)
    ]


def _regions(profile: Profile) -> list[Run]:
    """One seed: what differs from region to region is asked, and that is far more than what seeds do."""
    dataset, readings = profile.regions or ("", ())
    models = ("bicubic", "vdsr", "lkca", "lkca-lr", "lkca-kd")
    return [
        profile.compared(model, profile.seeds[0], dataset=dataset, reading=reading)
        for reading in readings
        for model in models
    ]


HEAVY = ("sspsr", "msdformer", "essaformer")
LA_REGIONS = ("la_aviris", tuple(DATASETS["la_aviris"].readings))

PROFILES = {
    "quick": Profile(
        name="quick",
        data="synthetic scenes",
        sizes="narrow networks, short training: shows that the study runs, not what the paper claims",
        # More than 20 epochs, or the decay of the distillation would hardly act; so few patches keep them short.
        settings={"dataset": "synthetic", "stride": 40, "epochs": 24, "batch": 4, "learning_rate": 2e-3},
        options={"blocks": 2, "channels": 32},
        seeds=(0,),
        blocks=(1, 2, 4, 8),
        teacher_blocks=4,
        datasets=("synthetic",),
        cases=(("synthetic", 4),),
        # So narrow that a step costs about what LKCA-Net's does; VDSR of 18 layers would not begin to learn so soon.
        baselines={
            "vdsr": {"options": {"channels": 32, "blocks": 6}, "learning_rate": 1e-3},
            "3dfcnn": {"options": {"channels": 32}, "epochs": 60},
            "sspsr": {"options": {"channels": 16, "blocks": 1}},
            "msdformer": {"options": {"channels": 48, "heads": 3, "blocks": 1}},
            "essaformer": {"options": {"channels": 16, "blocks": 1}},
        },
        regions=("synthetic", ("default", "scene-0", "scene-1", "scene-2")),
    ),
    "cpu": Profile(
        name="cpu",
        data="four small AVIRIS scenes of Los Angeles, airport-3 tests",
        sizes="few blocks, short training on two CPU cores",
        settings={"dataset": "la_aviris", "stride": 8, "epochs": 8, "batch": 2, "learning_rate": 1.5e-3},
        options={"blocks": 2, "channels": 64},
        seeds=(0, 1, 2),
        blocks=(1, 2, 4),
        teacher_blocks=4,
        datasets=("la_aviris",),
        cases=(("la_aviris", 4), ("la_aviris", 8)),
        models=("bicubic", "vdsr", "lkca", "lkca-lr", "lkca-kd"),
        baselines={"vdsr": {"options": {"channels": 32, "blocks": 6}}},
        once=("vdsr",),
        repeated=(("la_aviris", 4),),
        regions=LA_REGIONS,
    ),
    "small": Profile(
        name="small",
        data="four small AVIRIS scenes of Los Angeles, airport-3 tests",
        sizes="full-width networks",
        settings={"dataset": "la_aviris"},
        options={"blocks": 16, "channels": 128},
        seeds=(0, 1, 2),
        blocks=(4, 8, 16, 32, 48, 64),
        teacher_blocks=64,
        datasets=("la_aviris", "synthetic"),
        cases=(("la_aviris", 4), ("la_aviris", 8)),
        once=HEAVY,
        regions=LA_REGIONS,
    ),
    "paper": Profile(
        name="paper",
        data="Chikusei",
        sizes="the paper's sizes and schedule",
        settings={"dataset": "chikusei", "validation": "paper"},
        options={"blocks": 16, "channels": 128},
        seeds=(0,),
        blocks=(4, 8, 16, 32, 48, 64),
        teacher_blocks=64,
        datasets=("chikusei", "houston2018", "pavia_centre"),
        cases=tuple((name, scale) for name in ("chikusei", "houston2018", "pavia_centre") for scale in (4, 8)),
    ),
}

_DECLARATIONS = (
    Study("block_count", "number of large-kernel blocks", "table1_blocks", _block_count),
    Study("upsampler_svd", "singular values of the trained upsampler", None, _upsampler_svd),
    Study("upsampling_heads", "upsampling head at the cost of LKCA-LR's", None, upsampling_heads),
    Study("heads_elsewhere", "upsampling head of other networks", None, heads_elsewhere),
    Study("kd_decay", "decay of the distillation", "table2_decay", _kd_decay),
    Study("kd_weight", "weight of the distillation", "table3_kd_weight", _kd_weight),
    Study("kd_terms", "terms of the distillation loss", "table4_kd_terms", _kd_terms),
    Study("benchmark", "all networks of the paper", None, benchmark_runs),
    Study("regions", "which scene tests", None, _regions),
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
    """The runs of a study at a profile, each once; none where the profile has nothing to ask the study.

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
