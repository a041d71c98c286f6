"""Datasets: names, missing files, normalisation, small scenes, a user's own scene, memory while loading."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch

from lkca.data.datasets import DATASETS, find_dataset, load_dataset, small_scenes, whole_scene
from lkca.data.loaders import missing_files
from lkca.data.patches import split_patches
from lkca.data.split import Area, crop_no_data, hot_pixel_limit, largest_valid_rectangle, normalise
from tests.data.scene_files import coded, write_envi, write_npy, write_v5, write_v73

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


def test_test_area_with_no_data_is_cropped_to_what_has_data() -> None:
    cube = np.arange(2 * 6 * 8, dtype=np.float32).reshape(2, 6, 8)
    no_data = np.zeros((6, 8), bool)
    no_data[:, 5] = True
    with pytest.warns(UserWarning, match="6 pixels without data"):
        area = crop_no_data(Area("test", cube, no_data))
    assert np.array_equal(area.cube, cube[:, :, :5])


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


def test_normalise_clips_in_place() -> None:
    cube = np.array([[[-1.0, 0.0, 2.0, 5.0]]], np.float32)
    assert normalise(cube, 4.0) is cube
    assert cube.ravel().tolist() == [0, 0, 0.5, 1]
    for peak in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="nothing to normalise by"):
            normalise(cube, peak)


# --- small scenes


def test_small_scenes_come_in_a_fixed_order_with_sensor_and_place() -> None:
    assert SMALL[:5] == ["abu-airport-1", "abu-airport-3", "abu-urban-4", "abu-urban-5+airport-2", "abu-beach-1"]
    assert SMALL[-1] == "hysu" and len(SMALL) == len(set(SMALL)) == 18
    assert all(dataset.sensor and dataset.place for dataset in small_scenes())


def test_ground_shared_by_two_files_is_in_one_scene_only(folder: Path) -> None:
    """urban-5 and airport-2 overlap: no other declaration may use either, and the shared columns come once."""
    users = [d.name for d in small_scenes() if {"abu-urban-5.mat", "abu-airport-2.mat"} & set(d.files)]
    assert users == ["abu-urban-5+airport-2"]
    left, right = np.random.default_rng(0).integers(1, 3000, (2, 205, 100, 100)).astype(np.int16)
    right[:, :, :20] = left[:, :, 80:]
    write_v5(folder / "abu-urban-5.mat", left)
    write_v5(folder / "abu-airport-2.mat", right)
    whole, _, _ = whole_scene("abu-urban-5+airport-2")
    assert np.array_equal(whole.cube, np.concatenate([left[:, :, :80], right], axis=2))
    assert len(np.unique(whole.cube[:9].reshape(9, -1).T, axis=0)) == 100 * 180  # no pixel twice


@pytest.mark.parametrize(("height", "width", "test"), [(40, 72, (40, 16)), (95, 61, (24, 56)), (45, 44, (8, 40))])
def test_the_held_out_quarter_of_a_small_scene_tests(
    folder: Path, monkeypatch: pytest.MonkeyPatch, height: int, width: int, test: tuple[int, int]
) -> None:
    """It is the quarter to the nearest multiple of 8, cropped to one across; the peak is the training part's."""
    declare(monkeypatch, "samson", shape=(3, height, width))
    cube = np.random.default_rng(1).random((3, height, width), np.float32)
    axis = 0 if height >= width else 1
    line = max(height, width) - test[axis]
    rest, far = np.split(cube, [line], axis=axis + 1)
    far *= 3  # brighter than what trains: it is clipped, and does not decide the peak
    write_v5(folder / "samson.mat", cube)
    split = load_dataset("samson")
    assert split.peak == pytest.approx(np.percentile(rest.astype(float), 99.99), rel=1e-6) and split.peak < 1
    assert split.train[0].cube == pytest.approx(np.clip(rest / split.peak, 0, 1), abs=1e-6)
    assert split.test[0].cube.shape[1:] == test
    assert split.test[0].cube == pytest.approx(np.clip(far / split.peak, 0, 1)[:, : test[0], : test[1]], abs=1e-6)


def test_bands_left_out_and_their_wavelengths(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(monkeypatch, "gs_town", shape=(6, 32, 40), left_out=((0, 2), (4, 5)))
    cube = np.random.default_rng(2).integers(1, 900, (6, 32, 40)).astype(np.int16)
    write_v5(folder / "gs_town.mat", cube, wavelength_nm=np.arange(6)[None] * 10.0 + 400)
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


@pytest.mark.parametrize(("height", "width"), [(40, 24), (24, 40), (20, 20), (41, 13)])
def test_own_scene(tmp_path: Path, height: int, width: int) -> None:
    cube = coded(4, height, width)
    split = load_dataset(str(write_npy(tmp_path / "mine.npy", cube)))
    axis = 0 if height >= width else 1
    rest, far = np.split(cube, [3 * max(height, width) // 4], axis=axis + 1)
    assert split.peak == pytest.approx(np.percentile(rest.astype(float), 99.99), rel=1e-6)
    assert split.train[0].cube == pytest.approx(np.clip(rest / split.peak, 0, 1), abs=1e-6)
    assert split.test[0].cube == pytest.approx(np.clip(far / split.peak, 0, 1), abs=1e-6)
    assert split.variant == "held-out-quarter" and not split.train[0].no_data.any()
    assert find_dataset(str(tmp_path / "mine.npy")).patch.keys() == {2, 4, 8}


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
    assert split.bands == 2 and split.wavelengths.tolist() == [450, 750]
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


def test_own_scene_with_its_axes_in_another_order_is_warned_of(tmp_path: Path, real_scenes) -> None:
    cube = scipy.io.loadmat(real_scenes("samson.mat") / "samson.mat")["data"]
    np.save(tmp_path / "bands_first.npy", cube.transpose(2, 0, 1))
    with pytest.warns(UserWarning, match="bands_first.npy: read as 95 bands.*length 156.*BHW|BWH"):
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
