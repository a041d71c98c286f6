"""The fast network equals the plain one."""

import copy

import pytest
import torch

from lkca.fast import fold
from sharpen.image.deconvolve import plan_image
from sharpen.image.fast import FastLayers
from sharpen.image.interpolate import filter_leading
from tests.sharpen.scenes import small_network


@pytest.mark.parametrize(("height", "width"), [(1, 2), (7, 2), (23, 31), (130, 65)])
def test_layers_equal_the_plain_ones(height: int, width: int) -> None:
    network = small_network(4)
    inputs = 4 * torch.randn(2, 5, height, width, generator=torch.Generator().manual_seed(0))
    folded = fold(copy.deepcopy(network))
    with torch.inference_mode():
        expected = network.raw(inputs)
        assert torch.allclose(FastLayers(folded)(inputs), expected, atol=1e-5)
        coarse = FastLayers(folded, "bfloat16")(inputs)
    assert (coarse - expected).square().mean().sqrt() < 0.02 * expected.square().mean().sqrt()


@pytest.mark.parametrize("psf", ["bicubic", "mean", "gaussian:0.6", "gaussian:0.4,0.7,30"])  # the last: not symmetric
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_the_filter_equals_the_plans(psf: str, scale: int) -> None:
    lr = torch.randn(20, 40, 33, generator=torch.Generator().manual_seed(1)).cumsum(1).cumsum(2)
    plan = plan_image(lr, scale, psf)
    eigenimages = plan.leading_basis.coefficients(lr)
    with torch.inference_mode():
        expected, found = plan.filter(eigenimages), filter_leading(plan, eigenimages)
        alone = filter_leading(plan, eigenimages[:3], up=False)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-4)
    assert alone[0] is None and torch.equal(alone[1], found[1][:3])
