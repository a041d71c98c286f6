"""What a network may make of a pixel, and that a strip gets what the whole image gets."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lkca import load_weights
from lkca.measures.resize import resize
from lkca.sharpening import upscale as upscaling
from lkca.sharpening.bounds import SHARE, Bounds, Limited, bounded
from lkca.sharpening.feature_maps import WholeImage
from tests.sharpening.small_scene import PEAK, B, quiet, write_scene

R = 4


@pytest.fixture
def lr() -> Tensor:
    return torch.rand(3, 12, 9, generator=torch.Generator().manual_seed(0))


def test_bicubic_is_never_held_back() -> None:
    generator = torch.Generator().manual_seed(1)
    for shape in ((2, 12, 9), (1, 1, 1), (1, 2, 5), (1, 3, 1)):
        lr = (torch.rand(shape, generator=generator) > 0.5).double()  # the steepest edges that there are
        enlarged = resize(lr, R)
        result, held = bounded(enlarged, lr)
        assert held == 0 and torch.equal(result, enlarged)


def test_an_output_stays_near_its_neighbours(lr: Tensor) -> None:
    lr[:, 5, 4] = 3.0
    wild = 100 * torch.randn(3, 48, 36, generator=torch.Generator().manual_seed(2))
    result, held = bounded(wild, lr)
    for row, column in ((0, 0), (5, 4), (7, 6), (11, 8), (3, 8)):
        window = lr[:, max(0, row - 2) : row + 3, max(0, column - 2) : column + 3].flatten(1)
        low, high = window.amin(1), window.amax(1)
        pixel = result[:, R * row : R * row + R, R * column : R * column + R].flatten(1)
        assert torch.allclose(pixel.amin(1), low - SHARE * (high - low))
        assert torch.allclose(pixel.amax(1), high + SHARE * (high - low))
    assert held == (result != wild).sum() > wild.numel() / 2


@pytest.mark.parametrize("rows", [1, 3, 5])
def test_strips_give_what_the_whole_image_gives(lr: Tensor, rows: int) -> None:
    wild = torch.randn(3, 48, 36, generator=torch.Generator().manual_seed(3))
    whole, held = bounded(wild, lr)
    bounds = Bounds(WholeImage(lr), R)
    strips = [bounds.apply(row, wild[:, row : row + R * rows].clone()) for row in range(0, 48, R * rows)]
    assert torch.equal(torch.cat(strips, dim=1), whole) and bounds.held == held


@pytest.mark.parametrize("rows", [1, 5, 12])
def test_what_is_cut_off_comes_back_as_bicubic(lr: Tensor, rows: int) -> None:
    lr[0, 3, 3], lr[1, 0, 8], lr[1, 11, 0] = 1.7, -0.4, 2.5
    shown = Limited(WholeImage(lr))
    assert shown.rows(0, 12).min() >= 0 and shown.rows(0, 12).max() <= 1
    result = resize(lr.clamp(0, 1), R)
    for row in range(0, 48, R * rows):
        shown.add_excess(row, result[:, row : row + R * rows], R)
    assert torch.allclose(result, resize(lr, R), atol=1e-6)


def test_nan_is_not_hidden(lr: Tensor) -> None:
    broken = resize(lr, R)
    broken[1, 7, 7] = torch.nan
    assert bounded(broken, lr)[0].isnan().sum() == 1


class Explosive(nn.Module):
    """Right on what training shows, far off beyond it: what trained networks do at a hot pixel."""

    def forward(self, x: Tensor) -> Tensor:
        y = resize(x, 2) + 50 * resize((x - 1).clamp_min(0), 2)
        y[:, :, 9, 11] += 3  # within the hot pixel
        return y


def test_a_hot_pixel_does_not_explode(tmp_path, weights, cube, monkeypatch: pytest.MonkeyPatch) -> None:
    cube = cube.copy()
    cube[:, 4, 5] = 1.7 * PEAK
    source = write_scene(tmp_path / "hot.hdr", cube)
    passport = load_weights(weights)[1]
    monkeypatch.setattr(upscaling, "network", lambda *_: (Explosive(), passport))
    with pytest.warns(UserWarning, match="sees the whole image at once"):
        done = upscaling.upscale(source, tmp_path / "out.hdr", weights, log=quiet)
    values = done.open().cube / PEAK
    low, high = cube.min() / PEAK, cube.max() / PEAK
    assert values.max() <= high + SHARE * (high - low) + 1e-3 and values.min() >= low - SHARE * (high - low) - 1e-3
    spread = np.abs(values[:, :2] - resize(torch.from_numpy(cube / PEAK), 2).numpy()[:, :2]).max()
    assert spread < 1e-3  # far from the pixel nothing changes
    beyond = (values < cube.min(axis=(1, 2), keepdims=True) / PEAK - 1e-3) | (
        values > cube.max(axis=(1, 2), keepdims=True) / PEAK + 1e-3
    )
    assert done.beyond == beyond.sum() > 0 and 0 < done.farthest <= SHARE and done.held > 0
    assert done.bands == tuple(range(B))
