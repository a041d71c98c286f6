"""Read the tables of results/, and say what paired differences tell.

A difference is always paired: same scene, same settings, same seed. Its unit is the place on real scenes and the seed
on synthetic ones. `docs/verdicts.md` has the rules that this follows.
"""

import math
from collections.abc import Iterable
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

MARGIN = 0.02  # dB: a smaller difference has no meaning in practice
PATIENCE = 8  # epochs without a gain of MARGIN after which training counts as converged
MAX_FAILED = 0.25  # share of trained runs that may end below bicubic
CONFIDENCE = 0.95
# What names a trained network, whatever its seed and the length of its training.
NETWORK = ["dataset", "variant", "scale", "model", "blocks", "channels", "upsampler", "groups", "rank", "kd_weight",
           "kd_decay", "kd_l1", "kd_gradient", "kd_cosine", "teacher_blocks"]  # fmt: skip
HIGHER, LOWER, TIE, UNDECIDED, ONE = "higher", "lower", "tie", "undecided", "one run"


@dataclass(frozen=True)
class Difference:
    """A mean of paired differences in dB.

    low, high : its 95 % t-interval; NaN of a single value. n, unit : how many of what. sd : standard deviation.
    hodges_lehmann : median of all pairwise means, which one outlier hardly moves. better : how many are above zero.
    sign_p : p of the two-sided sign test. comparisons : by how many the confidence was corrected (Bonferroni).
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
    comparisons: int = 1

    @property
    def outcome(self) -> str:
        """Say higher, lower, tie (the whole interval within ±0.02 dB), undecided, or one run (no interval)."""
        if not self.n or math.isnan(self.low):
            return ONE
        if self.low >= -MARGIN and self.high <= MARGIN:
            return TIE
        return HIGHER if self.low > 0 else LOWER if self.high < 0 else UNDECIDED

    @property
    def units_needed(self) -> int | None:
        """How many units an interval of ±0.02 dB needs, if they spread as these do; None from fewer than three."""
        if self.n < 3 or not self.sd > 0:
            return None
        quantile = (1 + CONFIDENCE) / 2
        n = max(3, math.ceil((stats.norm.ppf(quantile) * self.sd / MARGIN) ** 2))  # a lower bound, off by a few
        while stats.t.ppf(quantile, n - 1) * self.sd / math.sqrt(n) > MARGIN:
            n += 1
        return n

    @property
    def counted(self) -> str:
        """How many of what: "3 seeds"."""
        return f"{self.n} {self.unit if self.n != 1 else self.unit.removesuffix('s')}"

    def __str__(self) -> str:
        if not self.n:
            return "-"
        half = "" if math.isnan(self.low) else f" ± {(self.high - self.low) / 2:.3f}"
        return f"{self.mean:+.3f}{half}"


NOTHING = Difference(math.nan, math.nan, math.nan, 0, "runs")


def difference(values: Iterable[float], unit: str, comparisons: int = 1) -> Difference:
    """Return what some paired differences tell; missing values are left out.

    comparisons : how many comparisons the best one was picked from. The interval's confidence becomes 1 - 0.05 / that.
    """
    x = np.asarray([value for value in values if not pd.isna(value)], float)
    if not len(x):
        return NOTHING
    mean, spread = float(x.mean()), float(x.std(ddof=1)) if len(x) > 1 else math.nan
    low = high = mean if spread == 0 else math.nan
    if spread > 0:
        level = 1 - (1 - CONFIDENCE) / comparisons
        low, high = map(float, stats.t.interval(level, len(x) - 1, mean, spread / math.sqrt(len(x))))
    estimate = float(np.median((x[:, None] + x)[np.triu_indices(len(x))] / 2))
    better, untied = int((x > 0).sum()), int((x != 0).sum())
    sign_p = stats.binomtest(better, untied).pvalue if untied else 1.0
    return Difference(mean, low, high, len(x), unit, spread, estimate, better, sign_p, comparisons)


def printed_difference(value: float) -> Difference:
    """Return a difference of two printed numbers: exact, of one run each."""
    return Difference(value, value, value, 1, "printed runs", better=int(value > 0))


def read_results(name: str) -> pd.DataFrame | None:
    """Return the table results/NAME.csv, or None if there is none."""
    path = results_folder() / f"{name}.csv"
    return _read(path, path.stat().st_mtime_ns) if path.is_file() else None


@lru_cache(maxsize=256)
def _read(path: Path, modified: int) -> pd.DataFrame:
    return pd.read_csv(path)


def by_seed(frame: pd.DataFrame, one: str, other: str, metric: str = "MPSNR") -> pd.Series:
    """Subtract, seed by seed, model `other` from model `one`."""
    table = frame.pivot_table(index="seed", columns="model", values=metric)
    return (table[one] - table[other]).dropna() if {one, other} <= set(table) else pd.Series(dtype=float)


def by_place(frame: pd.DataFrame, one: str, other: str, metric: str = "MPSNR") -> pd.Series:
    """Subtract, scene by scene, model `other` from model `one`; then average the scenes of each place."""
    table = frame.pivot_table(index=["dataset", "variant"], columns="model", values=metric)
    if not {one, other} <= set(table):
        return pd.Series(dtype=float)
    scenes = (table[one] - table[other]).dropna()
    return scenes.groupby([place_of(*scene) for scene in scenes.index]).mean()


def place_of(dataset: str, variant: str = "") -> str:
    """Return where a test was taken: the place of the scene, or the one that was left out."""
    if dataset == "leave_one_out":
        return variant
    return DATASETS[dataset].place if dataset in DATASETS else dataset


def ranks_of_90(profile: str) -> pd.DataFrame:
    """Return how many singular values of the upsampler hold 90 % of their sum: kind, rank, values, one row a kind.

    kind : "trained", "untrained", "grouped", "after N epochs" and others, as in the table upsampler_svd_values.
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
    """Count the trained runs that early stopping did not end, and that no run of twice their length vouches for.

    A run of a fixed schedule says by itself nothing about convergence: its learning rate was annealed. It counts as
    converged if the table's networks gain less than 0.02 dB on average when trained at least twice as long.
    """
    curves, rows = read_results(f"{profile}/{study}_training"), trained(frame)
    if curves is None:
        return len(rows)
    stopped = rows["run"].map(curves.groupby("run")["epoch"].max()) < rows["epochs"]
    gain = gain_of_longer(rows[~stopped], profile)
    return 0 if gain.n and gain.mean <= MARGIN else int((~stopped).sum())


def gain_of_longer(rows: pd.DataFrame, profile: str) -> Difference:
    """Return what these runs gain if trained at least twice as long, as far as tables of the profile have such runs."""
    every = _runs_of(profile)
    short = every[every["run"].isin(rows["run"])]
    pairs = short.merge(every, on=[*NETWORK, "seed"], suffixes=("", "_long"))
    pairs = pairs[pairs["epochs_long"] >= 2 * pairs["epochs"]].drop_duplicates("run")
    return difference(pairs["MPSNR_long"] - pairs["MPSNR"], "runs")


def _runs_of(profile: str) -> pd.DataFrame:
    """Return the trained runs of all tables of a profile: run, NETWORK, seed, epochs, MPSNR."""
    paths = sorted((results_folder() / profile).glob("*.csv"))
    return _joined(tuple((path, path.stat().st_mtime_ns) for path in paths))


@lru_cache(maxsize=8)
def _joined(files: tuple[tuple[Path, int], ...]) -> pd.DataFrame:
    columns = ["run", *NETWORK, "seed", "epochs", "MPSNR"]
    tables = [table for table in (_read(*file) for file in files) if set(columns) <= set(table)]
    rows = [trained(table[columns]) for table in tables]
    return pd.concat(rows).drop_duplicates("run") if rows else pd.DataFrame(columns=columns)


def unfit(frame: pd.DataFrame, profile: str, study: str) -> list[str]:
    """Return why a study's table decides nothing, a phrase each; none if it can decide."""
    rows, found = trained(frame), []
    if "recipe" not in frame or rows["recipe"].isna().any() or rows["recipe"].nunique() > 1:
        found.append("runs of several recipes, or of one that is not recorded")
    if count := count_unconverged(frame, profile, study):
        gain = gain_of_longer(rows, profile)
        control = f"; twice as long gains {gain} dB" if gain.n else ""
        found.append(f"{count} of {len(rows)} runs did not converge{control}")
    if (failed := count_failed(frame)) > MAX_FAILED * len(rows):
        found.append(f"{failed} of {len(rows)} runs failed (below bicubic)")
    if len(frame[["dataset", "variant"]].drop_duplicates()) == 1 and not synthetic(frame):
        found.append("one real scene")
    return found
