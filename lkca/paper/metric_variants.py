"""Compute the six metrics in the variants found in public evaluation scripts; the first variant of each is ours.

Four of the metrics follow from eight numbers of each band, for any offset and divisor that normalise the band. So
protocol variants that differ only in the normalisation share these numbers. SAM and SSIM need the images.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

WINDOWS = (
    "7x7 window",
    "7x7 window, population",
    "Gaussian window",
    "Gaussian window, sample",
    "Gaussian, edge repeated",
)
RANGES = ("", "range 2", "range of the band")
METRIC_VARIANTS = {
    "MPSNR": ("mean of bands", "of all values", "mean of bands, peak of each band"),
    "MSSIM": tuple(f"{window}, {name}".removesuffix(", ") for name in RANGES for window in WINDOWS),
    "SAM": ("zero spectra left out", "zero spectra count 0", "zero spectra count 90"),
    "CC": ("mean of bands", "of all values"),
    "RMSE": ("of all values", "mean of bands"),
    "ERGAS": ("100/r", "100/4"),
}
Values = dict[tuple[str, str], float]  # (metric, variant) -> value
BANDS_AT_ONCE = 16  # bands whose SSIM is computed together, to bound its memory


def band_sums(prediction: Tensor, truth: Tensor) -> NDArray[np.float64]:
    """Return eight numbers of each band of two (B, H, W) float32 tensors, as (8, B).

    Sums over the pixels of p, t, p², t², p·t and (p − t)², then the minimum and maximum of t. Rows are added in
    float32, the rows' sums in float64.
    """
    p, t = prediction, truth
    sums = [x.sum(2).sum(1, dtype=torch.float64) for x in (p, t, p * p, t * t, p * t, (p - t).square_())]
    return torch.stack([*sums, t.amin((1, 2)).double(), t.amax((1, 2)).double()]).numpy()


def normalised(sums: NDArray, pixels: int, offset: NDArray, divisor: NDArray) -> NDArray[np.float64]:
    """Return the sums (8, B) of (value - offset) / divisor, with an offset and a divisor for each band."""
    p, t, pp, tt, pt, error, low, top = sums
    square = pixels * offset**2
    first = (p - pixels * offset, t - pixels * offset)
    second = (pp - 2 * offset * p + square, tt - 2 * offset * t + square, pt - offset * (p + t) + square, error)
    return np.stack([*(x / divisor for x in first), *(x / divisor**2 for x in second),
                     (low - offset) / divisor, (top - offset) / divisor])  # fmt: skip


def metrics_of_sums(sums: NDArray, pixels: int, scale: int) -> Values:
    """Return MPSNR, CC, RMSE and ERGAS in all variants; CC skips constant bands, ERGAS bands of mean 0."""
    p, t, pp, tt, pt, error, low, top = sums
    n, mse, mean = pixels, error / pixels, t / pixels
    p_variance, t_variance, covariance = pp - p**2 / n, tt - t**2 / n, pt - p * t / n
    with np.errstate(divide="ignore", invalid="ignore"):
        psnr = -10 * np.log10(mse)
        varied = (top > low) & (p_variance > 0)
        r = (covariance / np.sqrt(p_variance * t_variance))[varied]
        relative = np.sqrt((mse / mean**2)[mean != 0].mean()) if (mean != 0).any() else np.nan
        whole = [a.sum() - b.sum() * c.sum() / (n * len(p)) for a, b, c in ((pt, p, t), (pp, p, p), (tt, t, t))]
        found = {
            "MPSNR": (psnr.mean(), -10 * np.log10(mse.mean()), (psnr + 20 * np.log10(np.maximum(top, 0))).mean()),
            "CC": (r.mean() if len(r) else np.nan, whole[0] / np.sqrt(whole[1] * whole[2])),
            "RMSE": (np.sqrt(mse.mean()), np.sqrt(mse).mean()),
            "ERGAS": (100 / scale * relative, 25 * relative),
        }
    return {(m, v): float(x) for m, xs in found.items() for v, x in zip(METRIC_VARIANTS[m], xs, strict=True)}


def angles(prediction: Tensor, truth: Tensor) -> Values:
    """Return SAM in all variants, in degrees. A zero spectrum is 0 in every band of the prediction or the truth."""
    dot, pp, tt = (
        (a * b).sum(0, dtype=torch.float64) for a, b in ((prediction, truth), (prediction, prediction), (truth, truth))
    )
    norms = (pp * tt).sqrt()
    valid = norms > 0
    zeros, pixels = int((~valid).sum()), valid.numel()
    total = float(torch.rad2deg((dot[valid] / norms[valid]).clamp(-1, 1).acos()).sum())
    found = (total / max(1, pixels - zeros), total / pixels, (total + 90 * zeros) / pixels)
    return {("SAM", v): x for v, x in zip(METRIC_VARIANTS["SAM"], found, strict=True)}


def similarities(prediction: Tensor, truth: Tensor) -> Values:
    """Return the mean SSIM of two (B, H, W) tensors in [0, 1], in all variants.

    Windows: 7x7 uniform, with the covariance of a sample (scikit-image's default) or of a population; 11x11 Gaussian of
    standard deviation 1.5, whole windows only (Wang et al., IEEE TIP 13(4), 2004), with either covariance; the same
    Gaussian with the edge pixels repeated outwards (MATLAB's). The constants are 0.01 and 0.03 times the data range,
    squared. The range is 1, 2 (an old default for floating-point images), or the truth's maximum minus its minimum in
    the band.
    """
    parts = zip(prediction.split(BANDS_AT_ONCE), truth.split(BANDS_AT_ONCE), strict=True)
    means = torch.stack([_summed_over_bands(p, t) for p, t in parts]).sum(0) / len(truth)
    return {("MSSIM", v): float(x) for v, x in zip(METRIC_VARIANTS["MSSIM"], means, strict=True)}


def _summed_over_bands(prediction: Tensor, truth: Tensor) -> Tensor:
    own = truth.amax((1, 2), keepdim=True) - truth.amin((1, 2), keepdim=True)
    uniform = list(_window_moments(prediction, truth, torch.full((7,), 1 / 7)))
    bell = torch.exp(-0.5 * (torch.arange(-5.0, 6.0) / 1.5) ** 2)
    padded = [F.pad(x[:, None], (5, 5, 5, 5), mode="replicate")[:, 0] for x in (prediction, truth)]
    gaussian = list(_window_moments(*padded, bell / bell.sum()))
    # In the order of WINDOWS: moments, factor to the covariance of a sample, and pixels cut off at each side.
    windows = ((uniform, 49 / 48, 0), (uniform, 1, 0), (gaussian, 1, 5), (gaussian, 121 / 120, 5), (gaussian, 1, 0))
    sums = []
    for data_range in (torch.ones_like(own), torch.full_like(own, 2.0), own):
        for moments, correction, cut in windows:
            ssim = _ssim(moments, correction, data_range)
            inside = ssim[:, cut : ssim.shape[1] - cut, cut : ssim.shape[2] - cut]
            sums.append(inside.mean((1, 2), dtype=torch.float64).sum())
    return torch.stack(sums)


def _window_moments(p: Tensor, t: Tensor, weights: Tensor) -> Iterator[Tensor]:
    """Yield 2·mean·mean, sum of squared means, 2·covariance and sum of variances of every whole window."""
    mean_p, mean_t = _filtered(p, weights), _filtered(t, weights)
    product, squares = mean_p * mean_t, mean_p.square() + mean_t.square()
    yield 2 * product
    yield squares
    yield 2 * (_filtered(p * t, weights) - product)
    yield _filtered(p.square() + t.square(), weights) - squares


def _ssim(moments: list[Tensor], correction: float, data_range: Tensor) -> Tensor:
    means, squares, covariance, variances = moments
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2 + 1e-30  # a constant band has no range: not 0 / 0
    upper = (means + c1).mul_((covariance * correction).add_(c2))
    return upper.div_((squares + (c1 + 1e-30)).mul_((variances * correction).add_(c2)))


def _filtered(x: Tensor, weights: Tensor) -> Tensor:
    """Apply a separable filter over the last two axes, whole windows only."""
    for axis in (-1, -2):
        length = x.shape[axis] - len(weights) + 1
        out = x.narrow(axis, 0, length) * weights[0]
        for k in range(1, len(weights)):
            out.add_(x.narrow(axis, k, length), alpha=float(weights[k]))
        x = out
    return x
