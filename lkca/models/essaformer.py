"""ESSAformer.

M. Zhang, C. Zhang, Q. Zhang, J. Guo, X. Gao, J. Zhang, "ESSAformer: Efficient Transformer for Hyperspectral
Image Super-resolution", ICCV 2023. The network is as published, written from its description; the outputs agree with
the published ones. 256 channels, two rounds up and down. No band groups, no bicubic skip.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from lkca.models.blocks import conv3, upsampling
from lkca.models.registry import Model, register


class ESSAformer(nn.Module):
    """Upsample and downsample features between LR and HR size, in rounds that share their weights.

    Parameters
    ----------
    bands, scale : (n, B, h, w) becomes (n, B, scale·h, scale·w).
    blocks : rounds down and up, after the first upsampling.
    channels : feature channels F, a multiple of 4.
    dropout : probability of dropping a whole feature map in training.

    Raises
    ------
    ValueError
        If F is not a multiple of 4, or the dropout is not in [0, 1).
    """

    def __init__(self, bands: int, scale: int, blocks: int = 2, channels: int = 256, dropout: float = 0.2) -> None:
        super().__init__()
        if channels % 4:
            raise ValueError(f"channels must be a multiple of 4 (downsampling by two), got {channels}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}")
        self.blocks = blocks
        self.first = conv3(bands, channels)
        self.refine_hr = Refine(channels, dropout, norm_last=False)
        self.refine_lr = Refine(channels, dropout, norm_last=True)
        self.up = nn.Sequential(*upsampling(channels, scale))
        self.down = nn.Sequential(*downsampling(channels, scale))
        self.last = conv3(channels, bands)

    def forward(self, x: Tensor) -> Tensor:
        low = self.first(x)  # (n, F, h, w)
        high = self.refine_hr(self.up(low))  # (n, F, r·h, r·w)
        for _ in range(self.blocks):
            low = self.refine_lr(self.down(high) + low)
            high = self.refine_hr(self.up(low) + high)
        return self.last(high)


def downsampling(channels: int, scale: int) -> list[nn.Module]:
    """Return stages that downsample (n, C, h, w) to (n, C, h/scale, w/scale), by 2 each."""
    stages: list[nn.Module] = []
    for _ in range(scale.bit_length() - 1):  # log2
        stages += [conv3(channels, channels // 4), nn.PixelUnshuffle(2)]
    return stages


class Refine(nn.Module):
    """x + convolutions([attention(norm(x)), x]).

    `norm_last` registers the norm after the attention, as the published network does in one of its two instances; this
    only changes the order of the parameters.
    """

    def __init__(self, channels: int, dropout: float, norm_last: bool) -> None:
        super().__init__()
        c = channels
        self.dropout = nn.Dropout2d(dropout)
        self.convolutions = nn.Sequential(
            nn.Conv2d(2 * c, 2 * c, 1),
            nn.LeakyReLU(0.2),
            nn.Dropout2d(dropout),
            conv3(2 * c, 2 * c),
            nn.LeakyReLU(0.2),
            nn.Dropout2d(dropout),
            nn.Conv2d(2 * c, c, 1),
        )
        if norm_last:
            self.attention, self.norm = SelfSimilarityAttention(c), nn.LayerNorm(c)
        else:
            self.norm, self.attention = nn.LayerNorm(c), SelfSimilarityAttention(c)

    def forward(self, x: Tensor) -> Tensor:
        z = self.attention(self.norm(rearrange(x, "n f h w -> n (h w) f")))
        z = rearrange(z, "n (h w) f -> n f h w", h=x.shape[2])
        return x + self.convolutions(torch.cat([self.dropout(z), x], dim=1))


class SelfSimilarityAttention(nn.Module):
    """ESSA: attention by the squared correlation of two spectra, at a cost linear in the number of pixels.

    The kernel is separable: kᵀv, an FxF matrix, is computed first, so no pixels x pixels matrix is needed.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        q, k, v = self.qkv(tokens).chunk(3, dim=-1)  # each (n, t, F)
        q = F.normalize(squared_share(q), dim=2)
        k = F.normalize(squared_share(k), dim=1)
        # with sym_sqrt, an exported network takes any number of pixels
        attended = q @ (k.transpose(1, 2) @ v.to(k.dtype)) / torch.sym_sqrt(tokens.shape[1])
        return self.project(v + attended)


def squared_share(x: Tensor) -> Tensor:
    """Return the squares of the centred channels divided by their sum, (n, t, F), at least in single precision."""
    x = x.to(torch.promote_types(x.dtype, torch.float32))  # squares over- and underflow in half precision
    x = (x - x.mean(dim=-1, keepdim=True)).square()
    return x / (x.sum(dim=-1, keepdim=True) + 1e-7)


register(Model("essaformer", ESSAformer, "ESSAformer", "#332288", order=60, small={"blocks": 1, "channels": 16}))
