"""What paired differences tell: their mean, its 95 % t-interval, and whether that leaves room for chance."""

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from lkca.measures.metrics import HIGHER_IS_BETTER

CONFIDENCE = 0.95


def half_width(error: pd.Series | float, count: pd.Series | int, least: int = 2) -> pd.Series | float:
    """Half of the 95 % t-interval of a mean.

    error : the mean's standard error. count : how many were averaged; fewer than `least` give NaN.
    """
    freedom = np.where(np.asarray(count) >= least, np.asarray(count) - 1.0, np.nan)
    return student_t.ppf((1 + CONFIDENCE) / 2, freedom) * error


def interval(differences: pd.Series) -> tuple[float, float]:
    """Mean and half of the 95 % t-interval of what is there; the half is NaN for a single value."""
    found = differences.dropna()
    return found.mean(), float(half_width(found.sem(), len(found)))


def over(differences: pd.DataFrame, counted: str, least: int = 2) -> pd.DataFrame:
    """A row for each setting and metric: mean, half_width (NaN of fewer than `least`), COUNTED, sd, better_in.

    differences : columns setting, metric, difference. better_in : how many of them are a gain.
    """
    sign = differences["metric"].map(HIGHER_IS_BETTER).map({True: 1, False: -1})
    gains = differences.assign(gain=differences["difference"] * sign > 0)
    table = gains.groupby(["setting", "metric"], sort=False).agg(
        mean=("difference", "mean"),
        error=("difference", "sem"),
        sd=("difference", "std"),
        count=("difference", "size"),
        better_in=("gain", "sum"),
    )
    table = table.assign(half_width=half_width(table["error"], table["count"], least)).reset_index()
    table = table.rename(columns={"count": counted})
    return table[["setting", "metric", "mean", "half_width", counted, "sd", "better_in"]]


def with_verdict(means: pd.DataFrame) -> pd.DataFrame:
    """A table of means with a column `verdict`: whether a difference can be told from zero by its interval."""
    clear = np.where(means["mean"].abs() > means["half_width"], "more than chance", "cannot be told from zero")
    return means.assign(verdict=np.where(means["half_width"].isna(), "too few for an interval", clear))
