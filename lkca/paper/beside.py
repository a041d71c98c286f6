"""Compare the differences that the paper prints with this study's.

Our scenes are not the paper's, so its quality and ours are compared in differences of MPSNR, always paired.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from lkca.models import MODELS
from lkca.paper.evidence import (
    ONE,
    OVER_PLACES,
    TIE,
    UNDECIDED,
    Criteria,
    Difference,
    difference,
    pairing,
    printed_difference,
    read_results,
)
from lkca.paper.printed import BLOCKS, DECAY, TERMS, WEIGHT, network_tables, printed_gains, printed_table
from lkca.paper.rules import CONFIRMED, OPEN, REFUTED, WEAKENED

SHOWN = ("cpu", "converged", "evidence")  # profiles that stand beside the paper
DISTILLED = {
    "model": "lkca-kd",
    "scale": 4,
    "kd_weight": 0.01,
    "kd_decay": 0.66,
    "kd_l1": 1.0,
    "kd_gradient": 0.1,
    "kd_cosine": 0.5,
}
NETWORK_STUDIES = ("benchmark", "until_converged", "upsamplers_elsewhere")  # with the networks of Tables V-VII
OURS, GAINS = "V-VII", "over bicubic"  # differences between LKCA-Net, LR and KD, and of each network to bicubic


@dataclass(frozen=True)
class Comparison:
    """Two kinds of runs whose difference in MPSNR the paper prints.

    group : what the page shows together: a table from "I" to "IV", OURS or GAINS.
    printed : case ("Chikusei x4") -> the printed difference in dB. one, other : select our runs.
    studies : our studies whose tables may have both.
    """

    group: str
    name: str
    printed: Mapping[str, float]
    one: Criteria
    other: Criteria
    studies: tuple[str, ...]


@cache
def comparisons() -> tuple[Comparison, ...]:
    """Return all comparisons, table by table."""
    blocks, decays, weights, terms = (printed_table(name) for name in (BLOCKS, DECAY, WEIGHT, TERMS))
    steps = [*itertools.pairwise(blocks["blocks"]), (32, 64), (4, 16), (16, 64)]
    found = [_comparison("I", f"{few} to {many} blocks", blocks, "blocks", many, few) for few, many in steps]
    found += [_comparison("II", f"decay {x:g} - 0.66", decays, "decay", x, 0.66) for x in decays["decay"] if x != 0.66]
    found += [
        _comparison("III", f"λ {x:g} - 0.01", weights, "kd_weight", x, 0.01) for x in weights["kd_weight"] if x != 0.01
    ]
    found.append(_comparison("IV", "with - without the cosine term", terms, "cosine", 1, 0))
    networks = network_tables()
    pairs = [(OURS, "lkca-lr", "lkca"), (OURS, "lkca-kd", "lkca-lr"), (OURS, "lkca-kd", "lkca")]
    pairs += [(GAINS, model, "bicubic") for model in networks["model"].unique() if model != "bicubic"]
    for group, *pair in pairs:
        name = " - ".join(MODELS[model].label for model in pair)
        found.append(_comparison(group, name, networks, "model", *pair, OVER_PLACES))
    return tuple(found)


def _comparison(
    group: str, name: str, table: pd.DataFrame, column: str, one: object, other: object, more: tuple[str, ...] = ()
) -> Comparison:
    """Compare printed rows that have `one` in a column with those that have `other`.

    more : further studies whose tables may have both.
    """
    gains = printed_gains(table, column, one, other).to_dict()
    (_, ours, studies), (_, others, _) = (ours_of(table[table[column] == x].iloc[0]) for x in (one, other))
    return Comparison(group, name, gains, ours, others, (*more, *studies))


def ours_of(printed: pd.Series) -> tuple[str, Criteria, tuple[str, ...]]:
    """Return a printed row's name, the criteria that select our runs of it, and the studies to look in."""
    if "blocks" in printed:
        blocks = printed["blocks"]
        return f"N = {blocks}", {"model": "lkca", "scale": 4, "blocks": blocks}, ("block_count",)
    if "decay" in printed:
        decay, weight = printed["decay"], printed["kd_weight"]
        criteria = {**DISTILLED, "kd_decay": decay, "kd_weight": weight}
        return f"decay {decay:g}, λ {weight:g}", criteria, ("distillation",)
    if "cosine" in printed:
        kept = [name for name in ("l1", "gradient", "cosine") if printed[name]]
        return " + ".join(kept), {**DISTILLED, "kd_cosine": 0.5 * printed["cosine"]}, ("distillation",)
    model, scale = printed["model"], printed["scale"]
    criteria = {"model": model, "scale": scale}
    if MODELS[model].learned and not model.startswith("lkca"):
        criteria["upsampler"] = "own"  # as published
    return f"{MODELS[model].label} x{scale}", criteria, NETWORK_STUDIES


def measured(comparison: Comparison, profile: str) -> Iterator[tuple[str, Difference]]:
    """Yield each study that has both kinds of runs, with the mean of its paired differences."""
    for study in comparison.studies:
        frame = read_results(f"{profile}/{study}")
        if frame is None:
            continue
        subtract, unit = pairing(study)
        found = difference(subtract(frame, comparison.one, comparison.other), unit)
        if found.n:
            yield study, found


def agreement(gains: Iterable[float], ours: Difference) -> str:
    """Judge one difference of ours by the mean of the printed ones: confirmed, weakened, refuted or open.

    Confirmed: both are above zero, both below, or both ties within ±0.02 dB. Weakened: ours is a tie, the printed one
    is not. Refuted: ours is higher or lower, and the printed one is a tie or has the other sign. Open: ours is of one
    run, or undecided.
    """
    printed = printed_difference(float(np.mean(list(gains)))).outcome
    if ours.outcome in (UNDECIDED, ONE):
        return OPEN
    return CONFIRMED if ours.outcome == printed else WEAKENED if ours.outcome == TIE else REFUTED


def differences_beside_paper() -> pd.DataFrame:
    """Return the paper's differences and ours, in dB: between LR, KD and LKCA-Net, and those of Tables II-IV.

    Columns: comparison, source ("paper, Chikusei x4", "cpu, scenes", ...), mean, low, high (95 % interval; NaN for
    printed numbers and single runs), n.
    """
    rows = []
    for one in (c for c in comparisons() if c.group not in ("I", GAINS)):
        rows += [(one.name, f"paper, {case}", gain, np.nan, np.nan, 1) for case, gain in one.printed.items()]
        ours = [(profile, *found) for profile in SHOWN for found in measured(one, profile)]
        rows += [(one.name, f"{profile}, {study}", d.mean, d.low, d.high, d.n) for profile, study, d in ours]
    return pd.DataFrame(rows, columns=["comparison", "source", "mean", "low", "high", "n"])
