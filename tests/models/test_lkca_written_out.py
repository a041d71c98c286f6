"""LKCA-Net against the paper's equations written out plainly, with the same weights."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lkca import build_model, resize
from lkca.models.lkca import DilatedDepthwise


def convolved(layer: nn.Module, x: Tensor, **settings) -> Tensor:
    """The convolution of a layer's weights; of a weight-normalised one's direction and length."""
    weight = layer.weight
    if hasattr(layer, "parametrizations"):
        length, direction = layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
        weight = length * direction / direction.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return F.conv2d(x, weight, layer.bias, **settings)


def written_out(model: nn.Module, x: Tensor, scale: int, channels: int, groups: int) -> Tensor:
    """No other layout, no trick for dilated convolutions, no module of the network but for its weights."""
    features = convolved(model.head, x, padding=1)
    for block in model.body:
        attention = block.attention
        shrink, grow = attention.channel_attention.weights[1], attention.channel_attention.weights[3]
        y = F.gelu(convolved(block.project_in, features))
        near = convolved(attention.local, y, padding=2, groups=channels)
        far = convolved(attention.distant, near, padding=9, dilation=3, groups=channels)
        attended = torch.cat([y, near, far], dim=1)
        mean = attended.mean(dim=(2, 3), keepdim=True)
        attended = attended * torch.sigmoid(convolved(grow, F.relu(convolved(shrink, mean))))
        y = convolved(block.project_out, y * convolved(attention.fuse, attended, groups=4))
        features = features + block.layer_scale * y
    upsampled = convolved(model.upsampler[0], features, padding=1, groups=groups)
    return F.pixel_shuffle(upsampled, scale) + resize(x, scale)


@pytest.mark.parametrize(("name", "groups"), [("lkca", 1), ("lkca-lr", 8), ("lkca-kd", 8)])
@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (22, 13)])
def test_the_network_is_the_paper_s(name: str, groups: int, scale: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model = build_model(name, 6, scale, blocks=2, channels=32).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():  # far from the start, so that every part shows in the output
            parameter.add_(0.1 * torch.randn_like(parameter))
        x = torch.rand(2, 6, *size, dtype=torch.float64)
        expected = written_out(model, x, scale, 32, groups)
        assert (expected - resize(x, scale)).abs().max() > 0.1
        assert torch.allclose(model(x), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("kernel", "dilation", "padding"), [(7, 3, 9), (3, 2, 2), (5, 3, 0), (3, 1, 1), (5, 4, 12)])
@pytest.mark.parametrize("size", [(24, 24), (23, 17), (25, 31)])
def test_depthwise_with_dilation_is_torch_s(kernel: int, dilation: int, padding: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    fast = DilatedDepthwise(4, 4, kernel, padding=padding, dilation=dilation, groups=4).double()
    plain = nn.Conv2d(4, 4, kernel, padding=padding, dilation=dilation, groups=4).double()
    plain.load_state_dict(fast.state_dict())
    x = torch.rand(2, 4, *size, dtype=torch.float64)
    inputs, outputs = [], []
    for layer in (fast, plain):
        inputs.append(x.clone().requires_grad_())
        outputs.append(layer(inputs[-1]))
        outputs[-1].pow(2).sum().backward()
    assert torch.allclose(*outputs, rtol=0, atol=1e-12)
    assert torch.allclose(inputs[0].grad, inputs[1].grad, rtol=0, atol=1e-11)
    for name, parameter in plain.named_parameters():
        assert torch.allclose(fast.get_parameter(name).grad, parameter.grad, rtol=1e-10)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (1, 9)])
def test_depthwise_with_dilation_on_images_smaller_than_its_kernel(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    fast = DilatedDepthwise(3, 3, 7, padding=9, dilation=3, groups=3).double()
    x = torch.rand(1, 3, *size, dtype=torch.float64)
    assert torch.allclose(fast(x), nn.Conv2d.forward(fast, x), rtol=0, atol=1e-12)
