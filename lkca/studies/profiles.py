"""Profiles: on what the studies run, and how large.

`quick` runs on a laptop in minutes, `converged` there in hours on made scenes without end, `cpu` in hours on real
scenes, `small` on a GPU, `paper` is the paper's own setting and needs its data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lkca.data.datasets import DATASETS
from lkca.data.loaders import sensor_scenes
from lkca.models import MODELS, UNTRAINED
from lkca.models.upsamplers import KINDS
from lkca.studies.sizes import ENDLESS_WIDTHS, LA_WIDTHS, MADE_WIDTHS, options_of
from lkca.training.run import Distillation, Run

COMPARED = tuple(name for name, model in MODELS.items() if model.of_paper or name in UNTRAINED)


@dataclass(frozen=True)
class UpsamplerPlan:
    """What the two studies of upsamplers run at a profile.

    kinds : upsamplers at LKCA-LR's cost, with every seed.
    distilled : upsamplers that are distilled as well, with every seed.
    spectral_rank : k at which the spectral upsampler has as many parameters as LKCA-LR's; fewer fit its MACs.
    groups : costs that the curves go over, as numbers of groups; one group is the full upsampler's cost.
    ranks : further points of the curves, by kind.
    networks : other networks, and the kind of upsampler that is to beat `grouped` there.
    """

    kinds: tuple[str, ...] = KINDS
    distilled: tuple[str, ...] = ("grouped", "svd", "spectral")
    spectral_rank: int = 0
    groups: tuple[int, ...] = (2, 4, 16)
    ranks: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    networks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ScenesPlan:
    """What the study `scenes` runs, with one seed: scenes differ by far more than seeds do.

    names : datasets of one scene each. models : by scale.
    settings : of every run. options : of every LKCA network. sizes : of the other networks, by name.
    """

    names: tuple[str, ...]
    models: Mapping[int, tuple[str, ...]]
    settings: Mapping[str, object]
    options: Mapping[str, object]
    sizes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


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
    upsamplers : what the two studies of upsamplers run; None for nothing.
    scenes : what the study of many scenes runs; None for nothing.
    widths : of the networks that `equal_cost` compares: budget in G MACs -> model -> width.
    rates : learning rates of networks that do not train at that of `settings`, by model.
    until_flat : settings of runs whose networks learn at different speeds, so that each ends by the rule of
        `lkca.training.fresh_trainer`; nothing where there is no such rule.
    once_at : budgets at which it trains the first seed alone.
    least_terms : of the distillation loss that are kept together, where its terms are varied.
    decaying : settings of the runs that vary the decay of the distillation, where the others are too short for it.
    other_epochs : numbers of epochs of shorter and longer runs that `upsampler_svd` looks at as well.
    short : whether runs are so short that starting a process for each would take as long as they do.
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
    models: tuple[str, ...] = COMPARED
    baselines: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    once: tuple[str, ...] = ()
    repeated: tuple[tuple[str, int], ...] | None = None
    regions: tuple[str, tuple[str, ...]] | None = None
    upsamplers: UpsamplerPlan | None = None
    scenes: ScenesPlan | None = None
    widths: Mapping[float, Mapping[str, int]] = field(default_factory=dict)
    once_at: tuple[float, ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict)
    until_flat: Mapping[str, object] = field(default_factory=dict)
    least_terms: int = 1
    decaying: Mapping[str, object] = field(default_factory=dict)
    other_epochs: tuple[int, ...] = ()
    short: bool = False

    @property
    def title(self) -> str:
        """What a result of this profile is; it stands in the title of every table and figure."""
        return f"{self.data}; {self.sizes}"

    def run(self, model: str, seed: int, distillation: Distillation | None = None, **changes: object) -> Run:
        """One run of this profile; `changes` are settings, or `options` of the model."""
        rate = {"learning_rate": self.rates[model]} if model in self.rates else {}
        settings = {**self.settings, **rate, **changes}
        if model.startswith("lkca"):
            settings["options"] = {**self.options, **settings.get("options", {})}
        return Run(model=model, seed=seed, distillation=distillation, **settings)

    def untrained(self) -> list[Run]:
        """The runs that every trained one is held against: bicubic, and bicubic with back-projection."""
        return [self.run(model, self.seeds[0]) for model in UNTRAINED]

    def distilled(self, seed: int, **terms: object) -> Run:
        """A run of LKCA-KD with some settings of the distillation changed."""
        return self.run("lkca-kd", seed, Distillation(teacher_blocks=self.teacher_blocks, **terms))

    def compared(self, model: str, seed: int, **case: object) -> Run:
        """A run of any model as it is compared with the others; `case` is dataset, reading, scale."""
        if model == "lkca-kd":
            return self.run(model, seed, Distillation(teacher_blocks=self.teacher_blocks), **case)
        return self.run(model, seed, **{**self.baselines.get(model, {}), **case})


HEAVY = ("sspsr", "msdformer", "essaformer")
CHOSEN_ON = "Los Angeles"  # the place whose scenes settings were tried on: in no table of `scenes`
SCENES = ScenesPlan(
    names=tuple(dataset.name for dataset in sensor_scenes() if dataset.place != CHOSEN_ON),
    models={
        4: (*UNTRAINED, "vdsr", "lkca", "lkca-lr", "lkca-kd", "lkca-best", *HEAVY, "3dfcnn"),
        2: (*UNTRAINED, "lkca-lr", "vdsr"),
        8: (*UNTRAINED, "lkca-lr", "vdsr"),
    },
    settings={"epochs": 40, "batch": 4, "learning_rate": 1.5e-3},
    options={"blocks": 2, "channels": 64},
    # One block (VDSR: six layers), as wide as comes nearest to the MACs of this LKCA-Net, 0.51 G at x4, 200 bands and
    # 16x16. 3DFCNN's last layer alone costs that much, so that it is as narrow as it can be.
    sizes={
        "vdsr": {"blocks": 6, "channels": 60},
        "sspsr": {"blocks": 1, "channels": 16},
        "msdformer": {"blocks": 1, "channels": 24, "heads": 3},
        "essaformer": {"blocks": 1, "channels": 24},
        "3dfcnn": {"channels": 2},
    },
)
OTHER_NETWORKS = {"vdsr": "spectral", "sspsr": "svd", "msdformer": "svd", "essaformer": "svd"}
# So narrow that a step costs about what LKCA-Net's does; VDSR of 18 layers would not begin to learn so soon.
NARROW = {
    "vdsr": {"options": {"channels": 32, "blocks": 6}, "learning_rate": 1e-3},
    "3dfcnn": {"options": {"channels": 32}, "epochs": 60},
    "sspsr": {"options": {"channels": 16, "blocks": 1}},
    "msdformer": {"options": {"channels": 24, "heads": 3, "blocks": 1}},
    "essaformer": {"options": {"channels": 16, "blocks": 1}},
}
LA_REGIONS = ("la_aviris", tuple(DATASETS["la_aviris"].readings))

PROFILES = {
    "quick": Profile(
        name="quick",
        data="synthetic scenes",
        sizes="narrow networks, short training: shows that the study runs, not what the paper claims",
        # More than 20 epochs, or the decay of the distillation would hardly act; so few patches keep them short.
        settings={"dataset": "synthetic", "stride": 40, "epochs": 22, "batch": 6, "learning_rate": 2.5e-3},
        options={"blocks": 2, "channels": 32},
        seeds=(0,),
        blocks=(1, 2, 4, 8),
        teacher_blocks=4,
        datasets=("synthetic",),
        cases=(("synthetic", 4),),
        baselines=NARROW,
        regions=("synthetic", ("default", "scene-0", "scene-1", "scene-2")),
        scenes=ScenesPlan(
            names=("indian_pines",),  # ships with a package: nothing to download
            models={4: ("bicubic", "back-projection", "lkca-lr")},
            settings={"epochs": 3, "batch": 4, "learning_rate": 2e-3, "stride": 16},
            options={"blocks": 2, "channels": 32},
        ),
        widths=MADE_WIDTHS,
        upsamplers=UpsamplerPlan(
            spectral_rank=6, groups=(2, 32), ranks={"svd": (4,), "spectral": (2,)}, networks=OTHER_NETWORKS
        ),
        short=True,
    ),
    "converged": Profile(
        name="converged",
        data="synthetic scenes without end",
        sizes="narrow networks, no patch seen twice",
        # Batch and rate: of those tried, what validated best for LKCA-LR in a minute.
        settings={"dataset": "fresh", "epochs": 50, "batch": 4, "learning_rate": 4e-3},
        # ESSAformer's validation collapsed at 4e-3, a VDSR of 18 layers did not begin to learn.
        rates={"vdsr": 2e-3, "3dfcnn": 2e-3, "sspsr": 2e-3, "msdformer": 2e-3, "essaformer": 1e-3},
        until_flat={"epochs": 300},
        options={"blocks": 2, "channels": 32},
        seeds=(0, 1, 2),
        blocks=(1, 2, 4, 8, 16),
        teacher_blocks=8,
        datasets=("fresh",),
        # As wide as 0.1 G pay for, where a width that eight groups divide is near enough to it.
        baselines={
            **{name: {"options": NARROW[name]["options"]} for name in ("msdformer", "essaformer")},
            **{name: {"options": options_of(name, ENDLESS_WIDTHS[0.1][name])} for name in ("vdsr", "sspsr")},
        },
        upsamplers=UpsamplerPlan(
            kinds=("grouped", "svd", "spectral", "separable"),
            distilled=("grouped",),
            spectral_rank=6,
            groups=(2, 32),
            ranks={"svd": (4,), "spectral": (2,)},
            networks=dict.fromkeys(OTHER_NETWORKS, "grouped"),  # what the paper claims, nothing beside it
        ),
        least_terms=2,
        widths=ENDLESS_WIDTHS,
        once_at=(0.3,),
        other_epochs=(1, 4, 16, 300),
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
        models=(*UNTRAINED, "vdsr", "lkca", "lkca-lr", "lkca-kd"),
        baselines={"vdsr": {"options": {"channels": 32, "blocks": 6}}},
        once=("vdsr",),
        repeated=(("la_aviris", 4),),
        regions=LA_REGIONS,
        upsamplers=UpsamplerPlan(
            kinds=("grouped", "grouped-mixed", "svd", "spectral", "separable"),
            distilled=("grouped", "svd"),
            spectral_rank=25,
            groups=(2,),
            ranks={"svd": (4,), "spectral": (2,)},
            networks={"vdsr": "spectral"},
        ),
        scenes=SCENES,
        widths=LA_WIDTHS,
        # λ falls every tenth epoch: about as many steps in more and shorter epochs, of patches that overlap less.
        decaying={"stride": 24, "epochs": 50},
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
        upsamplers=UpsamplerPlan(spectral_rank=25, ranks={"svd": (4, 16), "spectral": (1, 3)}, networks=OTHER_NETWORKS),
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
        upsamplers=UpsamplerPlan(
            spectral_rank=16,
            groups=(2, 4, 16, 32),
            ranks={"svd": (4, 16), "spectral": (1, 3)},
            networks=OTHER_NETWORKS,
        ),
    ),
}


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
