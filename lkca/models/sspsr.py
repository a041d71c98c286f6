"""SSPSR.

J. Jiang, H. Sun, X. Liu, J. Ma, "Learning Spatial-Spectral Prior for Super-Resolution of Hyperspectral
Imagery", IEEE Transactions on Computational Imaging 6, 2020. The network is as published, written from its description;
the outputs agree with the published ones. 256 channels, 3 blocks, groups of 8 bands that overlap by 2.

All groups go through their shared branch as one batch.
"""

from torch import Tensor, nn

from lkca.models.baselines import Bicubic
from lkca.models.blocks import (
    BandGroups,
    ResidualBlock,
    ResidualChannelAttentionBlock,
    conv3,
    upsampling,
)
from lkca.models.registry import Model, register


class SSPSR(nn.Module):
    """One branch for all groups of bands, up to half the HR size, then a trunk for all bands together.

    Parameters
    ----------
    bands, scale : (n, B, h, w) becomes (n, B, scale·h, scale·w).
    blocks : spatial-spectral blocks in the branch, and again in the trunk.
    channels : feature channels F, at least 16.
    group_bands, group_overlap : bands of a group, and how many of them the next group shares.

    Raises
    ------
    ValueError
        If F is below 16, or the overlap is not smaller than the group.
    """

    def __init__(
        self,
        bands: int,
        scale: int,
        blocks: int = 3,
        channels: int = 256,
        group_bands: int = 8,
        group_overlap: int = 2,
    ) -> None:
        super().__init__()
        self.bands, self.scale = bands, scale
        self.bicubic = Bicubic(bands, scale)
        self.groups = BandGroups(bands, group_bands, group_overlap)
        self.branch = nn.Sequential(
            conv3(self.groups.size, channels),
            SpatialSpectralPrior(channels, blocks),
            *upsampling(channels, scale // 2),
            conv3(channels, self.groups.size),
        )
        self.trunk = nn.Sequential(
            conv3(bands, channels),
            SpatialSpectralPrior(channels, blocks),
            *upsampling(channels, 2),
        )
        self.skip = conv3(bands, channels)
        self.last = conv3(channels, bands)

    def forward(self, x: Tensor) -> Tensor:
        y = self.trunk(self.upsample_groups(x))  # (n, F, r·h, r·w)
        return self.last(y + self.skip(self.bicubic(x)))

    def upsample_groups(self, x: Tensor) -> Tensor:
        """Send every group of bands through the branch: (n, B, h, w) -> (n, B, r·h/2, r·w/2)."""
        return self.groups.merge(self.branch(self.groups.split(x)))


class SpatialSpectralPrior(nn.Sequential):
    """SSPN: x + blocks(x); each block is spatial (3x3), then spectral (1x1)."""

    def __init__(self, channels: int, blocks: int) -> None:
        layers: list[nn.Module] = []
        for _ in range(blocks):
            layers += [ResidualBlock(channels), ResidualChannelAttentionBlock(channels)]
        super().__init__(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


_small = {"blocks": 1, "channels": 16, "group_bands": 4, "group_overlap": 1}
register(Model("sspsr", SSPSR, "SSPSR", "#44AA99", order=40, small=_small))
