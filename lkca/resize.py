"""Resize as MATLAB's `imresize(…, 'bicubic')` does, for the LR images and the bicubic baseline.

Keys' cubic kernel with a = -0.5 (R. Keys, IEEE TASSP 29(6), 1981), antialiased when downsampling; edges are mirrored
with the edge pixel repeated.
"""

import math
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Image = TypeVar("Image", Tensor, np.ndarray)
SCALES = (2, 4, 8)  # of the study
SYMMETRIES = 8  # of a square grid: four rotations, each with and without a flip
MAX_MATRIX_SIDE = 64  # LR pixels; up to this side, matrix products are faster on a CPU


def crop_to_multiple(x: Tensor, scale: int) -> Tensor:
    """Crop (..., H, W) at the bottom and the right so that both sides are multiples of `scale`."""
    height, width = x.shape[-2] // scale * scale, x.shape[-1] // scale * scale
    return x[..., :height, :width]


def resize(x: Image, factor: float) -> Image:
    """Upsample by an integer, or downsample by one over an integer.

    Parameters
    ----------
    x : (..., H, W), tensor or NumPy array, floating point of 16, 32 or 64 bits, with any number of leading dimensions.
    factor : r or 1/r with an integer r >= 1. Before downsampling, x is cropped at the bottom and the right to
        multiples of r.

    Returns
    -------
    (..., r·H, r·W), or (..., ⌊H/r⌋, ⌊W/r⌋), same kind, type and device. Arrays come back in native byte order.

    Raises
    ------
    ValueError
        If the factor is neither r nor 1/r, if x is not floating point, has more than 64 bits or is a masked array, or
        if a side of x is below r pixels when downsampling.
    """
    if isinstance(x, np.ndarray):
        return resize(_to_tensor(x), factor).numpy()
    if not x.is_floating_point():
        raise ValueError(f"resize takes floating-point tensors, got {x.dtype}: convert with .float() first")
    downsampling = factor < 1
    ratio = round(1 / factor if downsampling else factor) if 0 < factor < math.inf else 0
    if ratio < 1 or abs(factor - (1 / ratio if downsampling else ratio)) > 1e-9:
        raise ValueError(f"resize takes a factor r or 1/r with r = 1, 2, 3, ..., got {factor}")
    if ratio == 1:
        return x
    if downsampling:
        x = crop_to_multiple(x, ratio)
        if 0 in x.shape[-2:]:
            raise ValueError(f"an image of fewer than {ratio} pixels on a side cannot be downsampled {ratio} times")
    small = min(1, factor) * max(x.shape[-2:]) <= MAX_MATRIX_SIDE
    if small and x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64):
        return _by_matrices(x, ratio, downsampling)
    # torch computes sample positions in the image's own type. In float32 they are exact for powers of two only and
    # drift along the image otherwise; half precision is not implemented on a CPU.
    if x.dtype == torch.float32 and not downsampling and ratio & (ratio - 1):
        return _by_interpolation(x.double(), ratio, downsampling).to(x.dtype)
    if x.dtype in (torch.float16, torch.bfloat16):
        return resize(x.float(), factor).to(x.dtype)
    return _by_interpolation(x, ratio, downsampling)


def _to_tensor(x: np.ndarray) -> Tensor:
    if isinstance(x, np.ma.MaskedArray):
        raise ValueError(
            "resize takes no masked arrays: fill the masked pixels first, or they spread to their neighbours"
        )
    if x.dtype.kind != "f" or x.dtype.itemsize > 8:
        raise ValueError(
            f"resize takes floating-point arrays of at most 64 bits, got {x.dtype}: convert with .astype()"
        )
    return torch.from_numpy(np.require(x, x.dtype.newbyteorder("="), ["C", "W"]))


def _by_interpolation(x: Tensor, ratio: int, downsampling: bool) -> Tensor:
    """Resize by torch's antialiased bicubic interpolation, over mirrored margins."""
    height, width = x.shape[-2:]
    # The kernel extends 2 input pixels when upsampling and 2·r when downsampling; interpolate() alone would clamp it
    # at the border, where MATLAB mirrors the image.
    margin = 2 * ratio if downsampling else 4
    x4d = x.reshape(-1, 1, height, width)
    x4d = x4d[..., mirror_indices(height, margin, x.device), :][..., mirror_indices(width, margin, x.device)]
    size = [n // ratio if downsampling else n * ratio for n in x4d.shape[-2:]]
    # antialias=True also when upsampling: only that path of torch uses a = -0.5
    y = F.interpolate(x4d, size=size, mode="bicubic", antialias=True, align_corners=False)
    cut = margin // ratio if downsampling else margin * ratio
    return y[..., cut:-cut, cut:-cut].reshape(*x.shape[:-2], size[0] - 2 * cut, size[1] - 2 * cut)


@torch.autocast("cpu", enabled=False)  # bicubic stays exact in a network that computes in bfloat16
def _by_matrices(x: Tensor, ratio: int, downsampling: bool) -> Tensor:
    """Resize by two matrix products, one for each axis, in the cheaper order."""
    rows, columns = (_matrix(length, ratio, downsampling, x.dtype) for length in x.shape[-2:])
    planes = x.reshape(-1, *x.shape[-2:])
    rows = rows.expand(len(planes), -1, -1)
    y = rows @ (planes @ columns.T) if downsampling else (rows @ planes) @ columns.T
    return y.reshape(*x.shape[:-2], *y.shape[-2:])


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # a tensor made in inference mode could not serve a gradient later
def _matrix(length: int, ratio: int, downsampling: bool, dtype: torch.dtype) -> Tensor:
    """Return the resizing matrix, (r·length or length/r, length); weights of mirrored pixels are folded back."""
    size = length // ratio if downsampling else length * ratio
    step, stretch, margin = (ratio, ratio, 2 * ratio) if downsampling else (1 / ratio, 1, 2)
    centres = (torch.arange(size, dtype=torch.float64) + 0.5) * step - 0.5
    weights = keys_kernel((centres[:, None] - torch.arange(-margin, length + margin)).abs() / stretch)
    weights /= weights.sum(dim=1, keepdim=True)
    matrix = torch.zeros(size, length, dtype=torch.float64)
    return matrix.index_add_(1, mirror_indices(length, margin, torch.device("cpu")), weights).to(dtype)


def keys_kernel(distance: Tensor) -> Tensor:
    """Return Keys' kernel, a = -0.5, at distances >= 0 in pixels; the result has their shape."""
    d = distance
    near, far = 1.5 * d**3 - 2.5 * d**2 + 1, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    return torch.where(d <= 1, near, torch.where(d < 2, far, 0.0))


def mirror_indices(length: int, margin: int, device: torch.device) -> Tensor:
    """Return indices -margin … length+margin-1 folded back symmetrically into 0 … length-1, however small `length`."""
    index = torch.arange(-margin, length + margin, device=device) % (2 * length)
    return torch.where(index < length, index, 2 * length - 1 - index)


def symmetry(x: Tensor, s: int) -> Tensor:
    """Apply symmetry s = 0 … 7 to (..., H, W): a rotation by s % 4 quarter turns, then, if s >= 4, a flip."""
    x = torch.rot90(x, s % 4, (-2, -1))
    return x.flip(-1) if s >= 4 else x


def undo_symmetry(x: Tensor, s: int) -> Tensor:
    """Invert `symmetry(x, s)`."""
    return torch.rot90(x.flip(-1) if s >= 4 else x, -(s % 4), (-2, -1))
