"""The any-sensor study: rows are measured once, gains are paired, and the default PSF follows its rule."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from lkca.degradation import DEGRADATIONS
from lkca.files import results_folder
from lkca.metrics import quality
from sharpen.study import evaluate, scenes
from sharpen.study.evaluate import AUTO, BICUBIC, KNOWN, METHODS, RIGHT, WIENER


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small scenes and two degradations."""
    monkeypatch.setattr(scenes, "SYNTHETIC_SIDE", 84)
    evaluate.synthetic_scene.cache_clear()
    monkeypatch.setattr(
        evaluate, "scenes", lambda profile: tuple(map(evaluate.synthetic_scene, (2_000_003, 2_000_004)))
    )
    kept = {name: DEGRADATIONS[name] for name in ("bicubic", "Gaussian 0.5, 30 dB")}
    monkeypatch.setattr(evaluate, "DEGRADATIONS", kept)


def test_a_table_has_a_row_for_every_method_and_is_measured_once(few: None) -> None:
    frame = evaluate.measure("quick", log=lambda line: None)
    assert len(frame) == 2 * 2 * len(METHODS)
    assert frame["MPSNR"].notna().all() and set(frame["method"]) == set(METHODS)
    protocol = frame["degradation"] == evaluate.PROTOCOL
    assert frame.loc[protocol, "MSSIM"].notna().all() and frame.loc[~protocol, "MSSIM"].isna().all()
    assert frame.loc[frame["method"] == KNOWN, "coverage_68"].between(0.3, 1).all()
    assert frame.loc[frame["method"] == AUTO, "sigma"].notna().all()
    lines: list[str] = []
    pd.testing.assert_frame_equal(evaluate.measure("quick", log=lines.append), frame)
    assert not lines


def test_rows_that_lack_are_measured_again(few: None) -> None:
    frame = evaluate.measure("quick", log=lambda line: None)
    path = results_folder() / "quick" / "any_sensor.csv"
    frame[frame["scene"] != "synthetic 3"].to_csv(path, index=False)
    again = evaluate.measure("quick", log=lambda line: None)
    columns = ["scene", "degradation", "method", "MPSNR", "SAM"]
    pd.testing.assert_frame_equal(again[columns], frame[columns])


def test_a_table_of_real_scenes_is_kept_where_their_files_are_missing(few: None) -> None:
    frame = evaluate.measure("quick", log=lambda line: None).assign(scene="elsewhere", sensor="AVIRIS")
    frame.to_csv(results_folder() / "quick" / "any_sensor.csv", index=False)
    lines: list[str] = []
    assert set(evaluate.measure("quick", log=lines.append)["scene"]) == {"elsewhere"}
    assert "elsewhere" in lines[0]


def test_wiener_and_network_each_add_under_blur_and_noise(few: None) -> None:
    frame = evaluate.measure("quick", log=lambda line: None)
    part = frame[frame["degradation"] == "Gaussian 0.5, 30 dB"].groupby("method")["MPSNR"].mean()
    assert part[KNOWN] > part[WIENER] > max(part[RIGHT], part[BICUBIC])


def test_gains_and_intervals() -> None:
    rows = [
        {
            "scene": scene,
            "scale": 4,
            "degradation": "bicubic",
            "method": method,
            "MPSNR": value,
            "SAM": 2.0 - value / 100,
        }
        for scene, base in (("a", 30.0), ("b", 40.0), ("c", 35.0))
        for method, value in ((BICUBIC, base), (KNOWN, base + 1 + (scene == "b")))
    ]
    frame = pd.DataFrame(rows).assign(MSSIM=np.nan, CC=np.nan, RMSE=np.nan, ERGAS=np.nan)
    table = evaluate.intervals(evaluate.gains(frame), ["scale", "method"]).set_index("metric")
    assert table.loc["MPSNR", "mean"] == pytest.approx(4 / 3)
    half = 4.303 * np.std([1, 2, 1], ddof=1) / math.sqrt(3)  # t of two degrees of freedom
    assert table.loc["MPSNR", "high"] == pytest.approx(4 / 3 + half, rel=1e-3)
    assert table.loc["MPSNR", "worse"] == 0 and table.loc["SAM", "worse"] == 0


def test_the_default_never_loses_and_has_the_smallest_worst_regret() -> None:
    rows = [
        ("sharp", "mild", 0.5, 0.1),
        ("sharp", "bold", -0.2, 0.8),
        ("sharp", "timid", 0.1, 0.5),
        ("sharp", "true", 0.6, 0),
        ("soft", "mild", 0.6, 1.4),
        ("soft", "bold", 1.9, 0.1),
        ("soft", "timid", 0.2, 1.8),
        ("soft", "true", 2.0, 0),
    ]
    frame = pd.DataFrame(rows, columns=["true", "assumed", "MPSNR", "MPSNR_regret"])
    assert evaluate.default_psf(frame) == "mild"


def test_metrics_are_those_of_the_study() -> None:
    image, hr = (torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    both = evaluate.measures(image, hr, 4, False)
    assert both == {name: quality(image, hr, 4)[name] for name in ("MPSNR", "SAM")}


def test_a_synthetic_scene_is_in_range() -> None:
    scene = evaluate.synthetic_scene(2_000_003)
    assert scene.sensor == scenes.SYNTHETIC and scene.cube.min() >= 0 and scene.cube.max() <= 1
