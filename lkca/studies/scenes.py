"""Scene by scene: each of many real scenes is trained on three quarters of itself and tested on the fourth.

The settings are one for all, chosen on the scenes of Los Angeles, which are therefore not in the table. A scene is the
unit of evidence, and scenes of one place count as one.
"""

from collections.abc import Sequence

import pandas as pd

from lkca.data.datasets import DATASETS
from lkca.measures.metrics import METRICS
from lkca.models import MODELS
from lkca.studies.intervals import over

LEAST_PLACES = 3  # for an interval
BACK_PROJECTED = "_bp"


def with_corrected(frame: pd.DataFrame) -> pd.DataFrame:
    """Every network twice: as it is, and with back-projection at test time, named "NAME + bp".

    frame : a study's table; rows without such a measurement, and the two models that learn nothing, stand once.
    """
    columns = {f"{metric}{BACK_PROJECTED}": metric for metric in METRICS}
    learned = frame[frame["model"].map(lambda name: MODELS[name].learned)].dropna(subset=list(columns))
    corrected = learned.drop(columns=list(METRICS)).rename(columns=columns)
    corrected = corrected.assign(model=learned["model"] + " + bp")
    return pd.concat([frame, corrected], ignore_index=True)[list(frame.columns)]


def paired(frame: pd.DataFrame, against: str, models: Sequence[str] = ()) -> pd.DataFrame:
    """Differences of each model to one, scene by scene, as rows of setting, scene, place, metric, difference.

    models : those to compare; all by default. Scenes that lack one of a pair are left out of that pair.
    """
    table = frame.groupby(["dataset", "model"], sort=False)[list(METRICS)].mean()
    parts = []
    for model in models or [name for name in frame["model"].unique() if name != against]:
        pair = table.xs(model, level="model") - table.xs(against, level="model")
        parts.append(pair.dropna().assign(setting=f"{model} - {against}"))
    wide = pd.concat(parts).reset_index(names="scene")
    wide["place"] = [DATASETS[name].place if name in DATASETS else name for name in wide["scene"]]
    return wide.melt(["setting", "scene", "place"], list(METRICS), "metric", "difference")


def over_places(differences: pd.DataFrame) -> pd.DataFrame:
    """Mean over places with half of its 95 % t-interval, the median, and in how many places it is a gain.

    differences : from `paired`. Scenes of one place are averaged first. One place where a network fails moves the mean
    far and hardly the median.
    """
    by_place = differences.groupby(["setting", "metric", "place"], sort=False)["difference"].mean().reset_index()
    table = over(by_place, "places", LEAST_PLACES).drop(columns="sd")
    medians = by_place.groupby(["setting", "metric"], sort=False)["difference"].median()
    table.insert(4, "median", medians.to_numpy())
    return table
