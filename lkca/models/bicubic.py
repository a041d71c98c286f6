"""Bicubic enlargement: the row that every network must beat, and needs no training."""

from torch import Tensor, nn

from lkca.measures.resize import resize


class Bicubic(nn.Module):
    """MATLAB-compatible bicubic enlargement of (n, B, h, w) to (n, B, scale·h, scale·w); no parameters."""

    def __init__(self, bands: int, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return resize(x, self.scale)
