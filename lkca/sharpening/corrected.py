"""An LR image read by rows whose bicubic enlargement is already back-projected."""

import torch
from torch import Tensor

from lkca.measures.back_projection import REACH, corrections, shrunk_enlarged
from lkca.sharpening.feature_maps import Rows


class CorrectedRows:
    """`Rows` of an LR image plus its corrections: enlarged, it is bicubic with back-projection.

    lr : the image. scale : r of the enlargement. steps : corrections, see `lkca.measures.back_projection`.
    """

    def __init__(self, lr: Rows, scale: int, steps: int) -> None:
        self.lr, self.shape, self.scale, self.steps = lr, lr.shape, scale, steps

    def rows(self, start: int, stop: int) -> Tensor:
        if not self.steps:
            return self.lr.rows(start, stop)
        halo, height = REACH * self.steps, self.shape[1]
        first, last = max(0, start - halo), min(height, stop + halo)
        lr = self.lr.rows(first, last)
        corrected = lr + corrections(lr - shrunk_enlarged(lr, self.scale), self.scale, self.steps)
        return corrected[:, start - first : stop - first]


class DetailedRows:
    """`Rows` of an image plus what directions (k, h, w) add to it by their spectra (B, k)."""

    def __init__(self, lr: Rows, spectra: Tensor, directions: Tensor) -> None:
        self.lr, self.shape, self.spectra, self.directions = lr, lr.shape, spectra, directions

    def rows(self, start: int, stop: int) -> Tensor:
        detail = torch.einsum("bk,khw->bhw", self.spectra, self.directions[:, start:stop])
        return self.lr.rows(start, stop) + detail
