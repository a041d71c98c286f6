"""Run the eigenimage network on a CPU without gradients: the same numbers in less time and memory.

An image's features are a matrix (pixels, C) in channels-last order. Pointwise steps of a block run in place on as many
pixels as fit into the processor's cache, so that no more than `MAPS` feature maps are in memory.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sharpen.image.model import INPUTS, MAX_COEFFICIENT, MAX_FEATURE, ClampedBlock, EigenimageNetwork

CACHED_PIXELS = 4096  # pixels whose features fit into the cache
MAPS = 4.5  # feature maps in memory at once, including those of a part of the dilated convolution
IMAGES = 6  # residuals at HR size in memory at once, after the feature maps are freed
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class FastLayers:
    """`EigenimageNetwork.raw` of folded weights (`lkca.fast.fold`): (n, 5, h, w) -> float32 (n, 1, r·h, r·w).

    precision : of features and weights, "float32" or "bfloat16".
    """

    def __init__(self, network: EigenimageNetwork, precision: str = "float32") -> None:
        self.dtype, self.scale = DTYPES[precision], network.scale
        self.head = self._weights(network.head)
        self.last = self._weights(network.upsampler[0])
        self.blocks = [FastBlock(block, self.dtype) for block in network.body]

    def __call__(self, inputs: Tensor) -> Tensor:
        return torch.cat([self._one(image[None]) for image in inputs])

    def _one(self, image: Tensor) -> Tensor:
        image = image.clamp(-MAX_COEFFICIENT, MAX_COEFFICIENT).to(self.dtype, memory_format=torch.channels_last)
        x = F.conv2d(image, *self.head, padding=1).contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            block.apply_(x)
        return F.pixel_shuffle(F.conv2d(x, *self.last, padding=1).float(), self.scale)

    def _weights(self, layer: nn.Conv2d) -> tuple[Tensor, Tensor]:
        return layer.weight.to(self.dtype, memory_format=torch.channels_last), layer.bias.to(self.dtype)


class FastBlock:
    """A folded `ClampedBlock`."""

    def __init__(self, block: ClampedBlock, dtype: torch.dtype) -> None:
        attention = block.attention
        self.channels = len(block.project_in.bias)
        self.project_in, self.project_out = (
            (layer.bias.to(dtype), layer.weight.flatten(1).T.contiguous().to(dtype))
            for layer in (block.project_in, block.project_out)
        )
        self.local, self.distant, self.fuse = (
            (layer.weight.to(dtype), layer.bias.to(dtype))
            for layer in (attention.local, attention.distant, attention.fuse)
        )
        self.groups, self.dilation = attention.fuse.groups, attention.distant.dilation[0]

    def apply_(self, x: Tensor) -> None:
        """Apply the block to features (1, C, h, w) in channels-last layout, in place."""
        y = torch.empty_like(x)
        for here in _cached_rows(x):
            _rows(y, here).copy_(F.gelu(torch.addmm(self.project_in[0], _rows(x, here), self.project_in[1])))
        near = F.conv2d(y, *self.local, padding=2, groups=self.channels)
        far = self._distant(near)
        for here in _cached_rows(x):
            image, gate = x[:, :, here], y[:, :, here]
            parts = torch.cat([gate, near[:, :, here], far[:, :, here]], dim=1)
            gated = F.conv2d(parts, *self.fuse, groups=self.groups).mul_(gate)
            added = torch.addmm(self.project_out[0], _rows(gated, slice(None)), self.project_out[1])
            _rows(image, slice(None)).add_(added).clamp_(-MAX_FEATURE, MAX_FEATURE)

    def _distant(self, near: Tensor) -> Tensor:
        """Return the dilated convolution, as plain ones over the pixels of equal row and column modulo the dilation."""
        far, d = torch.empty_like(near), self.dilation
        padding = (self.distant[0].shape[-1] - 1) // 2
        for row in range(min(d, near.shape[2])):
            for column in range(min(d, near.shape[3])):
                part = near[:, :, row::d, column::d].contiguous(memory_format=torch.channels_last)
                part = F.conv2d(part, *self.distant, padding=padding, groups=self.channels)
                far[:, :, row::d, column::d] = part
        return far


def feature_bytes(network: EigenimageNetwork, precision: str) -> int:
    """Return the bytes of memory that `EigenimageNetwork.limited` takes for each LR pixel of a tile."""
    maps = MAPS * network.head.out_channels * DTYPES[precision].itemsize
    return int(max(maps, 4 * IMAGES * network.scale**2) + 4 * (INPUTS + network.scale**2))


def _cached_rows(x: Tensor) -> Iterator[slice]:
    """Divide the rows of (1, C, h, w) into parts whose features fit into the cache."""
    count = max(1, CACHED_PIXELS // x.shape[3])
    for first in range(0, x.shape[2], count):
        yield slice(first, first + count)


def _rows(x: Tensor, rows: slice) -> Tensor:
    """Return rows of (1, C, h, w) in channels-last layout as a matrix (pixels, C) on the same memory."""
    return x[:, :, rows].permute(0, 2, 3, 1).view(-1, x.shape[1])
