"""Paired differences, against plain calculations."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from lkca.metrics import METRICS
from lkca.studies.intervals import mean_differences, over_places, paired, with_back_projection, with_verdict

T2 = 4.302653  # of Student's t, 97.5 %, two degrees of freedom


def table(rows: list[tuple[str, str, float]], by: str = "dataset") -> pd.DataFrame:
    """Return rows of BY, model, MPSNR; after back-projection 0.5 dB more; every other metric is the negative."""
    frame = pd.DataFrame(rows, columns=[by, "model", "MPSNR"])
    frame["MPSNR_bp"] = frame["MPSNR"] + 0.5
    for metric in METRICS[1:]:
        frame[metric], frame[f"{metric}_bp"] = -frame["MPSNR"], -frame["MPSNR_bp"]
    return frame


SCENES = table(
    [
        *(("abu-urban-1", "bicubic", 30.0), ("abu-urban-1", "lkca", 31.0)),
        *(("abu-urban-2", "bicubic", 32.0), ("abu-urban-2", "lkca", 36.0)),  # of the same place
        *(("samson", "bicubic", 40.0), ("samson", "lkca", 40.5)),
        *(("hysu", "lkca", 19.9), ("hysu", "bicubic", 20.0)),
    ]
)


def test_differences_are_paired_by_seed_whatever_the_order() -> None:
    values = {"lkca-lr": [30.0, 31.0, 32.0], "lkca-kd": [30.5, 31.6, 32.9]}
    rows = [(seed, model, value) for model, found in values.items() for seed, value in enumerate(found)]
    frame = table(rows, "seed").sample(frac=1, random_state=0)
    means = mean_differences(paired(frame, "lkca-lr", "seed"), "seeds").set_index(["setting", "metric"])
    row = means.loc["lkca-kd", "MPSNR"]
    expected = ttest_rel(values["lkca-kd"], values["lkca-lr"]).confidence_interval(0.95)
    assert (row["mean"] - row["half_width"], row["mean"] + row["half_width"]) == pytest.approx(expected)
    assert row["seeds"] == row["better_in"] == 3 and row["sd"] == pytest.approx(np.std([0.5, 0.6, 0.9], ddof=1))
    one = mean_differences(paired(frame[frame["seed"] == 0], "lkca-lr", "seed"), "seeds")
    assert one["half_width"].isna().all()


def test_one_place_counts_once() -> None:
    means = over_places(paired(SCENES, "bicubic", "dataset")).set_index(["setting", "metric"])
    row, by_place = means.loc["lkca", "MPSNR"], [2.5, 0.5, -0.1]
    assert row["mean"] == pytest.approx(np.mean(by_place)) and row["median"] == 0.5
    assert row["half_width"] == pytest.approx(T2 * np.std(by_place, ddof=1) / np.sqrt(3))
    assert (row["places"], row["better_in"]) == (3, 2)
    assert means.loc["lkca", "SAM"]["better_in"] == 2  # smaller is better


def test_a_scene_that_lacks_one_of_a_pair_is_left_out() -> None:
    assert over_places(paired(SCENES[:-1], "bicubic", "dataset"))["places"].eq(2).all()


def test_back_projected_networks_stand_beside_the_plain_ones() -> None:
    both = with_back_projection(SCENES)
    assert list(both["model"].unique()) == ["bicubic", "lkca", "lkca + bp"]
    found = both[both["model"] == "lkca + bp"]
    assert found["MPSNR"].tolist() == [31.5, 36.5, 41.0, 20.4] and found["SAM"].tolist() == [-31.5, -36.5, -41, -20.4]


def test_a_verdict_follows_its_interval() -> None:
    means = pd.DataFrame({"mean": [0.5, -0.5, -0.7, 0.5], "half_width": [0.1, 0.6, 0.6, np.nan]})
    expected = ["more than chance", "cannot be told from zero", "more than chance", "too few for an interval"]
    assert with_verdict(means)["verdict"].tolist() == expected
