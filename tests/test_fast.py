"""`accelerate` and `fold` change how a network computes on a CPU, and not what."""

import copy

import pytest
import torch
from torch import Tensor, nn

from lkca.fast import accelerate, computing_in, fold, predict
from lkca.losses import supervised_loss
from lkca.models import MODELS, build_model
from lkca.models.lkca import LargeKernelBlock, LargeKernelChannelAttention, LKCANet
from lkca.resize import resize

SMALL = {name: dict(model.small) for name, model in MODELS.items()}
LEARNED = [name for name, model in MODELS.items() if model.learned]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def network(name: str = "lkca-lr", bands: int = 11, scale: int = 4, **options: object) -> nn.Module:
    """Build a network far from its start, its attention far from 1/2 and different from image to image."""
    model = build_model(name, bands, scale, **SMALL[name] | options).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.03 * torch.randn_like(parameter))
        for module in model.modules():
            if isinstance(module, LargeKernelChannelAttention):
                module.channel_attention.weights[1].weight.mul_(20)
                module.channel_attention.weights[3].weight.mul_(20)
    return model


def assert_close(fast: Tensor, plain: Tensor) -> None:
    assert (fast - plain).abs().max() <= 2e-6 * plain.abs().max()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in MODELS),
        *(("lkca", {"upsampler": kind, "channels": 48}) for kind in ("grouped", "svd", "spectral")),
    ],
)
@pytest.mark.parametrize("size", [(1, 1, 1), (1, 9, 5), (3, 8, 21)])
def test_inference_gives_the_same(name: str, options: dict, size: tuple[int, int, int]) -> None:
    plain = network(name, **options)
    fast = accelerate(copy.deepcopy(plain))
    n, height, width = size
    x = torch.rand(n, 11, height, width) * torch.arange(1, n + 1).view(n, 1, 1, 1)
    before = x.clone()
    with torch.inference_mode():
        assert_close(fast(x), plain(x))
        if hasattr(plain, "residual"):
            assert_close(fast.residual(x), plain.residual(x))
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", LEARNED)
def test_training_gives_the_same_gradients(name: str) -> None:
    options = {"drop_path": 0.5} if name.startswith("lkca") else {}
    plain = network(name, **options).double().train()
    fast = accelerate(copy.deepcopy(plain))
    truth = torch.rand(3, 11, 32, 28, dtype=torch.float64)
    x = resize(truth, 1 / 4)
    losses = []
    for model in (plain, fast):
        torch.manual_seed(1)  # of dropout
        losses.append(supervised_loss(model(x), truth))
        losses[-1].backward()
    assert torch.allclose(losses[0], losses[1], rtol=1e-12)
    for (key, parameter), other in zip(plain.named_parameters(), fast.parameters(), strict=True):
        if parameter.grad is not None:
            assert (parameter.grad - other.grad).abs().max() <= 1e-9 * parameter.grad.abs().max(), key


def test_keys_are_kept_and_twice_is_once() -> None:
    plain = build_model("lkca-lr", 8, 4, **SMALL["lkca-lr"])
    fast = accelerate(copy.deepcopy(plain))
    classes = [type(module) for module in fast.modules()]
    assert accelerate(fast) is fast and [type(module) for module in fast.modules()] == classes
    assert isinstance(fast, LKCANet) and type(plain) is LKCANet
    assert list(fast.state_dict()) == list(plain.state_dict())
    assert [name for name, _ in fast.named_parameters()] == [name for name, _ in plain.named_parameters()]


class ClampedBlock(LargeKernelBlock):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).clamp(-0.5, 0.5)


class HalvedAttention(LargeKernelChannelAttention):
    def forward(self, y: Tensor) -> Tensor:
        return super().forward(y) / 2


def test_subclasses_keep_what_they_override() -> None:
    plain = nn.Sequential(ClampedBlock(32, 0.0), ClampedBlock(32, 0.0)).eval()
    plain[0].attention = HalvedAttention(32)
    fast = accelerate(copy.deepcopy(plain))
    assert isinstance(fast[0], ClampedBlock) and isinstance(fast[0].attention, HalvedAttention)
    assert type(fast[0]) is not ClampedBlock
    x = torch.randn(1, 32, 6, 5).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        assert plain(x).abs().max() == 0.5
        assert_close(fast(x), plain(x))
        assert_close(fold(copy.deepcopy(fast))(x), plain(x))


@pytest.mark.parametrize("order", [(accelerate, fold), (fold, accelerate)])
@pytest.mark.parametrize("name", LEARNED)
def test_folding_gives_the_same_and_leaves_the_original(name: str, order: tuple) -> None:
    model = network(name, 6, 2)
    with torch.no_grad():
        for block in (module for module in model.modules() if isinstance(module, LargeKernelBlock)):
            block.layer_scale.uniform_(0.5, 2.0)
    x, keys = torch.rand(1, 6, 8, 8), list(model.state_dict())
    compact = copy.deepcopy(model)
    for change in order:
        compact = change(compact)
    with torch.no_grad():
        expected = model(x)
        assert torch.allclose(compact(x), expected, rtol=1e-5, atol=1e-5)
        assert torch.equal(model(x), expected)
    assert list(model.state_dict()) == keys
    assert not any("original" in key for key in compact.state_dict())
    assert not compact.training and not any(p.requires_grad for p in compact.parameters())
    model.train()(x).mean().backward()  # the original can still be trained


def test_predict_takes_one_image_and_keeps_the_mode() -> None:
    model = build_model("lkca", 5, 2, **SMALL["lkca"]).train()
    lr = torch.rand(5, 6, 9)
    sharp = predict(model, lr)
    assert model.training and sharp.shape == (5, 12, 18) and sharp.dtype == torch.float32
    assert torch.allclose(sharp, model.eval()(lr[None])[0], atol=1e-6)
    assert torch.equal(predict(build_model("bicubic", 5, 2), lr), resize(lr, 2))
    with pytest.raises(ValueError, match="float16"):
        computing_in("float16")


def test_unusable_weights_are_refused() -> None:
    model = build_model("vdsr", 3, 2, blocks=1, channels=4)
    model.body[0].weight.data.fill_(float("nan"))
    with pytest.raises(ValueError, match="VDSR .* 4x5"):
        predict(model, torch.rand(3, 4, 5))


def test_an_image_too_large_for_the_gpu_is_done_on_the_cpu() -> None:
    model, errors = nn.Conv2d(3, 3, 1), iter([torch.OutOfMemoryError("CUDA out of memory")])

    def run_out_of_memory_once(*_: object) -> None:
        for error in errors:
            raise error

    model.register_forward_pre_hook(run_out_of_memory_once)
    lr = torch.rand(3, 4, 5)
    with pytest.warns(UserWarning, match="4x5"):
        assert torch.allclose(predict(model, lr), model(lr))
