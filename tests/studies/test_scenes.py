"""Scene by scene: which runs, and what is computed of their table; intervals against a plain calculation."""

import numpy as np
import pandas as pd
import pytest

from lkca.data.datasets import DATASETS
from lkca.measures.cost import cost
from lkca.measures.metrics import METRICS
from lkca.models import build_model
from lkca.studies.catalogue import study_runs
from lkca.studies.intervals import with_verdict
from lkca.studies.profiles import CHOSEN_ON, SCENES
from lkca.studies.scenes import over_places, paired, with_corrected


def table(rows: list[tuple[str, str, float, float]]) -> pd.DataFrame:
    """Rows of dataset, model, MPSNR, and MPSNR after back-projection; every other metric is the negative."""
    frame = pd.DataFrame(rows, columns=["dataset", "model", "MPSNR", "MPSNR_bp"])
    for metric in METRICS[1:]:
        frame[metric], frame[f"{metric}_bp"] = -frame["MPSNR"], -frame["MPSNR_bp"]
    return frame


MADE = table(
    [
        *(("abu-urban-1", "bicubic", 30.0, 30.5), ("abu-urban-1", "lkca", 31.0, 31.5)),
        *(("abu-urban-2", "bicubic", 32.0, 32.5), ("abu-urban-2", "lkca", 36.0, 36.5)),  # of the same place
        *(("samson", "bicubic", 40.0, 40.5), ("samson", "lkca", 40.5, 41.0)),
        *(("hysu", "bicubic", 20.0, 20.5), ("hysu", "lkca", 19.9, 20.4)),
    ]
)


def test_scenes_are_of_places_that_nothing_was_chosen_on() -> None:
    runs = study_runs("scenes", "cpu")
    scenes = {run.dataset for run in runs}
    places = {DATASETS[name].place for name in scenes}
    assert len(scenes) == 14 and len(places) == 13 and CHOSEN_ON not in places
    settings = {(run.model, run.scale): [] for run in runs}
    for run in runs:
        same = {k: v for k, v in run.settings().items() if k not in ("dataset", "patch", "stride")}
        settings[run.model, run.scale].append(same)
    assert all(found == [found[0]] * len(scenes) for found in settings.values())  # one for all
    assert {model for model, scale in settings if scale == 4} == set(SCENES.models[4])
    assert [run.model for run in runs[:28]] == ["bicubic"] * 14 + ["back-projection"] * 14


@pytest.mark.parametrize("model", SCENES.sizes)
def test_other_networks_cost_what_lkca_net_costs(model: str) -> None:
    wanted = cost(build_model("lkca", 200, 4, **SCENES.options), 200).macs
    found = cost(build_model(model, 200, 4, **SCENES.sizes[model]), 200).macs
    assert found == pytest.approx(wanted, rel=0.14)


def test_one_place_counts_once() -> None:
    means = over_places(paired(MADE, "bicubic")).set_index(["setting", "metric"])
    row = means.loc["lkca - bicubic", "MPSNR"]
    by_place = [2.5, 0.5, -0.1]
    assert row["mean"] == pytest.approx(np.mean(by_place))
    # t of 0.975 with two degrees of freedom
    assert row["half_width"] == pytest.approx(4.302653 * np.std(by_place, ddof=1) / np.sqrt(3))
    assert row["median"] == 0.5
    assert (row["places"], row["better_in"]) == (3, 2)
    assert means.loc["lkca - bicubic", "SAM"]["better_in"] == 2  # smaller is better


def test_a_scene_that_lacks_one_of_a_pair_is_left_out() -> None:
    means = over_places(paired(MADE[:-1], "bicubic")).set_index(["setting", "metric"])
    row = means.loc["lkca - bicubic", "MPSNR"]
    assert row["places"] == 2 and np.isnan(row["half_width"])
    assert with_verdict(means)["verdict"].eq("too few for an interval").all()


def test_corrected_networks_stand_beside_the_plain_ones() -> None:
    both = with_corrected(MADE)
    assert list(both["model"].unique()) == ["bicubic", "lkca", "lkca + bp"]
    found = both[both["model"] == "lkca + bp"]
    assert found["MPSNR"].tolist() == [31.5, 36.5, 41.0, 20.4] and found["SAM"].tolist() == [-31.5, -36.5, -41.0, -20.4]
    lacking = MADE.assign(MPSNR_bp=[*MADE["MPSNR_bp"][:-1], None])
    assert len(with_corrected(lacking)) == len(both) - 1


def test_verdicts_say_what_can_be_told() -> None:
    clear = table([(name, model, 30 + (model == "lkca") + i / 9, 0.0) for i, name in enumerate(SCENES.names[:9])
                   for model in ("bicubic", "lkca")])  # fmt: skip
    found = with_verdict(over_places(paired(clear, "bicubic"))).iloc[0]
    assert (found["better_in"], found["verdict"]) == (8, "more than chance")
    assert with_verdict(over_places(paired(MADE, "bicubic")))["verdict"][0] == "cannot be told from zero"
