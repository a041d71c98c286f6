"""Shrinking by other optics than bicubic."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from lkca.measures.blur import shrink
from lkca.measures.resize import resize


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(2, 3, 26, 37, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("blur", ["bicubic", "mean", "gaussian-0.3", "gaussian-0.8"])
def test_a_constant_stays_and_sizes_are_cropped(blur: str) -> None:
    shrunk = shrink(torch.full((3, 26, 37), 0.7, dtype=torch.float64), 4, blur)
    assert shrunk.shape == (3, 6, 9) and torch.allclose(shrunk, torch.full_like(shrunk, 0.7))


def test_bicubic_and_mean(image: torch.Tensor) -> None:
    assert torch.equal(shrink(image, 4), resize(image, 1 / 4))
    blocks = image[..., :24, :36].reshape(2, 3, 6, 4, 9, 4).mean(dim=(3, 5))
    assert torch.allclose(shrink(image, 4, "mean"), blocks)


def test_gaussian_is_scipys(image: torch.Tensor) -> None:
    """An odd scale has a pixel in the middle of the new one: there scipy's filter, sampled, is the same."""
    cropped = image[..., :24, :36]
    filtered = gaussian_filter(cropped.numpy(), (0, 0, 0.6 * 3, 0.6 * 3), truncate=6, mode="reflect")
    assert np.abs(shrink(cropped, 3, "gaussian-0.6").numpy() - filtered[..., 1::3, 1::3]).max() < 1e-4


def test_a_gaussian_is_centred_at_even_scales() -> None:
    ramp = torch.arange(64, dtype=torch.float64).expand(1, 64, 64)
    inner = shrink(ramp, 4, "gaussian-0.5")[0, 8, 4:-4]
    assert torch.allclose(inner, 4 * torch.arange(4, 12, dtype=torch.float64) + 1.5)


@pytest.mark.parametrize("blur", ["box", "gaussian", "gaussian-0", "gaussian-x", "gaussian-9", "mean-2"])
def test_unknown_blurs(blur: str, image: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="blur must be bicubic, mean or gaussian-WIDTH.*got"):
        shrink(image, 4, blur)
