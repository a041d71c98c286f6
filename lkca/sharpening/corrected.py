"""An LR image read by rows whose bicubic enlargement is already back-projected."""

import torch
from torch import Tensor

from lkca.measures.back_projection import REACH, corrections, shrunk_enlarged
from lkca.sharpening.feature_maps import FeatureMap, Rows

AT_ONCE = 20  # rows corrected together, because each strip of rows costs those around it as well


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
        for image, out in zip(lr, corrected, strict=True):  # torch takes sixteen times the size of what it convolves
            error = image - shrunk_enlarged(image, self.scale)
            out += corrections(error, self.scale, self.steps)[inside]
        return corrected


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
