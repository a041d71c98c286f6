"""LKCA-Net: the paper's equations written out, stochastic depth, groups."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lkca.models import build_model
from lkca.models.lkca import DropPath
from lkca.resize import resize

TINY = {"blocks": 2, "channels": 16}


def convolve(layer: nn.Module, x: Tensor, **settings: int) -> Tensor:
    """Convolve with a layer's weights; of a weight-normalised one, with length · direction / |direction|."""
    weight = layer.weight
    if hasattr(layer, "parametrizations"):
        length, direction = layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
        weight = length * direction / direction.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return F.conv2d(x, weight, layer.bias, **settings)


def written_out(model: nn.Module, x: Tensor, scale: int, channels: int, groups: int) -> Tensor:
    features = convolve(model.head, x, padding=1)
    for block in model.body:
        attention = block.attention
        squeeze, expand = attention.channel_attention.weights[1], attention.channel_attention.weights[3]
        y = F.gelu(convolve(block.project_in, features))
        near = convolve(attention.local, y, padding=2, groups=channels)
        far = convolve(attention.distant, near, padding=9, dilation=3, groups=channels)
        attended = torch.cat([y, near, far], dim=1)
        mean = attended.mean(dim=(2, 3), keepdim=True)
        attended = attended * torch.sigmoid(convolve(expand, F.relu(convolve(squeeze, mean))))
        y = convolve(block.project_out, y * convolve(attention.fuse, attended, groups=4))
        features = features + block.layer_scale * y
    upsampled = convolve(model.upsampler[0], features, padding=1, groups=groups)
    return F.pixel_shuffle(upsampled, scale) + resize(x, scale)


@pytest.mark.parametrize(("name", "groups"), [("lkca", 1), ("lkca-lr", 8), ("lkca-kd", 8)])
@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (22, 13)])
def test_the_network_is_the_papers(name: str, groups: int, scale: int, size: tuple[int, int]) -> None:
    model = build_model(name, 6, scale, blocks=2, channels=32).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():  # far from the start, so that every part shows in the output
            parameter.add_(0.1 * torch.randn_like(parameter))
        x = torch.rand(2, 6, *size, dtype=torch.float64)
        expected = written_out(model, x, scale, 32, groups)
        assert (expected - resize(x, scale)).abs().max() > 0.1
        assert torch.allclose(model(x), expected, rtol=0, atol=1e-10)
        assert torch.allclose(model.residual(x), expected - resize(x, scale), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("kind", "read"), [("grouped", [6, 7]), ("grouped-mixed", [3, 11])])
def test_each_group_of_features_gives_its_own_bands(kind: str, read: list[int]) -> None:
    """Group k of g reads the k-th 1/g of the features, or every g-th, and writes the k-th 1/g of the bands."""
    model = build_model("lkca-lr", 8, 4, upsampler=kind, **TINY)
    features = torch.rand(1, 16, 4, 4, requires_grad=True)
    model.upsampler(features)[:, 3].sum().backward()
    assert features.grad.abs().amax(dim=(0, 2, 3)).nonzero().flatten().tolist() == read


@pytest.mark.parametrize(
    ("bands", "scale", "groups"), [(1, 2, 4), (3, 2, 4), (31, 2, 4), (2, 2, None), (1, 4, None), (5, 8, None)]
)
def test_groups_that_do_not_divide_are_reduced_with_a_warning(bands: int, scale: int, groups: int | None) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = build_model("lkca-lr", bands, scale, **TINY)
    assert model.upsampler[0].groups == (groups or 8)
    assert len(caught) == (1 if groups else 0)
    assert all(f"using {groups}" in str(warning.message) for warning in caught)


def test_drop_path_drops_whole_images_in_training_and_keeps_the_mean() -> None:
    ones, drop_path = torch.ones(4000, 2, 3, 3), DropPath(0.25)
    per_image = drop_path(ones).flatten(1)
    assert (per_image == per_image[:, :1]).all()
    assert per_image[:, 0].unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert per_image.mean().item() == pytest.approx(1, abs=0.03)
    assert torch.equal(drop_path.eval()(ones), ones)
    x = torch.rand(4, 8, 8, 8)
    for probability in (0.0, 0.5):
        model = build_model("lkca-lr", 8, 4, drop_path=probability, **TINY)
        assert torch.equal(model(x), model(x)) == (probability == 0)
