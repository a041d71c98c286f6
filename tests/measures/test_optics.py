"""Other optics than the protocol's: what they keep, how soft they are, how much noise they add."""

import math

import pytest
import torch

from lkca.measures.optics import OPTICS, noisy, seen_through
from lkca.measures.resize import resize


@pytest.mark.parametrize("optics", OPTICS)
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_a_plane_is_seen_in_its_place_by_all_optics(optics: str, scale: int) -> None:
    """The middle of an LR pixel lies where bicubic has it: a ramp is seen as the same ramp, but near the edges."""
    ramp = torch.arange(16.0 * scale).expand(2, 16 * scale, -1).contiguous()
    lr = seen_through(ramp, scale, optics)
    assert lr.shape == (2, 16, 16)
    if math.isinf(OPTICS[optics][1]):
        torch.testing.assert_close(lr[:, 5:11, 5:11], resize(ramp, 1 / scale)[:, 5:11, 5:11], atol=1e-3, rtol=0)
        torch.testing.assert_close(lr.mT, seen_through(ramp.mT.contiguous(), scale, optics))


def test_wider_gaussians_are_softer() -> None:
    image = torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(0))
    spread = [seen_through(image, 4, f"Gaussian {sigma}").std().item() for sigma in (0.3, 0.5, 0.65, 0.8)]
    assert spread == sorted(spread, reverse=True) and spread[0] > 1.5 * spread[-1]


def test_noise_has_the_power_asked_for_in_each_band_and_the_same_bits_again() -> None:
    image = (
        torch.rand(3, 200, 200, generator=torch.Generator().manual_seed(0)) * torch.tensor([1, 10, 0.1])[:, None, None]
    )
    noise = noisy(image, 30.0) - image
    found = 10 * (image.square().mean((1, 2)) / noise.square().mean((1, 2))).log10()
    torch.testing.assert_close(found, torch.full((3,), 30.0), atol=0.1, rtol=0)
    assert torch.equal(noisy(image, 30.0), noisy(image, 30.0)) and not torch.equal(
        noisy(image, 30.0, 1), noisy(image, 30.0)
    )


def test_unknown_optics_are_named() -> None:
    with pytest.raises(ValueError, match="unknown optics 'lens'"):
        seen_through(torch.zeros(1, 8, 8), 2, "lens")
