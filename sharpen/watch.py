"""Watch a scene being sharpened: time, memory, values out of range, added texture."""

import copy
import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lkca import provenance
from lkca.files import Log
from lkca.resize import resize
from sharpen.image.strips import Method
from sharpen.image.tiles import ImageRows, Rows, resident
from sharpen.scene_rows import SceneRows
from sharpen.texture import measure_texture

SECONDS_BETWEEN_LINES = 5.0  # of progress
PIECE = 32  # LR pixels on a side of the smaller of two timed pieces, at x2 and x4
MIN_PIECES = 512  # pieces in a scene; a smaller one is done too soon for a forecast
TEXTURE_SIDE = 48  # LR pixels on a side of the middle of a scene, where texture is measured
MIN_TEXTURE_SIDE = 16
SAMPLED_SIDE = 64  # rows and columns sampled for a scene's contrast
MAX_TEXTURE_VALUES = 2**23  # of that middle, upsampled: bounds the memory


class Progress:
    """Logs progress every few seconds.

    rows : HR rows of the scene.
    """

    def __init__(self, rows: int, log: Log) -> None:
        self.rows, self.log = rows, log
        self.said, self.first = time.perf_counter(), (0, 0.0)

    def show_tiles(self, done: int, count: int) -> None:
        """Log how many tiles of the present rows the network has done."""
        if self._is_time() and done < count:
            self.log(f"network: {done} of {count} tiles")

    def show_rows(self, row: int) -> None:
        """Log how many HR rows are done, and the time left."""
        now = time.perf_counter()
        if not self.first[0]:
            self.first = row, now
        elif self._is_time() and row < self.rows:
            left = (now - self.first[1]) / (row - self.first[0]) * (self.rows - row)
            self.log(f"{row} of {self.rows} rows, {in_words(left)} left")

    def _is_time(self) -> bool:
        now = time.perf_counter()
        if now - self.said < SECONDS_BETWEEN_LINES:
            return False
        self.said = now
        return True


class RangeCounter:
    """Counts values outside the range that their band has in the input, in the file's numbers.

    total : such values so far. excess : by how much at most, as a share of that range.
    """

    def __init__(self, lr: SceneRows, dtype: np.dtype) -> None:
        ends = lr.unit.to_file(torch.stack([lr.low, lr.high], dim=1)[:, None])[:, 0]
        self.low, self.high = ends.amin(1), ends.amax(1)
        self.tolerance = 1e-6 * ends.abs().amax(1) if dtype.kind == "f" else torch.full_like(self.low, 0.5)
        self.total, self.excess = 0, 0.0

    def count(self, strip: Tensor, missing: NDArray[np.bool_] | None) -> None:
        """Count the values of a strip (b, n, W), except pixels without data, (n, W)."""
        if missing is not None:
            strip = strip[:, ~torch.from_numpy(missing)][:, None]
        if not strip.shape[2]:
            return
        least, most = strip.amin(2).amin(1), strip.amax(2).amax(1)
        low, high = self.low - self.tolerance, self.high + self.tolerance
        for outside, limit, compare in ((least < low, low, torch.lt), (most > high, high, torch.gt)):
            for band in outside.nonzero().flatten().tolist():
                self.total += int(torch.count_nonzero(compare(strip[band], limit[band])))
        width = torch.maximum(self.high - self.low, self.tolerance)
        excess = torch.where((least < low) | (most > high), torch.maximum(self.low - least, most - self.high), 0)
        self.excess = max(self.excess, float((excess / width.clamp_min(1e-30)).max()))

    def in_words(self, values: int, clamped: int) -> str:
        """Return a line for the log. values : written in total. clamped : see `Method.clamped`."""
        line = f"{self.total} values ({self.total / values:.2g} of all) lie outside their band's range in the input"
        if self.total:
            line += f", by at most {self.excess:.2g} of that range"
        return f"{line}; {clamped} were clamped to the range of their neighbourhood" if clamped else line


def seconds_needed(method: Method, lr: Rows) -> float | None:
    """Return about how many seconds sharpening will take, from timing pieces of the middle; None if it is soon done."""
    _, height, width = lr.shape
    side = PIECE if method.scale < 8 else PIECE // 2
    if min(height, width) < 2 * side or height * width < MIN_PIECES * side**2:
        return None
    trial, times = copy.copy(method), []
    for each in (side, side, 2 * side):  # the first time prepares memory and kernels
        begun = time.perf_counter()
        for _ in trial.strips(ImageRows(_middle(lr, each))):
            pass
        times.append(time.perf_counter() - begun)
    # The difference leaves out the cost that does not grow with the piece.
    a_pixel = max(times[2] - times[1], 0.1 * times[2]) / (3 * side**2)
    return times[2] + a_pixel * (height * width - 4 * side**2)


def in_words(seconds: float) -> str:
    """Return a duration as text, such as 12 s, 3 min or 1.5 h."""
    if seconds < 100:
        return f"{max(1, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def texture_remarks(method: Method, lr: Rows) -> list[str]:
    """Return a sentence on each thing that looks wrong in the texture a network adds to the middle of a scene."""
    bands, height, width = lr.shape
    fitting = max(MIN_TEXTURE_SIDE, int((MAX_TEXTURE_VALUES / bands) ** 0.5 / method.scale))
    side = min(height, width, TEXTURE_SIDE, fitting)
    if not method.limited or side < MIN_TEXTURE_SIDE:
        return []
    piece = _middle(lr, side)
    sharpened = torch.cat([strip.values for strip in copy.copy(method).strips(ImageRows(piece))], dim=1)
    every = -(-width // SAMPLED_SIDE)
    sample = [lr.rows(row, row + 1)[:, :, ::every].clone() for row in range(0, height, -(-height // SAMPLED_SIDE))]
    deviation = torch.cat(sample, dim=1).double().flatten(1).std(dim=1, correction=0)
    return measure_texture(sharpened - resize(piece, method.scale), piece, method.scale, deviation).remarks()


def peak_memory() -> int:
    """Return the most bytes of memory that this process has used."""
    return max(provenance.peak_memory(torch.device("cpu")), resident())


def _middle(lr: Rows, side: int) -> Tensor:
    """Return (B, side, side) from the middle of an image."""
    _, height, width = lr.shape
    top, left = (height - side) // 2, (width - side) // 2
    return lr.rows(top, top + side)[:, :, left : left + side].contiguous()
