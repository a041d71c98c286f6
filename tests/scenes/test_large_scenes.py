"""Nothing of a scene is read before it is needed, and nothing is held twice."""

import os
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import scipy.io

from lkca.scenes import open_scene
from tests.scenes.scene_files import (
    write_envi,
    write_npy,
    write_tiff,
    write_v5,
    write_v73,
)


def huge_envi(folder: Path, interleave: str) -> Path:
    header = write_envi(folder / "a.img", np.zeros((1, 1, 1), np.uint16), interleave)
    sizes = header.read_text().replace("samples = 1", "samples = 40000").replace("lines = 1", "lines = 40000")
    header.write_text(sizes.replace("bands = 1\n", "bands = 200\n"))
    os.truncate(folder / "a.img", 40000 * 40000 * 200 * 2)
    return header


def huge_npy(folder: Path) -> Path:
    with (folder / "a.npy").open("wb") as stream:
        np.lib.format.write_array_header_1_0(
            stream, {"descr": "<u2", "fortran_order": False, "shape": (40000, 40000, 200)}
        )
        stream.truncate(stream.tell() + 40000 * 40000 * 200 * 2)
    return folder / "a.npy"


def huge_v73(folder: Path) -> Path:
    with h5py.File(folder / "a.mat", "w") as file:
        file.create_dataset("chikusei", (200, 40000, 40000), np.uint16, chunks=(8, 64, 64))
    return folder / "a.mat"


def huge_tiff(folder: Path) -> Path:
    options = {"sparse_ok": True, "bigtiff": True, "tiled": True, "interleave": "band"}
    size = {"count": 200, "height": 40000, "width": 40000, "dtype": "uint16"}
    with (
        pytest.warns(rasterio.errors.NotGeoreferencedWarning),
        rasterio.open(folder / "a.tif", "w", driver="GTiff", **size, **options) as raster,
    ):
        raster.write(np.zeros((1, 256, 256), np.uint16), [1], window=((0, 256), (0, 256)))
    return folder / "a.tif"


@pytest.mark.parametrize(
    "write",
    [lambda f: huge_envi(f, "bsq"), lambda f: huge_envi(f, "bip"), huge_npy, huge_v73, huge_tiff],
    ids=["bsq", "bip", "npy", "v7.3", "tiff"],
)
def test_a_scene_of_640_gigabytes_opens_and_gives_a_window(write, tmp_path):
    scene = open_scene(write(tmp_path))
    assert scene.shape == (200, 40000, 40000)
    window = scene.read(slice(39998, 40000), slice(20000, 20003), [0, 199])
    np.testing.assert_array_equal(window, np.zeros((2, 2, 3)))
    assert "cube" not in scene.__dict__


def test_matlab_v5_is_described_without_its_data(tmp_path, cube, monkeypatch):
    path = write_v5(tmp_path / "a.mat", cube)
    monkeypatch.setattr(scipy.io, "loadmat", lambda *a, **k: pytest.fail("read before it was needed"))
    assert open_scene(path).shape == cube.shape


@pytest.mark.parametrize(
    "write",
    [
        lambda f, cube: write_envi(f / "a.img", cube, "bip", **{"data ignore value": 7}),
        lambda f, cube: write_npy(f / "a.npy", cube),
        lambda f, cube: write_v73(f / "a.mat", cube, chunks=(8, 8, 8)),
        lambda f, cube: write_v73(f / "a.mat", cube),
        lambda f, cube: write_tiff(f / "a.tif", cube, nodata=7),
    ],
    ids=["bip", "npy", "v7.3 chunked", "v7.3", "tiff"],
)
def test_no_second_copy_of_the_cube_in_memory(write, tmp_path):
    cube = np.ones((160, 1000, 40), np.float32)
    scene = open_scene(write(tmp_path, cube))
    tracemalloc.start()
    assert not scene.mask.any()  # reads the cube
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert cube.nbytes <= scene.cube.nbytes < peak < 1.15 * cube.nbytes
