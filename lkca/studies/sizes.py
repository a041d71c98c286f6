"""Networks of equal cost: each family as wide as a budget of multiply-accumulates pays for.

The rule: depth stays (one block; six layers of VDSR; two blocks of the LKCA networks), width changes, in the steps that
the structure allows, to the one whose MACs at x4 and 16x16 are nearest to the budget in ratio. A family whose narrowest
network costs more than `FARTHEST` times the budget has none of that cost; none is narrower than `LEAST`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import torch

from lkca.measures.cost import cost
from lkca.models import build_model

FARTHEST = 1.35
SCALE = 4


@dataclass(frozen=True)
class Family:
    """How a network is made wider. step, least : of its channels. fixed : its other options."""

    step: int
    least: int
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
# Budget in G MACs -> width, from `nearest_width`: for the 205 bands of la_aviris, and for the 48 of the made scenes.
LA_WIDTHS = {
    0.1: {"vdsr": 12, "essaformer": 8, "lkca": 16, "lkca-lr": 64, "lkca-best": 64},
    0.3: {"vdsr": 36, "msdformer": 18, "essaformer": 16, "lkca": 32, "lkca-lr": 176, "lkca-best": 176},
    0.9: {
        **{"vdsr": 96, "3dfcnn": 26, "sspsr": 28, "msdformer": 36, "essaformer": 36},
        **{"lkca": 112, "lkca-lr": 432, "lkca-best": 432},
    },
}
MADE_WIDTHS = {0.03: {"vdsr": 16, "lkca": 16, "lkca-lr": 64}, 0.1: {"vdsr": 40, "lkca": 48, "lkca-lr": 160}}
# No 0.9 G: some ten minutes a run, and `converged` would take more than the six hours of a core that it may.
ENDLESS_WIDTHS = {
    0.1: {
        **{"vdsr": 40, "sspsr": 16, "msdformer": 18, "essaformer": 12},
        **{"lkca": 48, "lkca-lr": 160, "lkca-best": 176},
    },
    0.3: {
        **{"vdsr": 96, "3dfcnn": 56, "sspsr": 32, "msdformer": 39, "essaformer": 24},
        **{"lkca": 144, "lkca-lr": 352, "lkca-best": 352},
    },
}


def options_of(model: str, width: int) -> dict[str, object]:
    """The model's options at a width."""
    return {**FAMILIES[model].fixed, "channels": width}


@cache
def macs(model: str, width: int, bands: int) -> int:
    """Multiply-accumulates of one 16x16 LR patch at x4."""
    with torch.device("meta"):  # nothing is drawn at random for a network that is only counted
        network = build_model(model, bands, SCALE, **options_of(model, width))
    return cost(network, bands).macs


def nearest_width(model: str, bands: int, budget: float) -> int | None:
    """The width whose cost is nearest to the budget (in G MACs) in ratio; None where even the narrowest is too far."""
    family, wanted = FAMILIES[model], budget * 1e9
    low = family.least
    if macs(model, low, bands) >= wanted:
        return low if macs(model, low, bands) <= FARTHEST * wanted else None
    high = 2 * low
    while macs(model, high, bands) < wanted:
        low, high = high, 2 * high
    while high - low > family.step:  # the cost grows with the width
        middle = low + (high - low) // 2 // family.step * family.step
        low, high = (middle, high) if macs(model, middle, bands) < wanted else (low, middle)
    return min((low, high), key=lambda width: abs(math.log(macs(model, width, bands) / wanted)))
