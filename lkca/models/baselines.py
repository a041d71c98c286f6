"""The baselines: bicubic upsampling, alone and with back-projection. They have no parameters.

M. Irani, S. Peleg, "Improving resolution by image registration", CVGIP 53(3), 1991.
"""

from torch import Tensor, nn

from lkca.degradation import BACK_PROJECTION_STEPS, round_trip, sum_updates
from lkca.models.registry import Model, register
from lkca.resize import resize


class Bicubic(nn.Module):
    """Upsample (n, B, h, w) to (n, B, scale·h, scale·w) as MATLAB's bicubic does. Networks use it as a skip."""

    def __init__(self, bands: int, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return resize(x, self.scale)


class BackProjection(nn.Module):
    """Upsample by bicubic, with `steps` back-projection iterations."""

    def __init__(self, bands: int, scale: int, steps: int = BACK_PROJECTION_STEPS) -> None:
        super().__init__()
        self.scale, self.steps = scale, steps

    def forward(self, x: Tensor) -> Tensor:
        # Each iteration adds an upsampled LR image. Upsampling is linear, so the sum is upsampled once.
        return resize(x + sum_updates(x - round_trip(x, self.scale), self.scale, self.steps), self.scale)


register(Model("bicubic", Bicubic, "bicubic", "#8c8c8c", order=0, learned=False))
register(
    Model(
        "back-projection",
        BackProjection,
        "bicubic + back-projection",
        "#4d4d4d",
        order=10,
        marker="P",
        of_paper=False,
        learned=False,
    )
)
