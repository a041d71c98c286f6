"""Sharpen an LR image strip by strip in bounded memory: the part that all methods share.

A method gives HR rows as bicubic(base) + spectra · detail. The base is an LR image, back-projected or deconvolved at LR
size. The detail is a network's residuals. Bands are processed in strips of rows, feature maps in tiles.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lkca.degradation import round_trip_kernel
from lkca.resize import mirror_indices
from sharpen.image.interpolate import LIMIT_RADIUS, UPSAMPLING_RADIUS, back_projected, upsample_rows, value_limits
from sharpen.image.tiles import FLOAT, Rows, resident, spans

MAX_TILE_PIXELS = 300_000  # LR pixels of a tile, overlap included: larger ones are slower
MIN_TILE_PIXELS = 4096
TILE_SHARE = 0.6  # of the free memory, for a tile's feature maps
USED_SHARE = 0.88  # of the memory limit that is planned with, since a process grows a little
CHUNK_ROWS = 64  # LR rows whose base is computed together
STRIP_ROWS = 4  # LR rows that are upsampled together
CHUNKS = 10  # arrays of a chunk's size in memory at once
BANDS = 16  # upsampled together: more do not fit into the processor's cache
STRIPS = 5  # arrays of a strip's size in memory at once, including those still to be written
WINDOW_MARGIN = 5  # LR rows beyond a window's own, on either side, that it contains
Mask = NDArray[np.bool_]


class Strip(NamedTuple):
    """values : float32 (B, n, r·w). deviation : their standard deviation, of the same shape, if requested."""

    values: Tensor
    deviation: Tensor | None = None


@dataclass(frozen=True)
class Window:
    """What a method has computed for m LR rows before bands are composed. first : the image's row of the first one.

    detail : (k, r·m, r·w), the network's residuals; None without a network. spectra : (B, k), of one unit of each
    residual; None if the detail has B bands itself. low : (k, m, w), what back-projection adds to the detail, at LR
    size. leading : (K, m, w), what deconvolution adds to the leading eigenimages, at LR size.
    z, v : (K, m, w), the leading eigenimages as `sharpen.image.deconvolve.Plan.filter` gives them.
    unit : (k,), one unit of each residual, as a multiple of its eigenimage's unit.
    """

    first: int
    detail: Tensor | None = None
    spectra: Tensor | None = None
    low: Tensor | None = None
    leading: Tensor | None = None
    z: Tensor | None = None
    v: Tensor | None = None
    unit: Tensor | None = None


class Method:
    """Interpolation: bicubic, with back-projection where `steps` > 0.

    Attributes
    ----------
    name : for messages. scale : r. psf : of the degradation to undo.
    limited : whether values are clamped to the range of their neighbourhood, see `value_limits`.
    clamped : values so far that were outside that range. tiled : whether a network saw the image in parts.
    remark : a sentence on the estimates, "" without any. uncertain : whether standard deviations are given.
    on_tile : called after each tile with the number of tiles done and of all tiles.
    """

    def __init__(self, name: str, scale: int, steps: int, psf: str = "bicubic", limited: bool = False) -> None:
        self.name, self.scale, self.steps, self.psf, self.limited = name, scale, steps, psf, limited
        self.clamped, self.tiled, self.remark = 0, False, ""
        self.uncertain = False
        self.on_tile: Callable[[int, int], None] = lambda done, count: None

    # --- what methods do differently

    def prepare(self, lr: Rows, missing: Mask | None = None, memory: float = np.inf) -> None:
        """Survey the whole image before sharpening. missing : (h, w), filled pixels. memory : see `strips`."""

    def window(self, lr: Rows, start: int, stop: int, pixels: int) -> Window:
        """Prepare LR rows `start` … `stop`. pixels : LR pixels of a tile, at most."""
        return Window(start)

    def window_margin(self) -> int:
        """Return how many LR rows beyond its own, on either side, a window reads."""
        return 0

    def window_row_bytes(self, shape: tuple[int, int, int]) -> int:
        """Return the bytes that a window takes for each LR row of an image (B, h, w)."""
        return 1

    def tile_pixel_bytes(self) -> int:
        """Return the bytes that a tile takes for each LR pixel."""
        return 1

    def base_margin(self) -> int:
        """Return the radius, in LR pixels, that a pixel of the base depends on."""
        return self.steps * (max(round_trip_kernel(self.scale, self.psf).shape) // 2) if self.steps else 0

    def base(self, x: Tensor) -> Tensor:
        """Return the LR rows to upsample by bicubic, (B, n, w); `base_margin` rows at either end are not valid."""
        return back_projected(x, self.scale, self.steps, self.psf) if self.steps else x.clone()

    def add_leading(self, base: Tensor, leading: Tensor) -> Tensor:
        """Add a window's `leading` (K, n, w) to a base (B, n, w)."""
        raise NotImplementedError

    def limits(self, lr: Rows, base: Tensor, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Return the lowest and highest values allowed in LR rows `start` … `stop`, (B, n, w) each.

        base : (B, n + 4, w), the rows to upsample, with two more at either end.
        """
        first, last = max(0, start - LIMIT_RADIUS), min(lr.shape[1], stop + LIMIT_RADIUS)
        limits = value_limits(lr.rows(first, last))
        return tuple(limit[:, start - first : stop - first] for limit in limits)

    def deviation(self, window: Window, first: int, last: int) -> Tensor | None:
        """Return the standard deviation of LR rows `first` … `last`, (B, r·n, r·w); None unless `uncertain`."""
        return None

    # --- what they share

    @torch.inference_mode()
    def strips(self, lr: Rows, memory: float = np.inf) -> Iterator[Strip]:
        """Yield the sharpened image from top to bottom.

        memory : bytes that the process may hold.

        Raises
        ------
        ValueError
            If the memory is too small.
        """
        thin, thick, rows, pixels = self._sizes(lr.shape, memory)
        radius = UPSAMPLING_RADIUS
        for start, stop, _, _ in spans(lr.shape[1], rows):
            window = base = limits = strip_limits = strip = None  # frees the last window before the next one
            window = self.window(lr, start, stop, pixels)
            for first, last, _, _ in spans(stop, thick, first=start):
                base = self._padded_base(lr, window, first, last)
                limits = self.limits(lr, base, first, last) if self.limited else None
                for top, bottom, _, _ in spans(last, thin, first=first):
                    rows = slice(top - first, bottom - first + 2 * radius)
                    strip_limits = [limit[:, top - first : bottom - first] for limit in limits or ()]
                    strip = self._strip(
                        base[:, rows], window, slice(top - window.first, bottom - window.first), strip_limits
                    )
                    yield Strip(strip, self.deviation(window, top, bottom))

    def _strip(self, padded: Tensor, window: Window, rows: slice, limits: list[Tensor]) -> Tensor:
        """Return HR values (B, r·n, r·w) of a window's LR rows; padded (B, n + 4, w), limits (B, n, w)."""
        bands, count, width = padded.shape
        strip = torch.empty(bands, self.scale * (count - 2 * UPSAMPLING_RADIUS), self.scale * width)
        detail = spectra = None
        if window.detail is not None:
            detail = window.detail[:, self.scale * rows.start : self.scale * rows.stop]
            detail, spectra = (detail, None) if window.spectra is None else (detail.flatten(1), window.spectra)
        for first, last, _, _ in spans(bands, BANDS):  # all steps on a part while it is in the cache
            part = upsample_rows(padded[first:last], self.scale, strip[first:last])
            if spectra is not None:
                part.view(last - first, -1).addmm_(spectra[first:last], detail)
            elif detail is not None:
                part.add_(detail[first:last])
            if limits:
                self._clamp(part, *(limit[first:last] for limit in limits))
        return strip

    def _sizes(self, shape: tuple[int, int, int], memory: float) -> tuple[int, int, int, int]:
        """Return the LR rows of a strip, a chunk and a window and the LR pixels of a tile that fit into the memory."""
        bands, height, width = shape
        free = USED_SHARE * min(memory, 1e15) - resident()
        strip_row = STRIPS * (2 if self.uncertain else 1) * FLOAT * bands * width * self.scale**2
        thin = int(min(STRIP_ROWS, max(1, free / 4 // strip_row)))
        chunk_row, margin = CHUNKS * FLOAT * bands * width, 2 * (self.base_margin() + UPSAMPLING_RADIUS)
        thick = int(min(CHUNK_ROWS, max(STRIP_ROWS, free / 3 // chunk_row - margin)))
        # A window's tiles are done before its chunks and strips begin, so both can use the same memory.
        output = thin * strip_row + min(thick + margin, height) * chunk_row
        window_row, tile_pixel = self.window_row_bytes(shape), self.tile_pixel_bytes()
        least = min(height, thick + 2 * self.window_margin()) * window_row
        pixels = min(MAX_TILE_PIXELS, max(output, TILE_SHARE * free) / tile_pixel, (free - least) / tile_pixel)
        if pixels < MIN_TILE_PIXELS or least + output > free:
            needed = memory + (least + max(output, MIN_TILE_PIXELS * tile_pixel) - free) / USED_SHARE
            raise ValueError(
                f"memory of {memory / 1e9:.2f} GB is too small for this scene: it needs {needed / 1e9 + 0.05:.1f} GB"
            )
        free -= max(output, pixels * tile_pixel)
        rows = height if free >= height * window_row else int(free // window_row) - 2 * self.window_margin()
        return thin, thick, max(rows, thick), int(pixels)

    def _padded_base(self, lr: Rows, window: Window, first: int, last: int) -> Tensor:
        """Return the rows to upsample, `first` … `last` with two more at either end: (B, n + 4, w)."""
        height, radius, margin = lr.shape[1], UPSAMPLING_RADIUS, self.base_margin()
        above, below = max(0, first - radius), min(height, last + radius)
        outer = max(0, above - margin), min(height, below + margin)
        base = self.base(lr.rows(*outer))[:, above - outer[0] : below - outer[0]]
        rows = slice(above - window.first, below - window.first)
        if window.leading is not None:
            base = self.add_leading(base, window.leading[:, rows])
        if window.low is not None:
            base = base + torch.tensordot(window.spectra, window.low[:, rows], 1)
        mirrored = mirror_indices(height, radius, base.device)[first : last + 2 * radius] - above
        return base[:, mirrored]

    def _clamp(self, part: Tensor, low: Tensor, high: Tensor) -> None:
        """Clamp HR values (b, r·n, r·w) in place to the limits (b, n, w) of their LR pixels."""
        cells = part.view(*low.shape[:2], self.scale, -1)
        low, high = (limit.repeat_interleave(self.scale, -1)[:, :, None] for limit in (low, high))
        clamped = cells.clamp(low, high)
        if not torch.equal(clamped, cells):
            self.clamped += int(torch.count_nonzero(clamped != cells))
            cells.copy_(clamped)
