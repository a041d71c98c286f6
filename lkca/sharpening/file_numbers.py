"""A network's rows as the file's numbers."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lkca.scenes import Scene
from lkca.scenes.no_data import held_as
from lkca.sharpening.scene_rows import SceneRows


class FileNumbers:
    """Turns rows of a network's output into a file's numbers and type.

    Parameters
    ----------
    scene : the whole file, whose bands, type and no-data value they get.
    bands : those of its bands, from 0 on, that went through the network; the others become no-data.
    lr : what the network was given. peak : the file's number for 1. scale : r.

    Attributes
    ----------
    no_data : what stands for it in the new file; None for NaN.
    clipped : how many values so far did not fit the type and were set to its limit.
    beyond : how many were outside of the range that their band has in the input, and `farthest`, how far at most, as a
        share of that range.

    Raises
    ------
    ValueError
        If the network made values that are no numbers.
    """

    def __init__(self, scene: Scene, bands: Sequence[int], lr: SceneRows, peak: float, scale: int) -> None:
        self.dtype, self.bands, self.peak, self.scale = scene.dtype, list(bands), peak, scale
        self.total, self.gains, self.offsets = scene.shape[0], scene.gains, scene.offsets
        self.missing = lr.missing if lr.missing.any() else None
        self.low, self.high = lr.low.astype(float), lr.high.astype(float)
        self.whole = scene.dtype.kind in "iu"
        self.no_data, self.fill = no_data_for(scene, self.bands), lr.fill
        self.limits = _limits(scene.dtype)
        self.clipped, self.beyond, self.farthest = 0, 0, 0.0

    @torch.inference_mode()
    def of(self, row: int, strip: Tensor) -> NDArray:
        """float32 (b, n, W) in units of the peak, from HR row `row` on, as numbers (B, n, W); `strip` is used up."""
        out = np.empty((self.total, *strip.shape[1:]), self.dtype)
        if len(self.bands) < self.total:
            out[np.setdiff1d(np.arange(self.total), self.bands)] = self._hole()
        missing = self._missing(row, strip.shape[1])
        for place, values in enumerate(strip):  # one band of a strip stays in the processor's cache
            band = self.bands[place]
            if missing is not None:
                values.masked_fill_(missing, self.low[place])
            self._count_beyond(place, values)
            values.mul_(self.peak)
            if self.gains is not None:
                values.sub_(self.offsets[band]).div_(self.gains[band])
            self._convert(values, out[band])
            if missing is not None:
                out[band][missing.numpy()] = self._hole()
        return out

    def _hole(self) -> np.generic | float:
        if self.no_data is not None:
            return self.no_data
        return self.fill if self.whole and self.fill is not None else np.nan

    def _count_beyond(self, place: int, values: Tensor) -> None:
        low, high = self.low[place], self.high[place]
        least, most = (float(value) for value in torch.aminmax(values))
        rounding = 0.5 / abs(self.peak) if self.whole else 1e-6 * max(abs(low), abs(high))
        if least < low - rounding or most > high + rounding:
            self.beyond += int(((values < low - rounding) | (values > high + rounding)).sum())
            self.farthest = max(self.farthest, float(max(low - least, most - high) / max(high - low, rounding)))

    def _convert(self, values: Tensor, band: NDArray) -> None:
        if self.whole:
            values.round_()
        least, most = (float(value) for value in torch.aminmax(values))
        if not (math.isfinite(least) and math.isfinite(most)):
            raise ValueError(
                "the network made NaN or infinite values of this scene, nothing was written: its weights, or the "
                "number that they take for 1, do not fit the scene"
            )
        if self.limits:
            low, high = self.limits
            if least < low or most > high:
                self.clipped += int(((values < low) | (values > high)).sum())
                values.clamp_(low, high)
        torch.from_numpy(band).copy_(values)
        if self.no_data is not None:
            taken = band == self.no_data  # a measured value would be lost
            if taken.any():
                band[taken] = _neighbour(self.no_data)

    def _missing(self, row: int, rows: int) -> Tensor | None:
        """bool (rows, W) of the enlarged image; None where all of it has data."""
        if self.missing is None:
            return None
        source = self.missing[np.arange(row, row + rows) // self.scale]
        return torch.from_numpy(np.repeat(source, self.scale, axis=1)) if source.any() else None


def no_data_for(scene: Scene, bands: Sequence[int]) -> np.generic | None:
    """The no-data value of the enlarged file: the scene's own; for whole numbers without one, of which some bands are
    left out, the end of the type; else None.
    """
    own = held_as(scene.no_data, scene.dtype)
    if own is not None or scene.dtype.kind == "f" or len(bands) == scene.shape[0]:
        return own
    limits = np.iinfo(scene.dtype)
    return scene.dtype.type(limits.min if scene.dtype.kind == "i" else limits.max)


def _limits(dtype: np.dtype) -> tuple[float, float] | None:
    """The least and the greatest float32 that a type holds; None where all fit."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        high = np.float32(limits.max)
        if int(high) > limits.max:  # 2^31 - 1 becomes 2^31
            high = np.nextafter(high, np.float32(0))
        return float(limits.min), float(high)
    return (-65504.0, 65504.0) if dtype == np.float16 else None


def _neighbour(number: np.generic) -> np.generic:
    """The next number of that type towards zero; from zero, the next above."""
    kind = number.dtype
    if kind.kind == "f":
        return np.nextafter(number, kind.type(0)) if number else np.finfo(kind).tiny
    return kind.type(int(number) - int(np.sign(int(number)))) if number else kind.type(1)
