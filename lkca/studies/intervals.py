"""Compute tables of paired differences: means with 95 % t-intervals, over seeds, regions or places.

`lkca.paper.evidence.difference` computes the intervals.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lkca.metrics import HIGHER_IS_BETTER, METRICS
from lkca.models import BASELINES
from lkca.paper.evidence import difference, place_of


def paired(
    frame: pd.DataFrame, against: str, by: str, names: Sequence[str] = (), column: str = "model"
) -> pd.DataFrame:
    """Subtract one model from others, pair by pair. Columns: setting (the other model), BY, metric, difference.

    frame : rows of runs with all metrics. against : the model to subtract. by : the column that pairs runs: "seed",
    "dataset" (scene) or "variant". names : the models to compare; all by default. column : the column of these names.
    A pair that lacks one run is left out; rows of the same name and BY are averaged first.
    """
    table = frame.groupby([by, column], sort=False)[list(METRICS)].mean()
    base = table.xs(against, level=column)
    parts = [
        (table.xs(name, level=column) - base).dropna().assign(setting=name)
        for name in names or [name for name in frame[column].unique() if name != against]
    ]
    return pd.concat(parts).reset_index().melt(["setting", by], list(METRICS), "metric", "difference")


def mean_differences(differences: pd.DataFrame, counted: str) -> pd.DataFrame:
    """Average differences: a row for each setting and metric.

    differences : columns setting, metric, difference. counted : name of the column that says how many were averaged.
    Columns of the result: setting, metric, mean, half_width of the 95 % t-interval (NaN for a single one), COUNTED, sd,
    and better_in, the number of differences that are improvements.
    """
    rows = []
    for (setting, metric), group in differences.groupby(["setting", "metric"], sort=False):
        values = group["difference"]
        found = difference(values, counted)
        better = int((values > 0).sum() if HIGHER_IS_BETTER[metric] else (values < 0).sum())
        rows.append((setting, metric, found.mean, (found.high - found.low) / 2, found.n, found.sd, better))
    return pd.DataFrame(rows, columns=["setting", "metric", "mean", "half_width", counted, "sd", "better_in"])


def over_places(differences: pd.DataFrame) -> pd.DataFrame:
    """Average differences that are paired by scene (`by="dataset"`): within each place first, then over places.

    Columns: setting, metric, mean, half_width, median, places, better_in. One failure at one place moves the mean far,
    the median hardly.
    """
    placed = differences.assign(place=differences["dataset"].map(place_of))
    by_place = placed.groupby(["setting", "metric", "place"], sort=False)["difference"].mean().reset_index()
    table = mean_differences(by_place, "places").drop(columns="sd")
    medians = by_place.groupby(["setting", "metric"], sort=False)["difference"].median()
    table.insert(4, "median", medians.to_numpy())
    return table


def with_verdict(means: pd.DataFrame) -> pd.DataFrame:
    """Add a column `verdict`: whether the interval of a mean (columns mean, half_width) excludes zero."""
    clear = np.where(means["mean"].abs() > means["half_width"], "more than chance", "cannot be told from zero")
    return means.assign(verdict=np.where(means["half_width"].isna(), "too few for an interval", clear))


def with_back_projection(frame: pd.DataFrame) -> pd.DataFrame:
    """Add to a table of runs a row "NAME + bp" for every network: its metrics after back-projection of its output."""
    learned = frame[~frame["model"].isin(BASELINES)]
    projected = learned.drop(columns=list(METRICS)).rename(columns={f"{metric}_bp": metric for metric in METRICS})
    projected = projected.assign(model=learned["model"] + " + bp")
    return pd.concat([frame, projected], ignore_index=True)[list(frame.columns)]
