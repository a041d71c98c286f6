"""Model the spectra of eigenimages (scene, PSF, aliases, noise), and fit the model to periodograms.

See `sharpen.image.deconvolve` for the model. It is fitted by Whittle's likelihood (P. Whittle, J. R. Stat. Soc. B 15,
1953).
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import scipy.fft
import torch
from torch import Tensor

from lkca.psf import psf_version, psf_weights
from lkca.resize import resize
from sharpen.image.model import Basis

POWERS = torch.arange(1.25, 3.8, 0.25, dtype=torch.float64)  # p, exponents of |f|^-p that are tried
USUAL_POWER, POWER_SPREAD = 2.3, 0.35  # of p over scenes: mean and standard deviation
RATIOS = torch.cat([torch.zeros(1), torch.logspace(-4, 4, 49)]).double()  # σ²/c that are tried
NOISE_SPREAD = 0.3  # standard deviation of log σ² around what the last eigenimages predict
KNOWN_NOISE_SPREAD = 0.05  # the same around a known noise level
LEAST_NOISE = 1e-6  # of an eigenimage's variance; less noise counts as none
MAX_FREQUENCIES = 8192  # of a spectrum that is fitted
MIN_FREQUENCIES = 16  # with fewer nothing is fitted: p is `USUAL_POWER`, and there is no noise unless it is known
MIN_TAIL = 4  # eigenimages in the last half; with fewer, each one's noise is fitted on its own
CHUNK = 1 << 16  # frequencies processed together


# --- responses


class Transfer:
    """Frequency responses of PSF, bicubic downsampling and bicubic upsampling for LR images (h, w), by alias.

    Frequencies are those of `torch.fft.rfft2` of the image mirrored to (2h, 2w): 2h rows and w + 1 columns.
    """

    def __init__(self, height: int, width: int, scale: int, psf: str) -> None:
        self.shape = (2 * height, width + 1)
        rows = _aliases(torch.fft.fftfreq(2 * height, dtype=torch.float64), scale)
        columns = _aliases(torch.fft.rfftfreq(2 * width, dtype=torch.float64), scale)
        self.squares = (rows * scale / math.pi) ** 2, (columns * scale / math.pi) ** 2  # in units of LR Nyquist
        self.least = 1 / (2 * max(height, width))  # in place of frequency 0
        self.psf = [
            (_response(down, rows), _response(across, columns))
            for down, across in _factors(scale, psf, psf_version(psf))
        ]
        self.down, self.up = (
            (_response(weights, rows).real, _response(weights, columns).real) for weights in _bicubic(scale)
        )

    def moments(self, i: Tensor, j: Tensor, powers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return Σ|P|²S, ΣDP*S and ΣUP*S / ΣU² at rows i (n,) and columns j (n,), (number of powers, n) each."""
        outer = lambda pair: pair[0][i][:, :, None] * pair[1][j][:, None, :]  # noqa: E731
        psf = sum(outer(pair) for pair in self.psf).flatten(1)
        down, up = outer(self.down).flatten(1), outer(self.up).flatten(1)
        squares = (self.squares[0][i][:, :, None] + self.squares[1][j][:, None, :]).flatten(1)
        logs = squares.clamp_min(self.least**2).log() / 2
        seen, to_down, to_up = psf.abs() ** 2, down * psf.conj(), up * psf.conj() / (up**2).sum(1, keepdim=True)
        sums = []
        for power in powers:
            scene = torch.exp(-power * logs)
            sums.append(((seen * scene).sum(1), (to_down * scene).sum(1), (to_up * scene).sum(1)))
        return tuple(torch.stack(part) for part in zip(*sums, strict=True))

    def seen(self, i: Tensor, j: Tensor, powers: Tensor) -> Tensor:
        """Return the first of `moments`, Σ|P|²S, alone."""
        psf = sum(rows[i][:, :, None] * columns[j][:, None, :] for rows, columns in self.psf)
        squares = self.squares[0][i][:, :, None] + self.squares[1][j][:, None, :]
        logs, seen = squares.clamp_min(self.least**2).log() / 2, psf.real**2 + psf.imag**2
        return torch.stack([(seen * torch.exp(-power * logs)).sum((1, 2)) for power in powers])

    def fidelity(self, i: Tensor, j: Tensor, power: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return Σ|P|²S, |ΣUP*S|² / ΣU² and ΣS at rows i and columns j, (n,) each, for the expected error."""
        seen, _, to_up = (part[0] for part in self.moments(i, j, power[None]))
        rows, columns = self.up[0][i][:, :, None], self.up[1][j][:, None, :]
        squares = (self.squares[0][i][:, :, None] + self.squares[1][j][:, None, :]).flatten(1)
        total = squares.clamp_min(self.least**2).pow(-power / 2).sum(1)
        return seen, to_up.abs() ** 2 * (rows * columns).flatten(1).square().sum(1), total

    def everywhere(self, power: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return `moments` for one power at every frequency, (2h, w + 1) each."""
        height, width = self.shape
        parts = []
        for rows in torch.arange(height).split(max(1, CHUNK // width)):
            i, j = rows.repeat_interleave(width), torch.arange(width).repeat(len(rows))
            parts.append([part[0].view(len(rows), width) for part in self.moments(i, j, power[None])])
        return tuple(torch.cat(part) for part in zip(*parts, strict=True))


def _aliases(frequencies: Tensor, scale: int) -> Tensor:
    """Return the HR frequencies (n, at most 3), radians per HR pixel, that fall on LR ones (cycles per LR pixel)."""
    shifts = torch.tensor([0.0, -1.0, 1.0], dtype=torch.float64)[: min(scale, 3)]
    sign = torch.where(frequencies < 0, -1.0, 1.0)
    return 2 * math.pi * (frequencies[:, None] + sign[:, None] * shifts) / scale


def _response(weights: Tensor, frequencies: Tensor) -> Tensor:
    """Return Σ w[n]·exp(i·f·n), n counted from the middle of the weights: complex, in the shape of the frequencies."""
    places = torch.arange(len(weights), dtype=torch.float64) - (len(weights) - 1) / 2
    return torch.exp(1j * frequencies[..., None] * places) @ weights.to(torch.complex128)


@lru_cache
@torch.inference_mode(False)
def _factors(scale: int, psf: str, version: int) -> tuple[tuple[Tensor, Tensor], ...]:
    """Return a PSF as a sum of products: pairs of weights along a column and along a row."""
    weights = psf_weights(scale, psf, version)
    if weights is None:
        weights = _bicubic(scale)[0]
    if weights.ndim == 1:
        return ((weights, weights),)
    left, values, right = torch.linalg.svd(weights)
    return tuple((left[:, n] * values[n], right[n]) for n in range(int((values > 1e-7 * values[0]).sum())))


@lru_cache
@torch.inference_mode(False)
def _bicubic(scale: int) -> tuple[Tensor, Tensor]:
    """Return the weights of bicubic downsampling and upsampling around an LR pixel's centre, each of sum 1."""
    impulses = torch.eye(5 * scale, dtype=torch.float64)[:, :, None].expand(-1, -1, scale)
    down = resize(impulses.contiguous(), 1 / scale)[:, 2, 0]
    impulse = torch.zeros(1, 9, 1, dtype=torch.float64)
    impulse[0, 4] = 1
    up = resize(impulse, scale)[0, 2 * scale : 7 * scale, 0]
    return down, up / up.sum()


def nyquist_response(scale: int, psf: str) -> float:
    """Return the mean over both axes of the PSF's modulation transfer at the Nyquist frequency of the LR image."""
    frequencies = torch.tensor([0.0, math.pi / scale], dtype=torch.float64)
    total = sum(
        torch.stack([_response(down, frequencies) * _response(across, frequencies[:1]),
                     _response(down, frequencies[:1]) * _response(across, frequencies)])
        for down, across in _factors(scale, psf, psf_version(psf))
    )  # fmt: skip
    return float(total[:, 1].abs().mean())


# --- spectra


@dataclass(frozen=True)
class Spectra:
    """The fit to eigenimages of variance 1: power p, level c and noise σ², (k,) each."""

    power: Tensor
    level: Tensor
    noise: Tensor

    @property
    def ratio(self) -> Tensor:
        """Return σ²/c; 0 where there is no noise."""
        return torch.where(self.noise > 0, self.noise / self.level.clamp_min(1e-12), 0.0)


def fit_spectra(eigenimages: Tensor, basis: Basis, scale: int, psf: str, noise: Tensor | None = None) -> Spectra:
    """Fit c·Σ|P|²|f|^-p + σ² to the periodograms of all eigenimages.

    The last eigenimages are mostly noise and tell how noisy each band is. From that the noise of the leading ones is
    nearly known, so their fine texture is not mistaken for noise.

    Parameters
    ----------
    eigenimages : (k, h, w) of variance 1. basis : theirs. noise : (k,), their noise variances if known.
    """
    count, height, width = eigenimages.shape
    if (height - 1) * (width - 1) < MIN_FREQUENCIES:
        usual = torch.full((count,), USUAL_POWER, dtype=torch.float64)
        none = torch.zeros(count, dtype=torch.float64)
        return Spectra(usual, torch.ones_like(none), none if noise is None else noise)
    i, j = sample_frequencies(height, width)
    periodograms = torch.cat([periodogram(image, i, j) for image in eigenimages.split(8)])
    transfer = Transfer(height, width, scale, psf)
    likelihood, levels = profile_likelihood(periodograms, signal_powers(transfer, i, j, POWERS), RATIOS)
    misfit = likelihood + (0.5 * ((POWERS - USUAL_POWER) / POWER_SPREAD) ** 2)[:, None]
    noises = levels * RATIOS
    spread = KNOWN_NOISE_SPREAD
    if noise is None:
        noise, spread = noise_of_last(noises.flatten(1), misfit.flatten(1), basis), NOISE_SPREAD
    if noise is not None:
        misfit = misfit + noise_misfit(noises, noise, spread)
    best = misfit.flatten(1).argmin(1, keepdim=True)
    chosen = (part.flatten(1).gather(1, best)[:, 0] for part in (levels, noises))
    return Spectra(POWERS[best[:, 0] // len(RATIOS)], *chosen)


def periodogram(images: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """Return the squared cosine transform of (k, h, w) at rows i and columns j, (k, n); white noise has mean σ²."""
    spectrum = scipy.fft.dctn(images.double().numpy(), axes=(1, 2), norm="ortho", workers=torch.get_num_threads())
    return torch.from_numpy(spectrum)[:, i, j] ** 2


def signal_powers(transfer: Transfer, i: Tensor, j: Tensor, powers: Tensor) -> Tensor:
    """Return Σ|P|²S, (number of powers, n), for a cosine transform, which mixes the frequencies i and -i."""
    return (transfer.seen(i, j, powers) + transfer.seen(-i % transfer.shape[0], j, powers)) / 2


def profile_likelihood(periodograms: Tensor, signals: Tensor, ratios: Tensor) -> tuple[Tensor, Tensor]:
    """Return Whittle's negative log-likelihood at the best level c, and that c, (k, powers, ratios) each."""
    count, found = periodograms.shape[1], []
    for signal in signals:  # one power at a time, to stay in the processor's cache
        models = signal + ratios[:, None]  # (ratios, n)
        levels = (periodograms @ models.reciprocal().T / count).clamp_min(1e-30)
        found.append((count * levels.log() + _sum_of_logs(models), levels))
    return tuple(torch.stack(part, dim=1) for part in zip(*found, strict=True))


def _sum_of_logs(x: Tensor) -> Tensor:
    """Return the sum of log x over the last axis, by logarithms of products of eight: in a tenth of the time."""
    eighths = x.shape[-1] // 8 * 8
    products = x[..., :eighths].unflatten(-1, (8, -1)).prod(-2)
    return products.log().sum(-1) + x[..., eighths:].log().sum(-1)


def noise_of_last(noises: Tensor, misfit: Tensor, basis: Basis) -> Tensor | None:
    """Return the noise variances (k,) of all eigenimages if bands are as noisy as the last half of them indicates.

    noises, misfit : (k, n), of each eigenimage for all parameters tried. Return None with too few eigenimages.
    """
    count = len(noises)
    last = slice(count // 2, count)
    if count - last.start < MIN_TAIL:
        return None
    variances = basis.sigma.double() ** 2
    least = noises.gather(1, misfit.argmin(1, keepdim=True))[:, 0] * variances
    shares = basis.vectors[:, :count].double() ** 2
    tail = shares[:, last]
    by_band = (tail * least[last]).sum(1) / tail.sum(1).clamp_min(1e-12)
    return shares.T @ by_band / variances.clamp_min(1e-30)


def noise_misfit(noises: Tensor, expected: Tensor, spread: float) -> Tensor:
    """Return the penalty on noise variances (k, ...) that differ from the expected ones (k,)."""
    difference = (noises + LEAST_NOISE).log() - (expected + LEAST_NOISE).log().view(-1, *[1] * (noises.ndim - 1))
    return 0.5 * (difference / spread) ** 2


def sample_frequencies(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return rows and columns of cosine frequencies, without those on the axes, which hold stripes."""
    index = torch.arange((height - 1) * (width - 1))
    if len(index) > MAX_FREQUENCIES:
        index = torch.randperm(len(index), generator=torch.Generator().manual_seed(0))[:MAX_FREQUENCIES]
    return 1 + index // (width - 1), 1 + index % (width - 1)


def mirrored(images: Tensor) -> Tensor:
    """Mirror images (..., h, w) to (..., 2h, 2w)."""
    images = torch.cat([images, images.flip(-1)], dim=-1)
    return torch.cat([images, images.flip(-2)], dim=-2)
