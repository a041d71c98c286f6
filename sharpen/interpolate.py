"""Fast paths of a CPU: bicubic upsampling by rows, back-projection at LR size, limits of values.

They equal `lkca.resize` and `lkca.degradation` but for rounding (tests/sharpen/test_interpolate.py).
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import scipy.fft
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lkca.degradation import round_trip, round_trip_kernel, sum_corrections
from lkca.resize import mirror_indices

UPSAMPLING_RADIUS = 2  # LR pixels on either side that bicubic upsampling looks at
COLUMNS = 16  # LR columns that one matrix product upsamples across
LIMIT_RADIUS = 2  # LR pixels to each side that limit a pixel's value
LIMIT_MARGIN = 0.5  # of the neighbours' range, allowed above and below it


def upsample_rows(padded: Tensor, scale: int) -> Tensor:
    """Upsample rows by bicubic: (n + 4, B, w) -> (r·n, B, r·w).

    padded : the rows with two more at either end, mirrored where the image ends. It equals `lkca.resize` of the image,
    but for rounding, at a quarter of the time.
    """
    rows, bands, width = padded.shape
    margin = UPSAMPLING_RADIUS
    columns = -(-width // COLUMNS) * COLUMNS
    x = padded[..., mirror_indices(width, margin, padded.device)]
    x = F.pad(x, (0, columns - width)).unfold(2, COLUMNS + 2 * margin, COLUMNS).flatten(0, 2)
    x = (x @ _bicubic_weights(COLUMNS, scale).T).view(rows, bands, -1)[..., : width * scale]
    down = _bicubic_weights(rows - 2 * margin, scale)
    return (down @ x.reshape(rows, -1)).view(-1, bands, width * scale)


@lru_cache
@torch.inference_mode(False)
def _bicubic_weights(length: int, scale: int) -> Tensor:
    """Return Keys' kernel, a = -0.5, as (r·length, length + 4): from pixels with 2 more at either end to new ones."""
    centres = (torch.arange(length * scale, dtype=torch.float64) + 0.5) / scale - 0.5 + UPSAMPLING_RADIUS
    d = (centres[:, None] - torch.arange(length + 2 * UPSAMPLING_RADIUS)).abs()
    near, far = 1.5 * d**3 - 2.5 * d**2 + 1, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    return torch.where(d <= 1, near, torch.where(d < 2, far, 0.0)).float()


def value_limits(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least and the greatest value that an upsampled (B, h, w) may have within each pixel, (B, h, w) each.

    They are the range of the 5x5 pixels around it, widened by half of that range on both sides. Bicubic leaves the
    range by a quarter at most, trained networks by less than half but for single pixels: what exceeds it is no detail.
    """
    high, low = x, x
    for axis in (-1, -2):
        low, high = _spread(low, axis, torch.minimum), _spread(high, axis, torch.maximum)
    margin = LIMIT_MARGIN * (high - low)
    return low - margin, high + margin


def _spread(x: Tensor, axis: int, extreme: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return the extreme of each value and its neighbours up to `LIMIT_RADIUS` away along one axis."""
    result = x.clone()
    length = x.shape[axis]
    for shift in range(1, min(LIMIT_RADIUS, length - 1) + 1):
        for place, source in ((0, shift), (shift, 0)):
            part = result.narrow(axis, place, length - shift)
            part.copy_(extreme(part, x.narrow(axis, source, length - shift)))
    return result


def back_projected(x: Tensor, scale: int, steps: int, psf: str = "bicubic") -> Tensor:
    """Return the LR image (..., h, w) whose bicubic upsampling is that of x with back-projection.

    It equals x + sum_corrections(x - round_trip(x)) but for rounding. With mirrored edges the round trip of a symmetric
    PSF is diagonal in the cosine transform, which is ten times faster than its convolutions.
    """
    transfer = _transfer(round_trip_kernel(scale, psf), *x.shape[-2:])
    if transfer is None:
        return x + sum_corrections(x - round_trip(x, scale, psf), scale, steps, psf)
    return _multiply(x, 1 + (1 - transfer) * _series(transfer, steps))


def corrections(error: Tensor, scale: int, steps: int, psf: str = "bicubic") -> Tensor:
    """Return `lkca.degradation.sum_corrections` of (..., h, w), faster where the PSF is symmetric."""
    transfer = _transfer(round_trip_kernel(scale, psf), *error.shape[-2:])
    return sum_corrections(error, scale, steps, psf) if transfer is None else _multiply(error, _series(transfer, steps))


def convolve_mirrored(x: Tensor, kernel: Tensor) -> Tensor:
    """Correlate (C, h, w) with a kernel of odd sides (kh, kw) over mirrored edges, as `conv2d` does."""
    transfer = _transfer(kernel, *x.shape[-2:])
    if transfer is not None:
        return _multiply(x, transfer)
    rows, columns = (mirror_indices(n, side // 2, x.device) for n, side in zip(x.shape[-2:], kernel.shape, strict=True))
    return F.conv2d(x[:, None, rows][..., columns], kernel.to(x)[None, None])[:, 0]


def _multiply(x: Tensor, factors: NDArray[np.float64]) -> Tensor:
    """Multiply the cosine transform of (..., h, w) by factors (h, w)."""
    workers = torch.get_num_threads()
    spectrum = scipy.fft.dctn(x.numpy(), axes=(-2, -1), norm="ortho", workers=workers)
    spectrum *= factors.astype(np.float32)
    return torch.from_numpy(scipy.fft.idctn(spectrum, axes=(-2, -1), norm="ortho", workers=workers, overwrite_x=True))


def _series(transfer: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """Return the sum of (1 - a)^i over i = 0 … steps - 1."""
    total = np.ones_like(transfer)
    for _ in range(steps - 1):
        total = total + 1 - transfer * total
    return total


def _transfer(kernel: Tensor, height: int, width: int) -> NDArray[np.float64] | None:
    """Return a kernel's factor for each cosine (h, w); None where it is not symmetric along both axes."""
    taps = kernel.numpy()
    if not (np.allclose(taps, taps[::-1], atol=1e-9) and np.allclose(taps, taps[:, ::-1], atol=1e-9)):
        return None
    waves = [
        np.cos(np.pi * np.arange(size)[:, None] * (np.arange(side) - side // 2) / size)
        for size, side in zip((height, width), taps.shape, strict=True)
    ]
    return waves[0] @ taps @ waves[1].T
