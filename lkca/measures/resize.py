"""Bicubic resizing that agrees with MATLAB's `imresize(…, 'bicubic')`: the degradation and the baseline.

Keys' cubic kernel with a = -0.5, antialiased when shrinking, edges continued symmetrically (the edge pixel repeated).
"""

import math
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Image = TypeVar("Image", Tensor, np.ndarray)
DENSE = 64  # LR pixels of a side up to which a CPU resizes faster by whole matrices


def crop_to_multiple(x: Tensor, scale: int) -> Tensor:
    """Crop (..., H, W) at the bottom and the right so that both sides are multiples of `scale`."""
    height, width = x.shape[-2] // scale * scale, x.shape[-1] // scale * scale
    return x[..., :height, :width]


def resize(x: Image, factor: float) -> Image:
    """Enlarge by an integer, or shrink by one over an integer.

    Parameters
    ----------
    x : (..., H, W), tensor or NumPy array, floating point, at least one leading dimension or none.
    factor : r or 1/r with an integer r >= 1. When shrinking, what is left over of H and W beyond a multiple of r is
        cut off at the bottom and the right first.

    Returns
    -------
    (..., r·H, r·W), or (..., ⌊H/r⌋, ⌊W/r⌋), same kind, type and device.

    Raises
    ------
    ValueError
        If the factor is neither r nor 1/r, if x is not floating point, or if x is smaller than r when shrinking.
    """
    if isinstance(x, np.ndarray):
        return resize(torch.from_numpy(x), factor).numpy()
    if not x.is_floating_point():
        raise ValueError(f"resize takes floating-point tensors, got {x.dtype}: convert with .float() first")
    shrinking = factor < 1
    ratio = round(1 / factor if shrinking else factor) if 0 < factor < math.inf else 0
    if ratio < 1 or abs(factor - (1 / ratio if shrinking else ratio)) > 1e-9:
        raise ValueError(f"resize takes a factor r or 1/r with r = 1, 2, 3, ..., got {factor}")
    if ratio == 1:
        return x
    if shrinking:
        x = crop_to_multiple(x, ratio)
        if 0 in x.shape[-2:]:
            raise ValueError(f"an image of fewer than {ratio} pixels on a side cannot be shrunk {ratio} times")
    small = min(1, factor) * max(x.shape[-2:]) <= DENSE
    if small and x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64):
        return _by_matrices(x, ratio, shrinking)
    height, width = x.shape[-2:]
    # The kernel reaches 2 input pixels when enlarging and 2·r when shrinking; interpolate() alone would clamp it at
    # the border, where MATLAB mirrors the image.
    margin = 2 * ratio if shrinking else 4
    x4d = x.reshape(-1, 1, height, width)
    x4d = x4d[..., mirrored(height, margin, x.device), :][..., mirrored(width, margin, x.device)]
    size = [n // ratio if shrinking else n * ratio for n in x4d.shape[-2:]]
    # antialias=True also when enlarging: only that path of torch uses a = -0.5
    y = F.interpolate(x4d, size=size, mode="bicubic", antialias=True, align_corners=False)
    cut = margin // ratio if shrinking else margin * ratio
    return y[..., cut:-cut, cut:-cut].reshape(*x.shape[:-2], size[0] - 2 * cut, size[1] - 2 * cut)


@torch.autocast("cpu", enabled=False)  # the baseline and what is subtracted from it stay exact
def _by_matrices(x: Tensor, ratio: int, shrinking: bool) -> Tensor:
    """`resize` as a product from either side; the smaller of the two orders."""
    rows, columns = (_matrix(length, ratio, shrinking, x.dtype) for length in x.shape[-2:])
    planes = x.reshape(-1, *x.shape[-2:])
    rows = rows.expand(len(planes), -1, -1)
    y = rows @ (planes @ columns.T) if shrinking else (rows @ planes) @ columns.T
    return y.reshape(*x.shape[:-2], *y.shape[-2:])


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # made in inference, it could not serve a gradient later
def _matrix(length: int, ratio: int, shrinking: bool, dtype: torch.dtype) -> Tensor:
    """(r·length or length/r, length): the kernel's weights, those of mirrored pixels added to the pixels' own."""
    size = length // ratio if shrinking else length * ratio
    step, stretch, margin = (ratio, ratio, 2 * ratio) if shrinking else (1 / ratio, 1, 2)
    centres = (torch.arange(size, dtype=torch.float64) + 0.5) * step - 0.5
    d = (centres[:, None] - torch.arange(-margin, length + margin)).abs() / stretch
    near, far = 1.5 * d**3 - 2.5 * d**2 + 1, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    weights = torch.where(d <= 1, near, torch.where(d < 2, far, 0.0))
    weights /= weights.sum(dim=1, keepdim=True)
    matrix = torch.zeros(size, length, dtype=torch.float64)
    return matrix.index_add_(1, mirrored(length, margin, torch.device("cpu")), weights).to(dtype)


def mirrored(length: int, margin: int, device: torch.device) -> Tensor:
    """Indices -margin … length+margin-1 folded back into 0 … length-1 symmetrically, however small the length."""
    index = torch.arange(-margin, length + margin, device=device) % (2 * length)
    return torch.where(index < length, index, 2 * length - 1 - index)
