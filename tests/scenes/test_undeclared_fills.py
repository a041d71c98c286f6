"""Fill values that a file does not declare are no data, counted in a warning; what can be data stays."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from lkca.scenes import open_scene
from lkca.scenes.bands import bands_without_data
from lkca.scenes.cube import read_cube
from lkca.scenes.no_data import missing_pixels
from lkca.scenes.picture import NO_DATA, picture
from lkca.sharpening.upscale import upscale


def scene(path: Path, dtype: str, fill: float) -> tuple[Path, np.ndarray]:
    """(H, W, B) with one pixel that has the fill value in one band."""
    cube = np.random.default_rng(0).integers(100, 9000, (12, 11, 3)).astype(dtype)
    cube[4, 5, 1] = fill
    np.save(path, cube)
    return path, cube


CASES = [
    ("float32", -3.4e38),
    ("float64", -1.7e308),
    ("float64", -9999.0),
    ("float32", 9.97e36),
    ("float32", -32768.0),
    ("int16", -32768),
    ("int16", -9999),
    ("int32", -(2**31)),
    ("int32", -99999),
]


@pytest.mark.parametrize(("dtype", "fill"), CASES)
def test_fill_value_is_no_data_and_counted(dtype: str, fill: float, tmp_path: Path) -> None:
    path, cube = scene(tmp_path / "s.npy", dtype, fill)
    with pytest.warns(UserWarning, match="s.npy: 1 of 132 pixels have a value that cannot be data"):
        read, missing = read_cube(open_scene(path))
    assert missing.sum() == 1 and missing[4, 5] and (read[:, 4, 5] == 0).all() and np.isfinite(read).all()
    assert np.array_equal(open_scene(path).mask, missing)


@pytest.mark.parametrize(("dtype", "fill"), CASES)
def test_sharpened_it_changes_nothing_around_it(dtype: str, fill: float, tmp_path: Path) -> None:
    path, cube = scene(tmp_path / "s.npy", dtype, fill)
    with pytest.warns(UserWarning, match="1 of 132 pixels have a value that cannot be data"):
        done = upscale(path, tmp_path / "out.img", "bicubic", 2, log=str)
    assert done.no_data == 4
    filled = open_scene(tmp_path / "out.img").cube
    hole = np.zeros(filled.shape[1:], bool)
    hole[8:10, 10:12] = True
    if cube.dtype.kind == "f":
        assert np.isnan(filled[:, hole]).all()
    else:
        assert (filled[:, hole] == fill).all()
    rest = filled[:, ~hole].astype(float)
    assert np.isfinite(rest).all() and rest.min() > -4000 and rest.max() < 13_000
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.save(tmp_path / "clean.npy", np.where(cube == cube[4, 5, 1], cube[4, 4, 1], cube))
        upscale(tmp_path / "clean.npy", tmp_path / "clean.img", "bicubic", 2, log=str)
    far = np.s_[:, 16:, :]
    assert np.array_equal(filled[far], open_scene(tmp_path / "clean.img").cube[far])


@pytest.mark.parametrize(
    ("dtype", "value"), [("uint16", 65535), ("uint8", 0), ("int8", -128), ("int16", 32767), ("float32", -1e9)]
)
def test_what_can_be_data_stays(dtype: str, value: float) -> None:
    cube = np.ones((2, 3, 4), dtype)
    cube[0, 0, 0] = value
    missing, undeclared = missing_pixels(cube, None)
    assert not missing.any() and not undeclared.any()


def test_a_declared_value_is_not_called_undeclared() -> None:
    cube = np.ones((2, 3, 4), np.int16)
    cube[0, 0, 0] = -9999
    missing, undeclared = missing_pixels(cube, -9999)
    assert missing.sum() == 1 and not undeclared.any()


def test_the_same_rule_holds_for_a_band_and_for_a_picture(tmp_path: Path) -> None:
    """A band of fill values alone has no data, and pixels of them are grey, not the darkest of the picture."""
    path, cube = scene(tmp_path / "s.npy", "float32", -9999)
    cube[..., 2] = -9999
    np.save(path, cube)
    assert bands_without_data(open_scene(path), range(3)) == [2]
    path, _ = scene(path, "float32", -9999)
    grey = (picture(open_scene(path), (0, 1, 2)) == NO_DATA).all(axis=-1)
    assert grey[4, 5] and grey.sum() == 1
