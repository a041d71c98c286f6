"""LKCA-Any: any number of bands, images that give no directions, bounds, and what it does to a hot pixel."""

import pytest
import torch

from lkca import build_model, cost, resize
from lkca.measures.back_projection import _kernel, back_project
from lkca.measures.cost import macs_by_module
from lkca.models.any_sensor import LARGEST, AnySensor, basis_of, bounded
from tests.small_models import small_any_sensor


@pytest.fixture
def model() -> AnySensor:
    return small_any_sensor()


def image(*shape: int, seed: int = 0) -> torch.Tensor:
    """Smooth enough to have directions: few materials mixed."""
    generator = torch.Generator().manual_seed(seed)
    shares = torch.rand(4, *shape[1:], generator=generator)
    return torch.einsum("bm,mhw->bhw", torch.rand(shape[0], 4, generator=generator), shares)


@pytest.mark.parametrize("bands", (1, 2, 7, 40))
def test_the_same_weights_take_any_number_of_bands(model: AnySensor, bands: int) -> None:
    lr = image(bands, 9, 8)[None]
    with torch.inference_mode():
        out = model(lr)
    assert out.shape == (1, bands, 18, 16)
    assert out.isfinite().all()
    assert (out - model.enlarged(lr)).abs().max() > 1e-3  # the network does something
    assert len(list(model.parameters())) == len(list(AnySensor(99, 2, blocks=2, channels=16).parameters()))


def test_each_image_of_a_batch_has_directions_of_its_own(model: AnySensor) -> None:
    images = torch.stack([image(5, 8, 8, seed=seed) for seed in (1, 2)])
    with torch.inference_mode():
        together = model(images)
        alone = torch.cat([model(each[None]) for each in images])
    assert torch.allclose(together, alone, atol=1e-6)


def test_a_direction_is_sharpened_as_if_it_were_alone(model: AnySensor) -> None:
    """One material of varying share: every band is the same image, so that sharpening it is sharpening any of them."""
    share = torch.rand(10, 10, generator=torch.Generator().manual_seed(3))
    spectrum = torch.tensor([1.0, -2.0, 0.5])
    lr = 4 + spectrum[:, None, None] * share
    with torch.inference_mode():
        out = model(lr[None])[0]
    within = (out - 4) / spectrum[:, None, None]
    assert torch.allclose(within[0], within[1], atol=1e-4)
    assert torch.allclose(within[0], within[2], atol=1e-4)


def test_scaling_and_shifting_a_band_scales_and_shifts_its_result(model: AnySensor) -> None:
    lr = image(6, 8, 8)
    factor = torch.tensor([1.0, 100.0, 0.01, 3.0, 1.0, 7.0])[:, None, None]
    with torch.inference_mode():
        plain, scaled = model(lr[None])[0], model((factor * lr + 5)[None])[0]
    assert torch.allclose(scaled, factor * plain + 5, rtol=1e-3, atol=2e-3 * float(factor.max()))


@pytest.mark.parametrize(
    "lr",
    [
        torch.full((5, 6, 6), 0.3),  # constant: no direction at all
        torch.rand(1, 2, 2, generator=torch.Generator().manual_seed(0)),
        torch.rand(40, 2, 2, generator=torch.Generator().manual_seed(0)),  # fewer pixels than directions
        torch.cat([image(3, 6, 6), torch.zeros(2, 6, 6)]),  # dead bands
        torch.rand(400, 3, 3, generator=torch.Generator().manual_seed(0)),
    ],
    ids=["constant", "2x2", "few pixels", "dead bands", "400 bands"],
)
def test_images_without_directions_are_enlarged_all_the_same(model: AnySensor, lr: torch.Tensor) -> None:
    with torch.inference_mode():
        out = model(lr[None])[0]
    assert out.isfinite().all()
    if lr.std() == 0:
        assert torch.allclose(out, lr.mean().expand_as(out), atol=1e-6)
    constant = lr.flatten(1).std(dim=1) == 0
    assert torch.allclose(out[constant], resize(lr, 2)[constant], atol=1e-6)


def test_a_hot_pixel_stays_where_it_is(model: AnySensor) -> None:
    lr = image(4, 16, 16)
    hot = lr.clone()
    hot[:, 8, 8] += 50
    with torch.inference_mode():
        out = model(hot[None])[0]
    assert out.max() < 1.3 * 52 and out.min() > -0.3 * 52  # bicubic itself overshoots by an eighth
    far = torch.ones(32, 32, dtype=torch.bool)
    far[8:26, 8:26] = False
    assert (out - model.enlarged(hot))[:, far].abs().max() < 2


def test_features_and_residuals_are_bounded(model: AnySensor) -> None:
    huge = 1e4 * torch.ones(1, 16, 5, 5)
    assert model.body[0](huge).abs().max() <= LARGEST
    lr = torch.zeros(1, 1, 9, 9)
    lr[0, 0, 4, 4] = 3
    limited = bounded(torch.full((1, 1, 18, 18), 10.0), lr, 2)
    assert limited.max() == 3 and limited[0, 0, 0, 0] == 0


def test_shrunk_again_the_result_is_nearer_the_input_than_without_corrections(model: AnySensor) -> None:
    lr = image(5, 12, 12)[None]
    with torch.inference_mode():
        corrected = (resize(model(lr), 1 / 2) - lr).abs().max()
        model.corrections = 0
        plain = model(lr)
        uncorrected = (resize(plain, 1 / 2) - lr).abs().max()
        by_hand = (resize(back_project(plain, lr, 3), 1 / 2) - lr).abs().max()
    assert corrected < 0.3 * uncorrected
    assert torch.isclose(corrected, by_hand, rtol=0.2)


def test_directions_come_from_sums_alone() -> None:
    lr = image(6, 7, 9)
    pixels = lr.double().flatten(1)
    basis = basis_of(63, pixels.sum(1), pixels @ pixels.T, 4)
    coefficients = basis.coefficients(lr).flatten(1).double()
    present = basis.sigma > 0
    covariance = torch.cov(coefficients[present], correction=0)
    assert torch.allclose(covariance, torch.eye(int(present.sum())).double(), atol=1e-4)
    standard = (lr - basis.mean[:, None, None]) / basis.spread[:, None, None]
    rebuilt = torch.einsum("bk,khw->bhw", basis.spectra(), basis.coefficients(lr)) / basis.spread[:, None, None]
    assert torch.allclose(rebuilt, standard, atol=2e-3)  # four materials less their mean: three directions hold all


def test_it_costs_less_than_lkca_lr() -> None:
    any_sensor, low_rank = (cost(build_model(name, 128, 4), 128) for name in ("lkca-any", "lkca-lr"))
    assert any_sensor.params < 300_000
    assert any_sensor.macs <= low_rank.macs


def test_its_cost_has_basis_and_corrections_in_it_and_is_the_same_again() -> None:
    bands, size, directions, scale = 128, 16, 8, 4
    _kernel.cache_clear()
    whole, plain = (cost(build_model("lkca-any", bands, scale, corrections=n), bands).macs for n in (3, 0))
    assert whole == cost(build_model("lkca-any", bands, scale), bands).macs
    parts = macs_by_module(build_model("lkca-any", bands, scale), bands)
    network = sum(parts[part] for part in ("head", "body", "upsampler"))
    pixels = size**2
    basis = bands**2 * pixels + bands * directions * pixels + bands * directions * pixels * scale**2
    assert plain == network + basis
    kernel = 7  # taps of shrinking what was enlarged, along each axis: see `shrunk_enlarged`
    assert whole - plain >= 2 * kernel * pixels * (bands + 2 * directions)


def test_channels_must_fit_the_attention() -> None:
    with pytest.raises(ValueError, match="multiple of 16, got 20"):
        build_model("lkca-any", 4, 4, channels=20)


def test_the_mean_over_the_symmetries_turns_with_the_image(model: AnySensor) -> None:
    lr = image(4, 9, 7)[None]
    turned = torch.rot90(lr, 1, (-2, -1))
    with torch.inference_mode():
        one_way = torch.rot90(model(lr), 1, (-2, -1)) - model(turned)
        model.symmetries = True
        both = torch.rot90(model(lr), 1, (-2, -1)) - model(turned)
    assert both.abs().max() < 1e-5 < 1e-3 < one_way.abs().max()
