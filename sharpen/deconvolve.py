"""Undo a sensor's point spread function and noise by a Wiener filter of eigenimages, in closed form and at LR size.

An LR image is y = ↓(PSF * x) + noise. With mirrored edges a symmetric PSF followed by downsampling is diagonal in the
cosine transform, but for aliasing: one LR frequency ω holds the HR frequencies f = (ω + 2πn) / r. Let P(f), D(f), U(f)
be the responses of the PSF, of bicubic downsampling and of bicubic upsampling, S(f) = c·|f|^-p the power of the scene
and σ² that of the noise. Then the linear estimates of least squared error are

    z = Σ U P* S / (Σ U² · (Σ |P|² S + σ²)) · y     the LR image whose bicubic upsampling comes closest to x,
    v = Σ D P* S / (Σ |P|² S + σ²) · y              the LR image that bicubic downsampling of x would have given,

sums over the aliases n (N. Wiener 1949; for sampled images: M. Unser, Proc. IEEE 88(4), 2000). With the bicubic PSF and
no noise v is y itself, and what was made for bicubic LR images applies to v whatever the sensor was. Each eigenimage
has its own c, p and σ², fitted to its spectrum (P. Whittle 1953), so those that are only noise vanish.

Other PSFs are exact too but within a kernel's width of the edges, which are mirrored although the PSF is not.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from lkca.degradation import round_trip_kernel
from lkca.psf import psf_version, psf_weights
from lkca.resize import mirror_indices, resize
from sharpen.model import Basis, EigenimageNetwork, principal_components

LEADING = 16  # eigenimages that have a filter of their own; the others share one
POWERS = torch.arange(1.25, 3.8, 0.25, dtype=torch.float64)  # p, fall of a scene's power with frequency
USUAL_POWER, POWER_SPREAD = 2.3, 0.35  # of p over scenes: mean and standard deviation
RATIOS = torch.cat([torch.zeros(1), torch.logspace(-4, 4, 49)]).double()  # σ²/c that are tried
NOISE_SPREAD = 0.3  # of log σ², between what the last eigenimages say and what another one holds
KNOWN_NOISE_SPREAD = 0.05  # the same where the noise is known
LEAST_NOISE = 1e-6  # of an eigenimage's variance; less noise counts as none
MAX_FREQUENCIES = 8192  # of a spectrum that is fitted
MIN_FREQUENCIES = 16  # fewer tell nothing: no noise and the usual power are taken
SAMPLE_SIDE = 256  # LR pixels of the image's middle that the spectra are fitted to
TAIL_RADIUS = 8  # LR pixels that the shared filter reaches
MIN_TAIL = 4  # eigenimages in the last half, with fewer of which each one's noise is fitted alone
CHUNK = 1 << 16  # frequencies that are worked on together


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

    def fidelity(self, i: Tensor, j: Tensor, power: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return Σ|P|²S, |ΣUP*S|² / ΣU² and ΣS at rows i and columns j, (n,) each, for the expected error."""
        seen, _, to_up = (part[0] for part in self.moments(i, j, power[None]))
        rows, columns = self.up[0][i][:, :, None], self.up[1][j][:, None, :]
        squares = (self.squares[0][i][:, :, None] + self.squares[1][j][:, None, :]).flatten(1)
        total = squares.clamp_min(self.least**2).pow(-power / 2).sum(1)
        return seen, to_up.abs() ** 2 * (rows * columns).flatten(1).square().sum(1), total

    def everywhere(self, power: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the three of `moments` for one power at every frequency, (2h, w + 1) each."""
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
    """Return Σ w[n]·exp(i·f·n), n counted from the middle of the weights (n,): complex, shape of the frequencies."""
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


# --- spectra


@dataclass(frozen=True)
class Spectra:
    """What was fitted to eigenimages: power p, level c and noise σ², (k,) each, for eigenimages of variance 1."""

    power: Tensor
    level: Tensor
    noise: Tensor

    @property
    def ratio(self) -> Tensor:
        """σ²/c; 0 where there is no noise."""
        return torch.where(self.noise > 0, self.noise / self.level.clamp_min(1e-12), 0.0)


def fit_spectra(eigenimages: Tensor, basis: Basis, scale: int, psf: str, noise: Tensor | None = None) -> Spectra:
    """Fit c·Σ|P|²|f|^-p + σ² to the periodograms of all eigenimages.

    The last eigenimages are mostly noise, and tell how noisy each band is; so the noise of the leading ones is known
    nearly, and their fine texture is not taken for noise.

    Parameters
    ----------
    eigenimages : (k, h, w) of variance 1. basis : that they are of. noise : (k,) their noise variance if it is known.
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
    """Return the squares of the cosine transform of (k, h, w) at rows i and columns j, (k, n); white noise gives σ²."""
    height, width = images.shape[1:]
    square = torch.fft.rfft2(_mirrored(images.double())).abs() ** 2
    return square[:, i, j] / (4 * height * width)


def signal_powers(transfer: Transfer, i: Tensor, j: Tensor, powers: Tensor) -> Tensor:
    """Return Σ|P|²S, (number of powers, n), as a cosine transform sees it: it mixes frequencies i and -i."""
    return (transfer.moments(i, j, powers)[0] + transfer.moments(-i % transfer.shape[0], j, powers)[0]) / 2


def profile_likelihood(periodograms: Tensor, signals: Tensor, ratios: Tensor) -> tuple[Tensor, Tensor]:
    """Return Whittle's negative log-likelihood at the best level c, and that c, (k, powers, ratios) each."""
    models = signals[:, None] + ratios[:, None]  # (powers, ratios, n)
    count = periodograms.shape[1]
    levels = ((periodograms @ (1 / models).flatten(0, 1).T) / count).unflatten(1, models.shape[:2]).clamp_min(1e-30)
    return count * levels.log() + models.log().sum(-1), levels


def noise_of_last(noises: Tensor, misfit: Tensor, basis: Basis) -> Tensor | None:
    """Return the noise variance (k,) that all eigenimages have if bands are as noisy as the last half of them says.

    noises, misfit : (k, n) of each eigenimage by the parameters tried. None with too few eigenimages.
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
    """Return what noise variances (k, ...) cost that are not the expected ones (k,)."""
    difference = (noises + LEAST_NOISE).log() - (expected + LEAST_NOISE).log().view(-1, *[1] * (noises.ndim - 1))
    return 0.5 * (difference / spread) ** 2


def sample_frequencies(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return rows and columns of cosine frequencies; those along the axes, where stripes are, are left out."""
    index = torch.arange((height - 1) * (width - 1))
    if len(index) > MAX_FREQUENCIES:
        index = torch.randperm(len(index), generator=torch.Generator().manual_seed(0))[:MAX_FREQUENCIES]
    return 1 + index // (width - 1), 1 + index % (width - 1)


def _mirrored(images: Tensor) -> Tensor:
    """(..., h, w) -> (..., 2h, 2w)."""
    images = torch.cat([images, images.flip(-1)], dim=-1)
    return torch.cat([images, images.flip(-2)], dim=-2)


# --- the plan of an image


@dataclass(frozen=True)
class Plan:
    """How an image is deconvolved: made of its statistics and a sample, then used for any part of it.

    scale, psf : of the degradation. basis : all its eigenimages. spectra : of each.
    leading : eigenimages with a filter of their own, which `filter` takes whole; the rest goes through `tail`.
    """

    scale: int
    psf: str
    basis: Basis
    spectra: Spectra
    leading: int

    @property
    def leading_basis(self) -> Basis:
        """Return the basis of the leading eigenimages."""
        return replace(
            self.basis, vectors=self.basis.vectors[:, : self.leading], sigma=self.basis.sigma[: self.leading]
        )

    def filter(self, eigenimages: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and v of the module's text for the leading eigenimages of a whole image, (K, h, w) each."""
        transfer = Transfer(*eigenimages.shape[1:], self.scale, self.psf)
        result = torch.empty_like(eigenimages), torch.empty_like(eigenimages)
        for power in self.spectra.power[: self.leading].unique():
            seen, to_down, to_up = transfer.everywhere(power)
            for number in (self.spectra.power[: len(eigenimages)] == power).nonzero().flatten().tolist():
                spectrum = torch.fft.rfft2(_mirrored(eigenimages[number]))
                for target, wanted in zip(result, (to_up, to_down), strict=True):
                    gain = _unit_mean(wanted / (seen + self.spectra.ratio[number])).to(spectrum.dtype)
                    target[number] = _cropped(torch.fft.irfft2(spectrum * gain, s=_sides(eigenimages)), eigenimages)
        return result

    def tail(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and v of what lies outside the leading eigenimages, (B, h, w) each, in the image's own unit.

        A pixel depends on `TAIL_RADIUS` pixels around it; edges are mirrored. The mean is not in it.
        """
        basis = self.leading_basis
        rest = (lr - basis.mean[:, None, None]) / basis.spread[:, None, None]
        if self.leading >= len(self.basis.sigma):
            return torch.zeros_like(lr), torch.zeros_like(lr)
        rest = rest - (basis.vectors @ (basis.vectors.T @ rest.flatten(1))).unflatten(1, lr.shape[1:])
        rest = rest * basis.spread[:, None, None]
        height, width = lr.shape[1:]
        padded = rest[:, mirror_indices(height, TAIL_RADIUS, lr.device)][
            ..., mirror_indices(width, TAIL_RADIUS, lr.device)
        ]
        return tuple(F.conv2d(padded[:, None], kernel.to(lr)[None, None])[:, 0] for kernel in self._tail_kernels())

    def _tail_kernels(self) -> tuple[Tensor, Tensor]:
        """Return the shared filters of z and v as kernels: those of the rest's mean power, level and noise."""
        weights = (self.basis.sigma.double() ** 2)[self.leading :]
        level = (weights * self.spectra.level[self.leading :]).sum().clamp_min(1e-30)
        noise = (weights * self.spectra.noise[self.leading :]).sum()
        power = (weights * self.spectra.level[self.leading :] * self.spectra.power[self.leading :]).sum() / level
        side = 2 * TAIL_RADIUS
        seen, to_down, to_up = Transfer(side, side, self.scale, self.psf).everywhere(power.clamp(POWERS[0], POWERS[-1]))
        kernels = []
        for wanted in (to_up, to_down):
            response = torch.fft.irfft2(_unit_mean(wanted / (seen + noise / level)), s=(2 * side, 2 * side))
            kernel = response.roll((TAIL_RADIUS, TAIL_RADIUS), (0, 1))[: side + 1, : side + 1]
            kernels.append((kernel / kernel.sum()).flip(0, 1))  # conv2d correlates
        return tuple(kernels)

    def bands(self, leading: Tensor, tail: Tensor) -> Tensor:
        """Put filtered leading eigenimages (K, h, w) and the tail (B, h, w) together as bands (B, h, w)."""
        detail = (self.leading_basis.spectra() @ leading.flatten(1)).unflatten(1, leading.shape[1:])
        return detail + tail + self.basis.mean[:, None, None]

    @property
    def consistent(self) -> bool:
        """Whether back-projection with this PSF converges: it does not where the PSF shifts the image."""
        kernel = round_trip_kernel(self.scale, self.psf)
        response = torch.fft.fft2(kernel, s=(64, 64))
        rows, columns = (
            torch.fft.fftfreq(64, dtype=torch.float64) * 2 * math.pi * (side // 2) for side in kernel.shape
        )
        response = response * torch.exp(1j * (rows[:, None] + columns[None]))
        return bool((1 - response).abs().max() <= 1 + 1e-6)


def prepare(
    basis: Basis, sample: Tensor, scale: int, psf: str, noise: float | None = None, leading: int = LEADING
) -> Plan:
    """Plan the deconvolution of an image.

    Parameters
    ----------
    basis : all principal components of the image. sample : (B, h, w), the image or the middle of a large one, no-data
        pixels filled.
    psf : see `lkca.psf`. noise : signal-to-noise ratio in dB, infinite for none; None estimates it.
    """
    known = None
    if noise is not None:
        power = sample.double().square().mean(dim=(1, 2)) * 10 ** (-noise / 10)
        power = power / basis.spread.double() ** 2
        known = (basis.vectors.double() ** 2).T @ power / basis.sigma.double().clamp_min(1e-15) ** 2
    spectra = fit_spectra(basis.coefficients(sample), basis, scale, psf, known)
    return Plan(scale, psf, basis, spectra, min(leading, len(basis.sigma)))


def middle(height: int, width: int, side: int = SAMPLE_SIDE) -> tuple[slice, slice]:
    """Return rows and columns of the middle of an image, at most `side` pixels each way."""
    return tuple(slice(max(0, (n - side) // 2), max(0, (n - side) // 2) + min(n, side)) for n in (height, width))


def plan_image(lr: Tensor, scale: int, psf: str, noise: float | None = None, leading: int = LEADING) -> Plan:
    """Plan the deconvolution of an image in memory, (B, h, w) without no-data pixels; see `prepare`."""
    pixels = lr.double().flatten(1)
    basis = principal_components(pixels.shape[1], pixels.sum(1), pixels @ pixels.T, len(lr))
    return prepare(basis, lr[:, *middle(*lr.shape[1:])], scale, psf, noise, leading)


# --- images


@torch.no_grad()
def deconvolve(lr: Tensor, scale: int, psf: str = "bicubic", noise: float | None = None) -> Tensor:
    """Return the LR image that bicubic downsampling of the scene would have given, with less noise.

    Parameters
    ----------
    lr : (B, h, w), float32, no-data pixels filled. scale : r, of the HR image that is meant.
    psf : that the image was made with, see `lkca.psf`. noise : signal-to-noise ratio in dB; None estimates it.
    """
    plan = plan_image(lr, scale, psf, noise)
    return plan.bands(plan.filter(plan.leading_basis.coefficients(lr))[1], plan.tail(lr)[1])


@torch.no_grad()
def wiener(lr: Tensor, scale: int, psf: str = "bicubic", noise: float | None = None) -> Tensor:
    """Return the Wiener estimate of the HR image, (B, r·h, r·w): no network, no training. Parameters: `deconvolve`."""
    plan = plan_image(lr, scale, psf, noise)
    return resize(plan.bands(plan.filter(plan.leading_basis.coefficients(lr))[0], plan.tail(lr)[0]), scale)


@torch.no_grad()
def sharpen_tensor(lr: Tensor, scale: int, psf: str, noise: float | None, network: EigenimageNetwork) -> Tensor:
    """Return the HR image (B, r·h, r·w): the Wiener estimate and the network's residual. Parameters: `deconvolve`."""
    plan = plan_image(lr, scale, psf, noise)
    eigenimages = plan.leading_basis.coefficients(lr)
    z, v = plan.filter(eigenimages)
    residuals, spectra = sharpen_eigenimages(plan, eigenimages, v, network)
    detail = (spectra @ residuals.flatten(1)).unflatten(1, residuals.shape[1:])
    return resize(plan.bands(z, plan.tail(lr)[0]), scale) + detail


def sharpen_eigenimages(
    plan: Plan, eigenimages: Tensor, filtered: Tensor, network: EigenimageNetwork
) -> tuple[Tensor, Tensor]:
    """Return the network's residuals (k, r·h, r·w), and the spectra (B, k) that turn them into bands.

    eigenimages, filtered : (K, h, w), the leading ones and v of `Plan.filter`.
    """
    inputs, spectra = network_inputs(plan, eigenimages, filtered, network)
    residuals = network.residual(inputs)
    if plan.psf != "bicubic" and plan.consistent:
        residuals = network.back_project(residuals, plan.psf)  # what is added is invisible to the sensor
    return residuals[:, 0], spectra


def network_inputs(
    plan: Plan, eigenimages: Tensor, filtered: Tensor, network: EigenimageNetwork
) -> tuple[Tensor, Tensor]:
    """Return what the network sees, (k, inputs, h, w), and the spectra (B, k) of one unit of each residual.

    Its first channel is v, divided by its standard deviation, the second v of the first eigenimage. A network with more
    inputs also sees the eigenimage as it was, and the conditions of `conditions`.
    """
    count = min(network.components, len(filtered))
    deviation = filtered[:count].flatten(1).std(dim=1, correction=0)
    unit = torch.where(deviation > 0, 1 / deviation.clamp_min(1e-12), 0)[:, None, None]
    v = filtered[:count] * unit
    spectra = plan.basis.spectra()[:, :count] * deviation
    if network.head.in_channels == 2:
        return network.pairs(v), spectra
    constants = conditions(plan, count, unit[:, 0, 0])
    images = [v, v[:1].expand_as(v), eigenimages[:count] * unit]
    images += [column[:, None, None].expand_as(v) for column in constants.T]
    return torch.stack(images, dim=1), spectra


def conditions(plan: Plan, count: int, unit: Tensor | float = 1.0) -> Tensor:
    """Return (count, 2): the PSF's mean response at LR Nyquist, and log10 of each eigenimage's noise, from 0 to 1.

    unit : what the eigenimages are multiplied by before the network sees them.
    """
    noise = (plan.spectra.noise[:count].float() * unit**2).clamp_min(0)
    level = ((noise + 1e-4).log10() + 4) / 4
    return torch.stack([torch.full_like(level, nyquist_response(plan.scale, plan.psf)), level.clamp(0, 1)], dim=1)


def nyquist_response(scale: int, psf: str) -> float:
    """Return the mean over both axes of the PSF's modulation transfer at the Nyquist frequency of the LR image."""
    frequencies = torch.tensor([0.0, math.pi / scale], dtype=torch.float64)
    total = sum(
        torch.stack([_response(down, frequencies) * _response(across, frequencies[:1]),
                     _response(down, frequencies[:1]) * _response(across, frequencies)])
        for down, across in _factors(scale, psf, psf_version(psf))
    )  # fmt: skip
    return float(total[:, 1].abs().mean())


def _unit_mean(gain: Tensor) -> Tensor:
    gain[0, 0] = 1
    return gain


def _sides(images: Tensor) -> tuple[int, int]:
    return 2 * images.shape[-2], 2 * images.shape[-1]


def _cropped(image: Tensor, like: Tensor) -> Tensor:
    return image[..., : like.shape[-2], : like.shape[-1]]
