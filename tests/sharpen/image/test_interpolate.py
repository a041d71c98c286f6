"""Fast paths give what the plain ones give; values stay near their neighbours."""

import numpy as np
import pytest
import torch
from torch import Tensor

from lkca.degradation import round_trip, sum_updates
from lkca.resize import mirror_indices, resize
from sharpen.image.interpolate import back_projected, convolve_mirrored, sum_updates_fast, upsample_rows, value_limits

GAUSSIANS = ["bicubic", "mean", "gaussian:0.6", "gaussian:0.4,0.7,30"]  # the last one is not symmetric along the axes


@pytest.fixture
def lr() -> Tensor:
    return torch.rand(3, 14, 11, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("width", [1, 5, 16, 37])
def test_rows_are_upsampled_as_the_whole_image(scale: int, width: int) -> None:
    image = torch.rand(4, 9, width, generator=torch.Generator().manual_seed(1))
    padded = image[:, mirror_indices(9, 2, image.device)]
    for first, last in ((0, 9), (0, 1), (3, 7)):
        out = torch.empty(4, scale * (last - first), scale * width)
        found = upsample_rows(padded[:, first : last + 4], scale, out)
        assert torch.allclose(found, resize(image, scale)[:, first * scale : last * scale], atol=1e-5)


@pytest.mark.parametrize("psf", GAUSSIANS)
def test_back_projection_by_the_cosine_transform(lr: Tensor, psf: str) -> None:
    error = lr - round_trip(lr, 4, psf)
    assert torch.allclose(back_projected(lr, 4, 5, psf), lr + sum_updates(error, 4, 5, psf), atol=1e-5)
    assert torch.allclose(sum_updates_fast(lr, 4, 3, psf), sum_updates(lr, 4, 3, psf), atol=1e-5)


@pytest.mark.parametrize("symmetric", [True, False])
def test_convolution_over_mirrored_edges(lr: Tensor, symmetric: bool) -> None:
    kernel = torch.rand(5, 3, generator=torch.Generator().manual_seed(2)).double()
    if symmetric:
        kernel = kernel + kernel.flip(0)
        kernel = kernel + kernel.flip(1)
    padded = np.pad(lr.numpy(), ((0, 0), (2, 2), (1, 1)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 3), axis=(1, 2))
    expected = np.einsum("bhwij,ij->bhw", windows, kernel.numpy())
    assert np.allclose(convolve_mirrored(lr, kernel).numpy(), expected, atol=1e-5)


def test_limits_are_the_widened_range_of_5x5_pixels(lr: Tensor) -> None:
    lr[:, 5, 4] = 3
    low, high = value_limits(lr)
    for row, column in ((0, 0), (5, 4), (7, 6), (13, 10), (3, 8)):
        window = lr[:, max(0, row - 2) : row + 3, max(0, column - 2) : column + 3].flatten(1)
        least, most = window.amin(1), window.amax(1)
        assert torch.allclose(low[:, row, column], least - (most - least) / 2)
        assert torch.allclose(high[:, row, column], most + (most - least) / 2)


@pytest.mark.parametrize("shape", [(2, 12, 9), (1, 1, 1), (1, 2, 5), (1, 3, 1)])
def test_bicubic_stays_within_the_limits(shape: tuple[int, int, int]) -> None:
    lr = (torch.rand(shape, generator=torch.Generator().manual_seed(1)) > 0.5).double()  # the steepest edges possible
    low, high = (limit.repeat_interleave(4, 1).repeat_interleave(4, 2) for limit in value_limits(lr))
    upsampled = resize(lr, 4)
    assert (upsampled >= low - 1e-12).all() and (upsampled <= high + 1e-12).all()
