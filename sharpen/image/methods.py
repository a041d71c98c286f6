"""The methods that sharpen: deconvolution alone, the eigenimage network, networks of the study.

Their base class is in `sharpen.image.strips`.
"""

import copy

import numpy as np
import torch
from torch import Tensor, nn

from lkca.degradation import Degradation, round_trip, round_trip_kernel
from lkca.fast import accelerate, computing_in, fold
from lkca.psf import check_kernel_fits
from lkca.resize import resize
from sharpen.image.deconvolve import SAMPLE_SIDE, TAIL_RADIUS, middle, network_inputs, prepare
from sharpen.image.fast import FastLayers, feature_bytes
from sharpen.image.interpolate import (
    LIMIT_RADIUS,
    UPSAMPLING_RADIUS,
    convolve_mirrored,
    filter_leading,
    sum_updates_fast,
    value_limits,
)
from sharpen.image.model import Basis, EigenimageNetwork, principal_components
from sharpen.image.psf import estimate_psf
from sharpen.image.strips import CHUNK_ROWS, WINDOW_MARGIN, Mask, Method, Window
from sharpen.image.tiles import FLOAT, Rows, resident, side_by_side, spans, through_tiles
from sharpen.image.uncertainty import band_deviations, eigenimage_deviations

OVERLAP = 32  # LR pixels around a window of deconvolution, and around a tile of a network of the study
MAPS = {"float32": 8, "bfloat16": 6}  # feature maps in memory at once, counted in float32 ones
MIN_SAMPLE_SIDE = 32  # LR pixels on a side of the middle of a scene, from which PSF and spectra are estimated
SAMPLE_BYTES = 40  # of memory that these estimates take for each LR pixel and band
FILTER_BYTES = 400  # of memory that deconvolution takes for each LR pixel


class PlannedMethod(Method):
    """Deconvolution by the scene's own statistics (`sharpen.image.deconvolve`), without a network.

    psf : "auto" estimates it. noise : signal-to-noise ratio in dB, infinite for none; None estimates it.
    """

    def __init__(self, name: str, scale: int, psf: str, noise: float | None, limited: bool = False) -> None:
        super().__init__(name, scale, 0, psf, limited)
        self.noise = noise

    def prepare(self, lr: Rows, missing: Mask | None = None, memory: float = np.inf) -> None:
        check_kernel_fits(self.psf, *(self.scale * side for side in lr.shape[1:]))
        fitting = max(0.0, memory - resident()) / 2 / (SAMPLE_BYTES * lr.shape[0])
        rows, columns = middle(*lr.shape[1:], int(max(MIN_SAMPLE_SIDE, min(SAMPLE_SIDE, fitting**0.5))))
        basis = basis_of(lr, missing, lr.shape[0])
        sample = lr.rows(rows.start, rows.stop)[:, :, columns]
        if self.psf == "auto":
            estimate = estimate_psf(sample, self.scale)
            self.psf, self.remark = estimate.psf, estimate.text
        self.plan = prepare(basis, sample, self.scale, self.psf, self.noise)
        self.kernel = self.plan._tail_kernels()[0]

    def base_margin(self) -> int:
        return TAIL_RADIUS

    def base(self, x: Tensor) -> Tensor:
        # All bands go through the shared filter; `Window.leading` then replaces it for the leading eigenimages.
        return convolve_mirrored(x, self.kernel)

    def add_leading(self, base: Tensor, leading: Tensor) -> Tensor:
        return base + torch.tensordot(self.plan.leading_basis.spectra(), leading, 1)

    def window(self, lr: Rows, start: int, stop: int, pixels: int) -> Window:
        first, last = max(0, start - OVERLAP), min(lr.shape[1], stop + OVERLAP)
        eigenimages = coefficients_of(lr, self.plan.leading_basis, first, last)
        return Window(first, leading=self._leading(eigenimages, filter_leading(self.plan, eigenimages)[0]))

    def window_margin(self) -> int:
        return OVERLAP

    def window_row_bytes(self, shape: tuple[int, int, int]) -> int:
        return (3 * FLOAT * self.plan.leading + FILTER_BYTES) * shape[2]

    def _leading(self, eigenimages: Tensor, filtered: Tensor) -> Tensor:
        return filtered - convolve_mirrored(eigenimages, self.kernel)


class EigenimageMethod(PlannedMethod):
    """The eigenimage network (`sharpen.image.model`) after deconvolution.

    uncertain : True gives standard deviations too.
    """

    def __init__(
        self,
        name: str,
        network: EigenimageNetwork,
        psf: str = "bicubic",
        noise: float | None = np.inf,
        precision: str = "float32",
        uncertain: bool = False,
    ) -> None:
        super().__init__(name, network.scale, psf, noise, limited=True)
        self.network, self.precision, self.uncertain = fold(copy.deepcopy(network)), precision, uncertain
        self.network.raw = FastLayers(self.network, precision)
        self._deviations: Tensor | None = None  # of an image larger than one window

    def prepare(self, lr: Rows, missing: Mask | None = None, memory: float = np.inf) -> None:
        self._deviations = None
        super().prepare(lr, missing, memory)

    def window(self, lr: Rows, start: int, stop: int, pixels: int) -> Window:
        height, width = lr.shape[1:]
        first, last = max(0, start - self.window_margin()), min(height, stop + self.window_margin())
        self.tiled = self.tiled or (last - first) * width > pixels or (first, last) != (0, height)
        eigenimages = coefficients_of(lr, self.plan.leading_basis, first, last)
        z, v = filter_leading(self.plan, eigenimages)
        unit = self._deviation(lr, v, (start, stop))
        inputs, spectra = network_inputs(self.plan, eigenimages, v, self.network, unit)
        leading = self._leading(eigenimages, z)
        tiles = self.scale, self.network.radius, pixels, self.on_tile, side_by_side()
        detail = through_tiles(self.network.limited, inputs, *tiles)[:, 0]
        # Cut off the overlap of the tiles, then the rows that only back-projection needs.
        edges = max(0, start - self._reach()), min(height, stop + self._reach())
        above, below = max(0, start - WINDOW_MARGIN), min(height, stop + WINDOW_MARGIN)
        detail = detail[:, self.scale * (edges[0] - first) : self.scale * (edges[1] - first)]
        low = self._back_projected(detail)[:, above - edges[0] : below - edges[0]]
        detail = detail[:, self.scale * (above - edges[0]) : self.scale * (below - edges[0])]
        rows = slice(above - first, below - first)
        leading, z, v = (each[:, rows] for each in (leading, z, v))
        return Window(above, detail, spectra, low, leading, z, v, unit)

    def _deviation(self, lr: Rows, v: Tensor, rows: tuple[int, int]) -> Tensor:
        """Return the standard deviations (k,) of v over the image, by which v is divided before the network.

        v : (K, n, w), of the window of LR rows `rows`.
        """
        height, count = lr.shape[1], min(self.network.components, len(v))
        if rows == (0, height):
            return v[:count].flatten(1).std(dim=1, correction=0)
        if self._deviations is None:
            sums, squares = torch.zeros(2, count, dtype=torch.float64)
            for start, stop, first, last in spans(height, rows[1] - rows[0], OVERLAP):
                part = coefficients_of(lr, self.plan.leading_basis, first, last)[:count]
                part = filter_leading(self.plan, part, up=False)[1][:, start - first : stop - first].double()
                sums += part.sum((1, 2))
                squares += part.square().sum((1, 2))
            number = height * lr.shape[2]
            self._deviations = (squares / number - (sums / number) ** 2).clamp_min(0).sqrt().float()
        return self._deviations

    def window_margin(self) -> int:
        return self._reach() + self.network.radius

    def limits(self, lr: Rows, base: Tensor, start: int, stop: int) -> tuple[Tensor, Tensor]:
        # Sharp values leave the range of the LR image, which the sensor blurred: the deconvolved image sets the limits.
        return tuple(limit[:, LIMIT_RADIUS:-LIMIT_RADIUS] for limit in value_limits(base))

    def window_row_bytes(self, shape: tuple[int, int, int]) -> int:
        return self.network.components * int(1.5 * FLOAT * self.scale**2) * shape[2] + super().window_row_bytes(shape)

    def tile_pixel_bytes(self) -> int:
        return side_by_side() * feature_bytes(self.network, self.precision)

    def deviation(self, window: Window, first: int, last: int) -> Tensor | None:
        if not self.uncertain:
            return None
        above = max(window.first, first - WINDOW_MARGIN)
        below = min(window.first + window.v.shape[1], last + WINDOW_MARGIN)
        rows, r, count = slice(above - window.first, below - window.first), self.scale, len(window.unit)
        unit, image = window.unit[:, None, None], window.z[:, rows].clone()
        image[:count] += unit * window.low[:, rows]
        image = resize(image, r)
        image[:count] += unit * window.detail[:, r * rows.start : r * rows.stop]
        of_eigenimages = eigenimage_deviations(self.plan, window.v[:, rows], image)
        return band_deviations(self.plan, of_eigenimages[:, r * (first - above) : r * (last - above)])

    def _reach(self) -> int:
        """Return how many LR rows around a window's own rows back-projection needs."""
        kernel = max(round_trip_kernel(self.scale, self.psf).shape) // 2
        return WINDOW_MARGIN + 2 * self.network.steps * kernel + UPSAMPLING_RADIUS

    def _back_projected(self, detail: Tensor) -> Tensor:
        """Return what back-projection adds at LR size to a detail (k, r·n, r·w): the sensor would not see the sum."""
        return torch.cat([self._back_projected_one(each) for each in detail.split(1)])  # less memory than all at once

    def _back_projected_one(self, detail: Tensor) -> Tensor:
        steps, scale = self.network.steps, self.scale
        low = torch.zeros(1, *(side // scale for side in detail.shape[1:]))
        if steps:
            low = sum_updates_fast(-Degradation().downsample(detail, scale), scale, steps)
        if steps and self.psf != "bicubic" and self.plan.consistent:
            seen = Degradation(self.psf).downsample(detail, scale) + round_trip(low, scale, self.psf)
            low = low + sum_updates_fast(-seen, scale, steps, self.psf)
        return low


class NetworkMethod(Method):
    """A network of the study for the scene's own bands, trained on values in [0, 1].

    Its input is clamped to [0, 1], as in training; what this cuts off is added by bicubic upsampling.
    """

    def __init__(self, name: str, network: nn.Module, scale: int, precision: str = "float32") -> None:
        super().__init__(name, scale, 0, limited=True)
        self.network, self.precision = accelerate(fold(copy.deepcopy(network))), precision
        self.channels = max((p.shape[0] for p in self.network.parameters() if p.ndim > 1), default=1)

    def base(self, x: Tensor) -> Tensor:
        return x - x.clamp(0, 1)

    def window(self, lr: Rows, start: int, stop: int, pixels: int) -> Window:
        _, height, width = lr.shape
        first, last = max(0, start - OVERLAP), min(height, stop + OVERLAP)
        self.tiled = self.tiled or (last - first) * width > pixels or (first, last) != (0, height)
        shown = lr.rows(first, last).clamp(0, 1)[None]
        with computing_in(self.precision):
            return Window(first, through_tiles(self.network, shown, self.scale, OVERLAP, pixels, self.on_tile)[0])

    def window_margin(self) -> int:
        return OVERLAP

    def window_row_bytes(self, shape: tuple[int, int, int]) -> int:
        return int(1.5 * FLOAT * shape[0] * self.scale**2) * shape[2]

    def tile_pixel_bytes(self) -> int:
        return MAPS[self.precision] * FLOAT * self.channels


def basis_of(lr: Rows, missing: Mask | None, components: int) -> Basis:
    """Return the principal components of the pixels with data."""
    bands, height, width = lr.shape
    sums, products, count = torch.zeros(bands).double(), torch.zeros(bands, bands).double(), 0
    for start, stop, _, _ in spans(height, max(1, 2**20 // (bands * width))):
        pixels = lr.rows(start, stop).flatten(1).double()
        if missing is not None and missing[start:stop].any():
            pixels = pixels[:, ~torch.from_numpy(missing[start:stop]).flatten()]
        sums += pixels.sum(1)
        products += pixels @ pixels.T
        count += pixels.shape[1]
    return principal_components(count, sums, products, components)


def coefficients_of(lr: Rows, basis: Basis, start: int, stop: int) -> Tensor:
    """Return the eigenimages of LR rows, (k, n, w)."""
    parts = [basis.coefficients(lr.rows(first, last)) for first, last, _, _ in spans(stop, CHUNK_ROWS, first=start)]
    return torch.cat(parts, dim=1)
