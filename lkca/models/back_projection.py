"""Bicubic enlargement with back-projection: the strongest line without training, which every network must beat.

M. Irani, S. Peleg, CVGIP 53(3), 1991; see `lkca.measures.back_projection`.
"""

from torch import Tensor, nn

from lkca.measures.back_projection import STEPS, corrections, shrunk_enlarged
from lkca.measures.resize import resize


class BackProjection(nn.Module):
    """Bicubic enlargement of (n, B, h, w) to (n, B, scale·h, scale·w), corrected `steps` times; no parameters."""

    def __init__(self, bands: int, scale: int, steps: int = STEPS) -> None:
        super().__init__()
        self.scale, self.steps = scale, steps

    def forward(self, x: Tensor) -> Tensor:
        # Every correction enlarges something of LR size, as bicubic itself does: one enlargement does for all of them.
        return resize(x + corrections(x - shrunk_enlarged(x, self.scale), self.scale, self.steps), self.scale)
