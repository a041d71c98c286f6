"""The six metrics in the variants that public evaluation scripts disagree by; the first of each is ours.

Five of the metrics follow from sums over the pixels of a band, under whatever offset and divisor the band is
normalised by, so that readings which differ in the normalisation share the images. SSIM does not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

WINDOWS = (
    "7x7 window",
    "7x7 window, population",
    "Gaussian window",
    "Gaussian window, sample",
    "Gaussian, edge repeated",
)
RANGES = ("", "range 2", "range of the band")
SSIM_VARIANTS = tuple(f"{window}, {name}".removesuffix(", ") for name in RANGES for window in WINDOWS)
VARIANTS = {
    "MPSNR": ("mean of bands", "of all values", "mean of bands, peak of each band"),
    "MSSIM": SSIM_VARIANTS,
    "SAM": ("zero spectra left out", "zero spectra count 0", "zero spectra count 90"),
    "CC": ("mean of bands", "of all values"),
    "RMSE": ("of all values", "mean of bands"),
    "ERGAS": ("100/r", "100/4"),
}
VariantValues = dict[tuple[str, str], float]  # (metric, variant) -> value


@dataclass
class BandSums:
    """Sums over the pixels of one image and its truth: (B,) float64 each.

    p, t : sums of prediction and truth. pp, tt, pt : sums of their products. error : sum of the squared difference.
    low, top : the truth's minimum and maximum.
    """

    pixels: int
    p: NDArray[np.float64]
    t: NDArray[np.float64]
    pp: NDArray[np.float64]
    tt: NDArray[np.float64]
    pt: NDArray[np.float64]
    error: NDArray[np.float64]
    low: NDArray[np.float64]
    top: NDArray[np.float64]

    @classmethod
    def of(cls, prediction: Tensor, truth: Tensor) -> "BandSums":
        """The sums of two (b, H, W) float32 tensors; rows are added in their precision, the rows' sums in float64."""
        p, t = prediction, truth
        products = (p, t, p * p, t * t, p * t, (p - t).square_())
        sums = [x.sum(2).sum(1, dtype=torch.float64) for x in products]
        return cls(p[0].numel(), *(s.numpy() for s in (*sums, t.amin((1, 2)).double(), t.amax((1, 2)).double())))

    @classmethod
    def joined(cls, parts: list["BandSums"]) -> "BandSums":
        """The sums of an image whose bands were summed in pieces."""
        arrays = (np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)[1:])
        return cls(parts[0].pixels, *arrays)

    def normalised(self, offset: NDArray[np.float64], divisor: NDArray[np.float64]) -> "BandSums":
        """The sums of (value - offset) / divisor; (B,) each."""
        n, o, d = self.pixels, offset, divisor
        return BandSums(
            n,
            (self.p - n * o) / d,
            (self.t - n * o) / d,
            (self.pp - 2 * o * self.p + n * o**2) / d**2,
            (self.tt - 2 * o * self.t + n * o**2) / d**2,
            (self.pt - o * (self.p + self.t) + n * o**2) / d**2,
            self.error / d**2,
            (self.low - o) / d,
            (self.top - o) / d,
        )

    def values(self, scale: int) -> VariantValues:
        """MPSNR, RMSE, CC and ERGAS in all variants. Constant bands are left out of CC, bands of mean 0 of ERGAS."""
        n, mse = self.pixels, self.error / self.pixels
        p_variance, t_variance = self.pp - self.p**2 / n, self.tt - self.t**2 / n
        covariance = self.pt - self.p * self.t / n
        with np.errstate(divide="ignore", invalid="ignore"):
            psnr = -10 * np.log10(mse)
            peaks = psnr + 20 * np.log10(np.maximum(self.top, 0))
            varied = (self.top > self.low) & (p_variance > 0)
            r = (covariance / np.sqrt(p_variance * t_variance))[varied]
            mean = self.t / n
            relative = np.sqrt((mse / mean**2)[mean != 0].mean()) if (mean != 0).any() else np.nan
            overall = [a.sum() - b.sum() * c.sum() / (n * len(mse)) for a, b, c in
                       ((self.pt, self.p, self.t), (self.pp, self.p, self.p), (self.tt, self.t, self.t))]  # fmt: skip
            found = {
                "MPSNR": (psnr.mean(), -10 * np.log10(mse.mean()), peaks.mean()),
                "CC": (r.mean() if len(r) else np.nan, overall[0] / np.sqrt(overall[1] * overall[2])),
                "RMSE": (np.sqrt(mse.mean()), np.sqrt(mse).mean()),
                "ERGAS": (100 / scale * relative, 25 * relative),
            }
        return {(m, v): float(x) for m, xs in found.items() for v, x in zip(VARIANTS[m], xs, strict=True)}


class Angles:
    """The spectral angle between two images, gathered from pieces of their bands."""

    def __init__(self) -> None:
        self.products: list[Tensor] | None = None  # p·t, p·p, t·t at each pixel, (H, W)

    def add(self, prediction: Tensor, truth: Tensor) -> None:
        """Some bands, (b, H, W)."""
        pairs = ((prediction, truth), (prediction, prediction), (truth, truth))
        new = [(a * b).sum(0, dtype=torch.float64) for a, b in pairs]
        self.products = new if self.products is None else [a.add_(b) for a, b in zip(self.products, new, strict=True)]

    def values(self) -> VariantValues:
        """SAM in all variants, in degrees. A zero spectrum is one that is 0 in every band, in either image."""
        dot, pp, tt = self.products
        norms = (pp * tt).sqrt()
        valid = norms > 0
        zeros, pixels = int((~valid).sum()), valid.numel()
        angles = float(torch.rad2deg((dot[valid] / norms[valid]).clamp(-1, 1).acos()).sum())
        found = (angles / max(1, pixels - zeros), angles / pixels, (angles + 90 * zeros) / pixels)
        return {("SAM", v): x for v, x in zip(VARIANTS["SAM"], found, strict=True)}


def ssim_sums(prediction: Tensor, truth: Tensor) -> NDArray[np.float64]:
    """SSIM in the order of `SSIM_VARIANTS`, summed over the bands of two (b, H, W) tensors in [0, 1].

    Windows: 7x7 uniform (scikit-image's default, covariance of a sample, or of a population), 11x11 Gaussian of
    standard deviation 1.5 inside the image (Wang et al., IEEE TIP 13(4), 2004; scikit-image's option
    has the sample's covariance), the same with the edge pixels repeated outwards (MATLAB's). Constants 0.01 and 0.03
    times the data range: 1, or 2 (an old default for floating-point images), or the
    truth's maximum minus its minimum in the band.
    """
    own = truth.amax((1, 2), keepdim=True) - truth.amin((1, 2), keepdim=True)
    ranges = (torch.ones_like(own), torch.full_like(own, 2.0), own)
    flat = list(_window_moments(prediction, truth, torch.full((7,), 1 / 7)))
    bell = torch.exp(-0.5 * (torch.arange(-5.0, 6.0) / 1.5) ** 2)
    pair = [torch.nn.functional.pad(x[:, None], (5, 5, 5, 5), mode="replicate")[:, 0] for x in (prediction, truth)]
    round_ = list(_window_moments(*pair, bell / bell.sum()))
    found = []
    for data_range in ranges:
        for moments, correction, cut in ((flat, 49 / 48, 0), (flat, 1, 0), (round_, 1, 5), (round_, 121 / 120, 5)):
            ssim = _ssim(moments, correction, data_range)
            inside = ssim[:, cut : ssim.shape[1] - cut, cut : ssim.shape[2] - cut]
            found.append(inside.mean((1, 2), dtype=torch.float64).sum())
            if moments is round_ and correction == 1:
                whole = ssim.mean((1, 2), dtype=torch.float64).sum()
        found.append(whole)
    return torch.stack(found).numpy()


def _window_moments(p: Tensor, t: Tensor, weights: Tensor) -> Iterator[Tensor]:
    """2·mean·mean, sum of squared means, 2·covariance, sum of variances, at every whole window."""
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
    """Separable filter over the last two axes, whole windows only."""
    for axis in (-1, -2):
        length = x.shape[axis] - len(weights) + 1
        out = x.narrow(axis, 0, length) * weights[0]
        for k in range(1, len(weights)):
            out.add_(x.narrow(axis, k, length), alpha=float(weights[k]))
        x = out
    return x
