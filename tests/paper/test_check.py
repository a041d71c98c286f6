"""check-data: planted scenes, whose "paper's rows" are made here under a hidden reading, step by step."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.io
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from lkca.__main__ import main
from lkca.data.datasets import DATASETS
from lkca.data.files import check_shape
from lkca.data.suspicions import band_order, suspicions
from lkca.data.synthetic import synthetic_scene
from lkca.figures.protocol import deviations
from lkca.measures.metrics import METRICS, quality
from lkca.measures.resize import resize
from lkca.paper import check as protocol_check
from lkca.paper.check import Check, check_protocol
from lkca.paper.measures import Measurements
from lkca.paper.metric_variants import VARIANTS
from lkca.paper.readings import Protocol
from lkca.paths import results_folder
from lkca.scenes import open_scene

CROPS = {  # rows, columns, 0-based
    "from 1": (3, 99, 5, 101),
    "from 0, last left out": (4, 99, 6, 101),
    "from 0, same size": (4, 100, 6, 102),
    "none": (0, 112, 0, 116),
}
PROTOCOL = Protocol(CROPS, ((32, 3), (24, 4), (24, 3)), (8000.0,))
EACH, CUT, WHOLE = "each test image", "the whole crop, then cut", "the whole crop, enlarged, then cut"


@cache
def planted(kind: str = "bright") -> np.ndarray:
    """(B, H, W), no two bands alike, bright pixels in and outside the crops; "dark": zeros in the first test image."""
    if kind == "dark":
        cube = planted().copy()
        cube[:, 10:14, 12:19] = 0
        return cube
    cube = synthetic_scene(112, 116, 5, 3).cube * 9000
    cube *= np.linspace(0.6, 1, 5, dtype=np.float32)[:, None, None]
    cube += np.linspace(30, 90, 5, dtype=np.float32)[:, None, None]
    cube[2, 111, 115] = 17_000  # in no crop but the whole
    cube[1, 90, 90] = 9800
    cube[4, 9, 60] = 9500
    return cube


@pytest.fixture(autouse=True)
def few_with_ssim(monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs most."""
    monkeypatch.setattr(protocol_check, "LAST_FEW", 2)


@cache
def measured(kind: str) -> Measurements:
    """What was measured of a scene once serves all tests: only the printed rows differ."""
    return Measurements(planted(kind))


def found(rows: pd.DataFrame, kind: str = "bright", protocol: Protocol = PROTOCOL) -> Check:
    return check_protocol(measured(kind), protocol, rows, "planted", log=lambda _: None)


def hidden_rows(
    cube: np.ndarray,
    crop: str = "from 1",
    side: int = 32,
    count: int = 3,
    place: str = "top",
    divide: Callable[[np.ndarray, np.ndarray], np.ndarray] = lambda crop, scene: crop / crop.max(),
    lr_from: str = EACH,
    outside: str = "clipped",
    clip_bicubic: bool = False,
    metric: str = "",
    measure: Callable[[np.ndarray, np.ndarray, int], float] | None = None,
) -> pd.DataFrame:
    """The bicubic rows under one reading, cut, divided and measured one after the other."""
    top, bottom, left, right = CROPS[crop]
    data = divide(cube[:, top:bottom, left:right].astype(np.float64), cube.astype(np.float64))
    data = (data.clip(0, 1) if outside == "clipped" else data).astype(np.float32)
    rows = []
    for scale in (4, 8):
        whole_lr = resize(torch.from_numpy(data), 1 / scale)
        images = []
        for i in range(count):
            y, x = {"top": (0, i), "left": (i, 0), "bottom": (-1, i)}[place]
            y = data.shape[1] - side if y < 0 else y * side
            x *= side
            truth = data[:, y : y + side, x : x + side]
            if divide is by_own_maximum:
                truth = truth / truth.max()
            if lr_from == EACH:
                image = resize(resize(torch.from_numpy(truth), 1 / scale), scale)
            elif lr_from == CUT:
                a, b = y // scale, x // scale
                image = resize(whole_lr[:, a : a + side // scale, b : b + side // scale], scale)
            else:
                image = resize(whole_lr, scale)[:, y : y + side, x : x + side]
            image = image.numpy().clip(0, 1) if clip_bicubic else image.numpy()
            images.append(quality(image, truth, scale) | ({metric: measure(image, truth, scale)} if measure else {}))
        rows.append({"scale": scale} | {m: round(float(np.mean([i[m] for i in images])), 4) for m in METRICS})
    return pd.DataFrame(rows)


def by_own_maximum(crop: np.ndarray, scene: np.ndarray) -> np.ndarray:
    return crop


def spread(a: np.ndarray, axes: tuple[int, ...] | None = None) -> np.ndarray:
    low, high = a.min(axes, keepdims=True), a.max(axes, keepdims=True)
    return (a - low) / (high - low)


def angle(p: np.ndarray, t: np.ndarray, zero: float) -> float:
    norms = np.linalg.norm(p.astype(float), axis=0) * np.linalg.norm(t.astype(float), axis=0)
    cosine = (p.astype(float) * t).sum(0) / np.where(norms > 0, norms, 1)
    return np.where(norms > 0, np.degrees(np.arccos(cosine.clip(-1, 1))), zero).mean()


def ssim(p: np.ndarray, t: np.ndarray, **options) -> float:
    return float(np.mean([structural_similarity(a, b, **options) for a, b in zip(p, t, strict=True)]))


def mse(p: np.ndarray, t: np.ndarray) -> np.ndarray:
    return ((p - t).astype(float) ** 2).mean((1, 2))


READINGS = {
    "as assumed": ({}, {"crop": "from 1", "tests": "3 of 32x32", "place": "top", "lr_from": EACH}),
    "0-based": ({"crop": "from 0, same size"}, {"crop": "from 0, same size"}),
    "0-based, end lost": (
        {"crop": "from 0, last left out", "side": 24, "count": 3, "place": "bottom"},
        {"crop": "from 0, last left out", "place": "bottom"},
    ),
    "no crop, left": ({"crop": "none", "place": "left"}, {"crop": "none", "place": "left"}),
    "bottom, smaller": (
        {"place": "bottom", "side": 24, "count": 4},
        {"place": "bottom", "tests": "4 of 24x24", "crop": "from 1"},
    ),
    "fewer": ({"side": 24, "count": 3}, {"tests": "3 of 24x24"}),
    "by the file's maximum": ({"divide": lambda c, s: c / s.max()}, {"divisor": "maximum of the file"}),
    "by 8000, clipped": ({"divide": lambda c, s: c / 8000}, {"divisor": "8000", "outside": "clipped"}),
    "by 8000, kept": (
        {"divide": lambda c, s: c / 8000, "outside": "kept"},
        {"divisor": "8000", "outside": "kept"},
    ),
    "each band": (
        {"divide": lambda c, s: c / c.max((1, 2), keepdims=True)},
        {"divisor": "maximum of each band"},
    ),
    "each band from its minimum": (
        {"crop": "none", "divide": lambda c, s: spread(c, (1, 2)), "lr_from": CUT},
        {"divisor": "minimum to maximum of each band", "lr_from": CUT},
    ),
    "each test image": (
        {"divide": by_own_maximum, "outside": "kept"},
        {"divisor": "maximum of each test image"},
    ),
    "LR of the whole": ({"lr_from": CUT}, {"lr_from": CUT}),
    "LR of the whole, bottom": ({"lr_from": WHOLE, "place": "bottom"}, {"lr_from": WHOLE, "place": "bottom"}),
    "LR of the whole, enlarged": (
        {"lr_from": WHOLE, "crop": "from 0, same size"},
        {"lr_from": WHOLE, "crop": "from 0, same size"},
    ),
    "bicubic clipped": ({"clip_bicubic": True}, {"bicubic": "clipped to 0-1"}),
}


@pytest.mark.parametrize("name", READINGS)
def test_hidden_reading_is_found(name: str) -> None:
    hidden, wanted = READINGS[name]
    check = found(hidden_rows(planted(), **hidden))
    assert len(check.matching) == 1, check.verdict()
    reading = check.matching.iloc[0]
    assert {axis: reading[axis] for axis in wanted} == wanted
    assert ("this is the paper's reading" in check.verdict()) == (reading.same == 1)
    assert all(reading[f"{metric}_variant"].split(" | ")[0] == VARIANTS[metric][0] for metric in METRICS)


METRIC_READINGS = {
    ("MPSNR", "of all values"): lambda p, t, r: -10 * np.log10(mse(p, t).mean()),
    ("MPSNR", "mean of bands, peak of each band"): lambda p, t, r: np.mean(
        10 * np.log10(t.max((1, 2)) ** 2 / mse(p, t))
    ),
    ("SAM", "zero spectra left out"): lambda p, t, r: quality(p, t, r)["SAM"],
    ("SAM", "zero spectra count 0"): lambda p, t, r: angle(p, t, 0),
    ("SAM", "zero spectra count 90"): lambda p, t, r: angle(p, t, 90),
    ("CC", "of all values"): lambda p, t, r: np.corrcoef(p.ravel(), t.ravel())[0, 1],
    ("RMSE", "mean of bands"): lambda p, t, r: np.sqrt(mse(p, t)).mean(),
    ("ERGAS", "100/4"): lambda p, t, r: quality(p, t, 4)["ERGAS"],
    ("MSSIM", "7x7 window, population"): lambda p, t, r: ssim(p, t, data_range=1, use_sample_covariance=False),
    ("MSSIM", "7x7 window, range 2"): lambda p, t, r: ssim(p, t, data_range=2),
    ("MSSIM", "Gaussian window"): lambda p, t, r: ssim(
        p, t, data_range=1, gaussian_weights=True, use_sample_covariance=False
    ),
    ("MSSIM", "Gaussian window, sample"): lambda p, t, r: ssim(p, t, data_range=1, gaussian_weights=True),
    ("MSSIM", "7x7 window, range of the band"): lambda p, t, r: np.mean(
        [structural_similarity(a, b, data_range=np.ptp(b)) for a, b in zip(p, t, strict=True)]
    ),
    ("MSSIM", "Gaussian, edge repeated"): lambda p, t, r: ssim_everywhere(p, t),
}


def ssim_everywhere(p: np.ndarray, t: np.ndarray) -> float:
    """Gaussian SSIM at every pixel, edges repeated, in scipy's filter."""
    smooth = partial(gaussian_filter, sigma=1.5, axes=(1, 2), mode="nearest", radius=5)
    p, t = p.astype(float), t.astype(float)
    a, b = smooth(p), smooth(t)
    covariance, variances = smooth(p * t) - a * b, smooth(p * p) - a * a + smooth(t * t) - b * b
    return ((2 * a * b + 1e-4) * (2 * covariance + 9e-4) / ((a * a + b * b + 1e-4) * (variances + 9e-4))).mean()


@pytest.mark.parametrize(("metric", "variant"), METRIC_READINGS)
def test_hidden_metric_is_found(metric: str, variant: str) -> None:
    rows = hidden_rows(planted("dark"), side=24, metric=metric, measure=METRIC_READINGS[metric, variant])
    check = found(rows, "dark")
    assert len(check.matching) == 1, check.verdict()
    assert check.matching.iloc[0][f"{metric}_variant"] == variant
    others = [m for m in METRICS if m != metric]
    assert [check.matching.iloc[0][f"{m}_variant"] for m in others] == [VARIANTS[m][0] for m in others]


def test_what_cannot_be_told_apart_is_said() -> None:
    verdict = found(hidden_rows(planted())).verdict()
    assert "zero spectra left out or zero spectra count 0 or zero spectra count 90" in verdict
    check = found(hidden_rows(planted("dark")), "dark")  # its minimum is 0, so dividing from the minimum is dividing
    assert check.matching.same.sum() == 2
    assert "2 readings agree" in check.verdict() and "cannot tell them apart" in check.verdict()
    assert "maximum of the crop or minimum to maximum of the crop" in check.verdict()


@pytest.mark.parametrize(("scale", "metric"), [(4, "MPSNR"), (8, "MSSIM"), (8, "SAM")])
def test_none_matches_names_the_nearest_and_the_culprit(scale: int, metric: str) -> None:
    rows = hidden_rows(planted(), lr_from=CUT)
    rows.loc[rows.scale == scale, metric] += 0.0003
    check = found(rows)
    assert check.matching.empty
    best = check.readings.iloc[0]
    assert (best.lr_from, best.agree, best.within_one) == (CUT, 11, 11)
    assert "no reading agrees with all 12" in check.verdict() and "11 of 12" in check.verdict()
    told = check.verdict().split("It disagrees in")[1].splitlines()
    assert [line.split()[:2] for line in told[2:]] == [[metric, str(scale)]]


def test_one_in_the_last_digit_is_said_apart() -> None:
    rows = hidden_rows(planted())
    rows.loc[0, "ERGAS"] += 0.0001
    best = found(rows).readings.iloc[0]
    assert (best.agree, best.within_one, best["of"]) == (11, 12, 12)


def test_table_is_sorted_and_complete() -> None:
    check = found(hidden_rows(planted()))
    measured = check.readings[check.readings["of"] == 12]
    assert measured.digits_off.is_monotonic_increasing and len(measured) < len(check.readings)
    assert check.readings.same.sum() > 600  # every reading is in the table
    cells = check.cells[check.cells.number == check.readings.index[-1]]
    assert cells.groupby("metric").size().to_dict() == {m: 2 for m in METRICS if m != "MSSIM"}
    assert cells.off.max() > 10


def test_large_scenes_are_narrowed_by_a_part_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol_check, "MANY", 4e5)
    monkeypatch.setattr(protocol_check, "LAST", 3e4)
    hidden = {"crop": "from 0, same size", "side": 24, "count": 4, "place": "bottom", "lr_from": CUT}
    check = found(hidden_rows(planted(), **hidden))
    assert "readings measured first" in check.narrowed and len(check.readings) < 300
    assert check.matching.iloc[0][["crop", "tests", "place", "lr_from"]].tolist() == [
        "from 0, same size",
        "4 of 24x24",
        "bottom",
        CUT,
    ]


def test_nothing_fits() -> None:
    with pytest.raises(ValueError, match="no reading of the protocol fits into 112x116"):
        found(hidden_rows(planted()), protocol=Protocol({"none": (0, 112, 0, 116)}, ((64, 3),)))


# --- the command, on a file in the real format


@pytest.fixture
def pavia(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes a small Pavia.mat; declaration, protocol and the paper's rows are made to fit."""
    monkeypatch.setenv("LKCA_DATA", str(tmp_path))
    shape = planted().shape
    monkeypatch.setitem(DATASETS, "pavia_centre", replace(DATASETS["pavia_centre"], shape=shape))
    small = Protocol({"none": (0, 112, 0, 116)}, ((32, 3),), (8000.0,), ("top",))
    monkeypatch.setitem(protocol_check.PROTOCOLS, "pavia_centre", small)

    def write(cube: np.ndarray) -> None:
        scipy.io.savemat(tmp_path / "Pavia.mat", {"pavia": cube.transpose(1, 2, 0)})

    return write


def test_command(pavia, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pavia(planted())
    rows = hidden_rows(planted(), crop="none", divide=lambda c, s: c / 8000)
    monkeypatch.setattr(protocol_check, "printed_rows", lambda name: rows)
    assert main(["check-data", "pavia_centre"]) == 0
    printed = capsys.readouterr().out
    for part in ("Pavia.mat (matlab)", "SHA-256", "112 x 116 pixels, 5 bands, float32", "values", "none in the file"):
        assert part in printed
    assert "divisor  8000\n" in printed and "agree with all 12 printed numbers in every digit" in printed
    table = pd.read_csv(results_folder() / "check_data" / "pavia_centre.csv")
    assert (table.loc[0, "divisor"], table.loc[0, "agree"]) == ("8000", 12)
    cells = pd.read_csv(results_folder() / "check_data" / "pavia_centre_cells.csv")
    assert set(cells.metric) == set(METRICS) and len(deviations(found(hidden_rows(planted()))).axes) == 2
    plt.close("all")
    rows.loc[0, "CC"] -= 0.001
    assert main(["check-data", "pavia_centre"]) == 1
    assert "no reading agrees" in capsys.readouterr().out


def test_printed_rows_are_the_papers() -> None:
    rows = protocol_check.printed_rows("chikusei")
    assert rows.scale.tolist() == [4, 8] and rows.MPSNR.tolist() == [37.6377, 34.5049]


@pytest.mark.parametrize(
    ("shape", "guess"),
    [
        ((103, 610, 340), "probably Pavia University."),
        ((128, 2304, 2048), "probably Chikusei, already cropped"),
        ((144, 349, 1905), "probably Houston 2013."),
        ((48, 1202, 4172), "probably Houston 2018, already cropped"),
        ((2335, 2517, 128), r"probably Chikusei with its axes in another order: .*\(W, H, B\)"),
        ((7, 8, 9), "is it the original file"),
    ],
)
def test_wrong_file_under_the_right_name(pavia, shape: tuple[int, ...], guess: str, tmp_path: Path) -> None:
    class Opened:
        path = tmp_path / "Pavia.mat"

    Opened.shape = shape
    with pytest.raises(ValueError, match=rf"Pavia.mat holds .* but Pavia Centre has \(5, 112, 116\): .*{guess}"):
        check_shape(DATASETS["pavia_centre"], Opened)


def test_wrong_file_is_said_by_the_command(pavia, capsys: pytest.CaptureFixture[str]) -> None:
    pavia(planted().transpose(0, 2, 1))
    assert main(["check-data", "pavia_centre"]) == 1
    assert "probably Pavia Centre with its axes in another order" in capsys.readouterr().err
    assert main(["check-data", "la_aviris"]) == 1 and "no bicubic row of 'la_aviris'" in capsys.readouterr().err


def said(cube: np.ndarray, wavelengths: np.ndarray | None = None, no_data: np.ndarray | None = None) -> str:
    no_data = np.zeros(cube.shape[1:], bool) if no_data is None else no_data
    return " / ".join(suspicions(cube, no_data, wavelengths, cube.dtype))


def test_suspicious_values() -> None:
    good = synthetic_scene(48, 48, 24, 1).cube * np.float32(6000)
    assert said(good) == "" and said(good, np.linspace(400, 900, 24)) == ""
    assert "normalised already" in said(good / 6000)
    low = good.copy()
    low[3, 4, :5] = -7
    assert "5 values are negative, down to -7" in said(low)
    holes = np.zeros((48, 48), bool)
    holes[0, :3] = True
    assert "3 of 2304 pixels have no data" in said(good, no_data=holes)


def test_bands_in_another_order() -> None:
    cube = synthetic_scene(48, 48, 24, 1).cube * np.float32(6000)
    waves = np.linspace(400, 900, 24)
    order = np.random.default_rng(0).permutation(24)
    assert "reverse order" in said(cube[::-1], waves[::-1])
    assert "do not rise from band" in said(cube[order], waves[order])
    assert "probably in another order" in said(cube[order])
    noise = cube.copy()
    noise[7] = np.random.default_rng(0).normal(3000, 500, cube.shape[1:])
    assert "hardly correlate at 2 places, counted from 1: 7|8" in said(noise)


def test_real_scenes_raise_no_suspicion_about_their_order(real_scenes) -> None:
    names = [f"abu-{n}.mat" for n in ("airport-1", "airport-3", "urban-4")]
    folder = real_scenes(*names)
    for name in names:
        cube = open_scene(folder / name, key="data").cube.astype(np.float32)
        assert not [text for text in band_order(cube, None) if "probably in another order" in text]
