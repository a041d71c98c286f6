"""3D-FCNN.

S. Mei, X. Yuan, J. Ji, Y. Zhang, S. Wan, Q. Du, "Hyperspectral Image Spatial Super-Resolution via 3D Full
Convolutional Neural Network", Remote Sensing 9(11), 2017.

As the LKCA-Net paper adapts it. The bands are the input *channels* of the first 3-D convolution, and the third axis has
length one; the original slides its kernels along the spectrum. PixelShuffle upsamples at the end; the original works on
the upsampled image. So the outer two of a kernel's three slices only meet the zero padding; they still count in the
printed parameters and MACs. Widths 64, 32, 9. No bicubic skip.
"""

from torch import Tensor, nn

from lkca.models.registry import Model, register

LAST_WIDTH = 9  # channels that the last convolution reads


class FCNN3D(nn.Module):
    """Four 3-D convolutions, then PixelShuffle.

    Parameters
    ----------
    bands, scale : (n, B, h, w) becomes (n, B, scale·h, scale·w).
    channels : width C of the first layer; the second has half of it, rounded down, and the third always 9.

    Raises
    ------
    ValueError
        If C is below 2.
    """

    def __init__(self, bands: int, scale: int, channels: int = 64) -> None:
        super().__init__()
        if channels < 2:
            raise ValueError(f"channels must be at least 2 (the second layer has half of them), got {channels}")
        self.layers = nn.Sequential(
            nn.Conv3d(bands, channels, (3, 9, 9), padding=(1, 4, 4)),
            nn.ReLU(),
            nn.Conv3d(channels, channels // 2, 1),
            nn.ReLU(),
            nn.Conv3d(channels // 2, LAST_WIDTH, 1),
            nn.ReLU(),
            nn.Conv3d(LAST_WIDTH, bands * scale**2, (3, 5, 5), padding=(1, 2, 2)),
        )
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x.unsqueeze(2))  # (n, B, 1, h, w) -> (n, B·r², 1, h, w)
        return self.shuffle(y.squeeze(2))


register(Model("3dfcnn", FCNN3D, "3DFCNN", "#999933", order=30, small={"channels": 16}))
