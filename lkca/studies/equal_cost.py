"""Which family of networks makes the most of its multiply-accumulates?

Each family is as wide as a budget pays for. The rule: depth stays (one block; six layers of VDSR; two blocks of the
LKCA networks), width changes in the steps that the structure allows, to the one whose MACs at x4 and 16x16 LR pixels
are nearest to the budget in ratio. A family whose narrowest network costs more than `MAX_RATIO` times the budget is
left out of it. The profiles list the widths that this rule gives (`nearest_width`).

The notebook `equal_cost` uses `FAMILIES` and `MAX_RATIO`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import torch

from lkca.cost import cost
from lkca.models import build_model
from lkca.run import Run
from lkca.studies import Study
from lkca.studies.profile import Profile

MAX_RATIO = 1.35  # between MACs that share a budget
SCALE = 4


@dataclass(frozen=True)
class Family:
    """How a network is made wider. step, min_width : of its channels. fixed : its other options."""

    step: int
    min_width: int
    fixed: Mapping[str, object] = field(default_factory=dict)


FAMILIES = {
    "vdsr": Family(4, 4, {"blocks": 6}),
    "3dfcnn": Family(2, 2),
    "sspsr": Family(4, 16, {"blocks": 1}),
    "msdformer": Family(3, 18, {"blocks": 1, "heads": 3}),
    "essaformer": Family(4, 4, {"blocks": 1}),
    "lkca": Family(16, 16, {"blocks": 2}),
    "lkca-lr": Family(16, 16, {"blocks": 2}),
    "lkca-best": Family(16, 16, {"blocks": 2}),
}


def options_of(model: str, width: int) -> dict[str, object]:
    """Return the options of a family at a width."""
    return {**FAMILIES[model].fixed, "channels": width}


def _runs(profile: Profile) -> list[Run]:
    """Every family at every budget, cheap ones first."""
    section = profile.section("equal_cost")
    if section is None:
        return []
    return profile.baselines() + [
        profile.run(model, seed, options=options_of(model, width), **section.get("settings", {}))
        for budget, widths in section["widths"].items()
        for model, width in widths.items()
        for seed in (profile.seeds[:1] if budget in section.get("one_seed_at", ()) else profile.seeds)
    ]


STUDY = Study("equal_cost", "Which family of networks makes the most of its multiply-accumulates?", _runs)


def nearest_width(model: str, bands: int, budget: float) -> int | None:
    """Return the width whose MACs are nearest in ratio to the budget (G MACs).

    None if even the narrowest network costs more than `MAX_RATIO` times the budget.
    """
    family, target = FAMILIES[model], budget * 1e9
    low = family.min_width
    if _macs(model, low, bands) >= target:
        return low if _macs(model, low, bands) <= MAX_RATIO * target else None
    high = 2 * low
    while _macs(model, high, bands) < target:
        low, high = high, 2 * high
    while high - low > family.step:  # the cost grows with the width
        middle = low + (high - low) // 2 // family.step * family.step
        low, high = (middle, high) if _macs(model, middle, bands) < target else (low, middle)
    return min((low, high), key=lambda width: abs(math.log(_macs(model, width, bands) / target)))


@cache
def _macs(model: str, width: int, bands: int) -> int:
    """Count the MACs of one 16x16 LR patch at x4."""
    with torch.device("meta"):  # counting needs shapes, no values
        network = build_model(model, bands, SCALE, **options_of(model, width))
    return cost(network, bands).macs
