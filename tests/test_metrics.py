"""The six metrics: golden values, formulas written out, and images on which careless code says NaN or nothing."""

import math

import numpy as np
import pytest

from lkca.metrics import METRICS, quality

GOLDEN_NAMES = {"CC": "CrossCorrelation"}
CASES = [("x4", 4, False), ("x8", 8, False), ("x4_with_15_zero_spectra_in_truth", 4, True)]


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(1).random((4, 12, 10)).astype(np.float32)


def noisy(image: np.ndarray, spread: float = 0.05) -> np.ndarray:
    return image + np.random.default_rng(2).normal(0, spread, image.shape).astype(np.float32)


@pytest.mark.parametrize(("case", "scale", "zeros"), CASES)
def test_golden(golden, expected, case: str, scale: int, zeros: bool) -> None:
    arrays = golden("resize_and_metrics")
    truth = arrays["truth"].copy()
    if zeros:
        truth[:, :3, :5] = 0
    found = quality(arrays[f"up_x{scale}"], truth, scale)
    for metric in METRICS:
        assert found[metric] == pytest.approx(expected[case][GOLDEN_NAMES.get(metric, metric)], rel=1e-4), metric


def test_perfect(image: np.ndarray) -> None:
    found = quality(image, image, 4)
    assert found["MPSNR"] == math.inf
    assert [found[m] for m in ("MSSIM", "CC")] == pytest.approx([1, 1])
    assert [found[m] for m in ("RMSE", "ERGAS")] == [0, 0]
    assert found["SAM"] == pytest.approx(0, abs=1e-3)


def test_sam_leaves_out_zero_spectra(image: np.ndarray) -> None:
    truth, prediction = image.copy(), noisy(image)
    cosine = (truth * prediction).sum(0) / np.linalg.norm(truth, axis=0) / np.linalg.norm(prediction, axis=0)
    angles = np.degrees(np.arccos(cosine))
    truth[:, 0, :4] = 0
    prediction[:, 0, 2:7] = 0
    with pytest.warns(UserWarning, match="3 of 120 pixels"):
        found = quality(prediction, truth, 4)["SAM"]
    assert found == pytest.approx(np.delete(angles.ravel(), range(7)).mean(), rel=1e-4)


def test_numbers_that_are_not_normalised_are_warned_of(image: np.ndarray, recwarn: pytest.WarningsRecorder) -> None:
    prediction = noisy(image)
    prediction[0, 0, 0], prediction[1, 1, 1] = 1.6, -0.5  # an overshoot
    quality(prediction, image, 4)
    assert not recwarn.list
    for factor in (4096, -4096):
        with pytest.warns(UserWarning, match="truth has values from"):
            quality(prediction, factor * image, 4)


@pytest.mark.parametrize("value", [0.0, 0.3, 1 / 3])
@pytest.mark.parametrize("side", ["truth", "prediction", "both"])
def test_constant_bands_are_left_out_of_cc_and_those_of_mean_zero_out_of_ergas(
    image: np.ndarray, side: str, value: float
) -> None:
    truth, prediction = image.copy(), noisy(image)
    without = quality(prediction[[0, 2, 3]], truth[[0, 2, 3]], 4)
    for array, name in ((truth, "truth"), (prediction, "prediction")):
        if side in (name, "both"):
            array[1] = value
    with pytest.warns(UserWarning) as warned:
        found = quality(prediction, truth, 4)
    assert all(math.isfinite(v) or (m == "MPSNR" and side == "both") for m, v in found.items())
    left_out = ["CC", "ERGAS"] if value == 0 and side != "prediction" else ["CC"]
    assert [str(warning.message).split("; ")[-1] for warning in warned] == [f"{m} leaves out: 1" for m in left_out]
    assert [found[metric] for metric in left_out] == pytest.approx([without[metric] for metric in left_out], rel=1e-6)


def test_nothing_but_zeros_gives_no_nan(image: np.ndarray) -> None:
    zeros = np.zeros_like(image)
    with pytest.warns(UserWarning) as warned:
        found = quality(zeros, zeros, 4)
    assert not any(math.isnan(value) for value in found.values())
    assert len(warned) == 3  # SAM, CC and ERGAS each say so
    with pytest.warns(UserWarning, match="SAM"):
        assert quality(zeros, image, 4)["SAM"] == 90  # no perfect angle


@pytest.mark.parametrize(
    ("prediction", "truth", "scale", "message"),
    [
        (np.zeros((3, 8, 8)), np.zeros((3, 8, 9)), 4, "share a shape"),
        (np.zeros((8, 8)), np.zeros((8, 8)), 4, "share a shape"),
        (np.zeros((1, 3, 8, 8)), np.zeros((1, 3, 8, 8)), 4, "share a shape"),
        (np.zeros((3, 6, 9)), np.zeros((3, 6, 9)), 4, "7x7 pixels, the image only 6x9"),
        (np.full((3, 8, 8), np.nan), np.zeros((3, 8, 8)), 4, "NaN or infinite"),
        (np.zeros((3, 8, 8)), np.full((3, 8, 8), np.inf), 4, "NaN or infinite"),
        (np.zeros((3, 8, 8)), np.zeros((3, 8, 8)), 0, "scale must be above 0"),
    ],
)
def test_bad_input(prediction: np.ndarray, truth: np.ndarray, scale: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quality(prediction, truth, scale)
