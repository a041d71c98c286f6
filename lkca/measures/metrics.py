"""The six metrics of the paper's tables, on one image in [0, 1]; no border is shaved, nothing is clipped.

Definitions are those of the field's shared evaluation scripts, checked against an independent implementation
(`tests/golden/`). Where public code disagrees, the choice is said at the function.
"""

import warnings

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity
from torch import Tensor

METRICS = ("MPSNR", "MSSIM", "SAM", "CC", "RMSE", "ERGAS")
HIGHER_IS_BETTER = {"MPSNR": True, "MSSIM": True, "SAM": False, "CC": True, "RMSE": False, "ERGAS": False}

Image = NDArray[np.floating]


def quality(prediction: Tensor | Image, truth: Tensor | Image, scale: int) -> dict[str, float]:
    """All six metrics of one image.

    Parameters
    ----------
    prediction, truth : (B, H, W) in [0, 1], H and W at least 7 (the SSIM window).
    scale : the super-resolution factor r, which ERGAS depends on.

    Returns
    -------
    dict with keys MPSNR (dB), MSSIM, SAM (degrees), CC, RMSE, ERGAS.

    Raises
    ------
    ValueError
        If the shapes differ or are not (B, H, W), if the scale is not positive, if the image is smaller than the SSIM
        window, or if a value is NaN or infinite.
    """
    p, t = _as_array(prediction), _as_array(truth)
    if p.shape != t.shape or t.ndim != 3:
        raise ValueError(f"prediction and truth must share a shape (B, H, W), got {p.shape} and {t.shape}")
    if min(t.shape[1:]) < 7:
        raise ValueError(f"the SSIM window is 7x7 pixels, the image only {t.shape[1]}x{t.shape[2]}")
    if not scale > 0:
        raise ValueError(f"scale must be above 0, got {scale!r}")
    if not (np.isfinite(p).all() and np.isfinite(t).all()):
        raise ValueError("prediction or truth holds NaN or infinite values: metrics would be meaningless")
    return {
        "MPSNR": mpsnr(p, t),
        "MSSIM": mssim(p, t),
        "SAM": sam(p, t),
        "CC": cross_correlation(p, t),
        "RMSE": rmse(p, t),
        "ERGAS": ergas(p, t, scale),
    }


def mpsnr(prediction: Image, truth: Image) -> float:
    """Mean over bands of 10·log10(1 / MSE_band), in dB; infinite if a band is perfect."""
    with np.errstate(divide="ignore"):
        return float(np.mean(-10 * np.log10(_band_mse(prediction, truth))))


def mssim(prediction: Image, truth: Image) -> float:
    """Mean over bands of the structural similarity with a 7x7 uniform window and a data range of 1."""
    return float(np.mean([structural_similarity(p, t, data_range=1.0) for p, t in zip(prediction, truth, strict=True)]))


def sam(prediction: Image, truth: Image) -> float:
    """Mean spectral angle in degrees, over the pixels where neither spectrum is all zero."""
    dot = np.einsum("bhw,bhw->hw", prediction, truth, dtype=np.float64)
    squares = [np.einsum("bhw,bhw->hw", a, a, dtype=np.float64) for a in (prediction, truth)]
    norms = np.sqrt(squares[0] * squares[1])
    valid = norms > 0
    if not valid.any():
        warnings.warn("every spectrum is all zero: the spectral angle is reported as 0", stacklevel=2)
        return 0.0
    cosine = np.clip(dot[valid] / norms[valid], -1, 1)
    return float(np.degrees(np.arccos(cosine)).mean())


def cross_correlation(prediction: Image, truth: Image) -> float:
    """Mean over bands of Pearson's correlation; a band that is constant in either image is left out, with a warning."""
    p = _centred(prediction)
    t = _centred(truth)
    norms = np.sqrt((p**2).sum(axis=1) * (t**2).sum(axis=1))  # (B,)
    valid = (np.ptp(prediction, axis=(1, 2)) > 0) & (np.ptp(truth, axis=(1, 2)) > 0)
    if not valid.all():
        constant = ", ".join(map(str, np.flatnonzero(~valid)[:10]))
        warnings.warn(f"constant bands have no correlation and are left out of CC: {constant}", stacklevel=2)
        if not valid.any():
            return 0.0
    return float(((p * t).sum(axis=1)[valid] / norms[valid]).mean())


def rmse(prediction: Image, truth: Image) -> float:
    """Root of the mean squared error over all values."""
    return float(np.sqrt(_band_mse(prediction, truth).mean()))


def ergas(prediction: Image, truth: Image, scale: int) -> float:
    """(100/r) · sqrt(mean over bands of MSE_band / mean_band(truth)²).

    r is the true scale: much public code keeps 4 at x8, the paper's x8 numbers use 8. A band that is zero throughout
    is left out, with a warning.
    """
    means = truth.mean(axis=(1, 2), dtype=np.float64)
    valid = means != 0
    if not valid.all():
        zero = ", ".join(map(str, np.flatnonzero(~valid)[:10]))
        warnings.warn(f"bands of mean zero are left out of ERGAS: {zero}", stacklevel=2)
        if not valid.any():
            return 0.0
    return float(100 / scale * np.sqrt((_band_mse(prediction, truth)[valid] / means[valid] ** 2).mean()))


def _band_mse(prediction: Image, truth: Image) -> NDArray[np.float64]:
    return np.array([np.square(p - t, dtype=np.float64).mean() for p, t in zip(prediction, truth, strict=True)])


def _centred(image: Image) -> NDArray[np.float64]:
    flat = image.reshape(image.shape[0], -1).astype(np.float64)
    return flat - flat.mean(axis=1, keepdims=True)


def _as_array(image: Tensor | Image) -> Image:
    array = image.detach().cpu().numpy() if isinstance(image, Tensor) else np.asarray(image)
    return array if array.dtype == np.float64 else array.astype(np.float32, copy=False)
