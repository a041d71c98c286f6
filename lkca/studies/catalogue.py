"""The studies: each is a list of runs, declared once, used by notebooks and batch alike.

A profile says on what and how large (`lkca.studies.profiles`). A study asks a profile for its runs; a notebook of the
same name shows what came out.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from lkca.models import UNTRAINED
from lkca.studies.profiles import Profile, find_profile
from lkca.studies.sizes import options_of
from lkca.studies.upsamplers.runs import upsamplers, upsamplers_elsewhere
from lkca.training.run import Distillation, Run


@dataclass(frozen=True)
class Study:
    """A question to the network, and the runs that answer it.

    title : what is varied. runs : profile -> runs, those of one comparison in the order in which they are shown.
    """

    name: str
    title: str
    runs: Callable[[Profile], list[Run]] = field(repr=False)


def _block_count(profile: Profile) -> list[Run]:
    return profile.untrained() + [
        profile.run("lkca", seed, options={"blocks": blocks}, **profile.until_flat)
        for blocks in profile.blocks
        for seed in profile.seeds
    ]


def _until_flat(profile: Profile) -> list[Run]:
    """The networks that other studies compare after equal steps, each trained until it has stopped rising."""
    if not profile.until_flat:
        return []
    models = ("vdsr", "lkca", "lkca-lr", "lkca-kd", "lkca-best")
    return profile.untrained() + [
        profile.compared(model, seed, **profile.until_flat) for model in models for seed in profile.seeds
    ]


def _upsampler_svd(profile: Profile) -> list[Run]:
    """One seed; LKCA-Net after shorter and longer trainings, too."""
    seed = profile.seeds[0]
    runs = [profile.run(model, seed, dataset=name) for name in profile.datasets for model in ("lkca", "lkca-lr")]
    return runs + [
        profile.run("lkca", seed, dataset=name, epochs=epochs)
        for name in profile.datasets
        for epochs in profile.other_epochs
    ]


def _decays(profile: Profile) -> list[Run]:
    runs = [profile.distilled(seed, decay=decay) for decay in (1.0, 0.75, 0.66, 0.5) for seed in profile.seeds]
    return [replace(run, **profile.decaying) for run in runs]


def _weights(profile: Profile) -> list[Run]:
    weights = (1.0, 0.1, 0.05, 0.01, 0.005)
    return [profile.distilled(seed, weight=weight) for weight in weights for seed in profile.seeds]


def _terms(profile: Profile) -> list[Run]:
    """Every subset of the three terms that is not too small; the empty one is LKCA-LR without distillation."""
    defaults, runs = Distillation(), []
    for kept in itertools.product((True, False), repeat=3):
        weights = dict(zip(("l1", "gradient", "cosine"), kept, strict=True))
        terms = {name: getattr(defaults, name) if on else 0.0 for name, on in weights.items()}
        runs += [profile.distilled(seed, **terms) for seed in profile.seeds if sum(kept) >= profile.least_terms]
    return runs


DISTILLED = {"decay": _decays, "weight": _weights, "terms": _terms}  # what is varied -> its runs


def distillation_runs(profile: Profile, varied: Sequence[str] = tuple(DISTILLED)) -> list[Run]:
    """The distilled runs that vary decay, weight or terms, after what they are held against.

    That is the teacher of each, and LKCA-LR with the same settings and seed and no teacher.
    """
    runs = [run for name in varied for run in DISTILLED[name](profile)]
    plain = [replace(run, model="lkca-lr", distillation=None) for run in runs]
    return list(dict.fromkeys([*(run.teacher() for run in runs), *plain, *runs]))


def _distillation(profile: Profile) -> list[Run]:
    return profile.untrained() + distillation_runs(profile)


def benchmark_runs(profile: Profile) -> list[Run]:
    """Every model on every case; one run is enough of what learns nothing."""

    def seeds(model: str, case: tuple[str, int]) -> tuple[int, ...]:
        alone = model in UNTRAINED or model in profile.once
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
    models = (*UNTRAINED, "vdsr", "lkca", "lkca-lr", "lkca-kd")
    return [
        profile.compared(model, profile.seeds[0], dataset=dataset, reading=reading)
        for reading in readings
        for model in models
    ]


def _scenes(profile: Profile) -> list[Run]:
    """Every model on every scene, scale by scale; cheap ones first, so that a part of it already compares."""
    plan = profile.scenes
    if plan is None:
        return []

    def run(model: str, name: str, scale: int) -> Run:
        settings = {**plan.settings, "dataset": name, "scale": scale}
        ours = model.startswith("lkca")
        options = dict(plan.options) if ours else dict(plan.sizes.get(model, {}))
        # LKCA-Net as it stands in the table teaches: a deeper one takes twice the time, and no gain of depth was seen.
        teacher = Distillation(teacher_blocks=int(plan.options["blocks"])) if model == "lkca-kd" else None
        return Run(model=model, options=options, distillation=teacher, **settings)

    return [run(model, name, scale) for scale, models in plan.models.items() for model in models for name in plan.names]


def _equal_cost(profile: Profile) -> list[Run]:
    """Every family at every budget, cheap ones first, with every seed where the profile does not say otherwise."""
    if not profile.widths:
        return []
    return profile.untrained() + [
        profile.run(model, seed, options=options_of(model, width))
        for budget, widths in profile.widths.items()
        for model, width in widths.items()
        for seed in (profile.seeds[:1] if budget in profile.once_at else profile.seeds)
    ]


_DECLARATIONS = (
    Study("block_count", "number of large-kernel blocks", _block_count),
    Study("until_flat", "equal steps, or until validation stops rising", _until_flat),
    Study("upsampler_svd", "singular values of the trained upsampler", _upsampler_svd),
    Study("upsamplers", "upsampler at the cost of LKCA-LR's", upsamplers),
    Study("upsamplers_elsewhere", "upsampler of other networks", upsamplers_elsewhere),
    Study("distillation", "decay, weight and terms of the distillation", _distillation),
    Study("benchmark", "all networks of the paper", benchmark_runs),
    Study("regions", "which scene tests", _regions),
    Study("scenes", "scene by scene, over places and sensors", _scenes),
    Study("equal_cost", "families of networks at equal cost", _equal_cost),
)

STUDIES: dict[str, Study] = {study.name: study for study in _DECLARATIONS}


def study_runs(study: str, profile: str) -> list[Run]:
    """The runs of a study at a profile, each once; none where the profile has nothing to ask the study.

    Raises
    ------
    ValueError
        If there is no such study or profile.
    """
    if study not in STUDIES:
        raise ValueError(f"unknown study {study!r}: choose one of {', '.join(STUDIES)}")
    return list(dict.fromkeys(STUDIES[study].runs(find_profile(profile))))
