"""An LR image read by rows whose bicubic enlargement is already back-projected."""

from functools import cache

import torch
from torch import Tensor

from lkca.measures import back_projection
from lkca.measures.back_projection import REACH
from lkca.measures.resize import mirrored
from lkca.sharpening.feature_maps import FeatureMap, Rows

AT_ONCE = 20  # rows corrected together, because each strip of rows costs those around it as well
BANDS = 8  # corrected together: more leave the caches


class CorrectedRows:
    """`Rows` of an LR image plus its corrections: enlarged, it is bicubic with back-projection.

    lr : the image. scale : r of the enlargement. steps : corrections, see `lkca.measures.back_projection`.
    """

    def __init__(self, lr: Rows, scale: int, steps: int) -> None:
        self.lr, self.shape, self.scale, self.steps = lr, lr.shape, scale, steps
        self.first = self.end = 0  # the rows of the image that the block holds
        self.block = torch.empty(0)

    def rows(self, start: int, stop: int) -> Tensor:
        if not self.steps:
            return self.lr.rows(start, stop)
        if start < self.first or stop > self.end:
            self.block = torch.empty(0)  # its memory serves the next one
            self.first, self.end = start, max(stop, min(self.shape[1], start + AT_ONCE))
            self.block = self._corrected(self.first, self.end)
        return self.block[:, start - self.first : stop - self.first]

    def _corrected(self, start: int, stop: int) -> Tensor:
        halo = REACH * self.steps
        first, last = max(0, start - halo), min(self.shape[1], stop + halo)
        lr = self.lr.rows(first, last)
        inside = slice(start - first, stop - first)
        corrected = lr[:, inside].clone()
        for images, out in zip(lr.split(BANDS), corrected.split(BANDS), strict=True):
            error = images - shrunk_enlarged(images, self.scale)
            total = error
            for _ in range(self.steps - 1):
                total = total + (error - shrunk_enlarged(total, self.scale))
            out += total[:, inside]
        return corrected


def shrunk_enlarged(x: Tensor, ratio: int) -> Tensor:
    """`lkca.measures.back_projection.shrunk_enlarged` as sums of shifted images, which are a third of the time here.

    Not for training: the last digits differ.
    """
    kernel = _taps(ratio)
    for axis in (-2, -1):
        wide = x.index_select(axis, mirrored(x.shape[axis], REACH, x.device))
        shifted = [wide.narrow(axis, place, x.shape[axis]) for place in range(2 * REACH + 1)]
        x = kernel[REACH] * shifted[REACH]
        for place, weight in enumerate(kernel[:REACH]):  # it is symmetric
            x.add_(shifted[place], alpha=weight).add_(shifted[2 * REACH - place], alpha=weight)
    return x


@cache
def _taps(ratio: int) -> list[float]:
    """The seven weights of shrinking what was enlarged, along one axis."""
    impulse = torch.zeros(1, 4 * REACH + 1)
    impulse[0, 2 * REACH] = 1
    return back_projection.shrunk_enlarged(impulse, ratio)[0, REACH : 3 * REACH + 1].tolist()


def correcting_rows(steps: int) -> int:
    """How many rows of the image `CorrectedRows` holds while it reads some."""
    return 2 * AT_ONCE + 2 * REACH * steps if steps else 0


class DetailedRows:
    """`Rows` of an image plus what directions, a map of k channels, add to it by their spectra (B, k)."""

    def __init__(self, lr: Rows, spectra: Tensor, directions: FeatureMap) -> None:
        self.lr, self.shape, self.spectra, self.directions = lr, lr.shape, spectra, directions

    def rows(self, start: int, stop: int) -> Tensor:
        detail = torch.einsum("bk,khw->bhw", self.spectra, self.directions.rows(start, stop)[0])
        return detail.add_(self.lr.rows(start, stop))
