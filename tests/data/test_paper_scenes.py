"""The paper's three scenes, on small fakes in the exact real formats."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lkca.data import datasets
from lkca.data.datasets import DATASETS
from lkca.data.loaders import load_dataset
from lkca.data.split import Dataset, Reading
from tests.data.scene_files import coded, write_chikusei, write_houston, write_pavia

WRITERS = {"chikusei": write_chikusei, "houston2018": write_houston, "pavia_centre": write_pavia}
SMALL = {  # shape, rows, columns, bands, reading
    "chikusei": ((6, 40, 60), (3, 35), (5, 53), None, Reading(8, 4)),
    "houston2018": ((50, 20, 45), None, None, (0, 48), Reading(8, 5)),
    "pavia_centre": ((6, 40, 30), None, None, None, Reading(9, 3, 4000.0)),
}


@pytest.fixture(params=WRITERS)
def big(request, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Dataset, np.ndarray]:
    """A declaration with small numbers, its file, and the (H, W, B) array in it."""
    name = request.param
    shape, rows, columns, bands, reading = SMALL[name]
    small = replace(DATASETS[name], shape=shape, rows=rows, columns=columns, bands=bands, readings={"small": reading})
    monkeypatch.setitem(datasets.DATASETS, name, small)
    cube = coded(*shape)
    WRITERS[name](folder / small.files[0], cube)
    return small, cube


def test_big_scene_crop_tests_and_peak(big: tuple[Dataset, np.ndarray]) -> None:
    dataset, cube = big
    split = load_dataset(dataset.name)
    top, bottom = dataset.rows or (0, cube.shape[0])
    left, right = dataset.columns or (0, cube.shape[1])
    first, last = dataset.bands or (0, cube.shape[2])
    reading = dataset.readings["small"]
    crop = cube[top:bottom, left:right, first:last].transpose(2, 0, 1)
    peak = reading.peak or crop.max()
    wanted = np.clip(crop / peak, 0, 1)
    assert split.peak == peak and wanted.max() == 1
    if reading.peak:
        assert crop.max() > peak  # so something was clipped
    size = reading.test_size
    assert len(split.test) == reading.tests
    for i, test in enumerate(split.test):
        assert test.cube == pytest.approx(wanted[:, :size, i * size : (i + 1) * size], abs=1e-6)
        assert test.cube.shape[1:] == (size, size)
    (train,) = split.train
    assert train.cube == pytest.approx(wanted[:, size:], abs=1e-6)
    assert train.cube.dtype == np.float32 and split.bands == last - first
    assert all(np.shares_memory(area.cube.base, train.cube.base) for area in split.test)  # one array, no copies


def test_big_scene_wavelengths(big: tuple[Dataset, np.ndarray]) -> None:
    dataset, _ = big
    split = load_dataset(dataset.name)
    assert len(split.wavelengths) == split.bands and np.all(np.diff(split.wavelengths) > 0)
    if dataset.name == "houston2018":  # the file's own, without the last two
        assert split.wavelengths == pytest.approx(np.linspace(374.4, 1059.7, 50)[:48], abs=0.06)
    else:
        assert (split.wavelengths[0], split.wavelengths[-1]) == dataset.wavelength_range
    assert all(0 <= band < split.bands for band in split.rgb)


def test_big_scene_of_another_size(big: tuple[Dataset, np.ndarray], folder: Path) -> None:
    dataset, cube = big
    file = folder / dataset.files[0]
    WRITERS[dataset.name](file, cube[:-1]) if dataset.name != "houston2018" else (
        file.unlink(),
        file.with_suffix(".pix").unlink(),
        write_houston(file, cube[:-1]),
    )
    b, h, w = dataset.shape
    with pytest.raises(ValueError, match=rf"{file.name} .*\({b}, {h - 1}, {w}\).* has \({b}, {h}, {w}\).*original"):
        load_dataset(dataset.name)


@pytest.mark.parametrize("name", ["chikusei", "pavia_centre"])
def test_big_scene_under_another_key(name: str, folder: Path) -> None:
    file = folder / DATASETS[name].files[0]
    WRITERS[name](file, coded(3, 8, 9), key="cube")
    with pytest.raises(ValueError, match=rf"{file.name}.*{DATASETS[name].key}.*cube"):
        load_dataset(name)


def test_big_scene_truncated(big: tuple[Dataset, np.ndarray], folder: Path) -> None:
    dataset, _ = big
    file = folder / dataset.files[-1]
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=file.stem):
        load_dataset(dataset.name)


def test_constant_band_is_said(big: tuple[Dataset, np.ndarray], folder: Path) -> None:
    dataset, cube = big
    cube[:, :, 2] = 7
    for file in folder.iterdir():
        file.unlink()
    WRITERS[dataset.name](folder / dataset.files[0], cube)
    with pytest.warns(UserWarning, match=r"one value everywhere .*index 2"):
        assert load_dataset(dataset.name).train[0].cube[2].std() == pytest.approx(0, abs=1e-8)


def test_declared_protocols() -> None:
    """The numbers of the published protocols."""
    chikusei = DATASETS["chikusei"]
    assert chikusei.rows[1] - chikusei.rows[0] == 2304 and chikusei.columns[1] - chikusei.columns[0] == 2048
    assert (chikusei.rows[0] + 1, chikusei.columns[0] + 1) == (107, 144)  # 1-based
    for name, bands in (("chikusei", 128), ("houston2018", 48), ("pavia_centre", 102)):
        dataset = DATASETS[name]
        b, h, w = dataset.shape
        first, last = dataset.bands or (0, b)
        assert last - first == bands
        height = (dataset.rows or (0, h))[1] - (dataset.rows or (0, h))[0]
        width = (dataset.columns or (0, w))[1] - (dataset.columns or (0, w))[0]
        for reading in dataset.readings.values():
            assert reading.test_size * reading.tests <= width
            assert height - reading.test_size >= max(dataset.patch.values())
            assert all(reading.test_size % scale == 0 for scale in dataset.patch)
