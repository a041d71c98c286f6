"""Files that are damaged, something else, or made to harm: one message names the file, and no other file is read."""

import os
import tracemalloc
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import scipy.io

from lkca.data.reading.read import open_scene_file
from tests.data.scene_files import FORMATS, write_npy, write_tiff

CUBE = np.random.default_rng(0).random((6, 5, 4))


def hdf5(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["cube"] = CUBE
    return path


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("part", [0.03, 0.5, 0.97])
def test_truncated_file(kind: str, part: float, tmp_path: Path, cube: np.ndarray) -> None:
    path = FORMATS[kind](tmp_path, cube)
    data = path if path.suffix != ".hdr" else next(f for f in tmp_path.iterdir() if f.suffix != ".hdr")
    os.truncate(data, int(part * data.stat().st_size))
    with pytest.raises(ValueError, match=data.stem):
        open_scene_file(path).read()


def test_missing_file_suggests_similar_names(tmp_path: Path, cube: np.ndarray) -> None:
    write_npy(tmp_path / "houston_2018.npy", cube)
    with pytest.raises(FileNotFoundError, match="Houston2018.npy: .*houston_2018.npy"):
        open_scene_file(tmp_path / "Houston2018.npy")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        open_scene_file(tmp_path / "nowhere" / "a.npy")
    with pytest.raises(ValueError, match="folder"):
        open_scene_file(tmp_path)
    with pytest.raises(ValueError, match="~nobody at all/x"):
        open_scene_file("~nobody at all/x")


@pytest.mark.parametrize("name", ["a.jpg", "a.tif", "a.mat", "a.npy", "a.npz", "a.hdr", "a.img"])
def test_a_file_that_is_something_else(name: str, tmp_path: Path) -> None:
    for content in (b"<html>404 not found</html>" * 40, b""):
        (tmp_path / name).write_bytes(content)
        with pytest.raises((ValueError, FileNotFoundError), match=f"{tmp_path / name}: "):
            open_scene_file(tmp_path / name)


def save_v73(path: Path, array: np.ndarray) -> None:
    if array.dtype.kind == "c":
        array = array.astype(np.complex128).view([("real", "f8"), ("imag", "f8")])
    with h5py.File(path, "w") as file:
        file["data"] = array.T.astype(object if array.dtype.kind in "US" else array.dtype)


SAVERS = {
    "mat": lambda path, array: scipy.io.savemat(path, {"data": array}),
    "v73.mat": save_v73,
    "npy": np.save,
    "npz": lambda path, array: np.savez(path, data=array),
}


@pytest.mark.parametrize("ending", SAVERS)
@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((4, 5)), r"2 axes, shape \(4, 5\)"),
        (np.ones((2, 3, 4, 5)), "4 axes"),
        (np.ones((3, 4, 5), np.complex64), "complex"),
        (np.full((2, 3, 4), "text"), "of type|axes"),
    ],
    ids=["2-D", "4-D", "complex", "text"],
)
def test_an_array_that_is_no_scene(ending: str, array: np.ndarray, message: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    SAVERS[ending](path, array)
    with pytest.raises(ValueError, match=f"{path.name}: .*{message}"):
        open_scene_file(path).read()


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    objects = np.array([[[{}, 1]]], dtype=object)
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "a.npz", data=objects)
    scipy.io.savemat(tmp_path / "a.mat", {"data": objects, "s": {"x": 1.0}})
    for name in ("a.npy", "a.npz", "a.mat"):
        with pytest.raises(ValueError, match=f"{name}: .*(object|cell)"):
            open_scene_file(tmp_path / name)


def test_key_or_layout_where_they_mean_nothing(tmp_path: Path, cube: np.ndarray) -> None:
    write_npy(tmp_path / "a.npy", cube)
    write_tiff(tmp_path / "a.tif", cube)
    for name, options in (("a.npy", {"key": "x"}), ("a.tif", {"key": "x"}), ("a.tif", {"layout": "BHW"})):
        with pytest.raises(ValueError, match=f"{name}: .*key"):
            open_scene_file(tmp_path / name, **options)


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("kind", ["dangling", "looping", "external", "type", "null"])
def test_hdf5_with_what_is_no_array(kind: str, beside: bool, tmp_path: Path) -> None:
    path = tmp_path / "scene.mat"
    with h5py.File(path, "w") as file:
        if kind == "dangling":
            file["bad"] = h5py.SoftLink("/nowhere")
        elif kind == "looping":
            file["bad"] = h5py.SoftLink("/bad")
        elif kind == "external":
            file["bad"] = h5py.ExternalLink(str(hdf5(tmp_path / "other.h5")), "/cube")
        elif kind == "type":
            file["bad"] = np.dtype("f8")
        else:
            file.create_dataset("bad", dtype="f8", shape=None)
        if beside:
            file["good"] = CUBE
    if beside:
        assert open_scene_file(path).shape == (6, 4, 5)
    with pytest.raises(ValueError, match="scene.mat: bad"):
        open_scene_file(path, key="bad")


@pytest.mark.parametrize("kind", ["raw", "virtual"])
def test_hdf5_reads_no_other_files(kind: str, tmp_path: Path) -> None:
    path, secret = tmp_path / "scene.mat", tmp_path / "secret"
    secret.write_bytes(CUBE.tobytes())
    with h5py.File(path, "w") as file:
        if kind == "raw":
            file.create_dataset("cube", CUBE.shape, "f8", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
        else:
            layout = h5py.VirtualLayout(CUBE.shape, "f8")
            layout[:] = h5py.VirtualSource(str(hdf5(tmp_path / "other.h5")), "cube", CUBE.shape)
            file.create_virtual_dataset("cube", layout)
    with pytest.raises(ValueError, match="scene.mat: .*other files"):
        open_scene_file(path)


@pytest.mark.parametrize("header", ["{'descr': '<f8', 'fortran_order': False, 'shape': (6, 5, 4", "\x00(", "{", "'''"])
def test_damaged_start_of_npy(header: str, tmp_path: Path) -> None:
    text = header.encode("latin-1").ljust(117) + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + CUBE.tobytes()
    (tmp_path / "scene.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "scene.npz", "w") as archive:
        archive.writestr("cube.npy", content)
    for name in ("scene.npy", "scene.npz"):
        with pytest.raises(ValueError, match=f"{name}: not a"):
            open_scene_file(tmp_path / name)


def test_nothing_is_allocated_before_it_is_known_to_be_there(tmp_path: Path) -> None:
    text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 100000, 1000)}".ljust(117) + b"\n"
    (tmp_path / "s.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
    tracemalloc.start()
    with pytest.raises(ValueError, match="s.npy: truncated"):
        open_scene_file(tmp_path / "s.npy")
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_tiff_of_too_many_bands_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "scene.tif"
    shape = {"width": 1, "height": 1, "count": 20_000, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", interleave="pixel", SPARSE_OK=True, **shape):
        pass
    with pytest.raises(ValueError, match="scene.tif: .*20000 bands"):
        open_scene_file(path)


@pytest.mark.parametrize("kind", ["pages", "alpha", "mask"])
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_tiffs_whose_parts_would_be_lost_are_refused(kind: str, tmp_path: Path, cube: np.ndarray) -> None:
    path = write_tiff(tmp_path / "a.tif", cube, alpha="yes" if kind == "alpha" else "no")
    if kind == "pages":
        write_tiff(path, cube, append_subdataset="yes")
    elif kind == "mask":
        with rasterio.open(path, "r+") as raster:
            raster.write_mask(np.eye(70, 6, dtype=bool))
    with pytest.raises(ValueError, match=f"a.tif: has .*{kind}"):
        open_scene_file(path)
