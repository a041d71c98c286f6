"""Upsamplers: cost, start, what a truncation loses, in which networks they fit."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from lkca.cost import Cost, cost
from lkca.models import build_model
from lkca.models.lkca import LargeKernelBlock
from lkca.models.low_rank import low_rank, truncate, upsampling_convolutions
from lkca.models.upsamplers import (
    KINDS,
    SPECTRAL,
    choose_rank,
    principal_components,
    truncate_convolution,
    upsampler_cost,
)
from lkca.resize import resize

TINY = {"blocks": 1, "channels": 32}
WIDTHS = {"vdsr": 16, "sspsr": 16, "msdformer": 48, "essaformer": 16}
OTHERS = {name: {"blocks": 1, "channels": width} for name, width in WIDTHS.items()}


@pytest.mark.parametrize(("name", "groups"), [("lkca", 1), ("lkca-lr", 8), ("lkca-kd", 8)])
def test_a_seed_draws_the_same_weights_as_torch_layer_by_layer(name: str, groups: int) -> None:
    state = {**build_model(name, 12, 4, **TINY).state_dict(), "next": torch.rand(1)}
    torch.manual_seed(0)
    parts = {
        "head": nn.Conv2d(12, 32, 3, padding=1),
        "body.0": LargeKernelBlock(32, 0.1),
        "upsampler.0": weight_norm(nn.Conv2d(32, 192, 3, padding=1, groups=groups)),
    }
    expected = {f"{part}.{key}": value for part, module in parts.items() for key, value in module.state_dict().items()}
    expected["upsampler.0.parametrizations.weight.original0"] *= 0.01
    expected["upsampler.0.bias"] *= 0
    expected["next"] = torch.rand(1)
    assert state.keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in state.items())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("bands", "scale", "channels", "groups"), [(12, 4, 32, 8), (31, 2, 16, 2), (48, 8, 64, 16)])
def test_costs_follow_the_formula_and_the_rank_is_the_largest_that_costs_no_more_than_groups(
    kind: str, bands: int, scale: int, channels: int, groups: int
) -> None:
    def count(kind: str, rank: int = 0) -> Cost:
        size = {"blocks": 1, "channels": channels, "groups": groups}
        return cost(build_model("lkca-lr", bands, scale, upsampler=kind, rank=rank, **size).upsampler, channels)

    sizes = channels, bands * scale**2, scale, groups
    rank = choose_rank(kind, 0, *sizes)
    one_pixel = upsampler_cost(kind, *sizes, rank)
    counted = count(kind)
    assert counted == Cost(one_pixel.params, one_pixel.macs * 16 * 16)
    if rank:
        limit, more = count("grouped"), count(kind, rank + 1)
        assert counted.params <= limit.params and counted.macs <= limit.macs
        assert more.params > limit.params or more.macs > limit.macs


@pytest.mark.parametrize(
    ("kind", "outputs", "groups", "rank"),
    [
        ("svd", 2048, 8, 92),
        ("spectral", 2048, 8, 14),
        ("svd", 2048, 1, 737),  # two matrices, each smaller
        ("spectral", 16, 8, 1),  # one band: nothing is cheaper
    ],
)
def test_ranks_at_the_papers_size(kind: str, outputs: int, groups: int, rank: int) -> None:
    assert choose_rank(kind, 0, 128, outputs, 4, groups) == rank


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_an_upsampler_starts_near_bicubic_and_every_weight_learns(kind: str, scale: int) -> None:
    model = build_model("lkca-lr", 12, scale, drop_path=0.0, upsampler=kind, **TINY)
    x = torch.rand(2, 12, 9, 7)
    output = model(x)
    assert output.shape == (2, 12, scale * 9, scale * 7)
    assert 1e-5 < (output - resize(x, scale)).abs().max() < 0.05
    (output - torch.rand_like(output)).square().mean().backward()
    for name, value in model.upsampler.named_parameters():
        assert value.grad is not None and value.grad.abs().max() > 0, name


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("rank", [1, 5, 96])
def test_a_truncation_is_the_best_of_its_rank(rank: int, normalised: bool) -> None:
    full = build_model("lkca" if normalised else "vdsr", 6, 4, **OTHERS["vdsr"]).upsampler[0]
    if full.bias is not None:
        nn.init.normal_(full.bias)
    first, second = truncate_convolution(full, rank)
    matrix = full.weight.detach().double().flatten(1)
    product = second.weight.detach().double().flatten(1) @ first.weight.detach().double().flatten(1)
    dropped = torch.linalg.svdvals(matrix)[rank:]
    assert torch.linalg.norm(matrix - product) == pytest.approx(dropped.square().sum().sqrt().item(), abs=1e-6)
    if rank == 96:
        x = torch.rand(2, 16, 5, 5)
        assert torch.allclose(second(first(x)), full(x), atol=1e-5)


def test_a_network_truncated_at_full_rank_is_the_same() -> None:
    model = build_model("lkca", 6, 4, **TINY).eval()
    x = torch.rand(1, 6, 5, 5)
    with torch.no_grad():
        assert torch.allclose(truncate(model, 96)(x), model(x), atol=1e-5)
        assert not torch.allclose(truncate(model, 2)(x), model(x), atol=1e-5)
    assert upsampling_convolutions(model) == ["upsampler.0"]  # the model passed in is unchanged
    with pytest.raises(ValueError, match="96, got 0"):
        truncate(model, 0)
    with pytest.raises(ValueError, match="groups"):
        truncate(build_model("lkca-lr", 6, 4, **TINY), 2)


def test_a_spectral_upsampler_takes_its_spectra_from_data() -> None:
    basis = build_model("lkca-lr", 9, 4, upsampler="spectral", rank=2, **TINY).upsampler[-1]
    assert basis.from_data
    planted = torch.linalg.qr(torch.randn(9, 2))[0]
    weights = torch.randn(3, 2, 8, 8) * torch.tensor([3.0, 1.0]).view(1, 2, 1, 1)
    residuals = torch.einsum("bk,nkhw->nbhw", planted, weights) + 0.01 * torch.randn(3, 9, 8, 8)
    basis.start_from(residuals)
    found = basis.weight.detach().flatten(1)
    assert torch.allclose((found.T @ planted).abs(), torch.eye(2), atol=0.1)
    assert torch.allclose(found.T @ found, torch.eye(2), atol=1e-5)
    assert (found.gather(0, found.abs().argmax(dim=0, keepdim=True)) > 0).all()  # the sign is fixed
    basis.start_from(-residuals.flip(0, 2))
    assert torch.allclose(basis.weight.flatten(1), found, atol=1e-5)
    assert principal_components(torch.rand(1, 1, 4, 4), 1).tolist() == [[1.0]]
    assert not build_model("lkca-lr", 12, 4, upsampler="spectral-random", rank=2, **TINY).upsampler[-1].from_data


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("kind", KINDS)
def test_upsamplers_in_other_networks(name: str, kind: str) -> None:
    options = {**OTHERS[name], "groups": 4}
    plain = build_model(name, 12, 4, **options)
    if kind in SPECTRAL and name != "vdsr":
        with pytest.raises(ValueError, match=rf"{type(plain).__name__}\."):
            build_model(name, 12, 4, upsampler=kind, **options)
        return
    model = build_model(name, 12, 4, upsampler=kind, **options)
    model(torch.rand(1, 12, 5, 4)).square().sum().backward()
    assert all(p.grad is not None for name, p in model.named_parameters() if "ups" in name)
    grouped = build_model(name, 12, 4, upsampler="grouped", **options)
    before, after = cost(grouped, 12), cost(model, 12)
    assert (after.params <= before.params and after.macs <= before.macs) or kind in ("grouped-1x1", "separable")
    assert cost(plain, 12).params > max(before.params, after.params)


def test_convolutions_of_other_kinds() -> None:
    volumes = build_model("3dfcnn", 12, 4, channels=8)
    assert low_rank(volumes, 3, kind="svd")(torch.rand(1, 12, 4, 4)).shape == (1, 12, 16, 16)
    for kind, groups, message in (("spectral", 3, r"FCNN3D\.layers\.6"), ("grouped", 8, r"layers\.6; possible: 1, 3")):
        with pytest.raises(ValueError, match=message):
            low_rank(volumes, groups, kind=kind)
    plain = nn.Sequential(nn.Conv2d(6, 96, 5, padding=2, padding_mode="reflect"), nn.PixelShuffle(4)).eval()
    model = low_rank(plain, 2, kind="spectral", rank=3)
    assert model[0].padding_mode == "reflect" and model[0].kernel_size == (5, 5) and not model[2].training
    assert not parametrize.is_parametrized(model[0])
    assert model(torch.rand(1, 6, 7, 7)).shape == (1, 6, 28, 28)


@pytest.mark.parametrize("kind", KINDS)
def test_low_rank_of_lkca_is_lkca_with_that_upsampler(kind: str) -> None:
    model = low_rank(build_model("lkca", 12, 4, **TINY), 8, kind=kind)
    same = build_model("lkca-lr", 12, 4, upsampler=kind, **TINY)
    assert {k: v.shape for k, v in model.state_dict().items()} == {k: v.shape for k, v in same.state_dict().items()}
    x = torch.rand(1, 12, 6, 6)
    assert (model(x) - resize(x, 4)).abs().max() < 0.05
