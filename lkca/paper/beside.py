"""Compare the differences that the paper prints with this study's.

Our scenes are not the paper's, so its quality and ours are compared in differences of MPSNR, always paired.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from lkca.models import MODELS
from lkca.paper.evidence import ONE, TIE, UNDECIDED, Difference, by_place, difference, printed_difference, read_results
from lkca.paper.printed import DECAY, TERMS, TITLES, WEIGHT, network_tables, printed_table
from lkca.paper.rules import CONFIRMED, OPEN, REFUTED, WEAKENED, printed_gains
from lkca.paper.verdicts import OVER_PLACES, OVER_SEEDS

SHOWN = ("cpu", "converged", "evidence")  # profiles that stand beside the paper
DISTILLED = {
    "model": "lkca-kd",
    "kd_weight": 0.01,
    "kd_decay": 0.66,
    "kd_l1": 1.0,
    "kd_gradient": 0.1,
    "kd_cosine": 0.5,
}
NETWORK_STUDIES = ("benchmark", *OVER_SEEDS, "upsamplers_elsewhere")  # with the networks of Tables V-VII
Criteria = Mapping[str, object]  # column of a table of runs -> value


@dataclass(frozen=True)
class Comparison:
    """Two kinds of runs whose difference in MPSNR the paper prints.

    table : the paper's. printed : case -> the printed difference in dB. one, other : select our runs.
    studies : our tables that may have both.
    """

    table: str
    name: str
    printed: Mapping[str, float]
    one: Criteria
    other: Criteria
    studies: tuple[str, ...]

    @property
    def over_bicubic(self) -> bool:
        """Whether it is a gain over bicubic."""
        return self.other["model"] == "bicubic"


@cache
def comparisons() -> tuple[Comparison, ...]:
    """Return all comparisons, table by table."""
    found = []
    for step, gain in printed_gains().items():
        few, many = ({"model": "lkca", "blocks": int(blocks)} for blocks in step.split(" to "))
        found.append(Comparison("I", f"{step} blocks", {"Chikusei x4": gain}, many, few, ("block_count",)))
    for table, name, column, symbol, base in (
        ("II", DECAY, "decay", "decay", 0.66),
        ("III", WEIGHT, "kd_weight", "λ", 0.01),
    ):
        quality = printed_table(name).set_index(column)["MPSNR"]
        for value in quality.index.drop(base):
            other = {**DISTILLED, f"kd_{column.removeprefix('kd_')}": value}
            gain = {"Chikusei x4": float(quality[value] - quality[base])}
            found.append(Comparison(table, f"{symbol} {value:g} - {base:g}", gain, other, DISTILLED, ("distillation",)))
    quality = printed_table(TERMS).set_index("cosine")["MPSNR"]
    gain, without = {"Chikusei x4": float(quality[1] - quality[0])}, {**DISTILLED, "kd_cosine": 0.0}
    found.append(Comparison("IV", "with - without the cosine term", gain, DISTILLED, without, ("distillation",)))
    quality = network_tables().set_index(["dataset", "scale", "model"])["MPSNR"].unstack(sort=False)
    cases = [f"{TITLES[dataset]} x{scale}" for dataset, scale in quality.index]
    pairs = [("lkca-lr", "lkca"), ("lkca-kd", "lkca-lr"), ("lkca-kd", "lkca")]
    for one, other in [*pairs, *((model, "bicubic") for model in quality.columns.drop("bicubic"))]:
        gains = dict(zip(cases, (quality[one] - quality[other]).round(4), strict=True))
        name = f"{MODELS[one].label} - {MODELS[other].label}"
        found.append(Comparison("V-VII", name, gains, network(one), network(other), (*OVER_PLACES, *NETWORK_STUDIES)))
    return tuple(found)


def network(model: str) -> Criteria:
    """Return what selects the runs of a network as published, without another's upsampler."""
    foreign = MODELS[model].learned and not model.startswith("lkca")
    return {"model": model, "upsampler": "own"} if foreign else {"model": model}


def measured(comparison: Comparison, profile: str) -> Iterator[tuple[str, Difference]]:
    """Yield our differences at x4: the study, and what its pairs of equal settings tell."""
    for study in comparison.studies:
        frame = read_results(f"{profile}/{study}")
        if frame is None:
            continue
        one, other = (select(frame, criteria) for criteria in (comparison.one, comparison.other))
        if study in OVER_PLACES:
            names = comparison.one["model"], comparison.other["model"]
            found = difference(by_place(pd.concat([one, other]), *names), "places")
        else:
            found = difference(paired_by_seed(one, other), "seeds")
        if found.n:
            yield study, found


def select(frame: pd.DataFrame, criteria: Criteria) -> pd.DataFrame:
    """Return the rows of x4, or of the scale in the criteria, whose columns have these values."""
    chosen = frame["scale"] == criteria.get("scale", 4)
    for column, value in criteria.items():
        chosen &= frame[column] == value if isinstance(value, str) else np.isclose(frame[column].astype(float), value)
    return frame[chosen]


def paired_by_seed(one: pd.DataFrame, other: pd.DataFrame) -> pd.Series:
    """Subtract MPSNR by seed, among runs of the longest training that both have. Bicubic's one run serves all seeds."""
    if set(other["model"]) == {"bicubic"}:
        return one.groupby("seed")["MPSNR"].mean() - other["MPSNR"].iloc[0]
    epochs = max(set(one["epochs"]) & set(other["epochs"]), default=0)
    first, second = (rows[rows["epochs"] == epochs].groupby("seed")["MPSNR"].mean() for rows in (one, other))
    return (first - second).dropna()


def agreement(gains: Iterable[float], ours: Difference) -> str:
    """Judge one difference of ours by the mean of the printed ones: confirmed, weakened, refuted or open.

    Confirmed: both are above zero, both below, or both ties within ±0.02 dB. Weakened: ours is a tie, the printed one
    is not. Refuted: ours is clear, and the printed one is a tie or has the other sign. Open: one run, or undecided.
    """
    printed = printed_difference(float(np.mean(list(gains)))).outcome
    if ours.outcome in (UNDECIDED, ONE):
        return OPEN
    return CONFIRMED if ours.outcome == printed else WEAKENED if ours.outcome == TIE else REFUTED


def best_of_weights(profile: str, weights: Sequence[float]) -> tuple[float, Difference] | None:
    """Return the best of the weights λ and its difference to LKCA-LR, with the interval corrected for the choice."""
    frame = read_results(f"{profile}/distillation")
    if frame is None:
        return None
    plain = select(frame, {"model": "lkca-lr"})
    gains = {weight: paired_by_seed(select(frame, {**DISTILLED, "kd_weight": weight}), plain) for weight in weights}
    best = max(gains, key=lambda weight: gains[weight].mean())
    return best, difference(gains[best], "seeds", comparisons=len(weights))


def differences_beside_paper() -> pd.DataFrame:
    """Return the differences between LR, KD and LKCA-Net, and those of Tables II-IV, of the paper and ours, in dB.

    Columns: comparison, source ("paper, Chikusei x4", "cpu, scenes", ...), mean, low, high (95 % interval; NaN for
    printed numbers and single runs), n.
    """
    rows = []
    for one in (c for c in comparisons() if c.table != "I" and not c.over_bicubic):
        rows += [(one.name, f"paper, {case}", gain, np.nan, np.nan, 1) for case, gain in one.printed.items()]
        ours = [(profile, *found) for profile in SHOWN for found in measured(one, profile)]
        rows += [(one.name, f"{profile}, {study}", d.mean, d.low, d.high, d.n) for profile, study, d in ours]
    return pd.DataFrame(rows, columns=["comparison", "source", "mean", "low", "high", "n"])
