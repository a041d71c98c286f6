"""Read the tables of results/, and compute paired differences with their intervals.

A difference is always paired: same scene, same settings, same seed. On real scenes, places are counted; on synthetic
scenes, seeds. `docs/verdicts.md` has the rules that this follows.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from lkca.data.datasets import DATASETS
from lkca.files import results_folder
from lkca.models import BASELINES
from lkca.rank import SHARE, rank_at

MARGIN = 0.02  # dB: a smaller difference means nothing in practice
MAX_FAILED = 0.25  # share of trained runs that may end below bicubic
CONFIDENCE = 0.95
# The columns that identify a trained network, apart from its seed and the length of its training.
NETWORK = ["dataset", "variant", "scale", "model", "blocks", "channels", "upsampler", "groups", "rank", "kd_weight",
           "kd_decay", "kd_l1", "kd_gradient", "kd_cosine", "teacher_blocks"]  # fmt: skip
OVER_PLACES = "leave_one_out", "scenes"  # studies that count places; the others count seeds
Criteria = Mapping[str, object]  # column of a table of runs -> value
HIGHER, LOWER, TIE, UNDECIDED, ONE = "higher", "lower", "tie", "undecided", "one run"


@dataclass(frozen=True)
class Difference:
    """A mean of paired differences in dB.

    low, high : its 95 % t-interval; NaN for a single value. n, unit : how many of what. sd : standard deviation.
    hodges_lehmann : median of all pairwise means, which one outlier hardly moves. better : how many are above zero.
    sign_p : p-value of the two-sided sign test.
    """

    mean: float
    low: float
    high: float
    n: int
    unit: str
    sd: float = math.nan
    hodges_lehmann: float = math.nan
    better: int = 0
    sign_p: float = math.nan

    @property
    def outcome(self) -> str:
        """Higher, lower, tie (the whole interval lies within ±0.02 dB), undecided, or one run (no interval)."""
        if not self.n or math.isnan(self.low):
            return ONE
        if self.low >= -MARGIN and self.high <= MARGIN:
            return TIE
        return HIGHER if self.low > 0 else LOWER if self.high < 0 else UNDECIDED

    @property
    def units_needed(self) -> int | None:
        """How many units an interval of ±0.02 dB needs at this standard deviation; None if n is below three."""
        if self.n < 3 or not self.sd > 0:
            return None
        quantile = (1 + CONFIDENCE) / 2
        n = max(3, math.ceil((stats.norm.ppf(quantile) * self.sd / MARGIN) ** 2))  # a lower bound, off by a few
        while stats.t.ppf(quantile, n - 1) * self.sd / math.sqrt(n) > MARGIN:
            n += 1
        return n

    @property
    def counted(self) -> str:
        """The number with its unit, such as "3 seeds"."""
        return f"{self.n} {self.unit if self.n != 1 else self.unit.removesuffix('s')}"

    def __str__(self) -> str:
        if not self.n:
            return "-"
        half = "" if math.isnan(self.low) else f" ± {(self.high - self.low) / 2:.3f}"
        return f"{self.mean:+.3f}{half}"


def difference(values: Iterable[float], unit: str, comparisons: int = 1) -> Difference:
    """Return the mean of paired differences (dB) with its interval; missing values are left out.

    comparisons : how many comparisons this one was picked from; the interval's confidence is 1 - 0.05 / comparisons.
    """
    x = np.asarray([value for value in values if not pd.isna(value)], float)
    if not len(x):
        return Difference(math.nan, math.nan, math.nan, 0, unit)
    mean, spread = float(x.mean()), float(x.std(ddof=1)) if len(x) > 1 else math.nan
    low = high = mean if spread == 0 else math.nan
    if spread > 0:
        level = 1 - (1 - CONFIDENCE) / comparisons
        low, high = map(float, stats.t.interval(level, len(x) - 1, mean, spread / math.sqrt(len(x))))
    estimate = float(np.median((x[:, None] + x)[np.triu_indices(len(x))] / 2))
    better, untied = int((x > 0).sum()), int((x != 0).sum())
    sign_p = stats.binomtest(better, untied).pvalue if untied else 1.0
    return Difference(mean, low, high, len(x), unit, spread, estimate, better, sign_p)


def printed_difference(value: float) -> Difference:
    """Return the difference of two printed numbers, one run each, as an interval without width."""
    return Difference(value, value, value, 1, "printed runs")


def read_results(name: str) -> pd.DataFrame | None:
    """Return the table results/NAME.csv, or None if there is none."""
    path = results_folder() / f"{name}.csv"
    return _read(path, path.stat().st_mtime_ns) if path.is_file() else None


@lru_cache(maxsize=256)
def _read(path: Path, modified: int) -> pd.DataFrame:
    return pd.read_csv(path)


def select(frame: pd.DataFrame, runs: str | Criteria) -> pd.DataFrame:
    """Return the rows of a model, or those whose columns equal the criteria."""
    chosen = pd.Series(True, frame.index)
    for column, value in ({"model": runs} if isinstance(runs, str) else runs).items():
        chosen &= frame[column] == value if isinstance(value, str) else np.isclose(frame[column].astype(float), value)
    return frame[chosen]


def pairing(study: str) -> tuple[Callable[..., pd.Series], str]:
    """Return the function that subtracts runs of a study's table, `by_place` or `by_seed`, and the unit it counts."""
    return (by_place, "places") if study in OVER_PLACES else (by_seed, "seeds")


def by_seed(frame: pd.DataFrame, one: str | Criteria, other: str | Criteria, metric: str = "MPSNR") -> pd.Series:
    """Subtract the runs `other` from the runs `one`, seed by seed, at the longest training that both have.

    one, other : a model, or values of columns. A baseline has one run for each dataset and scale, which serves all
        seeds.
    """
    first, second = select(frame, one), select(frame, other)
    if len(second) and second["model"].isin(BASELINES).all():
        image = ["dataset", "variant", "scale"]
        baseline = second.groupby(image)[metric].first().rename("baseline")
        return first.join(baseline, on=image).eval(f"gain = {metric} - baseline").groupby("seed")["gain"].mean()
    epochs = max(set(first["epochs"]) & set(second["epochs"]), default=0)
    first, second = (runs[runs["epochs"] == epochs].groupby("seed")[metric].mean() for runs in (first, second))
    return (first - second).dropna()


def by_scene(frame: pd.DataFrame, one: str | Criteria, other: str | Criteria, metric: str = "MPSNR") -> pd.Series:
    """Subtract the runs `other` from the runs `one`, scene by scene; each is a model, or values of columns."""
    first, second = (select(frame, runs).groupby(["dataset", "variant"])[metric].mean() for runs in (one, other))
    return (first - second).dropna()


def by_place(frame: pd.DataFrame, one: str | Criteria, other: str | Criteria, metric: str = "MPSNR") -> pd.Series:
    """Subtract as `by_scene` does, then average the scenes of each place."""
    return by_scene(frame, one, other, metric).groupby(lambda scene: place_of(*scene)).mean()


def place_of(dataset: str, variant: str = "") -> str:
    """Return the place of a test scene; for leave_one_out, the place that was left out."""
    if dataset == "leave_one_out":
        return variant
    return DATASETS[dataset].place if dataset in DATASETS else dataset


def ranks_of_90(profile: str) -> pd.DataFrame:
    """Return how many singular values of the upsampler hold 90 % of their sum: a row for each kind of matrix.

    Columns: kind ("trained", "untrained", "grouped", "after N epochs" and others, as in the table
    upsampler_svd_values), rank (how many hold 90 %), values (how many there are).
    """
    frame = read_results(f"{profile}/upsampler_svd_values")
    rows = []
    for (_, kind), part in () if frame is None else frame.groupby(["run", "kind"], sort=False):
        values = part.sort_values("index")["value"].to_numpy()
        rows.append((kind, rank_at(values, SHARE), len(values)))
    return pd.DataFrame(rows, columns=["kind", "rank", "values"])


def trained(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of runs that were trained."""
    return frame[~frame["model"].isin(BASELINES)]


def count_failed(frame: pd.DataFrame) -> int:
    """Count the trained runs that ended below bicubic on their own test image."""
    keys = ["dataset", "variant", "scale"]
    bicubic = frame[frame["model"] == "bicubic"].groupby(keys)["MPSNR"].first().rename("bicubic")
    return int((trained(frame).join(bicubic, on=keys).eval("MPSNR < bicubic")).sum())


def synthetic(frame: pd.DataFrame) -> bool:
    """Say whether all runs were tested on synthetic scenes."""
    return bool(frame["dataset"].str.startswith("synthetic").all())


def count_unconverged(frame: pd.DataFrame, profile: str, study: str) -> int:
    """Count the trained runs that did not converge.

    A run that early stopping ended has converged. A run of fixed length says nothing by itself, because its learning
    rate was annealed. Such runs count as converged if they gain at most 0.02 dB on average when trained at least twice
    as long.
    """
    curves, rows = read_results(f"{profile}/{study}_training"), trained(frame)
    if curves is None:
        return len(rows)
    stopped = rows["run"].map(curves.groupby("run")["epoch"].max()) < rows["epochs"]
    gain = gain_of_longer(rows[~stopped], profile)
    return 0 if gain.n and gain.mean <= MARGIN else int((~stopped).sum())


def gain_of_longer(rows: pd.DataFrame, profile: str) -> Difference:
    """Return what these runs gain when trained at least twice as long, where a table of the profile has such runs."""
    columns = ["run", *NETWORK, "seed", "epochs", "MPSNR"]
    paths = sorted((results_folder() / profile).glob("*.csv"))
    tables = (read_results(f"{profile}/{path.stem}") for path in paths)
    tables = [trained(table[columns]) for table in tables if set(columns) <= set(table)]
    every = pd.concat(tables).drop_duplicates("run") if tables else pd.DataFrame(columns=columns)
    short = every[every["run"].isin(rows["run"])]
    pairs = short.merge(every, on=[*NETWORK, "seed"], suffixes=("", "_long"))
    pairs = pairs[pairs["epochs_long"] >= 2 * pairs["epochs"]].drop_duplicates("run")
    return difference(pairs["MPSNR_long"] - pairs["MPSNR"], "runs")


def unfit(frame: pd.DataFrame, profile: str, study: str) -> list[str]:
    """Return the reasons why a study's table decides nothing; none if it can decide."""
    rows, found = trained(frame), []
    if "recipe" not in frame or rows["recipe"].isna().any() or rows["recipe"].nunique() > 1:
        found.append("runs of several recipes, or without a recorded recipe")
    if count := count_unconverged(frame, profile, study):
        gain = gain_of_longer(rows, profile)
        control = f"; twice as long gains {gain} dB" if gain.n else ""
        found.append(f"{count} of {len(rows)} runs did not converge{control}")
    if (failed := count_failed(frame)) > MAX_FAILED * len(rows):
        found.append(f"{failed} of {len(rows)} runs failed (below bicubic)")
    if len(frame[["dataset", "variant"]].drop_duplicates()) == 1 and not synthetic(frame):
        found.append("one real scene")
    return found
