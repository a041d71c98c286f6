"""Datasets: names, missing files, normalisation, and how much memory loading takes."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from lkca.data.datasets import DATASETS
from lkca.data.loaders import load_dataset
from lkca.data.normalising import hot_pixel_limit, normalise, without_no_data
from lkca.data.patches import Area
from lkca.scenes import open_scene
from lkca.scenes.cube import largest_valid_rectangle, read_cube
from tests.data.scene_files import coded, write_chikusei, write_pavia


@pytest.mark.parametrize("name", [name for name, found in DATASETS.items() if found.files and not found.package])
def test_missing_file_says_what_where_from_and_where_to(name: str, folder: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        load_dataset(name)
    message = str(caught.value)
    for part in (name, *DATASETS[name].files, DATASETS[name].source, "LKCA_DATA", str(folder)):
        assert part in message


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match="unknown dataset 'chikusai': choose one of chikusei, .* or give the path"):
        load_dataset("chikusai")
    with pytest.raises(ValueError, match="'synthetic' has no reading 'large': choose one of default, "):
        load_dataset("synthetic", "large")
    with pytest.raises(FileNotFoundError, match="nowhere.mat"):
        load_dataset("nowhere.mat")


def test_synthetic_is_the_same_every_time() -> None:
    a, b = load_dataset("synthetic", "tiny"), load_dataset("synthetic", "tiny")
    assert a.checksum == b.checksum and a.checksum != ""
    for x, y in zip(a.train + a.test, b.train + b.test, strict=True):
        assert np.array_equal(x.cube, y.cube)
    assert len({x.cube.tobytes() for x in a.train + a.test}) == 3
    assert [x.cube.shape for x in a.train + a.test] == [(8, 48, 48)] * 3
    assert all(x.cube.min() >= 0 and x.cube.max() <= 1 for x in a.train + a.test)


def test_test_area_with_no_data_is_cut_to_what_has_data() -> None:
    cube = np.arange(2 * 6 * 8, dtype=np.float32).reshape(2, 6, 8)
    no_data = np.zeros((6, 8), bool)
    no_data[:, 5] = True
    with pytest.warns(UserWarning, match="6 pixels without data"):
        area = without_no_data(Area("test", cube, no_data))
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


@pytest.mark.parametrize("kind", ["npy", "mat v7.3", "mat v5"])
def test_read_cube_part(tmp_path: Path, kind: str) -> None:
    cube = coded(9, 70, 11)
    path = tmp_path / {"npy": "a.npy", "mat v7.3": "a.mat", "mat v5": "b.mat"}[kind]
    {"npy": lambda p, c: np.save(p, c), "mat v7.3": write_chikusei, "mat v5": write_pavia}[kind](path, cube)
    found, no_data = read_cube(open_scene(path), slice(3, 69), slice(2, 10), slice(1, 8))
    assert np.array_equal(found, cube[3:69, 2:10, 1:8].transpose(2, 0, 1)) and found.dtype == np.float32
    assert no_data.shape == (66, 8) and not no_data.any()


MEASURE = """
import sys, threading, time
import numpy as np, torch
from lkca.data.loaders import load_dataset
from lkca.data.patches import split_patches

def resident():
    fields = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
    return sum(int(fields[f].split()[0]) for f in ("RssAnon", "RssShmem")) * 1024

def watch():
    global peak
    while running:
        peak = max(peak, resident())
        time.sleep(0.005)

for path in sys.argv[1:3]:  # small ones: the libraries are imported now
    load_dataset(path)
for path in sys.argv[3:]:
    before = peak = resident()
    running = True
    thread = threading.Thread(target=watch)
    thread.start()
    split = load_dataset(path)
    trained, held_out = split_patches(split.train, 64, 32)
    for i, batch in enumerate(trained.epoch(8, np.random.default_rng(0), torch.device("cpu"))):
        if i == 3:
            break
    running = False
    thread.join()
    print((peak - before) / sum(a.cube.nbytes for a in split.train + split.test))
    del split, trained, held_out, batch
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured through Linux's /proc")
def test_memory_stays_under_1_3_times_the_scene(tmp_path: Path) -> None:
    """Opening, splitting, normalising and iterating, in a process of its own; 160 MB, as .npy and as HDF5."""
    bands, height, width = 40, 1000, 1000
    plane = np.random.default_rng(0).random((height, width), dtype=np.float32)
    for name, shape in (("small", (3, 40, 20)), ("large", (bands, height, width))):
        image = plane[: shape[1], : shape[2]]
        np.save(tmp_path / f"{name}.npy", np.broadcast_to(image[:, :, None], (*shape[1:], shape[0])))
        with h5py.File(tmp_path / f"{name}.mat", "w") as file:
            data = file.create_dataset("cube", (shape[0], shape[2], shape[1]), np.float32)
            for band in range(shape[0]):
                data[band] = image.T
    paths = [str(tmp_path / f"{name}.{kind}") for name in ("small", "large") for kind in ("npy", "mat")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", MEASURE, *paths]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    ratios = [float(line) for line in done.stdout.split()]
    assert len(ratios) == 2 and all(1 <= ratio < 1.3 for ratio in ratios), ratios
