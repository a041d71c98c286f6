"""How an image is shrunk: the optics that a low-resolution image is made with.

The study shrinks by bicubic, as the field does. Other sensors blur otherwise: a plain mean of the pixels that become
one, or a Gaussian point spread function of a given width.
"""

import re

import torch
import torch.nn.functional as F
from torch import Tensor

from lkca.measures.resize import crop_to_multiple, mirrored, resize

REACH = 4  # standard deviations that a Gaussian is computed to


def gaussian_width(blur: str) -> float | None:
    """The width of "gaussian-0.5", in LR pixels; None for "bicubic" and "mean".

    Raises
    ------
    ValueError
        For any other blur, and for a width outside of 0.05 to 5 LR pixels.
    """
    if blur in ("bicubic", "mean"):
        return None
    match = re.fullmatch(r"gaussian-(\d+(?:\.\d+)?)", str(blur))
    width = float(match[1]) if match else 0.0
    if not 0.05 <= width <= 5:
        raise ValueError(
            f"blur must be bicubic, mean or gaussian-WIDTH, WIDTH the standard deviation in LR pixels from 0.05 to 5 "
            f"(gaussian-0.5, say), got {blur!r}"
        )
    return width


def shrink(x: Tensor, scale: int, blur: str = "bicubic") -> Tensor:
    """Shrink an image by a whole number.

    Parameters
    ----------
    x : (..., H, W), floating point; what is left over beyond a multiple of the scale is cut off at bottom and right.
    blur : "bicubic", `lkca.resize`; "mean", of the scale x scale pixels that become one; "gaussian-WIDTH", a Gaussian
        around the centre of the new pixel, WIDTH its standard deviation in new (LR) pixels; the edges are mirrored.

    Returns
    -------
    Tensor (..., ⌊H/r⌋, ⌊W/r⌋)
    """
    width = gaussian_width(blur)
    if blur == "bicubic":
        return resize(x, 1 / scale)
    x = crop_to_multiple(x, scale)
    height, length = x.shape[-2:]
    flat = x.reshape(-1, 1, height, length)
    if width is None:
        y = F.avg_pool2d(flat, scale)
    else:
        kernel, margin = _gaussian(width * scale, scale)
        kernel = kernel.to(x)
        flat = flat[..., mirrored(height, margin, x.device), :][..., mirrored(length, margin, x.device)]
        y = F.conv2d(flat, kernel.view(1, 1, -1, 1), stride=(scale, 1))
        y = F.conv2d(y, kernel.view(1, 1, 1, -1), stride=(1, scale))
    return y.reshape(*x.shape[:-2], height // scale, length // scale)


def _gaussian(width: float, scale: int) -> tuple[Tensor, int]:
    """Weights of the HR pixels around an LR pixel's centre, width in HR pixels, and how many lie before its first."""
    margin = int(REACH * width) + 1
    places = torch.arange(-margin, scale + margin, dtype=torch.float64) - (scale - 1) / 2
    weights = torch.exp(-0.5 * (places / width) ** 2)
    return weights / weights.sum(), margin
