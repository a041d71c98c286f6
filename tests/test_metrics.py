"""The six metrics: golden values, formulas written out, and images on which careless code says NaN or nothing."""

import math
import warnings

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


def test_mpsnr_is_a_mean_over_bands(image: np.ndarray) -> None:
    """Of decibels, not of squared errors: the two differ where the bands' errors do."""
    prediction = image + np.array([0.1, 0.01, 0.001, 0.1], np.float32)[:, None, None]
    assert quality(prediction, image, 4)["MPSNR"] == pytest.approx((20 + 40 + 60 + 20) / 4, rel=1e-3)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_ergas_takes_the_true_scale(image: np.ndarray, scale: int) -> None:
    prediction = noisy(image).astype(np.float64)
    mse = ((prediction - image) ** 2).mean(axis=(1, 2))
    right = 100 / scale * np.sqrt((mse / image.mean(axis=(1, 2), dtype=np.float64) ** 2).mean())
    assert quality(prediction, image.astype(np.float64), scale)["ERGAS"] == pytest.approx(right, rel=1e-9)


def test_sam_leaves_out_zero_spectra(image: np.ndarray) -> None:
    truth, prediction = image.copy(), noisy(image)
    cosine = (truth * prediction).sum(0) / np.linalg.norm(truth, axis=0) / np.linalg.norm(prediction, axis=0)
    angles = np.degrees(np.arccos(cosine))
    truth[:, 0, :4] = 0
    prediction[:, 0, 2:7] = 0
    with pytest.warns(UserWarning, match="3 of 120 pixels"):
        found = quality(prediction, truth, 4)["SAM"]
    assert found == pytest.approx(np.delete(angles.ravel(), range(7)).mean(), rel=1e-4)


@pytest.mark.filterwarnings("ignore:constant bands")
def test_a_prediction_of_zeros_has_no_perfect_angle(image: np.ndarray) -> None:
    with pytest.warns(UserWarning, match="SAM"):
        assert quality(np.zeros_like(image), image, 4)["SAM"] == 90


@pytest.mark.parametrize("factor", [4096, -4096])
def test_numbers_that_are_not_normalised_are_warned_of(image: np.ndarray, factor: float) -> None:
    with pytest.warns(UserWarning, match="truth has values from"):
        quality(noisy(image), factor * image, 4)


def test_an_overshoot_is_not_warned_of(image: np.ndarray, recwarn: pytest.WarningsRecorder) -> None:
    prediction = noisy(image)
    prediction[0, 0, 0], prediction[1, 1, 1] = 1.6, -0.5
    quality(prediction, image, 4)
    assert not recwarn.list


@pytest.mark.filterwarnings("ignore:bands of mean zero")
@pytest.mark.parametrize("value", [0.0, 0.3, 1 / 3])
@pytest.mark.parametrize("side", ["truth", "prediction", "both"])
def test_constant_band_is_left_out_of_cc(image: np.ndarray, side: str, value: float) -> None:
    truth, prediction = image.copy(), noisy(image)
    without = quality(prediction[[0, 2, 3]], truth[[0, 2, 3]], 4)
    for array, name in ((truth, "truth"), (prediction, "prediction")):
        if side in (name, "both"):
            array[1] = value
    with pytest.warns(UserWarning, match=r"CC leaves out: 1$"):
        found = quality(prediction, truth, 4)
    assert all(math.isfinite(v) or (m == "MPSNR" and side == "both") for m, v in found.items())
    assert found["CC"] == pytest.approx(without["CC"], rel=1e-6)


@pytest.mark.filterwarnings("ignore:constant bands")
def test_zero_band_is_left_out_of_ergas(image: np.ndarray) -> None:
    truth, prediction = image.copy(), noisy(image)
    without = quality(prediction[[0, 2, 3]], truth[[0, 2, 3]], 4)
    truth[1] = 0
    with pytest.warns(UserWarning, match=r"ERGAS leaves out: 1$"):
        found = quality(prediction, truth, 4)
    assert found["ERGAS"] == pytest.approx(without["ERGAS"], rel=1e-6)


def test_nothing_but_zeros_gives_no_nan() -> None:
    zeros = np.zeros((3, 8, 8), np.float32)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = quality(zeros, zeros, 4)
    assert not any(math.isnan(value) for value in found.values())
    assert [w.category for w in caught] == 3 * [UserWarning]  # SAM, CC and ERGAS each say so


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
