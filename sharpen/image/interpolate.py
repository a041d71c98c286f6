"""Fast CPU paths: bicubic upsampling by rows, back-projection and deconvolution at LR size, limits of values.

Up to rounding, they equal `lkca.resize`, `lkca.degradation` and `sharpen.image.deconvolve`
(tests/sharpen/image/test_interpolate.py).
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import scipy.fft
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lkca.degradation import round_trip, round_trip_kernel, sum_updates
from lkca.resize import keys_kernel, mirror_indices
from sharpen.image.deconvolve import Plan
from sharpen.image.spectra import Transfer

UPSAMPLING_RADIUS = 2  # LR pixels to each side that bicubic upsampling uses
COLUMNS = 16  # LR columns that one matrix product upsamples
LIMIT_RADIUS = 2  # LR pixels to each side that limit a pixel's value
LIMIT_MARGIN = 0.5  # of the neighbours' range, allowed above and below it


def upsample_rows(padded: Tensor, scale: int, out: Tensor) -> Tensor:
    """Upsample rows by bicubic: (B, n + 4, w) -> out (B, r·n, r·w).

    padded : the rows with two more at either end, mirrored where the image ends. Up to rounding, the result equals
    `lkca.resize` of the image; it takes a quarter of the time.
    """
    bands, rows, width = padded.shape
    margin = UPSAMPLING_RADIUS
    columns = -(-width // COLUMNS) * COLUMNS
    x = padded[..., mirror_indices(width, margin, padded.device)]
    x = F.pad(x, (0, columns - width)) if columns > width else x
    x = x.unfold(2, COLUMNS + 2 * margin, COLUMNS).flatten(0, 2)
    x = (x @ _bicubic_weights(COLUMNS, scale).T).view(bands, rows, -1)[..., : width * scale]
    return torch.bmm(_bicubic_weights(rows - 2 * margin, scale).expand(bands, -1, -1), x, out=out)


@lru_cache
@torch.inference_mode(False)
def _bicubic_weights(length: int, scale: int) -> Tensor:
    """Return Keys' kernel as a matrix (r·length, length + 4), from LR pixels (2 more at either end) to HR pixels."""
    centres = (torch.arange(length * scale, dtype=torch.float64) + 0.5) / scale - 0.5 + UPSAMPLING_RADIUS
    return keys_kernel((centres[:, None] - torch.arange(length + 2 * UPSAMPLING_RADIUS)).abs()).float()


def value_limits(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the smallest and the largest value that upsampling (B, h, w) may give within each pixel, (B, h, w) each.

    They are the range of the 5x5 pixels around it, widened by half of that range on both sides. Bicubic exceeds the
    range by a quarter at most, trained networks by less than half except at single pixels: more is not detail.
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
    """Return the LR image (..., h, w) whose bicubic upsampling equals that of x after back-projection.

    Up to rounding, it is x + sum_updates(x - round_trip(x)). With mirrored edges the round trip of a symmetric PSF
    is diagonal in the cosine transform, which is ten times faster than its convolutions.
    """
    transfer = _transfer(round_trip_kernel(scale, psf), *x.shape[-2:])
    if transfer is None:
        return x + sum_updates(x - round_trip(x, scale, psf), scale, steps, psf)
    return _multiply(x, 1 + (1 - transfer) * _series(transfer, steps))


def sum_updates_fast(error: Tensor, scale: int, steps: int, psf: str = "bicubic") -> Tensor:
    """Return `lkca.degradation.sum_updates` of (..., h, w), faster if the PSF is symmetric."""
    transfer = _transfer(round_trip_kernel(scale, psf), *error.shape[-2:])
    return sum_updates(error, scale, steps, psf) if transfer is None else _multiply(error, _series(transfer, steps))


def convolve_mirrored(x: Tensor, kernel: Tensor) -> Tensor:
    """Correlate (C, h, w) with a kernel of odd sides (kh, kw) over mirrored edges, as `conv2d` does."""
    transfer = _transfer(kernel, *x.shape[-2:])
    if transfer is not None:
        return _multiply(x, transfer)
    rows, columns = (mirror_indices(n, side // 2, x.device) for n, side in zip(x.shape[-2:], kernel.shape, strict=True))
    return F.conv2d(x[:, None, rows][..., columns], kernel.to(x)[None, None])[:, 0]


def filter_leading(plan: Plan, eigenimages: Tensor, up: bool = True) -> tuple[Tensor | None, Tensor]:
    """Return z and v of eigenimages (K, h, w) as `Plan.filter` does, by the cosine transform if the PSF is symmetric.

    up : False leaves z out (None).
    """
    count, height, width = eigenimages.shape
    transfer = Transfer(height, width, plan.scale, plan.psf)
    if not all(_is_real(factor) for pair in transfer.psf for factor in pair):
        z, v = plan.filter(eigenimages)
        return z if up else None, v
    pairs = (*transfer.psf, transfer.down, transfer.up)
    pairs = [(rows[:height].real.float(), columns[:width].real.float()) for rows, columns in pairs]
    *psf, down, upward = pairs
    squares = transfer.squares[0][:height].float(), transfer.squares[1][:width].float()
    workers = torch.get_num_threads()
    z, v = torch.empty_like(eigenimages) if up else None, torch.empty_like(eigenimages)
    powers = plan.spectra.power[:count]
    for power in powers.unique().tolist():
        seen, to_down, to_up = _moments(psf, down, upward, squares, power, transfer.least**2)
        for number in (powers == power).nonzero().flatten().tolist():
            spectrum = scipy.fft.dctn(eigenimages[number].numpy(), norm="ortho", workers=workers)
            inverse = 1 / (seen + float(plan.spectra.ratio[number]))
            for target, numerator in ((z, to_up), (v, to_down)):
                if target is None:
                    continue
                gain = numerator * inverse
                gain[0, 0] = 1
                filtered = scipy.fft.idctn(spectrum * gain.numpy(), norm="ortho", workers=workers, overwrite_x=True)
                target[number] = torch.from_numpy(filtered)
    return z, v


def _moments(
    psf: list[tuple[Tensor, Tensor]],
    down: tuple[Tensor, Tensor],
    up: tuple[Tensor, Tensor],
    squares: tuple[Tensor, Tensor],
    power: float,
    least: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sums of `Transfer.everywhere` at the frequencies of a cosine transform, (h, w) each.

    psf, down, up, squares : of `Transfer`, (h, aliases) and (w, aliases), real.
    """
    height, width, aliases = len(squares[0]), len(squares[1]), squares[0].shape[1]
    seen, to_down, to_up = (torch.zeros(height, width) for _ in range(3))
    for i in range(aliases):
        for j in range(aliases):
            scene = (squares[0][:, i, None] + squares[1][:, j]).clamp_(min=least).log_().mul_(-power / 2).exp_()
            response = sum(torch.outer(rows[:, i], columns[:, j]) for rows, columns in psf)
            scene *= response
            seen += scene * response
            to_down += scene.mul(down[0][:, i, None]).mul_(down[1][:, j])
            to_up += scene.mul_(up[0][:, i, None]).mul_(up[1][:, j])
    to_up /= torch.outer((up[0] ** 2).sum(1), (up[1] ** 2).sum(1))
    return seen, to_down, to_up


def _is_real(response: Tensor) -> bool:
    return bool(response.imag.abs().max() <= 1e-9 * response.abs().max()) if response.is_complex() else True


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
    """Return a kernel's factor for each cosine (h, w); None if it is not symmetric along both axes."""
    taps = kernel.numpy()
    if not (np.allclose(taps, taps[::-1], atol=1e-9) and np.allclose(taps, taps[:, ::-1], atol=1e-9)):
        return None
    waves = [
        np.cos(np.pi * np.arange(size)[:, None] * (np.arange(side) - side // 2) / size)
        for size, side in zip((height, width), taps.shape, strict=True)
    ]
    return waves[0] @ taps @ waves[1].T
