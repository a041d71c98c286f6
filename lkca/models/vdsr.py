"""VDSR.

J. Kim, J. K. Lee, K. M. Lee, "Accurate Image Super-Resolution Using Very Deep Convolutional Networks", CVPR
2016.

As the LKCA-Net paper adapts it to hyperspectral images: all bands go in at once instead of one luminance channel; the
network works at the LR size and upsamples at its end by PixelShuffle, where the original works on the upsampled image;
convolutions have no bias. It is still a plain stack of 3x3 convolutions that predicts the residual over bicubic. 20
convolutions, 64 channels.
"""

import torch
from torch import Tensor, nn

from lkca.models.baselines import Bicubic
from lkca.models.blocks import conv3
from lkca.models.registry import Model, register
from lkca.models.upsamplers import UPSAMPLER_GAIN


class VDSR(nn.Module):
    """x -> PixelShuffle(convolutions(x)) + bicubic(x).

    Parameters
    ----------
    bands, scale : (n, B, h, w) becomes (n, B, scale·h, scale·w).
    blocks : convolutions between the first and the last.
    channels : feature channels C.
    """

    starts_at_bicubic = True  # the upsampler starts near zero

    def __init__(self, bands: int, scale: int, blocks: int = 18, channels: int = 64) -> None:
        super().__init__()
        self.scale = scale
        self.bicubic = Bicubic(bands, scale)
        layers = [conv3(bands, channels, bias=False), nn.ReLU()]
        for _ in range(blocks):
            layers += [conv3(channels, channels, bias=False), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.upsampler = nn.Sequential(conv3(channels, bands * scale**2, bias=False), nn.PixelShuffle(scale))
        # He et al.'s initialisation, as in the VDSR paper: with torch's, the signal vanishes in 20 layers without bias
        for layer in self.body[::2]:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        with torch.no_grad():
            self.upsampler[0].weight.mul_(UPSAMPLER_GAIN)

    def forward(self, x: Tensor) -> Tensor:
        return self.upsampler(self.body(x)) + self.bicubic(x)


register(Model("vdsr", VDSR, "VDSR", "#DDCC77", order=20, small={"blocks": 3, "channels": 16}))
