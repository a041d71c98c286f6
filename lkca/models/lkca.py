"""LKCA-Net and its low-rank variant LKCA-LR.

H. Shi, F. Zhou, X. Sun, J. Han, "Rethinking the Upsampling Layer in Hyperspectral Image Super Resolution",
arXiv 2501.18664. The authors published no code. The graph is the paper's; the sizes follow from its printed parameters
and MACs, which this file reproduces to the last digit (README, "What the paper does not say").
"""

import math
import warnings
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
        features = self.head(x)  # (n, C, h, w)
        if (
            x.device.type == "cpu"
        ):  # depthwise convolutions on channels that lie side by side are three times faster there
            features = features.contiguous(memory_format=torch.channels_last)
        return self.upsampler(self.body(features).contiguous())  # (n, B, r·h, r·w)

    def forward(self, x: Tensor) -> Tensor:
        return self.residual(x) + resize(x, self.scale)


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
        self.project_in = weight_norm(nn.Conv2d(channels, channels, 1))
        self.activation = nn.GELU()
        self.attention = LargeKernelChannelAttention(channels)
        self.project_out = weight_norm(nn.Conv2d(channels, channels, 1))
        self.layer_scale = nn.Parameter(torch.ones(channels, 1, 1))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        y = self.activation(self.project_in(x))
        y = self.project_out(self.attention(y))
        return x + self.drop_path(self.layer_scale * y)


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
        features = torch.cat([y, near, far], dim=1)  # (n, 3C, h, w)
        return y * self.fuse(self.channel_attention(features))


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
