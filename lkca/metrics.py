"""Compute the six metrics of the paper's tables on one image in [0, 1]; no border is cropped, nothing is clipped.

The definitions follow the field's common evaluation scripts and are checked against an independent implementation
(`tests/golden/`). Where public implementations disagree, the docstring says which definition is used.
"""

import warnings

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity
from torch import Tensor

METRICS = ("MPSNR", "MSSIM", "SAM", "CC", "RMSE", "ERGAS")
HIGHER_IS_BETTER = {"MPSNR": True, "MSSIM": True, "SAM": False, "CC": True, "RMSE": False, "ERGAS": False}
SSIM_WINDOW = 7  # pixels
PLAUSIBLE_RANGE = (-1.0, 2.0)  # of an image normalised to [0, 1], with room for a hot pixel or an overshoot

Image = NDArray[np.floating]


def quality(prediction: Tensor | Image, truth: Tensor | Image, scale: int) -> dict[str, float]:
    """Return the six metrics of one image.

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

    Warns
    -----
    UserWarning
        If values lie outside `PLAUSIBLE_RANGE`, or a metric leaves out bands or pixels where it is undefined.
    """
    p, t = _as_array(prediction), _as_array(truth)
    if p.shape != t.shape or t.ndim != 3:
        raise ValueError(f"prediction and truth must share a shape (B, H, W), got {p.shape} and {t.shape}")
    if min(t.shape[1:]) < SSIM_WINDOW:
        raise ValueError(
            f"the SSIM window is {SSIM_WINDOW}x{SSIM_WINDOW} pixels, the image only {t.shape[1]}x{t.shape[2]}"
        )
    if not scale > 0:
        raise ValueError(f"scale must be above 0, got {scale!r}")
    if not (np.isfinite(p).all() and np.isfinite(t).all()):
        raise ValueError("prediction or truth holds NaN or infinite values: metrics would be meaningless")
    _warn_of_range("prediction", p)
    _warn_of_range("truth", t)
    return {
        "MPSNR": mpsnr(p, t),
        "MSSIM": mssim(p, t),
        "SAM": sam(p, t),
        "CC": cross_correlation(p, t),
        "RMSE": rmse(p, t),
        "ERGAS": ergas(p, t, scale),
    }


def mpsnr(prediction: Image, truth: Image) -> float:
    """Return the mean over bands of 10·log10(1 / MSE_band), in dB; infinite if a band is perfect."""
    with np.errstate(divide="ignore"):
        return float(np.mean(-10 * np.log10(_band_mse(prediction, truth))))


def mssim(prediction: Image, truth: Image) -> float:
    """Return the mean over bands of the structural similarity: 7x7 uniform window, data range 1."""
    return float(np.mean([structural_similarity(p, t, data_range=1.0) for p, t in zip(prediction, truth, strict=True)]))


def sam(prediction: Image, truth: Image) -> float:
    """Return the mean spectral angle in degrees, over the pixels where neither spectrum is all zero.

    An all-zero spectrum has no angle. A warning counts the pixels where only the prediction is zero. If no pixel has an
    angle, the result is 90 degrees (the largest angle between non-negative spectra) if there are such pixels, else 0.
    """
    dot = np.einsum("bhw,bhw->hw", prediction, truth, dtype=np.float64)
    squares = [np.einsum("bhw,bhw->hw", a, a, dtype=np.float64) for a in (prediction, truth)]
    norms = np.sqrt(squares[0] * squares[1])
    valid = norms > 0
    missed = int(((squares[0] == 0) & (squares[1] > 0)).sum())
    if missed:
        warnings.warn(
            f"SAM leaves out {missed} of {valid.size} pixels: the prediction is all zero there, the truth is not",
            stacklevel=2,
        )
    if not valid.any():
        warnings.warn(f"no pixel has a spectral angle: SAM is reported as {90 if missed else 0}", stacklevel=2)
        return 90.0 if missed else 0.0
    cosine = np.clip(dot[valid] / norms[valid], -1, 1)
    return float(np.degrees(np.arccos(cosine)).mean())


def cross_correlation(prediction: Image, truth: Image) -> float:
    """Return the mean over bands of Pearson's correlation, without bands that are constant in either image.

    0 if no band is left.
    """
    p = _centred(prediction)
    t = _centred(truth)
    norms = np.sqrt((p**2).sum(axis=1) * (t**2).sum(axis=1))  # (B,)
    valid = (np.ptp(prediction, axis=(1, 2)) > 0) & (np.ptp(truth, axis=(1, 2)) > 0)
    if not valid.all():
        warnings.warn(f"constant bands have no correlation; CC leaves out: {_listed(~valid)}", stacklevel=2)
        if not valid.any():
            return 0.0
    return float(((p * t).sum(axis=1)[valid] / norms[valid]).mean())


def rmse(prediction: Image, truth: Image) -> float:
    """Return the root of the mean squared error over all values."""
    return float(np.sqrt(_band_mse(prediction, truth).mean()))


def ergas(prediction: Image, truth: Image, scale: int) -> float:
    """Return (100/r) · sqrt(mean over bands of MSE_band / mean_band(truth)²), without bands whose truth has mean zero.

    r is the actual scale. Much public code uses 4 even at x8; the paper's x8 numbers use 8. 0 if no band is left.
    """
    means = truth.mean(axis=(1, 2), dtype=np.float64)
    valid = means != 0
    if not valid.all():
        warnings.warn(f"bands of mean zero have no relative error; ERGAS leaves out: {_listed(~valid)}", stacklevel=2)
        if not valid.any():
            return 0.0
    return float(100 / scale * np.sqrt((_band_mse(prediction, truth)[valid] / means[valid] ** 2).mean()))


def _warn_of_range(name: str, image: Image) -> None:
    low, high = float(image.min()), float(image.max())
    if low < PLAUSIBLE_RANGE[0] or high > PLAUSIBLE_RANGE[1]:
        warnings.warn(
            f"the {name} has values from {low:g} to {high:g}: MPSNR and MSSIM assume [0, 1]. Divide both images by the "
            "scene's maximum first.",
            stacklevel=3,
        )


def _listed(bands: NDArray[np.bool_]) -> str:
    return ", ".join(map(str, np.flatnonzero(bands)[:10]))


def _band_mse(prediction: Image, truth: Image) -> NDArray[np.float64]:
    return np.array([np.square(p - t, dtype=np.float64).mean() for p, t in zip(prediction, truth, strict=True)])


def _centred(image: Image) -> NDArray[np.float64]:
    flat = image.reshape(image.shape[0], -1).astype(np.float64)
    return flat - flat.mean(axis=1, keepdims=True)


def _as_array(image: Tensor | Image) -> Image:
    array = image.detach().cpu().numpy() if isinstance(image, Tensor) else np.asarray(image)
    return array if array.dtype == np.float64 else array.astype(np.float32, copy=False)
