"""LKCA-Net and its low-rank variant LKCA-LR.

H. Shi, F. Zhou, X. Sun, J. Han, "Rethinking the Upsampling Layer in Hyperspectral Image Super Resolution",
arXiv 2501.18664. The authors published no code. The graph is the paper's; the sizes follow from its printed parameters
and MACs, which this file reproduces to the last digit (docs/assumptions.md).
"""

import math
import warnings
from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from lkca.measures.resize import resize
from lkca.models.upsamplers import build_upsampler, chosen_rank, start_near_zero

REDUCTION = 16  # of the channel attention
FUSION_GROUPS = 4  # of the 1x1 convolution that turns 3C attended channels into C weights


class LKCANet(nn.Module):
    """x -> upsampler(body(head(x))) + bicubic(x).

    Parameters
    ----------
    bands, scale : (n, B, h, w) becomes (n, B, scale·h, scale·w).
    blocks : number N of large-kernel blocks in the body.
    channels : feature channels C, a multiple of 16.
    groups : groups g of the upsampling convolution; 1 is LKCA-Net, 8 is LKCA-LR. It must divide C; where it does not
        divide B·scale² (an odd number of bands at x2), the greatest common divisor is taken, with a warning.
    drop_path : probability of skipping a block's residual branch in training (stochastic depth).
    upsampler : its kind, see `lkca.models.upsamplers`.
    rank : k of the kinds that have one; 0 is the largest k that costs no more than g groups would.

    Raises
    ------
    ValueError
        If C is not a multiple of 16, g does not divide C, drop_path is not in [0, 1), there is no such upsampler, or
        the rank does not go with it.
    """

    def __init__(
        self,
        bands: int,
        scale: int,
        blocks: int = 16,
        channels: int = 128,
        groups: int = 1,
        drop_path: float = 0.1,
        upsampler: str = "grouped",
        rank: int = 0,
    ) -> None:
        super().__init__()
        if channels % REDUCTION:
            raise ValueError(f"channels must be a multiple of {REDUCTION}, got {channels}")
        if channels % groups:
            raise ValueError(f"groups must divide the {channels} channels, got {groups}")
        if not 0 <= drop_path < 1:
            raise ValueError(f"drop_path must be at least 0 and below 1, got {drop_path}")
        self.scale = scale
        self.head = nn.Conv2d(bands, channels, 3, padding=1)
        self.body = nn.Sequential(*(LargeKernelBlock(channels, drop_path) for _ in range(blocks)))
        self.upsampler = _upsampler(channels, bands, scale, groups, upsampler, rank)

    def residual(self, x: Tensor) -> Tensor:
        """What is added to the bicubic image: the map that distillation compares (paper, Section on LKCA-KD)."""
        return self.upsampler(self._features(x))  # (n, B, r·h, r·w)

    def forward(self, x: Tensor) -> Tensor:
        return add_enlarged(self.upsampler, self._features(x), resize(x, self.scale))

    def _features(self, x: Tensor) -> Tensor:
        """(n, C, h, w), on a CPU channels last: depthwise convolutions on channels that lie side by side are three
        times faster there.
        """
        if x.device.type == "cpu":
            x = x.contiguous(memory_format=torch.channels_last)
        return self.body(self.head(x))


def add_enlarged(upsampler: nn.Sequential, features: Tensor, image: Tensor) -> Tensor:
    """image + upsampler(features), written over the image: (n, B, r·h, r·w)."""
    last = upsampler[-1]
    if not (isinstance(last, nn.PixelShuffle) and by_hand(features)):
        return image.add_(upsampler(features))
    r = last.upscale_factor
    y = upsampler[:-1](features)  # (n, B·r², h, w), shuffled while it is added
    n, bands, height, width = image.shape
    y = y.reshape(n, bands, r, r, height // r, width // r).permute(0, 1, 4, 2, 5, 3)  # (n, B, h, r, w, r)
    image.view(n, bands, height // r, r, width // r, r).add_(y)
    return image


def by_hand(x: Tensor) -> bool:
    """Whether to take a shorter way that only helps where a CPU computes no gradients; not what is exported."""
    return x.device.type == "cpu" and not torch.is_grad_enabled() and not torch.compiler.is_compiling()


# LKCA-LR: with a grouped ("low-rank") upsampling convolution.
lkca_lr = partial(LKCANet, groups=8)
# Not the paper's: LKCA-LR with the upsampler that did best at its cost or less, see the notebook `upsamplers`.
lkca_best = partial(LKCANet, groups=8, upsampler="spectral")


def _upsampler(channels: int, bands: int, scale: int, groups: int, kind: str, rank: int) -> nn.Sequential:
    """The upsampler, features (n, C, h, w) -> (n, B, r·h, r·w): weight-normalised, starts near zero."""
    outputs = bands * scale**2
    if outputs % groups:
        possible = math.gcd(groups, outputs)
        warnings.warn(
            f"{groups} groups do not divide the {outputs} outputs of {bands} bands at x{scale}; using {possible}",
            stacklevel=3,
        )
        groups = possible
    rank = chosen_rank(kind, rank, channels, outputs, scale, groups)
    full = weight_norm(nn.Conv2d(channels, outputs, 3, padding=1, device="meta"))  # shapes only
    modules = build_upsampler(full, scale, kind, groups, rank)
    start_near_zero(modules)
    return nn.Sequential(*modules)


class LargeKernelBlock(nn.Module):
    """LKB: x + DropPath(s · project_out(LKCA(GELU(project_in(x))))), s one learned factor a channel."""

    def __init__(self, channels: int, drop_path: float) -> None:
        super().__init__()
        self.project_in = weight_norm(Pointwise(channels, channels, 1))
        self.activation = nn.GELU()
        self.attention = LargeKernelChannelAttention(channels)
        self.project_out = weight_norm(Pointwise(channels, channels, 1))
        self.layer_scale = nn.Parameter(torch.ones(channels, 1, 1))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        y = self.activation(self.project_in(x))
        y = self.project_out(self.attention(y))
        scale = self.layer_scale
        if self.training:
            scale = scale * self.drop_path(scale.new_ones(len(x), 1, 1, 1))
        return torch.addcmul(x, y, scale)  # in one pass


class Pointwise(nn.Conv2d):
    """1x1 convolution; on a CPU as the product of matrices that it is, which torch's own is not for a single image."""

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        return F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


class LargeKernelChannelAttention(nn.Module):
    """LKCA: y · conv1(CA([y, a1, a2])), a1 = 5x5 depthwise of y, a2 = 7x7 depthwise, dilation 3, of a1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        c = channels
        self.local = weight_norm(nn.Conv2d(c, c, 5, padding=2, groups=c))
        self.distant = weight_norm(DilatedDepthwise(c, c, 7, padding=9, dilation=3, groups=c))
        self.channel_attention = ChannelAttention(3 * c)
        self.fuse = weight_norm(nn.Conv2d(3 * c, c, 1, groups=FUSION_GROUPS))

    def forward(self, y: Tensor) -> Tensor:
        near = self.local(y)
        far = self.distant(near)
        if by_hand(y):
            means = torch.cat([part.mean(dim=(2, 3), keepdim=True) for part in (y, near, far)], dim=1)
            return AttendedFusion(self.fuse, self.channel_attention.factors(means))((y, near, far)).mul_(y)
        features = torch.cat([y, near, far], dim=1)  # (n, 3C, h, w)
        return y * self.fuse(self.channel_attention(features))


class AttendedFusion:
    """(y, near, far) -> fuse(cat(y, near, far) · factors), without joining and without multiplying 3C channels.

    The factors are the same everywhere in an image, so they go into its own copy of the convolution's weights. Without
    gradients only; with them, and for the small images of training, the plain way is as fast.

    fuse : the grouped 1x1 convolution. factors : (n, 3C, 1, 1).
    """

    def __init__(self, fuse: nn.Conv2d, factors: Tensor) -> None:
        outputs, inputs = fuse.weight.shape[:2]  # C, 3C / groups
        self.channels, self.bias = outputs, fuse.bias
        size = outputs // fuse.groups
        weight = fuse.weight.view(fuse.groups, size, inputs)
        self.weights = weight * factors.view(len(factors), fuse.groups, 1, inputs)  # (n, groups, C/groups, 3C/groups)
        self.pieces = []  # (group, which of the three, its channels, among the group's inputs, output channels)
        for group in range(fuse.groups):
            place, end = group * inputs, (group + 1) * inputs  # among the 3C
            while place < end:
                source, channel = divmod(place, outputs)
                count = min(end - place, outputs - channel)
                taken = slice(channel, channel + count)
                columns = slice(place - group * inputs, place - group * inputs + count)
                self.pieces.append((group, source, taken, columns, slice(group * size, (group + 1) * size)))
                place += count

    def __call__(self, parts: Sequence[Tensor]) -> Tensor:
        """Three (n, C, h, w), channels last, to one."""
        n, channels, height, width = parts[0].shape
        flat = [part.permute(0, 2, 3, 1).reshape(n, height * width, channels) for part in parts]
        weights, bias = (tensor.to(flat[0].dtype) for tensor in (self.weights, self.bias))
        result = flat[0].new_empty(n, height * width, channels)
        for image, (out, weight) in enumerate(zip(result, weights, strict=True)):
            begun = set()
            for group, source, taken, columns, target in self.pieces:
                start = out[:, target] if group in begun else bias[target]
                torch.addmm(start, flat[source][image][:, taken], weight[group][:, columns].T, out=out[:, target])
                begun.add(group)
        return result.view(n, height, width, channels).permute(0, 3, 1, 2)


class DilatedDepthwise(nn.Conv2d):
    """Depthwise convolution with stride 1, padded by a multiple of its dilation; five times as fast on a CPU.

    With dilation d the pixels of equal row and column modulo d see only each other: d² images, each an ordinary
    convolution, for which a CPU has a fast way.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        n, c, h, w = x.shape
        d = self.dilation[0]
        x = F.pad(x, (0, -w % d, 0, -h % d))  # zeros, as the convolution's own padding
        rows, columns = x.shape[2] // d, x.shape[3] // d
        x = x.permute(0, 2, 3, 1).reshape(n, rows, d, columns, d, c).permute(0, 2, 4, 1, 3, 5)
        x = x.reshape(n * d * d, rows, columns, c).permute(0, 3, 1, 2)  # channels_last
        padding = [p // d for p in self.padding]
        y = F.conv2d(x, self.weight, self.bias, padding=padding, groups=self.groups)
        rows, columns = y.shape[2:]
        y = y.permute(0, 2, 3, 1).reshape(n, d, d, rows, columns, c).permute(0, 3, 1, 4, 2, 5)
        height, width = (
            length + 2 * p - d * (k - 1) for length, p, k in zip((h, w), self.padding, self.kernel_size, strict=True)
        )
        return y.reshape(n, rows * d, columns * d, c).permute(0, 3, 1, 2)[:, :, :height, :width]


class ChannelAttention(nn.Module):
    """x · sigmoid(W2 ReLU(W1 mean(x))), the mean taken over the whole image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weights = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, channels // REDUCTION, 1),
            nn.ReLU(),
            nn.Conv2d(channels // REDUCTION, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def factors(self, means: Tensor) -> Tensor:
        """What the channels are multiplied by, from their means (n, C, 1, 1)."""
        return self.weights[1:](means)


class DropPath(nn.Module):
    """Stochastic depth: in training each image's branch is dropped with probability p, else scaled by 1/(1-p)."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.probability == 0:
            return x
        keep = 1 - self.probability
        return x * (torch.rand(x.shape[0], 1, 1, 1, device=x.device, dtype=x.dtype) < keep) / keep
