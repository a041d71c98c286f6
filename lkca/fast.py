"""Faster inference and training on a CPU: the same networks with some modules swapped for equivalent ones.

The files in `lkca.models` are plain PyTorch. `accelerate` swaps the classes of the modules below in place; parameters
and state-dict keys stay. On a GPU, and while torch compiles or exports a network, a swapped module runs its plain code.

    1x1 convolutions of a block     matrix products
    dilated depthwise convolution   d² ordinary convolutions, for which a CPU has a fast kernel
    channel attention               factors multiplied into the 1x1 convolution that follows (inference only)
    residual sum of a block         one pass over memory
    LKCA-Net                        channels-last layout; PixelShuffle and sum in one pass (inference only)
    SSPSR, MSDformer                band groups of one image at a time, which fit the cache
"""

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import parametrize

from lkca.models.lkca import ChannelAttention, LargeKernelBlock, LargeKernelChannelAttention, LKCANet
from lkca.models.msdformer import GroupHead
from lkca.models.sspsr import SSPSR

PRECISIONS = ("float32", "bfloat16")


def accelerate(model: nn.Module) -> nn.Module:
    """Swap the modules listed at the top of this file, in place; return the model. A second call changes nothing.

    Outputs and gradients equal those of the plain modules up to float32 rounding (tests/test_fast.py). Subclasses of
    the plain modules are swapped too and keep what they override.
    """
    for module in list(model.modules()):
        if isinstance(module, LargeKernelBlock):
            _swap_convolution(module.project_in, _Pointwise)
            _swap_convolution(module.project_out, _Pointwise)
        if isinstance(module, LargeKernelChannelAttention):
            _swap_convolution(getattr(module, "distant", None), _DilatedDepthwise)  # a subclass may lack it
        for fast in _FAST:
            plain = fast.__bases__[0]
            if isinstance(module, plain) and not isinstance(module, fast):
                module.__class__ = _with_fast_base(type(module), fast)
    return model


def fold(model: nn.Module) -> nn.Module:
    """Fold a model for inference, in place; return it in eval mode with its weights fixed.

    Weight normalisation is computed once, and the layer scale of large-kernel blocks is multiplied into the convolution
    before it. The output is the same up to rounding. `fold(copy.deepcopy(model))` leaves the model as it is.
    """
    with torch.no_grad():
        for module in model.modules():
            for name in tuple(getattr(module, "parametrizations", ())):
                module.__class__ = _own_class(module, type(module).__bases__[0])  # removing edits the class
                weight = getattr(module, name).detach()
                parametrize.remove_parametrizations(module, name)
                delattr(module, name)  # without gradients torch leaves a bare tensor, which `to` would not move
                module.register_parameter(name, nn.Parameter(weight, requires_grad=False))
        for block in (module for module in model.modules() if isinstance(module, LargeKernelBlock)):
            block.project_out.weight.mul_(block.layer_scale[..., None])
            block.project_out.bias.mul_(block.layer_scale.flatten())
            block.layer_scale.fill_(1)
    return model.requires_grad_(False).eval()


def computing_in(precision: str, device: torch.device | str = "cpu") -> AbstractContextManager:
    """Return a context in which a network computes in "float32" or "bfloat16" (autocast); its weights stay float32.

    Bicubic and the sum with the residual stay float32 in both: in bfloat16 they would be off by 0.0012 of full scale.

    Raises
    ------
    ValueError
        For any other precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def native_bfloat16() -> bool:
    """Return whether the CPU multiplies bfloat16 in hardware; if not, bfloat16 is slower than float32."""
    queries = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(query() for query in queries if query)


@torch.inference_mode()
def predict(model: nn.Module, lr: Tensor) -> Tensor:
    """Return a model's output for one LR image (B, h, w): float32 (B, r·h, r·w) on the CPU.

    The model is accelerated in place. If the GPU's memory is too small, the CPU computes the image, with a warning.

    Raises
    ------
    ValueError
        If the output has NaN or infinite values.
    """
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    training = model.training
    accelerate(model).eval()
    try:
        prediction = model(lr[None].to(device))[0].float().cpu()
    except torch.OutOfMemoryError:
        prediction = None
    if prediction is None:  # outside the except block: the error keeps references to the tensors that filled the memory
        torch.cuda.empty_cache()
        warnings.warn(
            f"an image of {lr.shape[1]}x{lr.shape[2]} LR pixels does not fit into the GPU's memory: computed on the "
            f"CPU, which is slower",
            stacklevel=2,
        )
        weights = {name: tensor.cpu() for name, tensor in (*model.named_parameters(), *model.named_buffers())}
        prediction = functional_call(model, weights, (lr[None],))[0].float()
    model.train(training)
    if not prediction.isfinite().all():
        raise ValueError(
            f"{type(model).__name__} gives NaN or infinite values for an image of {lr.shape[1]}x{lr.shape[2]} LR "
            "pixels: its weights are unusable; train again"
        )
    return prediction


def _on_cpu(x: Tensor) -> bool:
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


class _Pointwise(nn.Conv2d):
    """1x1 convolution as a matrix product: faster than torch's convolution for a single image."""

    def forward(self, x: Tensor) -> Tensor:
        if not _on_cpu(x):
            return super().forward(x)
        return F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


class _DilatedDepthwise(nn.Conv2d):
    """Depthwise convolution with stride 1 that keeps the image's size, as d² ordinary ones; five times as fast.

    With dilation d, an output pixel reads only pixels whose row and column equal its own modulo d. So the image falls
    apart into d² images, each with an ordinary convolution.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not _on_cpu(x):
            return super().forward(x)
        n, c, h, w = x.shape
        d = self.dilation[0]
        x = F.pad(x, (0, -w % d, 0, -h % d))  # zeros, as the convolution's own padding
        rows, columns = x.shape[2] // d, x.shape[3] // d
        x = x.permute(0, 2, 3, 1).reshape(n, rows, d, columns, d, c).permute(0, 2, 4, 1, 3, 5)
        x = x.reshape(n * d * d, rows, columns, c).permute(0, 3, 1, 2)  # channels last
        y = F.conv2d(x, self.weight, self.bias, padding=[p // d for p in self.padding], groups=self.groups)
        y = y.permute(0, 2, 3, 1).reshape(n, d, d, rows, columns, c).permute(0, 3, 1, 4, 2, 5)
        return y.reshape(n, rows * d, columns * d, c).permute(0, 3, 1, 2)[:, :, :h, :w]


class _FastBlock(LargeKernelBlock):
    def forward(self, x: Tensor) -> Tensor:
        if not _on_cpu(x):
            return super().forward(x)
        y = self.project_out(self.attention(self.activation(self.project_in(x))))
        scale = self.layer_scale
        if self.training:
            scale = scale * self.drop_path(scale.new_ones(len(x), 1, 1, 1))
        return torch.addcmul(x, y, scale)


class _FastAttention(LargeKernelChannelAttention):
    """Large-kernel attention that, without gradients, neither concatenates nor scales the 3C channels.

    The factors of the channel attention are the same at every pixel of an image, so they are multiplied into the
    weights of the grouped 1x1 convolution that follows. In training the plain code is as fast.
    """

    def forward(self, y: Tensor) -> Tensor:
        complete = self.distant is not None and isinstance(self.channel_attention, ChannelAttention)
        if not complete or not _on_cpu(y) or torch.is_grad_enabled():
            return super().forward(y)
        near = self.local(y)
        far = self.distant(near)
        means = torch.cat([part.mean(dim=(2, 3), keepdim=True) for part in (y, near, far)], dim=1)
        factors = self.channel_attention.weights[1:](means)  # (n, 3C, 1, 1)
        return self._fuse((y, near, far), factors).mul_(y)

    def _fuse(self, parts: tuple[Tensor, Tensor, Tensor], factors: Tensor) -> Tensor:
        """Return fuse(cat(parts) · factors); parts (n, C, h, w) in channels-last layout, factors (n, 3C, 1, 1)."""
        n, channels, height, width = parts[0].shape
        flat = [part.permute(0, 2, 3, 1).reshape(n, height * width, channels) for part in parts]
        groups, inputs = self.fuse.groups, self.fuse.weight.shape[1]  # 3C / groups
        weights = self.fuse.weight.view(groups, channels // groups, inputs) * factors.view(n, groups, 1, inputs)
        weights, bias = weights.to(flat[0].dtype), self.fuse.bias.to(flat[0].dtype)
        result = flat[0].new_empty(n, height * width, channels)
        for image, out in enumerate(result):
            for group, weight in enumerate(weights[image]):  # (C/groups, 3C/groups)
                target = slice(group * channels // groups, (group + 1) * channels // groups)
                total = bias[target]
                for part, taken, columns in _overlaps(group, inputs, channels):
                    torch.addmm(total, flat[part][image][:, taken], weight[:, columns].T, out=out[:, target])
                    total = out[:, target]
        return result.view(n, height, width, channels).permute(0, 3, 1, 2)


@cache
def _overlaps(group: int, inputs: int, channels: int) -> list[tuple[int, slice, slice]]:
    """Return where a group's inputs lie in three parts of C channels: (part, its channels, the group's inputs)."""
    found = []
    place, end = group * inputs, (group + 1) * inputs
    while place < end:
        part, channel = divmod(place, channels)
        count = min(end - place, channels - channel)
        start = place - group * inputs
        found.append((part, slice(channel, channel + count), slice(start, start + count)))
        place += count
    return found


class _FastLKCANet(LKCANet):
    def residual(self, x: Tensor) -> Tensor:
        return super().residual(x.contiguous(memory_format=torch.channels_last) if _on_cpu(x) else x)

    def forward(self, x: Tensor) -> Tensor:
        last = self.upsampler[-1]
        if not _on_cpu(x):
            return super().forward(x)
        if torch.is_grad_enabled() or not isinstance(last, nn.PixelShuffle):
            return self.bicubic(x).add_(self.residual(x))
        features = self.body(self.head(x.contiguous(memory_format=torch.channels_last)))
        image, r = self.bicubic(x), last.upscale_factor
        y = self.upsampler[:-1](features)  # (n, B·r², h, w)
        n, bands, height, width = image.shape
        y = y.reshape(n, bands, r, r, height // r, width // r).permute(0, 1, 4, 2, 5, 3)  # (n, B, h, r, w, r)
        image.view(n, bands, height // r, r, width // r, r).add_(y)
        return image


class _FastSSPSR(SSPSR):
    def upsample_groups(self, x: Tensor) -> Tensor:
        return _image_by_image(super().upsample_groups, x)


class _FastGroupHead(GroupHead):
    def forward(self, x: Tensor) -> Tensor:
        return _image_by_image(super().forward, x)


def _image_by_image(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return torch.cat([function(image) for image in x.split(1)]) if _on_cpu(x) and len(x) > 1 else function(x)


_FAST = (_FastBlock, _FastAttention, _FastLKCANet, _FastSSPSR, _FastGroupHead)


@cache
def _with_fast_base(kind: type, fast: type) -> type:
    """Return the fast class; for a subclass of the plain class, a fast class that keeps what the subclass overrides."""
    return fast if kind is fast.__bases__[0] else type(kind.__name__, (kind, fast), {})


def _swap_convolution(convolution: nn.Module, fast: type[nn.Conv2d]) -> None:
    if type(convolution) is nn.Conv2d:
        convolution.__class__ = fast
    elif parametrize.is_parametrized(convolution) and type(convolution).__bases__[0] is nn.Conv2d:
        convolution.__class__ = _own_class(convolution, fast)


def _own_class(module: nn.Module, base: type) -> type:
    """Copy the class that torch made for a parametrised module, with another base: deep copies share that class."""
    kind = type(module)
    return type(kind.__name__, (base,), dict(vars(kind)))
