"""The five published networks: outputs of the originals, structure, and what every network must do."""

import pytest
import torch
import torch.nn.functional as F

from lkca.models import MODELS, build_model
from lkca.models.blocks import BandGroups
from lkca.models.essaformer import squared_share
from lkca.resize import resize

pytestmark = pytest.mark.filterwarnings("ignore:8 groups do not divide")
SMALL = {name: dict(model.small) for name, model in MODELS.items()}
LEARNED = [name for name, model in MODELS.items() if model.learned]
PUBLISHED = {  # the small configurations of tests/golden/README.md
    "sspsr": {"blocks": 2, "channels": 16, "group_bands": 4, "group_overlap": 1},
    "msdformer": {"blocks": 2, "channels": 48, "heads": 6, "group_bands": 4, "group_overlap": 1},
    "essaformer": {"channels": 16},
}


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("channels_last", [False, True])
def test_output_of_the_published_network(name: str, channels_last: bool, golden) -> None:
    arrays = golden(f"{name}_x4")
    model = build_model(name, 11, 4, **PUBLISHED[name]).eval()
    weights = [torch.tensor(arrays[key]) for key in sorted(arrays) if key.startswith("p")]
    assert [tuple(p.shape) for p in model.parameters()] == [tuple(w.shape) for w in weights]
    with torch.no_grad():
        for parameter, weight in zip(model.parameters(), weights, strict=True):
            parameter.copy_(weight)
        x = torch.tensor(arrays["x"])
        if channels_last:  # the memory layout must not change the numbers
            model, x = (m.to(memory_format=torch.channels_last) for m in (model, x))
        y = model(x)
    assert (y - torch.tensor(arrays["y"])).abs().max() <= 2e-5 * arrays["y"].std()


def test_vdsr_is_bicubic_plus_its_convolutions() -> None:
    model = build_model("vdsr", 5, 2, **SMALL["vdsr"])
    x = torch.rand(2, 5, 6, 4)
    y = x
    for layer in model.body[::2]:
        y = F.relu(F.conv2d(y, layer.weight, padding=1))
    y = F.conv2d(y, model.upsampler[0].weight, padding=1)
    expected = y.reshape(2, 5, 2, 2, 6, 4).permute(0, 1, 4, 2, 5, 3).reshape(2, 5, 12, 8) + resize(x, 2)
    torch.testing.assert_close(model(x), expected)
    assert (model(x) - resize(x, 2)).abs().max() < 0.2  # starts near bicubic


def test_3dfcnn_uses_the_middle_slice_of_its_kernels() -> None:
    model = build_model("3dfcnn", 5, 2, channels=8)
    x = torch.rand(2, 5, 6, 4)
    y = x
    for number, layer in enumerate(model.layers[::2]):
        middle = layer.weight[:, :, layer.weight.shape[2] // 2]
        y = F.conv2d(F.relu(y) if number else y, middle, layer.bias, padding="same")
    torch.testing.assert_close(model(x), F.pixel_shuffle(y, 2))


@pytest.mark.parametrize("bands", [1, 3, 8, 9, 11, 15, 48, 102, 128, 205])
def test_bands_are_split_into_groups_and_merged_again(bands: int) -> None:
    groups = BandGroups(bands, 8, 2)
    assert groups.count == max(1, -(-(bands - 2) // 6)) and groups.size == min(8, bands)
    x = torch.rand(2, bands, 3, 4)
    torch.testing.assert_close(groups.merge(groups.split(x)), x)
    of_second = groups.split(x).unflatten(0, (2, -1))[1]
    assert torch.equal(of_second[0], x[1, : groups.size])
    assert torch.equal(of_second[-1], x[1, bands - groups.size :])


def test_squares_do_not_overflow_in_half_precision() -> None:
    x = torch.tensor([[[-900.0, 0.0, 900.0]]])
    torch.testing.assert_close(squared_share(x.half()), torch.tensor([[[0.5, 0.0, 0.5]]]))


# Every network


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize(("bands", "height", "width"), [(1, 1, 1), (3, 1, 5), (11, 4, 3)])
def test_any_bands_scale_and_size(name: str, scale: int, bands: int, height: int, width: int) -> None:
    model = build_model(name, bands, scale, **SMALL[name]).eval()
    with torch.no_grad():
        y = model(torch.rand(2, bands, height, width))
    assert y.shape == (2, bands, scale * height, scale * width)
    assert y.isfinite().all()


@pytest.mark.parametrize("name", LEARNED)
def test_gradients_reach_every_parameter_in_use(name: str) -> None:
    options = SMALL[name] | ({"channels": 64} if name == "sspsr" else {})  # 16 leave one unit to an attention's ReLU
    model = build_model(name, 11, 4, **options).eval()
    x = torch.rand(2, 11, 6, 5)
    (model(x) * torch.rand(2, 11, 24, 20)).sum().backward()
    without = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert without == ({"body.0.weight", "body.0.bias"} if name == "msdformer" else set())
    if name == "msdformer":  # the query that the published network computes and does not use
        for block in model.transformer:
            query, *used = block.attention.qkv.weight.grad.chunk(3)
            assert not query.any() and all(third.any() for third in used)


@pytest.mark.parametrize("name", LEARNED)
def test_bfloat16_gives_finite_numbers(name: str) -> None:
    model = build_model(name, 11, 4, **SMALL[name]).train()
    x = torch.rand(2, 11, 6, 5)
    x[0] = 0  # a black image has no spectrum to divide by
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = model(x)
    y.float().square().mean().backward()
    assert y.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    exact = model.eval()(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model(x)
    assert (rounded - exact).abs().max() < 0.1 * exact.std()
