"""What a network may make of a pixel: an output stays near what the neighbouring input pixels allow.

Training shows a network values from 0 to 1. A hot pixel of 1.7 is outside of all that it has seen, and it answers with
anything. So the network is shown the value at the limit, bicubic adds what was cut off, and the result is held to the
range of the 5x5 input pixels around it, widened by half of that range on both sides. Bicubic leaves that range by a
quarter at most, trained networks by less than half but for single pixels: what is held back there is no detail.

Everything works strip by strip, for any network.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from lkca.measures.resize import resize
from lkca.sharpening.feature_maps import Rows, WholeImage

REACH = 2  # LR pixels to each side that count as neighbours: as far as bicubic looks
SHARE = 0.5  # of the neighbours' range, allowed above and below it


class Limited:
    """`Rows` cut to [low, high], as a network has seen them in training."""

    def __init__(self, lr: Rows, low: float = 0.0, high: float = 1.0) -> None:
        self.lr, self.low, self.high, self.shape = lr, low, high, lr.shape

    def rows(self, start: int, stop: int) -> Tensor:
        return self.lr.rows(start, stop).clamp(self.low, self.high)

    @torch.inference_mode()
    def add_excess(self, row: int, strip: Tensor, scale: int) -> None:
        """Add what was cut off, enlarged by bicubic, to a strip (B, n, W) from HR row `row` on, in place."""
        start, stop = row // scale, (row + strip.shape[1]) // scale
        first, last = max(0, start - REACH), min(self.shape[1], stop + REACH)
        x = self.lr.rows(first, last)
        excess = x - x.clamp(self.low, self.high)
        inside = slice(scale * (start - first), scale * (stop - first))
        for band in torch.nonzero(excess.flatten(1).any(dim=1)).flatten():
            strip[band] += resize(excess[band], scale)[inside]


class Bounds:
    """Holds strips of an enlarged image to what the neighbouring input pixels allow.

    lr : the image that was enlarged. scale : r.
    held : how many values so far were set to their limit.
    """

    def __init__(self, lr: Rows, scale: int) -> None:
        self.lr, self.scale, self.held = lr, scale, 0

    @torch.inference_mode()
    def apply(self, row: int, strip: Tensor) -> Tensor:
        """A strip (B, n, W) from HR row `row` on, n a multiple of the scale, changed in place. NaN stays NaN."""
        r = self.scale
        start, stop = row // r, (row + strip.shape[1]) // r
        first, last = max(0, start - REACH), min(self.lr.shape[1], stop + REACH)
        low, high = (limit[:, start - first : stop - first, None] for limit in limits(self.lr.rows(first, last)))
        for band, least, most in zip(strip, low, high, strict=True):
            rows = band.unflatten(0, (-1, r))  # (n / r, r, W); one band of a strip stays in the processor's cache
            least, most = least.repeat_interleave(r, -1), most.repeat_interleave(r, -1)  # (n / r, 1, W)
            if (rows - least).amin() < 0 or (most - rows).amin() < 0:
                self.held += int(((rows < least) | (rows > most)).sum())
                rows.clamp_(least, most)
        return strip


def limits(x: Tensor) -> tuple[Tensor, Tensor]:
    """The least and the greatest value that an enlargement of (B, h, w) may have within each pixel, (B, h, w) each."""
    high, low = x, x
    for axis in (-1, -2):
        low, high = _spread(low, axis, torch.minimum), _spread(high, axis, torch.maximum)
    margin = SHARE * (high - low)
    return low - margin, high + margin


def _spread(x: Tensor, axis: int, extreme: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The least or greatest of each value and its neighbours up to `REACH` away along one axis."""
    result = x.clone()
    length = x.shape[axis]
    for shift in range(1, min(REACH, length - 1) + 1):
        for place, source in ((0, shift), (shift, 0)):
            part = result.narrow(axis, place, length - shift)
            part.copy_(extreme(part, x.narrow(axis, source, length - shift)))
    return result


def bounded(prediction: Tensor, lr: Tensor) -> tuple[Tensor, int]:
    """A whole image (B, r·h, r·w) held to what its LR image (B, h, w) allows, and how many values that changed."""
    bounds = Bounds(WholeImage(lr), prediction.shape[-1] // lr.shape[-1])
    return bounds.apply(0, prediction.clone()), bounds.held
