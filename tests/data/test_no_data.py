"""No data: declared or not, counted in a warning; what can be data stays."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lkca.data import no_data
from lkca.data.no_data import find_no_data
from lkca.data.reading.read import open_scene_file, read_cube
from tests.data.scene_files import write_envi, write_npy

FILLS = [
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


@pytest.mark.parametrize(("dtype", "fill"), FILLS)
def test_undeclared_fill_values_are_no_data_and_counted(dtype: str, fill: float, tmp_path: Path) -> None:
    cube = np.random.default_rng(0).integers(100, 9000, (3, 12, 11)).astype(dtype)
    cube[1, 4, 5] = fill
    scene = open_scene_file(write_npy(tmp_path / "s.npy", cube))
    with pytest.warns(UserWarning, match="s.npy: 1 of 132 pixels have a value that cannot be data"):
        read, missing = read_cube(scene)
    assert missing.sum() == 1 and missing[4, 5] and (read[:, 4, 5] == 0).all() and np.isfinite(read).all()
    with pytest.warns(UserWarning, match="the scene: 1 of 132 pixels"):
        assert np.array_equal(find_no_data(cube), missing)  # arrays are treated as files are


@pytest.mark.parametrize(
    ("dtype", "value", "declared"),
    [
        ("uint16", 65535, -1),  # values that the type cannot hold are nowhere
        ("uint8", 0, 0.5),
        ("int8", -128, 1e9),
        ("int16", 32767, np.nan),
        ("float32", -1e9, None),
    ],
)
def test_what_can_be_data_stays(
    dtype: str, value: float, declared: float | None, recwarn: pytest.WarningsRecorder
) -> None:
    cube = np.ones((2, 3, 4), dtype)
    cube[0, 0, 0] = value
    assert not find_no_data(cube, declared).any() and not recwarn.list


def test_declared_value_nan_and_infinity(tmp_path: Path) -> None:
    cube = np.ones((3, 4, 5), np.float32)
    cube[0, 0, 0], cube[1, 1, 1], cube[2, 2, 2] = np.nan, -np.inf, np.float32(-9999.9)
    right = np.zeros((4, 5), bool)
    right[[0, 1, 2], [0, 1, 2]] = True
    header = write_envi(tmp_path / "a.img", cube, **{"data ignore value": "-9999.9"})
    np.testing.assert_array_equal(read_cube(open_scene_file(header))[1], right)


def reflectances(folder: Path, value: float, pixels: int) -> Path:
    """A scene of reflectances, some of whose pixels have a value that cannot be one."""
    cube = np.random.default_rng(0).uniform(0.01, 1, (5, 40, 30)).astype(np.float32)
    cube[:2, np.arange(pixels) * 37 % 40, np.arange(pixels) % 30] = value
    return write_npy(folder / "s.npy", cube)


@pytest.mark.parametrize("pixels", [1, 25])
@pytest.mark.parametrize("value", [65535, -99990, 1e6])
def test_values_far_from_all_others_are_no_data(value: float, pixels: int, tmp_path: Path) -> None:
    scene = open_scene_file(reflectances(tmp_path, value, pixels))
    with pytest.warns(UserWarning, match=f"s.npy: {pixels} pixels have a value more than 10000 times"):
        cube, missing = read_cube(scene)
    assert missing.sum() == pixels and cube.max() <= 1 and cube.min() >= 0


@pytest.mark.parametrize("value", [1.7, 30, 1000])
def test_bright_pixels_stay_data(value: float, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    cube, missing = read_cube(open_scene_file(reflectances(tmp_path, value, 1)))
    assert not missing.any() and cube.max() == value and not recwarn.list


def test_far_values_that_differ_stay_and_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = reflectances(tmp_path, 1, 0)
    cube = np.load(path)
    cube[0, 1:4, 0] = 1e6, 2e6, 3e6  # not among the sixth of the pixels that are looked at first
    np.save(path, cube)
    monkeypatch.setattr(no_data, "SAMPLE_SIZE", 1000)
    with pytest.warns(UserWarning, match="3 pixels have a value .* they differ"):
        assert not read_cube(open_scene_file(path))[1].any()


@pytest.mark.parametrize("kind", ["sparse", "two numbers", "rounded zeros", "constant"])
def test_scenes_without_a_scale_stay_as_they_are(kind: str, recwarn: pytest.WarningsRecorder) -> None:
    cube = np.zeros((5, 40, 30), np.float32)
    if kind == "two numbers":
        cube[:] = 1e-6
    if kind == "rounded zeros":
        cube[:] = np.random.default_rng(0).normal(0, 1e-12, cube.shape)
    if kind == "constant":
        cube[:] = 0.5
    else:
        cube[:, 7, 8], cube[:, 20, 3] = np.linspace(0.1, 0.9, 5), 0.7
    assert not find_no_data(cube).any() and not recwarn.list


def test_no_value_of_a_real_scene_is_far(real_scenes: Callable, recwarn: pytest.WarningsRecorder) -> None:
    names = ("muufl_crop.mat", "samson.mat", "abu-beach-2.mat", "pavia_centre_crop.mat")
    folder = real_scenes(*names)
    for name in names:
        cube = open_scene_file(folder / name, key="data").read().astype(np.float32)
        assert not find_no_data(cube).any() and not recwarn.list
