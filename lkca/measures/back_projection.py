"""Back-projection: an enlarged image is corrected until, shrunk again, it is the image it was made from.

M. Irani, S. Peleg, "Improving resolution by image registration", CVGIP 53(3), 1991: x ← x + up(y − down(x)), y the LR
image, up and down this project's bicubic (`lkca.resize`).

Enlarging and shrinking again is, at LR size, a separable convolution of seven taps with mirrored edges. So the
corrections add up at LR size, and any number of them costs one shrinking and one enlarging.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from lkca.measures.resize import mirrored, resize

STEPS = 5  # after which the quality of a bicubic image hardly rises any more
REACH = 3  # LR pixels that enlarging and shrinking again reaches to each side


def back_project(prediction: Tensor, lr: Tensor, steps: int = STEPS) -> Tensor:
    """Correct an enlarged image towards the LR image that it was made from.

    Parameters
    ----------
    prediction : (..., B, r·h, r·w), any network's output. lr : (..., B, h, w), its input.
    steps : number of corrections; 0 returns the prediction as it is.

    Returns
    -------
    Tensor of the prediction's shape. Values may leave the range of the input, as bicubic's do.

    Raises
    ------
    ValueError
        If the steps are not a whole number of at least 0, or the shapes are not those of an image and its enlargement.
    """
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0:
        raise ValueError(f"back-projection takes a whole number of steps of at least 0, got {steps!r}")
    ratio = prediction.shape[-1] // lr.shape[-1]
    if ratio < 1 or prediction.shape != (*lr.shape[:-2], ratio * lr.shape[-2], ratio * lr.shape[-1]):
        raise ValueError(
            f"a prediction of shape {tuple(prediction.shape)} is no enlargement of an image {tuple(lr.shape)} by a "
            "whole number"
        )
    if steps == 0:
        return prediction
    return prediction + resize(corrections(lr - resize(prediction, 1 / ratio), ratio, steps), ratio)


def corrections(error: Tensor, ratio: int, steps: int) -> Tensor:
    """The sum of `steps` corrections at LR size, (..., h, w), whose enlargement is added to a prediction.

    error : (..., h, w), the LR image minus the shrunk prediction.
    """
    total = error
    for _ in range(steps - 1):
        total = total + (error - shrunk_enlarged(total, ratio))
    return total


def shrunk_enlarged(x: Tensor, ratio: int) -> Tensor:
    """`resize(resize(x, ratio), 1 / ratio)` of (..., h, w), without an image of full size."""
    kernel = _kernel(ratio, x.dtype, x.device)
    height, width = x.shape[-2:]
    y = x.reshape(-1, 1, height, width)
    y = F.conv2d(y[..., mirrored(height, REACH, x.device), :], kernel.view(1, 1, -1, 1))
    y = F.conv2d(y[..., mirrored(width, REACH, x.device)], kernel.view(1, 1, 1, -1))
    return y.reshape(x.shape)


@cache  # on its device as well: sent there once
@torch.inference_mode(False)  # made in inference, it could not serve a gradient later
def _kernel(ratio: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The seven taps along one axis: an impulse, enlarged and shrunk, with room for both kernels."""
    impulse = torch.zeros(1, 4 * REACH + 1, 1, dtype=torch.float64)
    impulse[0, 2 * REACH] = 1
    response = resize(resize(impulse, ratio), 1 / ratio)[0, :, 0]
    return response[REACH : 3 * REACH + 1].to(device, dtype)
