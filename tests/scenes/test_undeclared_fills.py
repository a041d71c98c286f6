"""Fill values that a file does not declare are no data, counted in a warning; what can be data stays."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lkca.scenes import open_scene
from lkca.scenes.bands import bands_without_data
from lkca.scenes.cube import read_cube
from lkca.scenes.no_data import far_limit, missing_pixels
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


def reflectances(folder: Path, value: float, pixels: int, spread: float = 0.0) -> Path:
    """A scene (H, W, B) of reflectances, some of whose pixels have a value that cannot be one."""
    draw = np.random.default_rng(0)
    cube = draw.uniform(0.01, 1, (40, 30, 5)).astype(np.float32)
    rows = np.arange(pixels) * 37 % 40
    cube[rows, np.arange(pixels) % 30, :2] = value * (1 + spread * draw.random((pixels, 2)))
    np.save(folder / "s.npy", cube)
    return folder / "s.npy"


@pytest.mark.parametrize("pixels", [1, 25])
@pytest.mark.parametrize("value", [65535, -99990, 1e6])
def test_values_far_from_all_others_are_no_data(value: float, pixels: int, tmp_path: Path) -> None:
    path = reflectances(tmp_path, value, pixels)
    message = f"s.npy: {pixels} pixels have a value more than 10000 times as large as all others"
    with pytest.warns(UserWarning, match=message):
        cube, missing = read_cube(open_scene(path))
    assert missing.sum() == pixels and cube.max() <= 1 and cube.min() >= 0
    with pytest.warns(UserWarning, match=message):
        done = upscale(path, tmp_path / "out.img", "bicubic", 2, log=str)
    assert done.no_data == 4 * pixels
    sharp = open_scene(tmp_path / "out.img").cube
    assert np.nanmax(sharp) < 1.5 and np.nanmin(sharp) > -0.5


@pytest.mark.parametrize("value", [1.7, 30, 1000])
def test_bright_pixels_stay_data(value: float, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    cube, missing = read_cube(open_scene(reflectances(tmp_path, value, 1)))
    assert not missing.any() and cube.max() == value and not recwarn.list


def test_far_values_that_differ_stay_and_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = reflectances(tmp_path, 1, 0)
    cube = np.load(path)
    cube[0, 1:4, 0] = 1e6, 2e6, 3e6  # not among the sixth of the pixels that are looked at first
    np.save(path, cube)
    monkeypatch.setattr("lkca.scenes.cube.SAMPLE", 1000)
    with pytest.warns(UserWarning, match="3 pixels have a value .* they differ, and are left as they are"):
        _, missing = read_cube(open_scene(path))
    assert not missing.any()


@pytest.mark.parametrize("kind", ["sparse", "two numbers", "rounded zeros", "constant"])
def test_scenes_without_a_scale_stay_as_they_are(kind: str, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    cube = np.zeros((40, 30, 5), np.float32)
    if kind == "two numbers":
        cube[:] = 1e-6
    if kind == "rounded zeros":
        cube[:] = np.random.default_rng(0).normal(0, 1e-12, cube.shape)
    if kind == "constant":
        cube[:] = 0.5
    else:
        cube[7, 8], cube[20, 3] = np.linspace(0.1, 0.9, 5), 0.7
    np.save(tmp_path / "s.npy", cube)
    read, missing = read_cube(open_scene(tmp_path / "s.npy"))
    assert not missing.any() and np.array_equal(read, cube.transpose(2, 0, 1))


def test_no_value_of_a_real_scene_is_far(real_scenes: Callable) -> None:
    folder = real_scenes("muufl_crop.mat", "samson.mat", "abu-beach-2.mat", "pavia_centre_crop.mat")
    for name in ("muufl_crop", "samson", "abu-beach-2", "pavia_centre_crop"):
        cube = open_scene(folder / f"{name}.mat", key="data").cube.astype(np.float32)
        assert far_limit(cube[:, ::3, ::3], float(np.abs(cube).max())) == np.inf
