"""lkca.sharpen, lkca.resize and lkca.quality take NumPy arrays and tensors alike."""

from pathlib import Path

import numpy as np
import pytest
import torch

import lkca
from lkca.scenes import open_scene
from lkca.sharpening.upscale import upscale
from tests.sharpening.small_scene import PEAK, R, quiet, write_scene


@pytest.mark.parametrize("kind", ["bicubic", "back-projection", "file"])
def test_the_same_as_a_file(kind: str, cube: np.ndarray, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    given = request.getfixturevalue("weights") if kind == "file" else kind
    cube = cube.astype(np.float32)
    cube[:, 2, 3] = 1.4 * PEAK
    cube[:, 7, 8] = np.nan
    upscale(write_scene(tmp_path / "s.hdr", cube), tmp_path / "out.hdr", given, R, log=quiet)
    after = open_scene(tmp_path / "out.hdr").cube
    result = lkca.sharpen(cube, R, given)
    assert isinstance(result, np.ndarray) and result.dtype == np.float32
    assert np.allclose(result, after, rtol=1e-4, atol=0.05, equal_nan=True) and np.isnan(result).any()
    tensor = lkca.sharpen(torch.from_numpy(cube).double(), R, given)
    assert tensor.dtype == torch.float64 and np.allclose(tensor.numpy(), result, atol=0.05, equal_nan=True)


def test_the_box_is_the_default(cube: np.ndarray) -> None:
    result = lkca.sharpen(cube)
    assert result.shape == (len(cube), 36, 44) and result.dtype == np.float32
    assert np.abs(result - lkca.sharpen(cube, 4, "bicubic")).max() > 0.1
    assert np.array_equal(result, lkca.sharpen(cube, 4, "made"))


def test_what_is_no_cube(cube: np.ndarray, weights: Path) -> None:
    for given, message in (
        (cube[0], r"a cube is \(B, h, w\) of real numbers, got int16 of shape \(9, 11\)"),
        (cube.astype(complex), "got complex128"),
        (np.full((2, 3, 3), np.nan), "not one of 9 pixels has data in all 2 bands"),
    ):
        with pytest.raises(ValueError, match=message):
            lkca.sharpen(given, R, "bicubic")
    with pytest.raises(ValueError, match="are for scale 2 and 6 bands, the cube has 3 and is to be enlarged 2 times"):
        lkca.sharpen(cube[:3], R, weights)


def test_resize_and_quality_take_arrays() -> None:
    image = np.random.default_rng(0).random((2, 12, 12))
    enlarged = lkca.resize(image, 2)
    assert isinstance(enlarged, np.ndarray) and enlarged.dtype == np.float64
    assert np.array_equal(enlarged, lkca.resize(torch.from_numpy(image), 2).numpy())
    other = image + 0.1
    assert lkca.quality(image, other, 2) == lkca.quality(torch.from_numpy(image), torch.from_numpy(other), 2)
