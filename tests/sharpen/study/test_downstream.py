"""Tasks after sharpening: each measure where the answer is known; the rule; what is measured again and when."""

import math

import numpy as np
import pandas as pd
import pytest
import spectral
import torch
from scipy.optimize import nnls

from lkca.checkpoints import Metadata, save_weights
from lkca.models import build_model
from lkca.studies import study_runs
from sharpen.study import downstream, tasks

RNG = np.random.default_rng(0)
FLAT = RNG.normal(size=(8, 40, 40)) + 5  # a background without structure
STRANGE = np.linspace(3, 8, 8)


@pytest.fixture
def one_scene(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a single small synthetic scene of the profile quick."""
    monkeypatch.setattr(downstream, "SYNTHETIC_SEEDS", range(3_000_000, 3_000_001))
    monkeypatch.setattr(downstream, "SYNTHETIC_SIDE", 64)


def test_local_rx_is_that_of_spectral_away_from_the_edges() -> None:
    image = RNG.normal(size=(30, 30, 4))
    expected = spectral.rx(image, window=(5, 13))
    assert tasks.local_rx(image, 5, 13)[7:-7, 7:-7] == pytest.approx(expected[7:-7, 7:-7], rel=1e-5)


def test_detectors_find_an_anomaly_and_nothing_in_noise() -> None:
    mask = np.zeros((40, 40), bool)
    mask[18:20, 25] = True
    found = tasks.detection(np.where(mask, 60.0, FLAT), mask)
    assert found["RX AUC"] == 1 and found["local RX AUC"] > 0.99 and found["RX detection rate"] == 1
    assert 0.3 < tasks.area_under_curve(FLAT[0], RNG.random((40, 40)) < 0.2) < 0.7


def test_rates_and_areas_by_hand() -> None:
    scores, mask = np.arange(10.0), np.arange(10) >= 8
    assert tasks.area_under_curve(scores, mask) == 1 and tasks.detection_rate(scores, mask) == 1
    mask = np.isin(np.arange(10), (3, 9))  # 3 and 8 of the other 8 score less; one of the two is above all
    assert tasks.area_under_curve(scores, mask) == (3 + 8) / 16 and tasks.detection_rate(scores, mask) == 0.5
    assert tasks.area_under_curve(np.zeros(10), mask) == 0.5


def test_abundances_are_those_of_scipy_and_endmembers_the_corners() -> None:
    endmembers = RNG.random((20, tasks.ENDMEMBERS))
    image = RNG.random((20, 5, 5))
    found = tasks.abundances(image, endmembers).reshape(tasks.ENDMEMBERS, -1).T
    assert found == pytest.approx(np.array([nnls(endmembers, pixel)[0] for pixel in image.reshape(20, -1).T]))
    shares = RNG.dirichlet(np.ones(tasks.ENDMEMBERS), 900).T
    corners = RNG.choice(900, tasks.ENDMEMBERS, replace=False)
    shares[:, corners] = np.eye(tasks.ENDMEMBERS)
    found = tasks.find_endmembers((endmembers @ shares).reshape(20, 30, 30))
    assert sorted(found[0]) == pytest.approx(sorted(endmembers[0]))


def test_a_scene_has_no_error_against_itself_and_a_brighter_one_only_in_abundance() -> None:
    cube = downstream.synthetic(3_000_000)[0].cube.numpy()
    truth, wavelengths = tasks.refer_to(cube), np.linspace(400, 1000, len(cube))
    assert set((tasks.unmixing(cube, truth) | tasks.spectra(cube, truth, wavelengths)).values()) == {0.0}
    brighter = tasks.unmixing(1.5 * cube, truth) | tasks.spectra(1.5 * cube, truth, wavelengths)
    assert brighter["abundance error, edges"] > 0.1 and brighter["angle error"] < 1e-3
    assert brighter["NDVI error, edges"] < 0.01  # not zero: dark pixels become bright enough for an index


def test_indices_need_their_wavelengths() -> None:
    wavelengths = [530.0, 571.0, 668.0, 803.0]
    assert tasks.index_bands(wavelengths, "NDVI") == (3, 2) and tasks.index_bands(wavelengths, "PRI") == (0, 1)
    assert tasks.index_bands(wavelengths, "NDVI705") is None and tasks.index_bands(None, "NDVI") is None
    image = np.array([0.2, 0.6, 0.0])[:, None, None] * np.ones((3, 1, 1))
    assert tasks.index(image, (1, 0))[0, 0] == pytest.approx(0.5) and tasks.index(image, (2, 2))[0, 0] == 0


@pytest.mark.parametrize("scale", [2, 4])
def test_planted_targets_have_their_area_and_are_found_where_they_are(scale: int) -> None:
    background = np.tile(FLAT, (1, 2, 2))
    planted, targets, coverage = tasks.plant(background, 5 + 20 * (STRANGE - STRANGE.mean()), scale)
    assert coverage.sum() == pytest.approx(scale**2 * sum(target.fill for target in targets))
    assert {target.fill for target in targets} == set(tasks.FILLS) and coverage.max() <= 1
    found = tasks.small_targets(planted, background, 5 + 20 * (STRANGE - STRANGE.mean()), targets, scale)
    assert found["target detection rate, fill 100 %"] == 1 and found["target location error"] < scale
    nothing = tasks.small_targets(background, background, STRANGE, targets, scale)
    assert nothing["target detection rate"] < 0.1 and nothing["target contrast"] < found["target contrast"]


def test_the_target_is_as_far_from_the_mean_as_declared() -> None:
    cube = downstream.synthetic(3_000_000)[0].cube.numpy()
    spectrum = tasks.target_spectrum(tasks.refer_to(cube))
    components, vectors, mean = tasks.principal_images(cube)
    seen = (vectors.T @ (spectrum - mean)) / components.reshape(-1, vectors.shape[1]).std(axis=0)
    assert np.linalg.norm(seen) == pytest.approx(tasks.TARGET_CONTRAST)
    pair = np.stack([spectrum, mean], -1)
    scores = tasks.matched_filter(np.stack([pair, pair], 1), cube, spectrum)
    assert scores == pytest.approx(np.array([[1.0, 0.0]] * 2), abs=1e-9)


@pytest.mark.parametrize(
    ("mean", "low", "high", "places", "said"),
    [
        (0.03, 0.01, 0.05, 5, "helps"),
        (0.015, 0.001, 0.03, 5, "undecided"),  # clear, but below the margin of 0.02
        (-0.03, -0.05, -0.01, 5, "harms"),
        (0.005, -0.01, 0.02, 5, "no difference"),
        (0.015, 0.011, 0.019, 5, "no difference"),
        (0.03, -0.01, 0.07, 5, "undecided"),
        (0.03, 0.01, 0.05, 2, "undecided"),
        (0.03, math.nan, math.nan, 1, "undecided"),
    ],
)
def test_the_rule(mean: float, low: float, high: float, places: int, said: str) -> None:
    assert downstream.verdict(mean, low, high, places, 0.02) == said


def test_gains_are_averaged_within_a_place_first() -> None:
    gains = {("a", "one"): 0.10, ("b", "one"): 0.20, ("c", "two"): 0.03, ("d", "three"): 0.03}
    frame = pd.DataFrame(
        [
            {"task": "detection", "measure": "RX AUC", "scale": 4, "degradation": degradation, "method": "sharpen"}
            | {"scene": scene, "place": place, "value": 0.9, "gain": gain + shift}
            for (scene, place), gain in gains.items()
            for degradation, shift in (("bicubic", -0.01), ("Gaussian 0.5", 0.01))
        ]
    )
    (row,) = downstream.verdicts(frame).itertuples()
    assert (row.gain, row.places, row.scenes, row.worse) == (pytest.approx(0.07), 3, 4, 0)
    assert row.verdict == "undecided" and row.low == pytest.approx(0.07 - 4.3027 * 0.04, abs=1e-4)
    both = pd.concat([frame, frame.assign(method="wiener", gain=frame["gain"] - 0.05)])
    (row,) = downstream.verdicts(downstream.gains_over(both, "wiener")).itertuples()
    assert (row.method, row.gain, row.verdict) == ("sharpen", pytest.approx(0.05), "helps")


def test_relative_gains_are_in_percent_of_bicubic_and_positive_when_better() -> None:
    assert downstream.MEASURES["abundance error, edges"].gain(0.09, 0.1) == pytest.approx(10)
    assert downstream.MEASURES["target contrast"].gain(9, 10) == pytest.approx(-10)
    assert downstream.MEASURES["RX AUC"].gain(0.9, 0.8) == pytest.approx(0.1)


def test_a_scene_is_measured_once_and_again_with_other_weights(
    one_scene: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    first = downstream.measure("quick", lines.append)
    assert lines[-1].startswith("synthetic 0:") and set(first["task"]) == set(downstream.PRIMARY)
    assert first.loc[first["method"] == "bicubic", "gain"].abs().max() == 0
    assert (first.loc[first["method"] == "sharpen", "MPSNR_gain"] > 0).all()
    pd.testing.assert_frame_equal(first, downstream.measure("quick", lines.append))
    assert sum("measured" in line for line in lines) == 1
    monkeypatch.setattr(downstream, "weights_checksum", lambda scale: "others")
    assert "others" in set(downstream.measure("quick", lines.append)["weights"])
    assert sum("measured" in line for line in lines) == 2


def test_missing_files_and_masks_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("LKCA_DATA", str(tmp_path))
    lines: list[str] = []
    assert [(scene.name, mask) for scene, mask in downstream.scenes("cpu", lines.append)] == [("indian_pines", None)]
    assert any("samson" in line and "skipped" in line for line in lines) and "indian_pines" in "".join(lines)


def test_masks_are_joined_as_their_scene_is(real_scenes) -> None:
    real_scenes("abu-urban-5.mat", "abu-airport-2.mat", "samson.mat")
    assert downstream.anomaly_mask("abu-urban-5+airport-2").shape == (100, 180)
    assert downstream.anomaly_mask("samson") is None


def test_weights_of_the_study_are_used_where_runs_has_them() -> None:
    (run,) = [run for run in study_runs("scenes", "quick") if run.model == "lkca-lr"]
    assert downstream.study_network(run.dataset, run.scale, "quick") is None
    run.folder.mkdir(parents=True)
    model = build_model(run.model, 16, run.scale, **run.options)
    save_weights(
        run.folder / "weights.safetensors", model, Metadata(run.model, 16, run.scale, dict(run.options), 1.0, None)
    )
    (run.folder / "metrics.json").write_text("{}")
    own = downstream.study_network(run.dataset, run.scale, "quick")
    images = downstream.sharpened(torch.rand(16, 12, 12), run.scale, "bicubic", own)
    assert images[downstream.OWN].shape == (16, 48, 48)
