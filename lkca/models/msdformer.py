"""MSDformer.

S. Chen, L. Zhang, L. Zhang, "MSDformer: Multiscale Deformable Transformer for Hyperspectral Image
Super-Resolution", IEEE Transactions on Geoscience and Remote Sensing 61, 2023. The network is as published, written
from its description; the outputs agree with the published ones. 240 channels, 4 transformer blocks, 6 heads, groups of
8 bands that overlap by 2.

Two unused parts of the published network are kept because its printed cost contains them: the first 3x3 convolution of
`body` (parameters), and a query that the deformable one replaces (parameters and MACs). All groups go through the head
together: as one batch where they share weights, as batched matrix products where each has its own.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from lkca.models.baselines import Bicubic
from lkca.models.blocks import (
    RESIDUAL_SCALE,
    BandGroups,
    ResidualBlock,
    ResidualChannelAttentionBlock,
    conv3,
    upsampling,
)
from lkca.models.registry import Model, register

DILATIONS = (1, 3, 5)


class MSDformer(nn.Module):
    """Head over groups of bands, transformer blocks at the LR size, upsampling, plus features of bicubic(x).

    Parameters
    ----------
    bands, scale : (n, B, h, w) becomes (n, B, scale·h, scale·w).
    blocks : transformer blocks.
    channels : feature channels F, at least 16 and a multiple of `heads`.
    heads : heads of the attention between channels.
    group_bands, group_overlap : bands of a group, and how many of them the next group shares.

    Raises
    ------
    ValueError
        If F is below 16 or not a multiple of the heads, or the overlap is not smaller than the group.
    """

    def __init__(
        self,
        bands: int,
        scale: int,
        blocks: int = 4,
        channels: int = 240,
        heads: int = 6,
        group_bands: int = 8,
        group_overlap: int = 2,
    ) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"heads must divide the {channels} channels, got {heads}")
        self.bands, self.scale = bands, scale
        self.bicubic = Bicubic(bands, scale)
        self.head = GroupHead(bands, channels, group_bands, group_overlap)
        self.transformer = nn.ModuleList(TransformerBlock(channels, heads) for _ in range(blocks))
        self.body = nn.ModuleList(conv3(channels, channels) for _ in range(blocks))  # number 0 is never used
        self.skip = conv3(bands, channels)
        self.upsampling = nn.Sequential(*upsampling(channels, scale))
        self.last = conv3(channels, bands)

    def forward(self, x: Tensor) -> Tensor:
        start = self.head(x)  # (n, F, h, w)
        y = self.transformer[0](start)
        for block, conv in zip(self.transformer[1:], self.body[1:], strict=True):
            y = conv(block(y))
        y = self.upsampling(start + y)  # (n, F, r·h, r·w)
        return self.last(y + self.skip(self.bicubic(x)))


class GroupHead(nn.Module):
    """(n, B, h, w) -> (n, F, h, w): dilated convolutions and an RB shared by all groups, and an RCAB for each group."""

    def __init__(self, bands: int, channels: int, group_bands: int, group_overlap: int) -> None:
        super().__init__()
        self.groups = BandGroups(bands, group_bands, group_overlap)
        size = self.groups.size
        self.dilated = nn.ModuleList(nn.Conv2d(size, channels, 3, padding=d, dilation=d) for d in DILATIONS)
        self.activation = nn.PReLU()
        self.residual = ResidualBlock(channels)
        self.own = nn.ModuleList(ResidualChannelAttentionBlock(channels) for _ in range(self.groups.count))
        self.own_last = nn.ModuleList(nn.Conv2d(channels, size, 1) for _ in range(self.groups.count))
        self.merged = nn.Conv2d(bands, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        x = self.groups.split(x)  # (n·G, size, h, w)
        y = sum(self.activation(conv(x)) for conv in self.dilated)
        # from here each group has its own weights
        y = rearrange(self.residual(y), "(n g) f h w -> g n h w f", g=self.groups.count)
        y = torch.add(y, self._own_branches(y), alpha=RESIDUAL_SCALE)
        y = apply_per_group(self.own_last, rearrange(y, "g n h w f -> g (n h w) f"))
        y = rearrange(y, "g (n h w) f -> (n g) f h w", h=height, w=width)
        return self.merged(self.groups.merge(y))

    def _own_branches(self, y: Tensor) -> Tensor:
        """Compute the residual branches of all groups' RCABs at once, on (G, n, h, w, F)."""
        z = apply_per_group([b.conv_in for b in self.own], rearrange(y, "g n h w f -> g (n h w) f")).relu_()
        z = apply_per_group([b.conv_out for b in self.own], z).reshape(y.shape)
        mean = F.adaptive_avg_pool2d(rearrange(z, "g n h w f -> (g n) f h w"), 1)
        weights = rearrange(mean, "(g n) f 1 1 -> g n f", g=len(y))
        weights = apply_per_group([b.attention.weights[1] for b in self.own], weights).relu_()
        weights = apply_per_group([b.attention.weights[3] for b in self.own], weights).sigmoid_()
        return z * weights[:, :, None, None]


def apply_per_group(convolutions: Sequence[nn.Conv2d], x: Tensor) -> Tensor:
    """Apply the g-th 1x1 convolution to x[g], all groups in one batched product: (G, m, in) -> (G, m, out)."""
    weight = torch.stack([conv.weight for conv in convolutions]).flatten(2)  # (G, out, in)
    bias = torch.stack([conv.bias for conv in convolutions])
    return torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))


class TransformerBlock(nn.Module):
    """t + A(norm(t)), then t + MLP(norm(t)), on the pixels as tokens."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(channels)
        self.norm_mlp = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))
        self.attention = DeformableChannelAttention(channels, heads)

    def forward(self, x: Tensor) -> Tensor:
        tokens = rearrange(x, "n f h w -> n (h w) f")
        z = self.norm_attention(tokens).transpose(1, 2).reshape(x.shape)
        tokens = tokens + rearrange(self.attention(z), "n f h w -> n (h w) f")
        tokens = tokens + self.mlp(self.norm_mlp(tokens))
        return tokens.transpose(1, 2).reshape(x.shape)


class DeformableChannelAttention(nn.Module):
    """Attention between the channels of a map, with queries from a deformable convolution."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.query = DeformableConvolution(channels)
        self.project = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, z: Tensor) -> Tensor:
        _, k, v = self.qkv(z).chunk(3, dim=1)  # the first third is unused, see the top of this file
        q, k, v = (rearrange(m, "n (heads f) h w -> n heads f (h w)", heads=self.heads) for m in (self.query(z), k, v))
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        attention = (q @ k.transpose(-2, -1) * self.temperature).softmax(dim=-1)  # F/heads x F/heads
        return self.project(rearrange(attention.to(v.dtype) @ v, "n heads f (h w) -> n (heads f) h w", h=z.shape[2]))


class DeformableConvolution(nn.Module):
    """3x3 convolution without bias whose nine taps are moved by learned offsets (Dai et al., ICCV 2017).

    Input pixels are interpolated bilinearly and are zero outside the image.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.offsets = conv3(channels, 18)  # 9 rows, then 9 columns
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)  # as torch starts a convolution
        nn.init.zeros_(self.offsets.weight)  # starts as an ordinary convolution
        nn.init.zeros_(self.offsets.bias)

    def forward(self, z: Tensor) -> Tensor:
        height, width = z.shape[2:]
        offsets = self.offsets(z)
        offsets = offsets.to(torch.promote_types(z.dtype, torch.float32))  # half precision rounds positions
        like = {"device": offsets.device, "dtype": offsets.dtype}
        tap = torch.arange(-1, 2, **like)  # kernel positions, row-major
        row = torch.arange(height, **like)[:, None] + tap.repeat_interleave(3)[:, None, None] + offsets[:, :9]
        column = torch.arange(width, **like) + tap.repeat(3)[:, None, None] + offsets[:, 9:]  # (n, 9, h, w)
        # grid_sample's coordinates: -1 and 1 are the outer edges of the image
        grid = torch.stack([(2 * column + 1) / width - 1, (2 * row + 1) / height - 1], dim=-1)
        taps = F.grid_sample(z.to(grid.dtype), grid.flatten(1, 2), align_corners=False)  # (n, F, 9·h, w)
        taps = rearrange(taps, "n f (t h) w -> n (f t) h w", h=height)  # in the order of the weight
        return F.conv2d(taps, rearrange(self.weight, "o f y x -> o (f y x) 1 1"))


_small = {"blocks": 2, "channels": 48, "heads": 3, "group_bands": 4, "group_overlap": 1}
register(Model("msdformer", MSDformer, "MSDformer", "#88CCEE", order=50, small=_small))
