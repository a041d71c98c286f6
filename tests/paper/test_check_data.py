"""check-data: planted scenes, whose "paper's rows" are made here under a hidden variant, step by step."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from lkca.data.datasets import DATASETS
from lkca.data.synthetic.scenes import synthetic_scene
from lkca.files import results_folder
from lkca.metrics import METRICS, quality
from lkca.paper import check_data
from lkca.paper.check_data import Check, check_protocol
from lkca.paper.measurements import Measurements
from lkca.paper.metric_variants import METRIC_VARIANTS
from lkca.paper.planted import planted_check
from lkca.paper.protocols import EACH, LR_FROM, Protocol
from lkca.resize import resize

CROPS = {  # rows, columns, 0-based
    "from 1": (3, 99, 5, 101),
    "from 0, last left out": (4, 99, 6, 101),
    "from 0, same size": (4, 100, 6, 102),
    "none": (0, 112, 0, 116),
}
PROTOCOL = Protocol(CROPS, ((32, 3), (24, 4), (24, 3)), (8000.0,))
_, CUT, WHOLE = LR_FROM


@cache
def scene(kind: str = "bright") -> np.ndarray:
    """(B, H, W), no two bands alike, bright pixels in and outside the crops; "dark": zeros in the first test image."""
    if kind == "dark":
        cube = scene().copy()
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
    """SSIM costs most of the time."""
    monkeypatch.setattr(check_data, "MAX_EXACT_SETTINGS", 2)


@cache
def measured(kind: str) -> Measurements:
    """Measure a scene once for all tests: only the printed rows differ."""
    return Measurements(scene(kind))


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
    """Return the bicubic rows under one variant, cut, divided and measured one after the other."""
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


VARIANTS = {
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
    "by 8000, kept": ({"divide": lambda c, s: c / 8000, "outside": "kept"}, {"divisor": "8000", "outside": "kept"}),
    "each band": ({"divide": lambda c, s: c / c.max((1, 2), keepdims=True)}, {"divisor": "maximum of each band"}),
    "each band from its minimum": (
        {"crop": "none", "divide": lambda c, s: spread(c, (1, 2)), "lr_from": CUT},
        {"divisor": "minimum to maximum of each band", "lr_from": CUT},
    ),
    "each test image": ({"divide": by_own_maximum, "outside": "kept"}, {"divisor": "maximum of each test image"}),
    "LR of the whole": ({"lr_from": CUT}, {"lr_from": CUT}),
    "LR of the whole, bottom": ({"lr_from": WHOLE, "place": "bottom"}, {"lr_from": WHOLE, "place": "bottom"}),
    "LR of the whole, upsampled": (
        {"lr_from": WHOLE, "crop": "from 0, same size"},
        {"lr_from": WHOLE, "crop": "from 0, same size"},
    ),
    "bicubic clipped": ({"clip_bicubic": True}, {"bicubic": "clipped to 0-1"}),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_hidden_protocol_variant_is_found(name: str) -> None:
    hidden, wanted = VARIANTS[name]
    check = found(hidden_rows(scene(), **hidden))
    assert len(check.matching) == 1, check.verdict()
    row = check.matching.iloc[0]
    assert {axis: row[axis] for axis in wanted} == wanted
    assert all(row[f"{metric}_variant"].split(" | ")[0] == METRIC_VARIANTS[metric][0] for metric in METRICS)


def ssim_everywhere(p: np.ndarray, t: np.ndarray) -> float:
    """Return Gaussian SSIM at every pixel, edges repeated, by scipy's filter."""
    smooth = partial(gaussian_filter, sigma=1.5, axes=(1, 2), mode="nearest", radius=5)
    p, t = p.astype(float), t.astype(float)
    a, b = smooth(p), smooth(t)
    covariance, variances = smooth(p * t) - a * b, smooth(p * p) - a * a + smooth(t * t) - b * b
    return ((2 * a * b + 1e-4) * (2 * covariance + 9e-4) / ((a * a + b * b + 1e-4) * (variances + 9e-4))).mean()


def ssim_of_own_range(p: np.ndarray, t: np.ndarray, r: int) -> float:
    return np.mean([structural_similarity(a, b, data_range=np.ptp(b)) for a, b in zip(p, t, strict=True)])


GAUSSIAN = {"data_range": 1, "gaussian_weights": True}
HIDDEN_METRICS = {
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
    ("MSSIM", "Gaussian window"): lambda p, t, r: ssim(p, t, **GAUSSIAN, use_sample_covariance=False),
    ("MSSIM", "Gaussian window, sample"): lambda p, t, r: ssim(p, t, **GAUSSIAN),
    ("MSSIM", "7x7 window, range of the band"): ssim_of_own_range,
    ("MSSIM", "Gaussian, edge repeated"): lambda p, t, r: ssim_everywhere(p, t),
}


@pytest.mark.parametrize(("metric", "variant"), HIDDEN_METRICS)
def test_hidden_metric_variant_is_found(metric: str, variant: str) -> None:
    rows = hidden_rows(scene("dark"), side=24, metric=metric, measure=HIDDEN_METRICS[metric, variant])
    check = found(rows, "dark")
    assert len(check.matching) == 1, check.verdict()
    chosen = {m: check.matching.iloc[0][f"{m}_variant"] for m in METRICS}
    assert chosen == {m: METRIC_VARIANTS[m][0] for m in METRICS} | {metric: variant}


def test_what_cannot_be_told_apart_is_said() -> None:
    bright = found(hidden_rows(scene()))
    assert bright.matching.iloc[0]["SAM_variant"].split(" | ") == list(METRIC_VARIANTS["SAM"])
    dark = found(hidden_rows(scene("dark")), "dark")  # its minimum is 0, so dividing from the minimum is dividing
    assert dark.matching["same"].sum() == 2
    assert dark.matching.iloc[0]["divisor"] == "maximum of the crop | minimum to maximum of the crop"


@pytest.mark.parametrize(
    ("scale", "metric", "off", "within_one"),
    [(4, "MPSNR", 0.0003, 11), (8, "MSSIM", 0.0003, 11), (8, "SAM", 0.0003, 11), (4, "ERGAS", 0.0001, 12)],
)
def test_where_none_matches_the_nearest_and_its_wrong_number_are_named(
    scale: int, metric: str, off: float, within_one: int
) -> None:
    rows = hidden_rows(scene(), lr_from=CUT)
    rows.loc[rows.scale == scale, metric] += off
    check = found(rows)
    assert check.matching.empty
    best = check.variants.iloc[0]
    assert (best.lr_from, best.agree, best.within_one, best["of"]) == (CUT, 11, within_one, 12)
    wrong = check.cells[(check.cells.number == check.variants.index[0]) & ~check.cells.agrees]
    assert list(zip(wrong.metric, wrong.scale, strict=True)) == [(metric, scale)]
    assert metric in check.verdict().splitlines()[-1]


def test_table_is_sorted_and_complete() -> None:
    check = found(hidden_rows(scene()))
    exact = check.variants[check.variants["of"] == 12]
    assert exact.digits_off.is_monotonic_increasing and len(exact) < len(check.variants)
    assert check.variants["same"].sum() > 600  # every variant is in the table
    cells = check.cells[check.cells.number == check.variants.index[-1]]
    assert cells.groupby("metric").size().to_dict() == {m: 2 for m in METRICS if m not in ("MSSIM", "SAM")}
    assert cells.off.max() > 10


def test_large_scenes_are_narrowed_and_the_variant_is_still_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_data, "MAX_SCREENED", 1e5)
    monkeypatch.setattr(check_data, "MAX_EXACT", 1.5e4)
    hidden = {"crop": "from 0, same size", "side": 24, "count": 4, "place": "bottom", "lr_from": CUT}
    check = found(hidden_rows(scene(), **hidden))
    assert len(check.variants) < 300
    row = check.matching.iloc[0]
    assert (row.crop, row.tests, row.place, row.lr_from) == ("from 0, same size", "4 of 24x24", "bottom", CUT)


def test_nothing_fits() -> None:
    with pytest.raises(ValueError, match="fits into 112x116"):
        found(hidden_rows(scene()), protocol=Protocol({"none": (0, 112, 0, 116)}, ((64, 3),)))


def test_planted_variant_is_found() -> None:
    row = planted_check(seed=1).matching.iloc[0]
    wanted = ("the same size, counted from 0", "3 of 48x48", "top", "maximum of the file")
    assert (row.crop, row.tests, row.place, row.divisor) == wanted


@pytest.fixture
def pavia(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Write a small Pavia.mat; declaration, protocol and the paper's rows fit it. Return those rows."""
    monkeypatch.setenv("LKCA_DATA", str(tmp_path))
    monkeypatch.setenv("LKCA_OUTPUT", str(tmp_path))
    monkeypatch.setitem(DATASETS, "pavia_centre", replace(DATASETS["pavia_centre"], shape=scene().shape))
    small = Protocol({"none": CROPS["none"]}, ((32, 3),), (8000.0,))
    monkeypatch.setitem(check_data.PROTOCOLS, "pavia_centre", small)
    rows = hidden_rows(scene(), crop="none", divide=lambda c, s: c / 8000)
    monkeypatch.setattr(check_data, "bicubic_rows", lambda name: rows)
    scipy.io.savemat(tmp_path / "Pavia.mat", {"pavia": scene().transpose(1, 2, 0)})
    return rows


def test_a_file_is_described_checked_and_its_tables_written(pavia: pd.DataFrame) -> None:
    said: list[str] = []
    check = check_data.check_data("pavia_centre", said.append)
    assert check.matching.iloc[0]["divisor"] == "8000"
    assert all(part in said[0] for part in ("Pavia.mat", "112 x 116 pixels, 5 bands"))
    check_data.write_check(check, "pavia_centre")
    folder = results_folder() / "check_data"
    assert pd.read_csv(folder / "pavia_centre.csv").loc[0, "agree"] == 12
    assert set(pd.read_csv(folder / "pavia_centre_cells.csv").metric) == set(METRICS)
    pavia.loc[0, "CC"] -= 0.001
    assert check_data.check_data("pavia_centre", said.append).matching.empty


def test_a_dataset_without_a_printed_bicubic_row_is_refused() -> None:
    with pytest.raises(ValueError, match="la_aviris"):
        check_data.check_data("la_aviris")
