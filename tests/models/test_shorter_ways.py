"""Without gradients a CPU goes shorter ways through LKCA-Net: to the same result."""

import pytest
import torch

import lkca
from lkca.models import lkca as networks
from lkca.models.lkca import Pointwise


def network(upsampler: str = "grouped") -> torch.nn.Module:
    """A network far from its start, its attention far from 1/2 and different from image to image."""
    torch.manual_seed(0)
    model = lkca.build_model("lkca-lr", 6, 4, blocks=2, channels=32, upsampler=upsampler).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for block in model.body:
            for layer in (1, 3):
                block.attention.channel_attention.weights[layer].weight.mul_(20)
    return model


@pytest.mark.parametrize("upsampler", ["grouped", "svd", "spectral"])
@pytest.mark.parametrize("size", [(1, 1, 1), (1, 9, 5), (3, 8, 8)])
def test_with_and_without_gradients(upsampler: str, size: tuple[int, int, int]) -> None:
    model, (n, height, width) = network(upsampler), size
    lr = torch.rand(n, 6, height, width) * torch.arange(1, n + 1).view(n, 1, 1, 1)
    with torch.no_grad():
        short = model(lr)
    plain = model(lr)
    assert plain.requires_grad and not short.requires_grad
    assert (short - plain).abs().max() < 1e-6 * plain.abs().max()


def test_the_shorter_ways_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    whole = networks.AttendedFusion.__call__
    monkeypatch.setattr(networks.AttendedFusion, "__call__", lambda self, parts: taken.append(1) or whole(self, parts))
    model, lr = network(), torch.rand(1, 6, 8, 8)
    model(lr)
    assert not taken
    with torch.inference_mode():
        model(lr)
    assert len(taken) == len(model.body)


def test_pointwise_is_a_convolution() -> None:
    layer, x = Pointwise(5, 3, 1), torch.rand(2, 5, 4, 7, requires_grad=True)
    wanted = torch.nn.functional.conv2d(x, layer.weight, layer.bias)
    assert torch.allclose(layer(x), wanted, atol=1e-6)
    gradients = [torch.autograd.grad(y.square().sum(), [x, layer.weight, layer.bias]) for y in (layer(x), wanted)]
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(*gradients, strict=True))


def test_input_is_left_alone() -> None:
    model, lr = network(), torch.rand(1, 6, 8, 8)
    before = lr.clone()
    with torch.no_grad():
        model(lr)
    model(lr)
    assert torch.equal(lr, before)
