"""The line to beat: back-projection's curve, and what networks add to it."""

import numpy as np
import pandas as pd
import pytest

from lkca.data.patches import Area
from lkca.data.synthetic import synthetic_scene
from lkca.figures import evidence
from lkca.measures.metrics import mpsnr
from lkca.models import build_model
from lkca.paths import results_folder
from lkca.studies.any_sensor.measured import WHOLE, Ground
from lkca.studies.line_to_beat import CORRECTIONS, OPTICS, added_by_networks, gain_by_steps, steps_curve
from lkca.training.evaluation import low_resolution, predict


@pytest.fixture(scope="module")
def scenes() -> list[Ground]:
    return [
        Ground(f"made {seed}", "made", "", WHOLE, Area("", synthetic_scene(32, 32, 4, seed).cube), "")
        for seed in (1, 2, 3)
    ]


def test_curve_passes_through_the_studys_baseline(scenes: list[Ground]) -> None:
    curve = steps_curve(scenes[:1])
    assert len(curve) == len(CORRECTIONS) * (2 + len(OPTICS))
    lr, truth = low_resolution(scenes[0].area, 4)
    found = curve.query("scale == 4 and optics == 'bicubic'").set_index("steps")["MPSNR"]
    for model, steps in (("bicubic", 0), ("back-projection", 5)):
        expected = mpsnr(predict(build_model(model, 4, 4), lr).numpy(), truth.numpy())
        assert found[steps] == pytest.approx(expected, abs=1e-4)


def test_gains_are_paired_and_noise_is_amplified(scenes: list[Ground]) -> None:
    curve = steps_curve(scenes, [4])
    gains = gain_by_steps(curve).set_index(["optics", "steps"])
    assert gains.xs(0, level="steps")[["MPSNR", "SAM"]].eq(0).all(axis=None)
    rows = curve[(curve["optics"] == "bicubic") & curve["steps"].isin([0, 5])]
    wide = rows.pivot(index="scene", columns="steps", values="MPSNR")
    assert gains.loc[("bicubic", 5), "MPSNR"] == pytest.approx((wide[5] - wide[0]).mean())
    assert gains.loc[("bicubic, 30 dB", 20), "SAM"] > gains.loc[("bicubic", 20), "SAM"]
    assert len(evidence.back_projection_steps(gains.reset_index(), "").axes) == 4


def test_what_networks_add() -> None:
    folder = results_folder() / "quick"
    folder.mkdir(parents=True)
    rows = [
        ("bicubic", "a", 30.0, np.nan), ("back-projection", "a", 31.0, np.nan), ("lkca", "a", 30.8, 31.2),
        ("lkca", "a", 31.4, 31.5), ("back-projection", "b", 21.0, np.nan), ("lkca", "b", 20.0, 21.0),
        ("lkca", "c", 50.0, 50.0),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["model", "dataset", "MPSNR", "MPSNR_bp"]).assign(reading="x", scale=4)
    frame.to_csv(folder / "scenes.csv", index=False)
    frame[frame["model"] == "lkca"].head(1).assign(model="lkca-kd").to_csv(folder / "distillation.csv", index=False)
    other, row = added_by_networks("quick").itertuples()
    assert (other.study, other.model) == ("distillation", "lkca-kd")  # its line stands in another study's table
    assert other.added_dB == pytest.approx(-0.2)
    assert (row.study, row.model, row.runs, row.above) == ("scenes", "lkca", 3, 1)  # of c no line is known
    assert row.added_dB == pytest.approx((-0.2 + 0.4 - 1.0) / 3)
    assert row.added_bp_dB == pytest.approx((0.2 + 0.5 + 0.0) / 3)
    assert len(evidence.added_to_the_line(added_by_networks("quick"), "").axes) == 1
