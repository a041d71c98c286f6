"""LKCA-Net and its low-rank variant LKCA-LR.

H. Shi, F. Zhou, X. Sun, J. Han, "Rethinking the Upsampling Layer in Hyperspectral Image Super Resolution", arXiv
2501.18664, published without code. The sizes follow from its printed parameters and MACs (docs/assumptions.md).
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from lkca.models.baselines import Bicubic
from lkca.models.registry import Model, register
from lkca.models.upsamplers import make_upsampler

REDUCTION = 16  # of the channel attention
FUSION_GROUPS = 4  # of the 1x1 convolution that turns 3C attended channels into C weights


class LKCANet(nn.Module):
    """x -> upsampler(body(head(x))) + bicubic(x).

    Parameters
    ----------
    bands, scale : (n, B, h, w) becomes (n, B, scale·h, scale·w).
    blocks : number N of large-kernel blocks in the body.
    channels : feature channels C, a multiple of 16.
    groups : groups g of the upsampling convolution, a divisor of C; 1 is LKCA-Net, 8 is LKCA-LR. If it does not divide
        B·scale² (an odd number of bands at x2), the greatest common divisor is used, with a warning.
    drop_path : probability of skipping a block's residual branch in training (stochastic depth).
    upsampler : one of `lkca.models.upsamplers.KINDS`.
    rank : k of the upsamplers that have a rank; 0 takes the largest k that costs no more than g groups.
    channel_attention, large_kernel : False leaves that part out of every block (an ablation that the paper lacks).

    Raises
    ------
    ValueError
        If C, g or drop_path is out of range, there is no such upsampler, or it cannot have that rank.
    """

    starts_at_bicubic = True  # the upsampler starts near zero

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
        channel_attention: bool = True,
        large_kernel: bool = True,
    ) -> None:
        super().__init__()
        if channels % REDUCTION:
            raise ValueError(f"channels must be a multiple of {REDUCTION}, got {channels}")
        if channels % groups:
            raise ValueError(f"groups must divide the {channels} channels, got {groups}")
        if not 0 <= drop_path < 1:
            raise ValueError(f"drop_path must be at least 0 and below 1, got {drop_path}")
        self.scale = scale
        self.bicubic = Bicubic(bands, scale)
        self.head = nn.Conv2d(bands, channels, 3, padding=1)
        parts = {"channel_attention": channel_attention, "large_kernel": large_kernel}
        self.body = nn.Sequential(*(LargeKernelBlock(channels, drop_path, **parts) for _ in range(blocks)))
        self.upsampler = make_upsampler(channels, bands, scale, groups, upsampler, rank)

    def forward(self, x: Tensor) -> Tensor:
        return self.residual(x) + self.bicubic(x)

    def residual(self, x: Tensor) -> Tensor:
        """Return what is added to the bicubic image: the map that distillation compares (paper, LKCA-KD)."""
        return self.upsampler(self.body(self.head(x)))  # (n, B, r·h, r·w)


class LargeKernelBlock(nn.Module):
    """LKB: x + DropPath(s · project_out(LKCA(GELU(project_in(x))))), with one learned factor s per channel."""

    def __init__(self, channels: int, drop_path: float, **parts: bool) -> None:
        super().__init__()
        self.project_in = weight_norm(nn.Conv2d(channels, channels, 1))
        self.activation = nn.GELU()
        self.attention = LargeKernelChannelAttention(channels, **parts)
        self.project_out = weight_norm(nn.Conv2d(channels, channels, 1))
        self.layer_scale = nn.Parameter(torch.ones(channels, 1, 1))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        y = self.project_out(self.attention(self.activation(self.project_in(x))))
        return x + self.drop_path(self.layer_scale * y)


class LargeKernelChannelAttention(nn.Module):
    """LKCA: y · conv1(CA([y, a1, a2])), a1 = 5x5 depthwise of y, a2 = 7x7 depthwise, dilation 3, of a1."""

    def __init__(self, channels: int, channel_attention: bool = True, large_kernel: bool = True) -> None:
        super().__init__()
        c, features = channels, (3 if large_kernel else 2) * channels
        self.local = weight_norm(nn.Conv2d(c, c, 5, padding=2, groups=c))
        self.distant = weight_norm(nn.Conv2d(c, c, 7, padding=9, dilation=3, groups=c)) if large_kernel else None
        self.channel_attention = ChannelAttention(features) if channel_attention else nn.Identity()
        self.fuse = weight_norm(nn.Conv2d(features, c, 1, groups=FUSION_GROUPS))

    def forward(self, y: Tensor) -> Tensor:
        near = self.local(y)
        parts = [y, near] if self.distant is None else [y, near, self.distant(near)]
        return y * self.fuse(self.channel_attention(torch.cat(parts, dim=1)))  # from (n, 3C, h, w)


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


_low_rank = partial(LKCANet, groups=8)
_best = partial(LKCANet, groups=8, upsampler="spectral")  # not the paper's: the best upsampler at LKCA-LR's cost
_small = {"blocks": 1, "channels": 16}
register(Model("lkca", LKCANet, "LKCA-Net", "#0072B2", order=70, marker="s", small=_small))
register(Model("lkca-lr", _low_rank, "LKCA-LR", "#D55E00", order=80, marker="^", small=_small))
register(Model("lkca-kd", _low_rank, "LKCA-KD", "#AA4499", order=90, marker="D", small=_small))  # distilled LKCA-LR
register(Model("lkca-best", _best, "LKCA-best", "#117733", order=95, marker="v", of_paper=False, small=_small))
