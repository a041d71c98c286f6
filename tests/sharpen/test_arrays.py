"""`sharpen.sharpen`: every kind of cube, with the rules that files have."""

from pathlib import Path

import numpy as np
import pytest
import rioxarray  # noqa: F401 - makes .rio
import torch
import xarray as xr

import sharpen
from lkca.resize import resize
from tests.sharpen.scenes import B, H, W, mixture, write_network, write_run_weights

SETTINGS = {"scale": 2, "psf": "bicubic", "noise": np.inf}
HOLE = np.zeros((H, W), bool)
HOLE[8:12, 6:11] = True


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_network(tmp_path / "w.safetensors")


@pytest.fixture
def cube() -> np.ndarray:
    """Return a cube with a hole, marked by -9999."""
    cube = mixture().round()
    cube[:, HOLE] = -9999
    return cube


@pytest.fixture
def right(cube: np.ndarray, weights: Path) -> np.ndarray:
    return sharpen.sharpen(cube, **SETTINGS, weights=weights, no_data=-9999)


def is_right(found: object, right: np.ndarray, tolerance: float = 1e-2) -> bool:
    found = np.asarray(found, float)
    return np.array_equal(np.isnan(found), np.isnan(right)) and np.nanmax(np.abs(found - right)) < tolerance


def test_no_data_becomes_nan_and_does_not_smear(right: np.ndarray) -> None:
    assert right.shape == (B, 2 * H, 2 * W) and right.dtype == np.float32
    assert np.array_equal(np.isnan(right).all(axis=0), HOLE.repeat(2, 0).repeat(2, 1)) and np.nanmin(right) > 200


@pytest.mark.parametrize("fill", [1e20, -3.4e38, np.nan, np.inf, 1e9, -1.79e308])
@pytest.mark.filterwarnings("ignore::UserWarning", "error::RuntimeWarning")
def test_fill_values_that_nobody_declared(cube: np.ndarray, right: np.ndarray, weights: Path, fill: float) -> None:
    given = np.where(HOLE, fill, cube.astype(np.float64 if abs(fill) > 1e39 else np.float32))
    assert is_right(sharpen.sharpen(given, **SETTINGS, weights=weights), right)


def test_undeclared_fills_are_said(cube: np.ndarray) -> None:
    with pytest.warns(UserWarning, match="20 of 440 pixels"):
        sharpen.sharpen(cube, 2, weights="bicubic")


def test_every_kind_of_array_gives_the_same_numbers(cube: np.ndarray, right: np.ndarray, weights: Path) -> None:
    settings = {**SETTINGS, "weights": weights, "no_data": -9999}
    flipped = np.ascontiguousarray(cube[:, ::-1])[:, ::-1]
    for given in (cube.astype(">f4"), flipped, cube.astype(np.float64), cube.astype(np.int16), cube.astype(">i4")):
        found = sharpen.sharpen(given, **settings)
        assert is_right(found, right) and found.dtype == (
            given.dtype.newbyteorder("=") if given.dtype.kind == "f" else "f4"
        )
    half = sharpen.sharpen(cube.astype(np.float16), **settings)
    assert half.dtype == np.float16 and is_right(half, right, 2)
    for kind, tolerance in ((torch.float32, 1e-2), (torch.float64, 1e-2), (torch.int16, 1e-2), (torch.bfloat16, 30)):
        tensor = sharpen.sharpen(torch.from_numpy(cube).to(kind), **settings)
        assert tensor.dtype == (kind if kind.is_floating_point else torch.float32)
        assert is_right(tensor.double(), right, tolerance)


def test_masked_arrays_stay_masked(cube: np.ndarray, right: np.ndarray, weights: Path) -> None:
    mask = np.zeros(cube.shape, bool)
    mask[2, HOLE] = True  # a pixel without data in one band has none
    found = sharpen.sharpen(np.ma.array(cube, mask=mask), **SETTINGS, weights=weights)
    assert isinstance(found, np.ma.MaskedArray) and is_right(found.data, right)
    assert np.array_equal(found.mask, np.isnan(right))


def test_data_arrays_keep_their_description(cube: np.ndarray, right: np.ndarray, weights: Path) -> None:
    scene = xr.DataArray(cube, dims=("band", "y", "x"), coords={"wavelength": ("band", np.arange(B) * 100.0)})
    scene = scene.rio.write_nodata(-9999).rio.write_crs(32632)
    scene = scene.assign_coords(x=500015 + 30.0 * np.arange(W), y=5e6 - 15 - 30.0 * np.arange(H))
    found = sharpen.sharpen(scene, **SETTINGS, weights=weights)
    assert isinstance(found, xr.DataArray) and found.dims == scene.dims and is_right(found.values, right)
    assert found.rio.crs == scene.rio.crs and found.rio.bounds() == pytest.approx(scene.rio.bounds())
    assert list(found.coords["wavelength"]) == list(scene.coords["wavelength"])


def test_automatic_is_the_default_and_says_what_it_estimated(cube: np.ndarray) -> None:
    said: list[str] = []
    found = sharpen.sharpen(mixture(10, 40, 40), log=said.append)
    assert found.shape == (10, 160, 160) and np.isfinite(found).all() and len(said) == 1


def test_weights_of_a_run_have_their_own_unit(tmp_path: Path) -> None:
    weights = write_run_weights(tmp_path / "run.safetensors")
    given = mixture()
    found = sharpen.sharpen(given, weights=weights)
    assert found.shape == (B, 2 * H, 2 * W) and 0.5 < np.abs(found - resize(given, 2)).mean() < 100
    with pytest.raises(ValueError, match="3 usable bands.* 6"):
        sharpen.sharpen(given[:3], weights=weights)
    with pytest.raises(ValueError, match="2 times, not 4"):
        sharpen.sharpen(given, 4, weights=weights)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((9, 11)), r"float64 of shape \(9, 11\)"),
        (np.zeros((2, 9, 11), complex), "complex128"),
        (np.zeros((2, 9, 11), bool), "bool"),
        (torch.zeros(2, 9, 11, dtype=torch.bool), "bool"),
        (np.zeros((2, 0, 11)), r"\(2, 0, 11\)"),
        ([[[1.0]]], "None"),
        (np.full((2, 3, 3), np.nan), "not one of 9 pixels"),
        (xr.DataArray(np.zeros((2, 9, 11)), dims=("band", "lat", "lon")), "lat"),
    ],
)
def test_what_is_no_cube_is_refused(given: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sharpen.sharpen(given, 2, weights="bicubic")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale": 3}, "got 3"), ({"psf": "gauss"}, "gauss"), ({"psf": "gaussian:5"}, "0.1 to 2"),
        ({"psf": "sensor:none"}, "none"), ({"noise": "loud"}, "loud"), ({"components": 0}, "got 0"),
        ({"weights": "bicubic", "components": 2}, "bicubic"), ({"precision": "half"}, "half"),
    ],
)  # fmt: skip
def test_settings_that_do_not_exist_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sharpen.sharpen(mixture(), **settings)
