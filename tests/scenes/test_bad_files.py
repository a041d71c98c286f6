"""Bad scene files: one error that names the file, what was found and what to do."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from lkca.scenes import open_scene
from tests.scenes.scene_files import (
    WRITERS,
    write_envi,
    write_npy,
    write_tiff,
    write_tiff_pair,
)


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("part", [0.03, 0.5, 0.97])
def test_truncated_file(kind, part, tmp_path, cube):
    path = WRITERS[kind](tmp_path, cube)
    data = path if path.suffix != ".hdr" else next(f for f in tmp_path.iterdir() if f.suffix != ".hdr")
    os.truncate(data, int(part * data.stat().st_size))
    with pytest.raises(ValueError, match=r"truncated|damaged|whole|readable") as error:
        open_scene(path).cube  # noqa: B018
    assert data.stem in str(error.value) and "again" in str(error.value)


def test_missing_file_suggests_similar_names(tmp_path, cube):
    write_npy(tmp_path / "houston_2018.npy", cube)
    with pytest.raises(FileNotFoundError, match=r"Houston2018.npy: no such file. Did you mean houston_2018.npy\?"):
        open_scene(tmp_path / "Houston2018.npy")
    with pytest.raises(FileNotFoundError, match="nowhere does not exist either"):
        open_scene(tmp_path / "nowhere" / "a.npy")
    with pytest.raises(ValueError, match="a folder, expected a scene file"):
        open_scene(tmp_path)


@pytest.mark.parametrize(
    "name, message",
    [
        ("a.jpg", "not a scene.*suffix '.jpg'.*Expected: MATLAB"),
        ("a.tif", "not a TIFF file, though its name says so: it starts with b'<html>"),
        ("a.mat", "not a .mat file, or truncated"),
        ("a.npy", "not a .npy file"),
        ("a.npz", "not a whole .npz file"),
        ("a.hdr", "not an ENVI header"),
        ("a.img", "ENVI data without its header. Expected a.hdr or a.img.hdr"),
    ],
)
def test_a_file_that_is_something_else(name, message, tmp_path):
    (tmp_path / name).write_text("<html>404 not found</html>" * 40)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        open_scene(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ValueError, match=f"{name}: the file is empty"):
        open_scene(tmp_path / name)


def save_mat(path: Path, array: np.ndarray) -> None:
    scipy.io.savemat(path, {"data": array})


def save_v73(path: Path, array: np.ndarray) -> None:
    if array.dtype.kind == "c":
        array = array.astype(np.complex128).view([("real", "f8"), ("imag", "f8")])
    with h5py.File(path, "w") as file:
        file["data"] = array.T.astype(object if array.dtype.kind in "US" else array.dtype)


SAVERS = {
    "mat": save_mat,
    "v73.mat": save_v73,
    "npy": np.save,
    "npz": lambda path, array: np.savez(path, data=array),
}


@pytest.mark.parametrize("ending", SAVERS)
@pytest.mark.parametrize(
    "array, message",
    [
        (np.ones((4, 5)), r"2 axes, shape \(4, 5\); a scene has three"),
        (np.ones((2, 3, 4, 5)), r"4 axes, shape \(.*\); a scene has three"),
        (np.ones((3, 4, 5), np.complex64), "complex numbers"),
        (np.full((2, 3, 4), "text"), "of type|a scene has three"),
    ],
    ids=["2-D", "4-D", "complex", "text"],
)
def test_an_array_that_is_no_scene(ending, array, message, tmp_path):
    path = tmp_path / f"a.{ending}"
    SAVERS[ending](path, array)
    with pytest.raises(ValueError, match=message) as error:
        open_scene(path).cube  # noqa: B018
    assert str(path) in str(error.value)


def test_objects_are_never_unpickled(tmp_path):
    objects = np.array([[[{}, 1]]], dtype=object)
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "a.npz", data=objects)
    scipy.io.savemat(tmp_path / "a.mat", {"data": objects, "s": {"x": 1.0}})
    for name in ("a.npy", "a.npz"):
        with pytest.raises(ValueError, match=f"{name}: .* is of type object"):
            open_scene(tmp_path / name)
    with pytest.raises(ValueError, match=r"no 3-D array of real numbers.*It holds: data \(1, 1, 2\) cell, s"):
        open_scene(tmp_path / "a.mat")


def test_key_or_layout_where_they_mean_nothing(tmp_path, cube):
    write_npy(tmp_path / "a.npy", cube)
    write_tiff(tmp_path / "a.tif", cube)
    for name in ("a.npy", "a.tif"):
        with pytest.raises(ValueError, match=f"{name}: key 'data' was given.*leave it out"):
            open_scene(tmp_path / name, key="data")
    with pytest.raises(ValueError, match="a.tif: layout 'BHW' was given.*leave it out"):
        open_scene(tmp_path / "a.tif", layout="BHW")


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"lines": None}, 'a.hdr: .*"lines" missing.*mend the header'),
        ({"interleave": None}, '"interleave" missing'),
        ({"interleave": "zigzag"}, "interleave is 'ZIGZAG', expected one of bsq, bil, bip"),
        ({"data type": 99}, "unknown value '99'"),
        ({"data type": 6}, "complex numbers"),
        ({"bands": "five"}, "five"),
        ({"bands": 0}, "empty"),
        ({"bands": 6}, "a.img: truncated: 4200 bytes, but a.hdr describes 5040"),
        ({"file compression": 1}, "compressed"),
        ({"band names": "{never closed"}, "breaks off"),
    ],
)
def test_bad_envi_header(fields, message, tmp_path, cube):
    with pytest.raises(ValueError, match=message) as error:
        open_scene(write_envi(tmp_path / "a.img", cube, **fields))
    assert str(tmp_path / "a.") in str(error.value)


def test_half_an_envi_pair(tmp_path, cube):
    header = write_envi(tmp_path / "a.img", cube)
    (tmp_path / "a.img").rename(tmp_path / "b.img")
    (tmp_path / "a.txt").write_text("a note")
    with pytest.raises(FileNotFoundError, match=r"a.hdr: ENVI header without its data.*4200 bytes; found a.txt"):
        open_scene(header)
    with pytest.raises(FileNotFoundError, match="b.img: ENVI data without its header. Expected b.hdr or b.img.hdr"):
        open_scene(tmp_path / "b.img")
    pair = write_tiff_pair(tmp_path / "c.tif", cube)
    write_tiff(tmp_path / "c.tif", cube[:3])
    for path in (pair, tmp_path / "c.tif"):
        with pytest.raises(ValueError, match=r"c.hdr: says .*\(5, 70, 6\), but c.tif has \(3, 70, 6\)"):
            open_scene(path)


def test_envi_data_longer_than_described(tmp_path, cube):
    header = write_envi(tmp_path / "a.img", cube, bands=4)
    with pytest.warns(UserWarning, match="a.img: 840 bytes more than a.hdr describes"):
        scene = open_scene(header)
    np.testing.assert_array_equal(scene.cube, cube[:4])
