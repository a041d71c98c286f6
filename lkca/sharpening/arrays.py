"""Sharpening arrays: a cube in, a cube out, NumPy or torch."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lkca.box import KINDS
from lkca.models import build_model
from lkca.models.any_sensor import AnySensor
from lkca.sharpening.any_sensor import any_sensor
from lkca.sharpening.bounds import bounded
from lkca.sharpening.weights_choice import WITHOUT_WEIGHTS
from lkca.training.evaluation import predict
from lkca.training.weights import load_weights

Cube = NDArray | Tensor


def sharpen(cube: Cube, scale: int = 4, weights: object = None, no_data: float | None = None) -> Cube:
    """A cube sharpened: what `lkca.upscale` does to a file, for an array in memory.

    >>> sharper = sharpen(cube)                              # doctest: +SKIP
    >>> sharper = sharpen(cube, 2, weights="runs/NAME")      # doctest: +SKIP

    Parameters
    ----------
    cube : (B, h, w), NumPy or torch, whole or floating numbers in any unit (the weights' own, for weights of a run).
    scale : 2, 4 or 8.
    weights : None, "made" or "real", the network for any sensor with the weights in the box; "bicubic" or
        "back-projection"; else a run's folder or its weights file.
    no_data : pixels that have this value in any band, or NaN or infinity, become NaN, scale x scale for one.

    Returns
    -------
    (B, scale·h, scale·w), of the kind of `cube`; floating numbers keep their type, whole ones become float32.

    Raises
    ------
    ValueError
        If the cube is no (B, h, w) of real numbers, holds no data, or weights or scale do not fit it.
    """
    array = cube.detach().cpu().numpy() if isinstance(cube, Tensor) else np.asarray(cube)
    if array.ndim != 3 or 0 in array.shape or array.dtype.kind not in "iuf":
        raise ValueError(f"a cube is (B, h, w) of real numbers, got {array.dtype} of shape {array.shape}")
    missing = ~np.isfinite(array).all(axis=0)
    if no_data is not None:
        missing |= (array == no_data).any(axis=0)
    if missing.all():
        raise ValueError(f"not one of {missing.size} pixels has data in all {len(array)} bands")
    x = torch.from_numpy(_filled(array.astype(np.float32), missing))
    result = _through(x, scale, weights).clone()  # a tensor of inference mode cannot be changed
    result[:, torch.from_numpy(missing.repeat(scale, 0).repeat(scale, 1))] = torch.nan
    result = result.to(torch.from_numpy(array[:0]).dtype) if array.dtype.kind == "f" else result
    return result.to(cube.device) if isinstance(cube, Tensor) else result.numpy()


def _through(x: Tensor, scale: int, weights: object) -> Tensor:
    if str(weights) in WITHOUT_WEIGHTS:
        return predict(build_model(str(weights), len(x), scale), x)
    if weights is None or str(weights) in KINDS:
        model = any_sensor(scale, str(weights)) if weights else any_sensor(scale)
        return bounded(predict(model, x), x)[0]
    model, passport = load_weights(weights)
    if passport.scale != scale or not isinstance(model, AnySensor) and passport.bands != len(x):
        raise ValueError(
            f"{weights} are for scale {passport.scale} and {passport.bands} bands, the cube has {len(x)} and is to be "
            f"enlarged {scale} times"
        )
    if isinstance(model, AnySensor):
        return bounded(predict(model, x), x)[0]
    x = x / passport.peak
    shown = x.clamp(0, 1)
    result = predict(model, shown)
    if not torch.equal(shown, x):
        result = result + predict(build_model("bicubic", len(x), scale), x - shown)
    return bounded(result, x)[0] * passport.peak


def _filled(array: NDArray[np.float32], missing: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Pixels without data get the spectrum of the nearest one that has some."""
    if not missing.any():
        return array
    from scipy.ndimage import distance_transform_edt

    rows, columns = distance_transform_edt(missing, return_distances=False, return_indices=True)
    return np.ascontiguousarray(array[:, rows, columns])
