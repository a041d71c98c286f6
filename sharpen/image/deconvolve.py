"""Undo a sensor's point spread function and noise by a Wiener filter of eigenimages, in closed form and at LR size.

An LR image is y = ↓(PSF * x) + noise. With mirrored edges a symmetric PSF followed by downsampling is diagonal in the
cosine transform, except for aliasing: one LR frequency ω holds the HR frequencies f = (ω + 2πn) / r. Let P(f), D(f) and
U(f) be the responses of the PSF, of bicubic downsampling and of bicubic upsampling, S(f) = c·|f|^-p the power of the
scene, and σ² that of the noise. Then the linear estimates of least squared error are

    z = Σ U P* S / (Σ U² · (Σ |P|² S + σ²)) · y     the LR image whose bicubic upsampling comes closest to x,
    v = Σ D P* S / (Σ |P|² S + σ²) · y              the LR image that bicubic downsampling of x would have given,

with sums over the aliases n (N. Wiener 1949; for sampled images: M. Unser, Proc. IEEE 88(4), 2000). With the bicubic
PSF and no noise v is y itself, so a network for bicubic LR images applies to v, whatever the sensor. Each eigenimage
has its own c, p and σ², fitted to its spectrum (P. Whittle 1953), so eigenimages of pure noise vanish.

Asymmetric PSFs are exact too, except within a kernel's width of the edges, which are mirrored although the PSF is not.
"""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from lkca.degradation import round_trip_kernel
from lkca.resize import mirror_indices, resize
from sharpen.image.model import Basis, EigenimageNetwork, principal_components
from sharpen.image.spectra import POWERS, Spectra, Transfer, fit_spectra, mirrored, nyquist_response

LEADING = 16  # eigenimages with a filter of their own; the others share one
SAMPLE_SIDE = 256  # LR pixels of the image's middle that the spectra are fitted to
TAIL_RADIUS = 8  # LR pixels, radius of the shared filter


# --- the plan of an image


@dataclass(frozen=True)
class Plan:
    """How an image is deconvolved: derived from its statistics and a sample, then used for any part of it.

    scale, psf : of the degradation. basis : of all eigenimages. spectra : of each.
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
        """Return z and v (see the module docstring) of the leading eigenimages of a whole image, (K, h, w) each."""
        transfer = Transfer(*eigenimages.shape[1:], self.scale, self.psf)
        result = torch.empty_like(eigenimages), torch.empty_like(eigenimages)
        for power in self.spectra.power[: self.leading].unique():
            seen, to_down, to_up = transfer.everywhere(power)
            for number in (self.spectra.power[: len(eigenimages)] == power).nonzero().flatten().tolist():
                spectrum = torch.fft.rfft2(mirrored(eigenimages[number]))
                for target, numerator in zip(result, (to_up, to_down), strict=True):
                    gain = _keep_mean(numerator / (seen + self.spectra.ratio[number])).to(spectrum.dtype)
                    target[number] = _cropped(torch.fft.irfft2(spectrum * gain, s=_sides(eigenimages)), eigenimages)
        return result

    def tail(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and v of what lies outside the leading eigenimages, (B, h, w) each, in the image's own unit.

        A pixel depends on `TAIL_RADIUS` pixels around it; edges are mirrored. The mean is not included.
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
        """Return the shared filters of z and v as kernels, by the rest's mean power p, level and noise."""
        weights = (self.basis.sigma.double() ** 2)[self.leading :]
        level = (weights * self.spectra.level[self.leading :]).sum().clamp_min(1e-30)
        noise = (weights * self.spectra.noise[self.leading :]).sum()
        power = (weights * self.spectra.level[self.leading :] * self.spectra.power[self.leading :]).sum() / level
        side = 2 * TAIL_RADIUS
        seen, to_down, to_up = Transfer(side, side, self.scale, self.psf).everywhere(power.clamp(POWERS[0], POWERS[-1]))
        kernels = []
        for numerator in (to_up, to_down):
            response = torch.fft.irfft2(_keep_mean(numerator / (seen + noise / level)), s=(2 * side, 2 * side))
            kernel = response.roll((TAIL_RADIUS, TAIL_RADIUS), (0, 1))[: side + 1, : side + 1]
            kernels.append((kernel / kernel.sum()).flip(0, 1))  # conv2d correlates
        return tuple(kernels)

    def bands(self, leading: Tensor, tail: Tensor) -> Tensor:
        """Compose bands (B, h, w) from filtered leading eigenimages (K, h, w) and the tail (B, h, w)."""
        detail = (self.leading_basis.spectra() @ leading.flatten(1)).unflatten(1, leading.shape[1:])
        return detail + tail + self.basis.mean[:, None, None]

    @property
    def consistent(self) -> bool:
        """Return whether back-projection with this PSF converges; it does not if the PSF shifts the image."""
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
        known = noise_variances(basis, power / basis.spread.double() ** 2)
    spectra = fit_spectra(basis.coefficients(sample), basis, scale, psf, known)
    return Plan(scale, psf, basis, spectra, min(leading, len(basis.sigma)))


def noise_variances(basis: Basis, power: Tensor) -> Tensor:
    """Return the noise variances (k,) of eigenimages from the noise powers (B,) of bands scaled to variance 1."""
    return (basis.vectors.double() ** 2).T @ power / basis.sigma.double().clamp_min(1e-15) ** 2


def middle(height: int, width: int, side: int = SAMPLE_SIDE) -> tuple[slice, slice]:
    """Return the rows and columns of the middle of an image, at most `side` pixels each way."""
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
    lr : (B, h, w), float32, no-data pixels filled. scale : r, of the HR image to estimate.
    psf : of the image, see `lkca.psf`. noise : signal-to-noise ratio in dB; None estimates it.
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

    eigenimages, filtered : (K, h, w), the leading eigenimages, and v of `Plan.filter`.
    """
    inputs, spectra = network_inputs(plan, eigenimages, filtered, network)
    residuals = network(inputs)
    if plan.psf != "bicubic" and plan.consistent:
        residuals = network.back_project(residuals, plan.psf)  # so that the sensor would not see them
    return residuals[:, 0], spectra


def network_inputs(
    plan: Plan, eigenimages: Tensor, filtered: Tensor, network: EigenimageNetwork, deviation: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the network's inputs (k, 5, h, w), and the spectra (B, k) of one unit of each residual.

    The channels are v divided by its standard deviation; the first such v; the eigenimage before the filter, divided by
    the same; and the two of `conditions`.

    deviation : (k,), standard deviation of v over the whole image; by default that of `filtered`.
    """
    count = min(network.components, len(filtered))
    deviation = filtered[:count].flatten(1).std(dim=1, correction=0) if deviation is None else deviation
    unit = torch.where(deviation > 0, 1 / deviation.clamp_min(1e-12), 0)[:, None, None]
    v = filtered[:count] * unit
    spectra = plan.basis.spectra()[:, :count] * deviation
    return stack_inputs(v, eigenimages[:count] * unit, conditions(plan, count, unit[:, 0, 0])), spectra


def stack_inputs(v: Tensor, eigenimages: Tensor, constants: Tensor) -> Tensor:
    """Stack v (k, h, w), the first v as a guide, the eigenimages (k, h, w) and constants (k, c): (k, 3 + c, h, w)."""
    images = [v, v[:1].expand_as(v), eigenimages]
    images += [column[:, None, None].expand_as(v) for column in constants.T]
    return torch.stack(images, dim=1)


def conditions(plan: Plan, count: int, unit: Tensor | float = 1.0) -> Tensor:
    """Return (count, 2): the PSF's mean response at LR Nyquist, and log10 of each eigenimage's noise, scaled to 0 to 1.

    unit : factor by which the eigenimages are multiplied before the network.
    """
    noise = (plan.spectra.noise[:count].float() * unit**2).clamp_min(0)
    level = ((noise + 1e-4).log10() + 4) / 4
    return torch.stack([torch.full_like(level, nyquist_response(plan.scale, plan.psf)), level.clamp(0, 1)], dim=1)


def _keep_mean(gain: Tensor) -> Tensor:
    gain[0, 0] = 1
    return gain


def _sides(images: Tensor) -> tuple[int, int]:
    return 2 * images.shape[-2], 2 * images.shape[-1]


def _cropped(image: Tensor, like: Tensor) -> Tensor:
    return image[..., : like.shape[-2], : like.shape[-1]]
