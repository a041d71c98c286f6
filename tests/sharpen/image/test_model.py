"""The eigenimage network: any bands, images without components, bounds, back-projection, weights files."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from lkca.data.synthetic.sensors import landscape_cube
from lkca.degradation import Degradation
from lkca.metrics import mpsnr
from lkca.resize import resize
from sharpen.image.deconvolve import sharpen_tensor, wiener
from sharpen.image.model import (
    INPUTS,
    MAX_FEATURE,
    EigenimageNetwork,
    limit_residuals,
    load_network,
    load_pretrained,
    principal_components,
)
from tests.sharpen.scenes import small_network, write_network, write_run_weights


@pytest.fixture
def network() -> EigenimageNetwork:
    return small_network()


def image(*shape: int, seed: int = 0) -> Tensor:
    """Return an image with few components: four materials mixed."""
    generator = torch.Generator().manual_seed(seed)
    shares = torch.rand(4, *shape[1:], generator=generator)
    return torch.einsum("bm,mhw->bhw", torch.rand(shape[0], 4, generator=generator), shares)


def run(network: EigenimageNetwork, lr: Tensor) -> Tensor:
    return sharpen_tensor(lr, 2, "bicubic", math.inf, network)


@pytest.mark.parametrize("bands", [1, 2, 7, 40])
def test_equal_weights_take_any_number_of_bands(network: EigenimageNetwork, bands: int) -> None:
    lr = image(bands, 9, 8)
    found = run(network, lr)
    assert found.shape == (bands, 18, 16) and found.isfinite().all()
    assert (found - wiener(lr, 2, "bicubic", math.inf)).abs().max() > 1e-3  # the network does something


def test_the_unit_of_a_band_does_not_matter(network: EigenimageNetwork) -> None:
    lr, factor = image(6, 8, 8), torch.tensor([1.0, 100.0, 0.01, 3.0, 1.0, 7.0])[:, None, None]
    assert torch.allclose(run(network, factor * lr + 5), factor * run(network, lr) + 5, rtol=1e-3, atol=0.2)


@pytest.mark.parametrize(
    "lr",
    [
        torch.full((5, 6, 6), 0.3),
        torch.rand(1, 2, 2, generator=torch.Generator().manual_seed(0)),
        torch.rand(40, 2, 2, generator=torch.Generator().manual_seed(0)),
        torch.cat([image(3, 6, 6), torch.zeros(2, 6, 6)]),
    ],
    ids=["constant", "2x2", "fewer pixels than components", "dead bands"],
)
def test_images_without_components_are_upsampled_all_the_same(network: EigenimageNetwork, lr: Tensor) -> None:
    found = run(network, lr)
    constant = lr.flatten(1).std(dim=1) == 0
    assert found.isfinite().all() and torch.allclose(found[constant], resize(lr, 2)[constant], atol=1e-6)


def test_a_hot_pixel_changes_only_its_neighbourhood(network: EigenimageNetwork) -> None:
    hot = image(4, 16, 16)
    hot[:, 8, 8] += 50
    found = run(network, hot)
    assert found.max() < 1.35 * 52 and found.min() > -0.35 * 52  # a random network; bicubic overshoots by an eighth
    far = torch.ones(32, 32, dtype=torch.bool)
    far[8:26, 8:26] = False
    assert (found - wiener(hot, 2, "bicubic", math.inf))[:, far].abs().max() < 2


def test_features_and_residuals_are_clamped(network: EigenimageNetwork) -> None:
    assert network.body[0](1e4 * torch.ones(1, 16, 5, 5)).abs().max() <= MAX_FEATURE
    lr = torch.zeros(1, 1, 9, 9)
    lr[0, 0, 4, 4] = 3
    limited = limit_residuals(torch.full((1, 1, 18, 18), 10.0), lr, 2)
    assert limited.max() == 3 and limited[0, 0, 0, 0] == 0


@pytest.mark.parametrize("psf", ["bicubic", "mean", "gaussian:0.4"])
def test_back_projected_residuals_are_nearly_invisible(network: EigenimageNetwork, psf: str) -> None:
    residuals = torch.randn(2, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    before, after = (
        Degradation(psf).downsample(r, 2).abs().mean() for r in (residuals, network.back_project(residuals, psf))
    )
    assert after < 0.3 * before


def test_components_follow_from_sums() -> None:
    lr = image(6, 7, 9)
    pixels = lr.double().flatten(1)
    basis = principal_components(63, pixels.sum(1), pixels @ pixels.T, 4)
    coefficients = basis.coefficients(lr)
    covariance = torch.cov(coefficients[basis.sigma > 0].flatten(1), correction=0)
    assert torch.allclose(covariance, torch.eye(len(covariance)), atol=1e-4)
    rebuilt = basis.mean[:, None, None] + torch.tensordot(basis.spectra(), coefficients, 1)
    assert torch.allclose(rebuilt, lr, atol=2e-3)  # four materials less their mean: three components hold all


def test_the_mean_over_symmetries_turns_with_the_image(network: EigenimageNetwork) -> None:
    inputs = torch.randn(2, INPUTS, 9, 7, generator=torch.Generator().manual_seed(0))
    turned = torch.rot90(inputs, 1, (-2, -1))
    with torch.inference_mode():
        one_way = torch.rot90(network(inputs), 1, (-2, -1)) - network(turned)
        network.symmetries = True
        both = torch.rot90(network(inputs), 1, (-2, -1)) - network(turned)
    assert both.abs().max() < 1e-5 < 1e-3 < one_way.abs().max()


def test_an_output_depends_on_the_radius_alone() -> None:
    network = small_network(blocks=1)
    inputs = torch.randn(1, INPUTS, 60, 5, generator=torch.Generator().manual_seed(0))
    other = inputs.clone()
    other[..., 30:, :] += 1
    with torch.inference_mode():
        change = (network.raw(inputs) - network.raw(other)).abs().amax(dim=(0, 1, 3))
    assert int(change.nonzero()[0]) // network.scale == 30 - network.radius


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_pretrained_weights_gain_over_bicubic(scale: int) -> None:
    from sharpen.arrays import sharpen

    hr = landscape_cube(1_000_003, 96)
    lr = resize(torch.from_numpy(hr), 1 / scale).numpy()
    gain = mpsnr(sharpen(lr, scale, "bicubic", np.inf), hr) - mpsnr(resize(lr, scale), hr)
    assert gain > {2: 1.0, 4: 0.5, 8: 0.1}[scale]


def test_weights_files_are_read_back(tmp_path) -> None:
    path = write_network(tmp_path / "w.safetensors")
    network, metadata = load_network(path)
    assert network.options() == small_network().options() and metadata.scale == 2
    assert load_network(write_run_weights(tmp_path / "run.safetensors"))[1].model == "lkca-lr"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="w.safetensors"):
        load_network(path)


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="scale 3"):
        load_pretrained(3)
    with pytest.raises(ValueError, match="multiple of 16, got 20"):
        EigenimageNetwork(4, channels=20)
    assert load_pretrained(4).scale == 4
