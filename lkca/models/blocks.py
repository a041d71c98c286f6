"""Define layers that several of the published networks share."""

import torch
from torch import Tensor, nn

from lkca.models.lkca import REDUCTION, ChannelAttention

RESIDUAL_SCALE = 0.1  # of the residual branches, in SSPSR and in MSDformer


def conv3(inputs: int, outputs: int, bias: bool = True) -> nn.Conv2d:
    """Return a 3x3 convolution that keeps the image's size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)


def upsampling(channels: int, scale: int) -> list[nn.Module]:
    """Return stages that upsample (n, C, h, w) to (n, C, scale·h, scale·w), x2 each; none for scale 1."""
    stages: list[nn.Module] = []
    for _ in range(scale.bit_length() - 1):  # log2
        stages += [conv3(channels, 4 * channels), nn.PixelShuffle(2)]
    return stages


class ResidualBlock(nn.Module):
    """RB: x + 0.1 · conv3(ReLU(conv3(x)))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(conv3(channels, channels), nn.ReLU(inplace=True), conv3(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, self.branch(x), alpha=RESIDUAL_SCALE)


class ResidualChannelAttentionBlock(nn.Module):
    """RCAB: x + 0.1 · CA(conv1(ReLU(conv1(x)))), both convolutions 1x1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels < REDUCTION:
            raise ValueError(
                f"channels must be at least {REDUCTION}, the reduction of the channel attention, got {channels}"
            )
        self.conv_in = nn.Conv2d(channels, channels, 1)
        self.conv_out = nn.Conv2d(channels, channels, 1)
        self.attention = ChannelAttention(channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, self.attention(self.conv_out(self.conv_in(x).relu_())), alpha=RESIDUAL_SCALE)


class BandGroups(nn.Module):
    """Overlapping groups of neighbouring bands: split an image into them, average them back into an image.

    Group k starts at band k·(size − overlap); the last group is moved back to end at the last band. With fewer bands
    than `size`, one group holds all bands. No parameters.

    Parameters
    ----------
    bands : bands B of the image.
    size : bands of a group.
    overlap : bands that neighbouring groups share, less than `size`.

    Attributes
    ----------
    size : bands of a group, at most B.
    count : number of groups G.

    Raises
    ------
    ValueError
        If the overlap is not smaller than the group.
    """

    def __init__(self, bands: int, size: int, overlap: int) -> None:
        super().__init__()
        if overlap >= size:
            raise ValueError(
                f"group_overlap must be less than group_bands, got an overlap of {overlap} for {size} bands"
            )
        self.bands = bands
        self.size = min(size, bands)
        step = size - overlap
        last = bands - self.size  # where the last group starts
        starts = [min(start, last) for start in range(0, last + step, step)]
        self.count = len(starts)
        index = [start + i for start in starts for i in range(self.size)]
        writers = [index.count(band) for band in range(bands)]
        self.register_buffer("index", torch.tensor(index), persistent=False)  # (G·size,) bands of the groups
        self.register_buffer("writers", torch.tensor(writers).view(-1, 1, 1), persistent=False)

    def split(self, x: Tensor) -> Tensor:
        """Split (n, B, h, w) into (n·G, size, h, w): every group becomes one image of the batch."""
        return x.index_select(1, self.index).reshape(-1, self.size, *x.shape[2:])

    def merge(self, y: Tensor) -> Tensor:
        """Merge (n·G, size, h, w) into (n, B, h, w), each band the mean over the groups that contain it."""
        y = y.reshape(-1, self.count * self.size, *y.shape[2:])
        total = y.new_zeros(y.shape[0], self.bands, *y.shape[2:])
        return total.index_add(1, self.index, y) / self.writers
