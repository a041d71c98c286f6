"""`low_rank`: the paper's upsampling layer in any network, and nothing else touched."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from lkca import build_model, cost, resize
from lkca.models.low_rank import low_rank, upsampling_convolutions

SMALL = {  # model -> options, and what low_rank has to find at x4
    "vdsr": ({"blocks": 2, "channels": 16}, ["upsampler.0"]),
    "sspsr": ({"blocks": 1, "channels": 16}, ["branch.2", "trunk.2"]),
    "msdformer": ({"blocks": 1, "channels": 48}, ["upsampling.0", "upsampling.2"]),
    "essaformer": ({"blocks": 1, "channels": 16}, ["up.0", "up.2"]),
    "lkca": ({"blocks": 2, "channels": 32}, ["upsampler.0"]),
    "lkca-lr": ({"blocks": 2, "channels": 32}, ["upsampler.0"]),
}


@pytest.fixture(autouse=True)
def _same_every_time():
    torch.manual_seed(0)


@pytest.mark.parametrize("name", SMALL)
def test_only_the_upsampling_convolutions_change(name):
    options, expected = SMALL[name]
    model = build_model(name, 12, 4, **options)
    before = copy.deepcopy(model.state_dict())
    grouped = low_rank(model, groups=4)
    assert upsampling_convolutions(model) == expected
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())  # given one untouched
    assert all(grouped.get_submodule(layer).groups == 4 for layer in expected)
    for key, value in grouped.state_dict().items():
        of_upsampler = any(key.startswith(f"{layer}.") for layer in expected)
        assert of_upsampler or torch.equal(value, before[key]), key
        assert not of_upsampler or value.data_ptr() != model.state_dict()[key].data_ptr(), key
    (grouped(torch.rand(1, 12, 5, 6)) ** 2).sum().backward()
    for layer in expected:
        assert all(p.grad is not None and p.grad.any() for p in grouped.get_submodule(layer).parameters())
    assert type(grouped) is type(model) and grouped(torch.rand(2, 12, 3, 4)).shape == (2, 12, 12, 16)


@pytest.mark.parametrize(("bands", "scale"), [(128, 4), (128, 8), (48, 4), (102, 8)])
def test_lkca_becomes_lkca_lr(bands, scale):
    options = {"blocks": 1}
    grouped = low_rank(build_model("lkca", bands, scale, **options), groups=8)
    assert cost(grouped, bands) == cost(build_model("lkca-lr", bands, scale, **options), bands)


def test_costs_fall_by_what_the_upsampler_saves():
    model = build_model("vdsr", 128, 4)
    before, after = cost(model, 128), cost(low_rank(model, groups=8), 128)
    upsampler = 64 * 9 * 128 * 16
    assert before.params - after.params == upsampler * 7 // 8
    assert before.macs - after.macs == upsampler * 256 * 7 // 8


@pytest.mark.parametrize("name", ["lkca", "vdsr"])
def test_start_near_bicubic_is_kept(name):
    model = build_model(name, 8, 4, **SMALL[name][0]).eval()
    x = torch.rand(1, 8, 9, 7)
    assert 0 < (low_rank(model, 4)(x) - resize(x, 4)).abs().max() < 0.2


def test_weight_norm_is_kept_where_it_was():
    model = nn.Sequential(weight_norm(nn.Conv2d(8, 32, 3, padding=1)), nn.PixelShuffle(2), nn.Conv2d(8, 4, 1))
    assert parametrize.is_parametrized(low_rank(model, 8)[0])
    assert not parametrize.is_parametrized(low_rank(build_model("vdsr", 8, 2, **SMALL["vdsr"][0])).upsampler[0])


class Elsewhere(nn.Module):
    """Shuffles by the function, far from its convolution, in another order than it is written down."""

    def __init__(self) -> None:
        super().__init__()
        self.late = nn.Conv2d(6, 16, 3, padding=1, padding_mode="reflect", bias=False)
        self.unused = nn.PixelShuffle(2)
        self.norm = nn.BatchNorm2d(64)
        self.other = nn.Conv2d(64, 64, 3, padding=1)
        self.expand = nn.Conv2d(16, 64, 5, padding=2, stride=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.gelu(self.norm(self.expand(self.late(x))))
        return F.pixel_shuffle(y, 4) + F.pixel_shuffle(input=self.other(y) + y, upscale_factor=4)


def test_any_module_by_what_it_does():
    model = Elsewhere().eval()
    grouped = low_rank(model, groups=16)
    assert upsampling_convolutions(model) == ["expand"]  # `other` is added to something first: a fork
    assert (grouped.expand.groups, grouped.expand.kernel_size, grouped.other.groups) == (16, (5, 5), 1)
    assert grouped(torch.rand(1, 6, 5, 5)).shape == (1, 4, 20, 20)
    assert not grouped.training and not grouped.expand.training


def test_an_example_says_what_the_model_takes():
    model = nn.Sequential(nn.Flatten(1, 2), nn.Conv2d(6, 16, 3, padding=1), nn.PixelShuffle(2))
    assert low_rank(model, 2, example=torch.rand(1, 2, 3, 8, 8))[1].groups == 2


def test_3dfcnn_in_three_groups():
    model = build_model("3dfcnn", 48, 4, channels=8)
    grouped = low_rank(model, groups=3)
    assert grouped.layers[6].groups == 3 and grouped(torch.rand(1, 48, 4, 4)).shape == (1, 48, 16, 16)
    with pytest.raises(ValueError, match=r"8 groups .* 9 input and 768 output .*FCNN3D\.layers\.6; possible: 1, 3"):
        low_rank(model, groups=8)


@pytest.mark.parametrize(
    ("model", "groups", "message"),
    [
        (nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU()), 2, "no convolution feeds a PixelShuffle in Sequential"),
        (nn.Sequential(nn.PixelShuffle(2)), 2, "no convolution feeds"),
        (nn.Sequential(nn.Conv2d(6, 12, 3), nn.PixelShuffle(2)), 4, "Sequential.0; possible: 1, 2, 3, 6"),
        (nn.Sequential(nn.Conv2d(6, 12, 3), nn.PixelShuffle(2)), 0, "whole number of at least 1, got 0"),
        (nn.Sequential(spectral_norm(nn.Conv2d(6, 12, 3)), nn.PixelShuffle(2)), 2, "other than weight_norm"),
    ],
)
def test_what_cannot_be_grouped_is_said(model, groups, message):
    with pytest.raises(ValueError, match=message):
        low_rank(model, groups)
