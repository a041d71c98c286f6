"""Define point spread functions (PSFs): the weight of each HR pixel in an LR pixel.

- "bicubic": this project's `resize`, the paper's protocol.
- "mean": the mean of the scale x scale HR pixels in an LR pixel.
- "gaussian:S": a Gaussian of standard deviation S.
- "gaussian:SY,SX,ANGLE": a Gaussian of standard deviation SX along an axis, and SY across it. The axis is the
  direction of the rows, turned ANGLE degrees counter-clockwise.
- the path of a kernel file (.npy, .txt, .csv): weights on HR pixels, none negative, both sides odd; the middle pixel
  is the PSF's centre.

S, SY and SX are in LR pixels, from 0.1 to 2.
"""

import math
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lkca.files import expand

SIGMA_RANGE = (0.1, 2.0)  # LR pixels, standard deviation of a Gaussian
TRUNCATION = 4  # standard deviations at which a Gaussian is cut off
KERNEL_SUFFIXES = (".npy", ".txt", ".csv")
MAX_CENTROID_SHIFT = 0.5  # HR pixels from a kernel's middle to its centroid; more gives a warning
SUM_TOLERANCE = 1e-3  # between a kernel's sum and 1; more gives a warning


def check_psf(psf: str) -> None:
    """Check that a PSF can be used, and warn about a kernel that is not normalised or not centred.

    Raises
    ------
    ValueError
        If it is none of the forms at the top of this file, or its kernel is unusable.
    FileNotFoundError
        If the kernel file does not exist.
    """
    if not _is_file(psf):
        if psf not in ("bicubic", "mean"):
            _gaussian(psf)
        return
    kernel = _read_kernel(psf, psf_version(psf))
    total = float(kernel.sum())
    if abs(total - 1) > SUM_TOLERANCE:
        warnings.warn(f"{psf}: the kernel sums to {total:g}; it is normalised to 1", stacklevel=4)
    rows, columns = (
        float((kernel.sum(axis=1 - axis) * (np.arange(side) - side // 2)).sum() / total)
        for axis, side in enumerate(kernel.shape)
    )
    if max(abs(rows), abs(columns)) > MAX_CENTROID_SHIFT:
        warnings.warn(
            f"{psf}: the kernel's centroid lies {rows:+.1f} rows and {columns:+.1f} columns off its middle: it shifts "
            "the image",
            stacklevel=4,
        )


def check_kernel_fits(psf: str, height: int, width: int) -> None:
    """Raise ValueError if a kernel file is larger than an image of height x width HR pixels."""
    if _is_file(psf):
        rows, columns = _read_kernel(psf, psf_version(psf)).shape
        if rows > height or columns > width:
            raise ValueError(f"{psf}: the kernel has {rows}x{columns} HR pixels, the image only {height}x{width}")


def psf_version(psf: str) -> int:
    """Return when a kernel file was last changed, as a key for caches; 0 for other PSFs.

    Raises
    ------
    FileNotFoundError
        If the kernel file does not exist.
    """
    if not _is_file(psf):
        return 0
    path = expand(psf)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such kernel file")
    return path.stat().st_mtime_ns


@lru_cache(maxsize=256)
@torch.inference_mode(False)  # a tensor made in inference mode could not serve a gradient later
def psf_weights(scale: int, psf: str, version: int) -> Tensor | None:
    """Return the weights of the HR pixels around an LR pixel's centre as `conv2d` takes them; None for bicubic.

    Float64, (n,) for a PSF that is separable and the same along both axes, else (n, n), with n = scale + 2·margin: the
    LR pixel itself and a margin on each side. version : see `psf_version`; a changed file is read again.
    """
    if psf == "bicubic":
        return None
    if psf == "mean":
        return torch.full((scale,), 1 / scale, dtype=torch.float64)
    if _is_file(psf):
        return _file_weights(psf, scale, version)
    sigmas, angle = _gaussian(psf)
    margin = int(TRUNCATION * max(sigmas) * scale) + 1
    places = torch.arange(-margin, scale + margin, dtype=torch.float64) - (scale - 1) / 2
    if len(sigmas) == 1:
        weights = torch.exp(-0.5 * (places / (sigmas[0] * scale)) ** 2)
    else:
        down, right = places[:, None], places[None]
        along = right * math.cos(angle) - down * math.sin(angle)
        across = right * math.sin(angle) + down * math.cos(angle)
        sigma_y, sigma_x = (sigma * scale for sigma in sigmas)
        weights = torch.exp(-0.5 * ((along / sigma_x) ** 2 + (across / sigma_y) ** 2))
    return weights / weights.sum()


def _gaussian(psf: str) -> tuple[tuple[float, ...], float]:
    """Return the standard deviations of "gaussian:S" or "gaussian:SY,SX,ANGLE", and the angle in radians."""
    kind, _, numbers = str(psf).partition(":")
    try:
        values = [float(number) for number in numbers.split(",")]
    except ValueError:
        values = []
    if kind != "gaussian" or len(values) not in (1, 3) or not all(map(math.isfinite, values)):
        raise ValueError(
            f"psf must be bicubic, mean, gaussian:SIGMA, gaussian:SIGMA_Y,SIGMA_X,ANGLE (sigma in LR pixels, angle in "
            f"degrees), or a kernel file ({', '.join(KERNEL_SUFFIXES)}), got {psf!r}"
        )
    sigmas = tuple(values[:2]) if len(values) == 3 else tuple(values)
    least, most = SIGMA_RANGE
    if not all(least <= sigma <= most for sigma in sigmas):
        raise ValueError(f"psf {psf!r}: the standard deviation of a Gaussian is {least} to {most} LR pixels")
    return sigmas, math.radians(values[2]) if len(values) == 3 else 0.0


def _is_file(psf: str) -> bool:
    return Path(str(psf)).suffix.lower() in KERNEL_SUFFIXES


def _file_weights(psf: str, scale: int, version: int) -> Tensor:
    """Return a kernel file's weights, (n, n), flipped because `conv2d` correlates.

    At an even scale the centre of an LR pixel lies between four HR pixels; the mean of these four, blurred, is taken.
    """
    kernel = torch.from_numpy(_read_kernel(psf, version)[::-1, ::-1].copy())
    kernel = kernel / kernel.sum()
    if scale % 2 == 0:
        kernel = F.conv2d(kernel[None, None], torch.full((1, 1, 2, 2), 0.25, dtype=torch.float64), padding=1)[0, 0]
    margin = max(0, (max(kernel.shape) - scale) // 2)
    rows, columns = ((scale + 2 * margin - side) // 2 for side in kernel.shape)
    return F.pad(kernel, (columns, columns, rows, rows))


@lru_cache(maxsize=16)
def _read_kernel(psf: str, version: int) -> NDArray[np.float64]:
    """Read a kernel file, (kh, kw) float64, not normalised. version : see `psf_version`."""
    path = expand(psf)
    suffix = path.suffix.lower()
    try:
        if suffix == ".npy":
            kernel = np.load(path, allow_pickle=False)
        else:
            kernel = np.loadtxt(path, delimiter="," if suffix == ".csv" else None, ndmin=2)
        kernel = kernel.astype(np.float64, casting="same_kind")  # refuses complex numbers
    except Exception as error:  # on damaged bytes the readers raise almost anything
        raise ValueError(
            f"{path}: not a readable kernel ({error}); .txt has a row of numbers on each line, .csv commas between them"
        ) from error
    if kernel.ndim != 2 or not all(side % 2 for side in kernel.shape):
        raise ValueError(
            f"{path}: a kernel has two axes of odd length, a pixel in its middle; its shape is {kernel.shape}"
        )
    if not np.isfinite(kernel).all() or (kernel < 0).any() or not kernel.sum() > 0:
        raise ValueError(
            f"{path}: a kernel has weights of at least 0 with a positive sum; these are {kernel.min():g} to "
            f"{kernel.max():g}, sum {kernel.sum():g}"
        )
    return kernel
