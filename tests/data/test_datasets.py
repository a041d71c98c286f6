"""Datasets: names, missing files, small scenes, a user's own scene, memory while loading."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lkca.data.datasets import DATASETS, small_scenes
from lkca.data.loaders import load_dataset, missing_files, whole_scene
from lkca.data.patches import split_patches
from lkca.data.reading.scene_file import files_checksum
from lkca.data.split import Area, hot_pixel_limit, largest_valid_rectangle, normalise
from lkca.data.synthetic.scenes import synthetic_scene
from tests.data.scene_files import write_envi, write_npy, write_v5, write_v73

SMALL = [dataset.name for dataset in small_scenes()]


def declare(monkeypatch: pytest.MonkeyPatch, name: str, **facts: object) -> None:
    monkeypatch.setitem(DATASETS, name, replace(DATASETS[name], **facts))


@pytest.mark.parametrize("name", [name for name, dataset in DATASETS.items() if dataset.files and not dataset.package])
def test_missing_file_says_what_where_from_and_where_to(name: str, folder: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        load_dataset(name)
    for part in (name, *DATASETS[name].files, DATASETS[name].source, "LKCA_DATA", str(folder)):
        assert part in str(caught.value)


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match="unknown dataset 'chikusai'.*chikusei"):
        load_dataset("chikusai")
    with pytest.raises(ValueError, match="'synthetic' has no variant 'large'.*default"):
        load_dataset("synthetic", "large")


def test_synthetic_is_the_same_every_time() -> None:
    """The checksum stands in committed tables."""
    split = load_dataset("synthetic", "tiny")
    assert split.checksum == load_dataset("synthetic", "tiny").checksum
    areas = split.train + split.test
    assert [area.name for area in areas] == ["synthetic seed 0", "synthetic seed 1", "synthetic seed 2"]
    assert len({area.cube.tobytes() for area in areas}) == 3
    assert [area.cube.shape for area in areas] == [(8, 48, 48)] * 3
    assert all(area.cube.min() >= 0 and area.cube.max() <= 1 for area in areas)


def test_the_stream_validates_and_tests_on_scenes_of_its_own() -> None:
    split = load_dataset("synthetic_stream", "tiny")
    assert (len(split.train), len(split.validation), len(split.test), split.bands) == (0, 1, 2, 8)
    assert len({area.cube.tobytes() for area in split.validation + split.test}) == 3


# --- normalising and no-data


def test_largest_rectangle_against_brute_force() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        no_data = rng.random(rng.integers(1, 9, 2)) < rng.uniform(0, 0.7)
        height, width = no_data.shape
        areas = [
            (bottom - top) * (right - left)
            for top in range(height)
            for bottom in range(top + 1, height + 1)
            for left in range(width)
            for right in range(left + 1, width + 1)
            if not no_data[top:bottom, left:right].any()
        ]
        if not areas:
            with pytest.raises(ValueError, match="every pixel"):
                largest_valid_rectangle(no_data)
            continue
        rows, columns = largest_valid_rectangle(no_data)
        found = no_data[rows, columns]
        assert not found.any() and found.size == max(areas)
        assert found.shape == (rows.stop - rows.start, columns.stop - columns.start)


@pytest.mark.parametrize("side", [1, 3, 50, 120])
def test_hot_pixel_limit_is_numpys_percentile(side: int) -> None:
    rng = np.random.default_rng(side)
    cubes = [(rng.standard_normal((5, side, side + 2)) ** 3).astype(np.float32) for _ in range(2)]
    no_data = rng.random((side, side + 2)) < 0.2
    values = np.concatenate([cubes[0][:, ~no_data].ravel(), cubes[1].ravel()]).astype(float)
    limit = hot_pixel_limit([Area("a", cubes[0], no_data), Area("b", cubes[1])])
    assert limit == pytest.approx(np.percentile(values, 99.99), rel=1e-9)


@pytest.mark.parametrize("peak", [0.0, -1.0, np.nan])
def test_a_scene_without_a_positive_maximum(peak: float) -> None:
    with pytest.raises(ValueError, match="nothing to normalise by"):
        normalise(np.zeros((1, 2, 2), np.float32), peak)


# --- small scenes


def test_small_scenes_have_sensor_and_place_and_share_no_file() -> None:
    assert len(SMALL) == len(set(SMALL)) == 18
    assert all(dataset.sensor and dataset.place for dataset in small_scenes())
    files = [file for dataset in small_scenes() for file in dataset.files]
    assert len(files) == len(set(files))


@pytest.mark.parametrize(
    ("name", "height", "width", "line", "test"),
    [
        ("samson", 40, 72, 56, (40, 16)),  # to the nearest multiple of 8, cropped to one across
        ("samson", 95, 61, 71, (24, 56)),
        ("samson", 45, 44, 37, (8, 40)),
        ("own", 40, 24, 30, (10, 24)),  # to the pixel
        ("own", 24, 40, 30, (24, 10)),
        ("own", 41, 13, 30, (11, 13)),
    ],
)
def test_the_held_out_quarter_of_a_scene_tests(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, height: int, width: int, line: int, test: tuple[int, int]
) -> None:
    declare(monkeypatch, "samson", shape=(3, height, width))
    cube = np.random.default_rng(1).random((3, height, width), np.float32)
    rest, far = np.split(cube, [line], axis=1 if height >= width else 2)
    far *= 3  # brighter than what trains: it is clipped, and does not decide the peak
    path = write_v5(folder / "samson.mat", cube)
    split = load_dataset("samson" if name == "samson" else str(path))
    assert split.peak == pytest.approx(np.percentile(rest.astype(float), 99.99), rel=1e-6) and split.peak < 1
    assert split.train[0].cube == pytest.approx(np.clip(rest / split.peak, 0, 1), abs=1e-6)
    assert split.test[0].cube == pytest.approx(np.clip(far / split.peak, 0, 1)[:, : test[0], : test[1]], abs=1e-6)
    assert split.test[0].cube.shape[1:] == test and split.variant == "held-out-quarter"
    assert not split.train[0].no_data.any() and split.checksum == files_checksum([path])


def test_bands_left_out_and_constant_bands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(monkeypatch, "gs_town", shape=(6, 32, 40), left_out=((0, 2), (4, 5)))
    cube = np.random.default_rng(2).integers(1, 900, (6, 32, 40)).astype(np.int16)
    cube[3] = 7
    write_v5(folder / "gs_town.mat", cube, wavelength_nm=np.arange(6)[None] * 10.0 + 400)
    with pytest.warns(UserWarning, match=r"gs_town.mat: one value everywhere in 1 of 3 bands, .*: 2 \(index 1\)"):
        whole, wavelengths, checksum = whole_scene("gs_town")
    assert np.array_equal(whole.cube, cube[[2, 3, 5]]) and len(checksum) == 64
    assert wavelengths.tolist() == [420, 430, 450]


def test_a_package_ships_indian_pines(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorly")
    whole, wavelengths, _ = whole_scene("indian_pines")
    assert whole.cube.shape == (200, 145, 145) and (whole.cube.min(), whole.cube.max()) == (955, 9604)
    assert len(wavelengths) == 200 and (wavelengths[0], wavelengths[-1]) == (400.02, 2498.96)
    declare(monkeypatch, "indian_pines", package="no_such_package")
    assert "no_such_package" in missing_files(DATASETS["indian_pines"])
    with pytest.raises(FileNotFoundError, match="no_such_package"):
        load_dataset("indian_pines")


@pytest.mark.parametrize("name", [name for name in SMALL if name != "indian_pines"])
def test_real(name: str, real_scenes) -> None:
    """Each real file has the declared shape, no constant band is left, and every scale has patches on both sides."""
    dataset = DATASETS[name]
    real_scenes(*dataset.files)
    split = load_dataset(name)
    assert split.bands == dataset.shape[0] - sum(last - first for first, last in dataset.left_out)
    assert all(side % 8 == 0 and side >= 24 for side in split.test[0].cube.shape[1:])
    for area in split.train + split.test:
        assert area.cube.reshape(split.bands, -1).std(axis=1).min() > 1e-4
    for scale in (2, 4, 8):
        trained, held_out = split_patches(split.train, dataset.patch[scale], dataset.stride[scale])
        assert len(trained) >= 10 and len(held_out) >= 5


# --- a scene of one's own


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_own_scene_leaves_no_data_out(tmp_path: Path, bad: float) -> None:
    cube = np.random.default_rng(0).random((3, 40, 20)).astype(np.float32)
    cube[1, 5, 5] = cube[2, 33, 2] = cube[:, 37, 19] = bad
    with pytest.warns(UserWarning, match="2 pixels without data"):
        split = load_dataset(str(write_npy(tmp_path / "mine.npy", cube)))
    assert np.argwhere(split.train[0].no_data).tolist() == [[5, 5]]
    assert np.array_equal(split.train[0].cube[:, 5, 5], [0, 0, 0])
    # columns 3 to 18 of the ten test rows are the largest rectangle without rows 33 at 2 and 37 at 19
    assert split.test[0].no_data is None
    assert split.test[0].cube == pytest.approx(np.clip(cube[:, 30:40, 3:19] / split.peak, 0, 1), abs=1e-6)


def test_own_scene_leaves_bad_and_dead_bands_out(tmp_path: Path) -> None:
    cube = np.random.default_rng(0).random((4, 40, 20)).astype(np.float32)
    cube[2] = -9999
    header = write_envi(tmp_path / "mine.img", cube, bbl="{1, 0, 1, 1}", wavelength="{450, 550, 650, 750}")
    with pytest.warns(UserWarning, match=r"mine.hdr: 2 of 4 bands are used; left out: 2 .*; 3 "):
        split = load_dataset(str(header))
    assert split.bands == 2 and split.wavelengths.tolist() == [450, 750] and split.scale_factor is None
    scaled = write_envi(tmp_path / "scaled.img", cube[[0, 1]], **{"reflectance scale factor": 5000})
    assert load_dataset(str(scaled)).scale_factor == pytest.approx(5000)
    gains = write_envi(tmp_path / "gains.img", cube[[0, 1]], **{"data gain values": "{2, 3}"})
    assert load_dataset(str(gains)).scale_factor == 1  # applied while reading
    with pytest.raises(ValueError, match="mine.hdr: 0 of 4 bands"):
        load_dataset(str(write_envi(tmp_path / "mine.img", cube, bbl="{0, 0, 1, 0}")))


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (np.s_[[0, 1], 20:], "not one of its 800 pixels has data"),
        (np.s_[0, :30], "mine.npy: no pixel with data is left to train on"),
        (np.s_[0, 30:], "every pixel of the area is no-data"),
    ],
)
def test_own_scene_without_data_where_it_is_needed(tmp_path: Path, where: tuple, message: str) -> None:
    cube = np.random.default_rng(0).random((3, 40, 20)).astype(np.float32)
    cube[where] = np.nan
    if "800" in message:
        cube[2, :20] = np.nan
    with pytest.raises(ValueError, match=message):
        load_dataset(str(write_npy(tmp_path / "mine.npy", cube)))


def test_own_scene_with_its_axes_in_another_order_is_warned_of(tmp_path: Path) -> None:
    np.save(tmp_path / "bands_first.npy", synthetic_scene(40, 48, 32, seed=1).cube)
    with pytest.warns(UserWarning, match="bands_first.npy: read as 48 bands.*length 32.*BHW"):
        load_dataset(str(tmp_path / "bands_first.npy"))


def test_memory_stays_under_1_3_times_the_scene(tmp_path: Path) -> None:
    """Opening, splitting, normalising and iterating; 160 MB, as .npy and as HDF5."""
    cube = np.broadcast_to(np.random.default_rng(0).random((1000, 1000), np.float32), (40, 1000, 1000))
    write_npy(tmp_path / "scene.npy", cube)
    write_v73(tmp_path / "scene.mat", cube)
    for name in ("scene.npy", "scene.mat"):
        tracemalloc.start()
        split = load_dataset(str(tmp_path / name))
        trained, _ = split_patches(split.train, 64, 32)
        next(trained.epoch(8, np.random.default_rng(0), torch.device("cpu")))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert 1 <= peak / cube.nbytes < 1.3, name
