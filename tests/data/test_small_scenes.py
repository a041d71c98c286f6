"""The small real scenes: their declarations, and how one is split; on fakes in their formats, and on the real ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from lkca.data import datasets
from lkca.data.datasets import DATASETS
from lkca.data.files import missing_files
from lkca.data.loaders import load_dataset, sensor_scenes, whole_scene
from lkca.data.patches import split_patches

NAMES = [dataset.name for dataset in sensor_scenes()]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LKCA_DATA", str(tmp_path))
    return tmp_path


def declared(monkeypatch: pytest.MonkeyPatch, name: str, **facts: object) -> None:
    monkeypatch.setitem(datasets.DATASETS, name, replace(DATASETS[name], **facts))


def test_scenes_come_in_a_fixed_order_with_sensor_and_place() -> None:
    assert NAMES[:5] == ["abu-airport-1", "abu-airport-3", "abu-urban-4", "abu-urban-5+airport-2", "abu-beach-1"]
    assert NAMES[-1] == "hysu" and len(NAMES) == len(set(NAMES)) == 18
    assert all(dataset.sensor and dataset.place for dataset in sensor_scenes())
    left = sensor_scenes(without_sensor="AVIRIS")
    assert [d.sensor for d in left] == ["ROSIS", "HYDICE", "CASI", "SAMSON", "HySpex"]
    with pytest.raises(ValueError, match="sensor 'EO-1': choose one of AVIRIS, ROSIS"):
        sensor_scenes(without_sensor="EO-1")


def test_ground_shared_by_two_files_is_in_one_scene_alone() -> None:
    """urban-5 and airport-2 overlap: no other declaration may use either, and the shared columns come once."""
    users = [d.name for d in sensor_scenes() if {"abu-urban-5.mat", "abu-airport-2.mat"} & set(d.files)]
    assert users == ["abu-urban-5+airport-2"]
    assert DATASETS[users[0]].side_by_side == ((0, 80), (0, 100))


def test_joined_without_the_shared_columns(folder: Path) -> None:
    rng = np.random.default_rng(0)
    left, right = (rng.integers(1, 3000, (100, 100, 205)).astype(np.int16) for _ in range(2))
    right[:, :20] = left[:, 80:]
    scipy.io.savemat(folder / "abu-urban-5.mat", {"data": left})
    scipy.io.savemat(folder / "abu-airport-2.mat", {"data": right})
    whole, _, _ = whole_scene("abu-urban-5+airport-2")
    assert np.array_equal(whole.cube, np.concatenate([left[:, :80], right], axis=1).transpose(2, 0, 1))
    assert len(np.unique(whole.cube[:9].reshape(9, -1).T, axis=0)) == 100 * 180  # no pixel twice


@pytest.mark.parametrize(("height", "width", "test"), [(40, 72, (40, 16)), (95, 61, (24, 56)), (45, 44, (8, 40))])
def test_far_quarter_tests(
    folder: Path, monkeypatch: pytest.MonkeyPatch, height: int, width: int, test: tuple[int, int]
) -> None:
    """The quarter to the nearest multiple of 8, its breadth cut to one; the peak is the training part's."""
    declared(monkeypatch, "samson", shape=(3, height, width))
    cube = np.random.default_rng(1).random((height, width, 3), np.float32)
    axis = 0 if height >= width else 1
    depth = test[axis]
    far = cube[height - depth :] if axis == 0 else cube[:, width - depth :]
    far *= 3  # brighter than what trains: it is clipped, and does not decide the peak
    scipy.io.savemat(folder / "samson.mat", {"data": cube})
    split = load_dataset("samson")
    (train,), (tested,) = split.train, split.test
    rest = cube[: height - depth] if axis == 0 else cube[:, : width - depth]
    assert split.peak == pytest.approx(np.percentile(rest.astype(float), 99.99), rel=1e-6) and split.peak < 1
    assert train.cube == pytest.approx(np.clip(rest / split.peak, 0, 1).transpose(2, 0, 1), abs=1e-6)
    wanted = np.clip(far / split.peak, 0, 1).transpose(2, 0, 1)[:, : test[0], : test[1]]
    assert tested.cube.shape[1:] == test and tested.cube == pytest.approx(wanted, abs=1e-6)


def test_bands_left_out_and_their_wavelengths(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declared(monkeypatch, "gs_town", shape=(6, 32, 40), left_out=((0, 2), (4, 5)))
    cube = np.random.default_rng(2).integers(1, 900, (32, 40, 6)).astype(np.int16)
    scipy.io.savemat(folder / "gs_town.mat", {"data": cube, "wavelength_nm": np.arange(6)[None] * 10.0 + 400})
    whole, wavelengths, checksum = whole_scene("gs_town")
    assert np.array_equal(whole.cube, cube.transpose(2, 0, 1)[[2, 3, 5]]) and len(checksum) == 64
    assert wavelengths.tolist() == [420, 430, 450]


def test_a_package_ships_indian_pines(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorly")
    whole, wavelengths, _ = whole_scene("indian_pines")
    assert whole.cube.shape == (200, 145, 145) and (whole.cube.min(), whole.cube.max()) == (955, 9604)
    assert len(wavelengths) == 200 and (wavelengths[0], wavelengths[-1]) == (400.02, 2498.96)
    declared(monkeypatch, "indian_pines", package="no_such_package")
    assert missing_files(DATASETS["indian_pines"]) == "the Python package no_such_package is not installed"
    with pytest.raises(FileNotFoundError, match="no_such_package is not installed.*\n.*tensorly"):
        load_dataset("indian_pines")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "indian_pines"])
def test_real(name: str, real_scenes) -> None:
    """Each real file has the declared shape, no constant band is left, and every scale has patches on both sides."""
    dataset = DATASETS[name]
    real_scenes(*dataset.files)
    split = load_dataset(name)
    (train,), (test,) = split.train, split.test
    assert split.bands == dataset.shape[0] - sum(last - first for first, last in dataset.left_out)
    assert all(side % 8 == 0 and side >= 24 for side in test.cube.shape[1:])
    assert test.cube.reshape(split.bands, -1).std(axis=1).min() > 1e-4
    assert train.cube.reshape(split.bands, -1).std(axis=1).min() > 1e-4
    for scale in (2, 4, 8):
        trained, held_out = split_patches(split.train, dataset.patch[scale], dataset.stride[scale])
        assert len(trained) >= 10 and len(held_out) >= 5


def test_jasper_ridge_leaves_out_what_its_file_says(real_scenes) -> None:
    listed = scipy.io.loadmat(real_scenes("jasper_ridge.mat") / "jasper_ridge.mat")["good_bands"].ravel()
    kept = [b for b in range(224) if not any(first <= b < last for first, last in DATASETS["jasper_ridge"].left_out)]
    assert np.array_equal(listed - 1, kept)
