"""Estimate a sensor's point spread function from an image alone, and name those that are published.

The spectrum of a scene falls as a power of the frequency, |f|^-p with p = 2.3 ± 0.35; a PSF bends it. So the leading
eigenimages' spectra are fitted by c·Σ|P|²|f|^-p + σ² for Gaussian PSFs of many widths, and the widths weighted by their
likelihood. Noise is known beforehand from the last eigenimages, as in `sharpen.image.deconvolve`. What is to be undone
is less than what is seen, since the wanted HR image is as soft, in its own smaller pixels, as HR images are: the
squares of widths add up.

A PSF that is assumed too wide costs far more than one that is too narrow (table `any_sensor_regret` of the study): at
x4 a width of 0.55 LR pixels where 0.45 is true loses several dB, the other way round half a dB. Therefore the estimate
that is used lies below the likeliest, and an image that does not tell gets `DEFAULT`: of the PSFs that never do worse
than bicubic whatever the truth is, the one with the smallest worst regret.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sharpen.image.deconvolve import middle
from sharpen.image.model import principal_components
from sharpen.image.spectra import (
    MIN_FREQUENCIES,
    POWER_SPREAD,
    POWERS,
    USUAL_POWER,
    Transfer,
    fit_spectra,
    noise_misfit,
    noise_of_last,
    periodogram,
    profile_likelihood,
    sample_frequencies,
    signal_powers,
)

DEFAULT = "gaussian:0.3"
SIGMAS = torch.tensor([0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9, 1.0, 1.15, 1.3])
RATIOS = torch.cat([torch.zeros(1), torch.logspace(-5, 2, 36)]).double()  # noise to signal that are tried
EIGENIMAGES = 3  # that are fitted
TEMPER = 4.0  # by which likelihoods are flattened, because no spectrum is exactly a power of the frequency
NOISE_SPREAD = 0.3  # of log σ² between what the last eigenimages say and what a leading one holds
ERROR = 0.045  # LR pixels, standard deviation of estimates on synthetic scenes beside that of the likelihood
CAUTION = 1.0  # standard deviations that the width used lies below the estimate
OWN_SIGMA, OWN_SPREAD = 0.55, 0.3  # HR pixels: mean and standard deviation of the blur that HR scenes have themselves
BICUBIC_RANGE = (0.33, 0.43)  # widths that are taken for bicubic: Gaussians hardly differ from it, and it is milder
MIN_SIDE = 32  # LR pixels; smaller images get the default
WIDEST = 0.95  # LR pixels; no sensor blurs more (its modulation at Nyquist would be 0.01): the scene itself is soft
SURE_ERROR, LARGEST_ERROR = 0.08, 0.16  # LR pixels, standard deviations of a sure estimate, and of one that is used
NOISELESS = 60.0  # dB; noise below that counts as none
MIN_VARIATION = 1e-4  # of the mean, below which an image is too flat to tell


@dataclass(frozen=True)
class Sensor:
    """A published PSF.

    psf : as `lkca.psf` takes it. evidence : "specification", "laboratory" or "flight", by which it is known.
    source : the published number, how the PSF follows, and where it is from.
    """

    psf: str
    evidence: str
    source: str


def nyquist_gaussian(modulation: float) -> str:
    """Return the Gaussian PSF whose modulation transfer at LR Nyquist, exp(-π²σ²/2), is `modulation` (0 to 1)."""
    return f"gaussian:{math.sqrt(-2 * math.log(modulation)) / math.pi:.2f}"


SENSORS = {
    "AVIRIS": Sensor(
        "gaussian:0.5",
        "specification",
        "field of view of a pixel 1 mrad (20 m from 20 km), 614 pixels in a swath of 10.5 km (17.1 m): a full width at "
        "half maximum of 1.17 pixels; J. Gao, Digital Analysis of Remotely Sensed Imagery, 2009, table 2.26",
    ),
    "EnMAP": Sensor(
        nyquist_gaussian(0.25),
        "specification",
        "MTF above 0.25 across and above 0.16 along the track at a period of 60 m, two pixels (EnMAP HSI instrument "
        "specification): at most 0.53 and 0.61 pixels; the milder one for both",
    ),
    "HySpex": Sensor(
        "gaussian:0.47",
        "specification",
        "width at half maximum 1.1 times the spatial sampling (Mjolnir V-1240; hyspex.com, key quality parameters)",
    ),
    "PRISMA": Sensor(
        nyquist_gaussian(0.096),
        "flight",
        "MTF at Nyquist 0.054 to 0.096, measured on edges in images: 0.69 to 0.77 pixels; the mildest. U.S. Geological "
        "Survey, System characterization of Earth observation sensors, Open-File Report 2021-1030, chapter K",
    ),
}
"""Sensors with a published number that could be checked, of several the mildest."""


@dataclass(frozen=True)
class Estimate:
    """What an image says about its PSF and noise.

    psf : to be used, milder than the likeliest. sigma : width as a Gaussian, LR pixels, NaN if unknown.
    low, high : one standard deviation below and above it. snr : median over bands in dB, infinite without noise.
    sure : whether the likelihood is narrow. text : all of this in a sentence.
    """

    psf: str
    sigma: float
    low: float
    high: float
    snr: float
    sure: bool
    text: str


def sensor_psf(name: str) -> str:
    """Return the PSF of a sensor in `SENSORS`, whatever its case.

    Raises
    ------
    ValueError
        If it is not there.
    """
    found = {known.lower(): sensor for known, sensor in SENSORS.items()}.get(name.lower())
    if found is None:
        raise ValueError(f"no PSF is known for the sensor {name!r}: there are {', '.join(SENSORS)}")
    return found.psf


@torch.no_grad()
def estimate_psf(lr: Tensor, scale: int = 4, min_side: int = MIN_SIDE) -> Estimate:
    """Estimate the PSF and the noise of an LR image.

    Parameters
    ----------
    lr : (B, h, w), no-data pixels filled; of a large image the middle is used. scale : of the HR image that is meant.
    min_side : LR pixels; an image with a shorter side gets the default.
    """
    height, width = lr.shape[1:]
    lr = lr[:, *middle(height, width)].float()
    pixels = lr.double().flatten(1)
    size = f"{height}x{width} LR pixels"
    if min(height, width) < min_side or (lr.shape[1] - 1) * (lr.shape[2] - 1) < MIN_FREQUENCIES:
        return _default(f"{size} are too few to estimate the PSF from (at least {min_side} a side)")
    flat = pixels.std(dim=1) <= MIN_VARIATION * pixels.abs().amax(dim=1).clamp_min(1e-30)
    if not pixels.isfinite().all() or bool(flat.all()):
        return _default("the image is constant or has values that are no numbers")
    basis = principal_components(pixels.shape[1], pixels.sum(1), pixels @ pixels.T, len(lr))
    images = basis.coefficients(lr)
    losses = _losses(images, basis, scale)
    weights = torch.softmax(-losses, 0)
    seen = float((weights * SIGMAS).sum())
    own = OWN_SIGMA / scale
    sigma = math.sqrt(max(seen**2 - own**2, (seen / 2) ** 2))
    spread = float((weights * (SIGMAS - seen) ** 2).sum()) ** 0.5
    error = math.hypot(spread, ERROR, own * OWN_SPREAD / scale / sigma)
    if sigma > WIDEST:
        return _default(
            f"{size} look blurred by {sigma:.2f} of them, more than by any sensor: a scene without fine texture, or an "
            "image that was upsampled before; give its PSF if you know it"
        )
    if error > LARGEST_ERROR and sigma >= BICUBIC_RANGE[0]:
        return _default(f"{size} do not tell their PSF ({sigma:.2f} ± {error:.2f} LR pixels)")
    sure = min(height, width) >= MIN_SIDE and error <= SURE_ERROR
    psf = _mild(sigma - CAUTION * error)
    snr = _signal_to_noise(lr, images, basis, scale, psf)
    noise = "no noise to speak of" if math.isinf(snr) else f"noise {snr:.0f} dB below the signal"
    text = (
        f"PSF estimated from {size}: a Gaussian of {sigma:.2f} ± {error:.2f} LR pixels, {noise}; "
        f"{'sure enough' if sure else 'unsure'}, {psf} is used"
    )
    return Estimate(psf, sigma, sigma - error, sigma + error, snr, sure, text)


def _losses(images: Tensor, basis: object, scale: int) -> Tensor:
    """Return the flattened negative log-likelihood of each of `SIGMAS`."""
    i, j = sample_frequencies(*images.shape[1:])
    spectra = torch.cat([periodogram(part, i, j) for part in images.split(8)])
    transfer = Transfer(*images.shape[1:], scale, "gaussian:0.5")
    likelihood, levels = profile_likelihood(spectra, signal_powers(transfer, i, j, POWERS[1::3]), RATIOS)
    noise = noise_of_last((levels * RATIOS).flatten(1), likelihood.flatten(1), basis)
    prior = (0.5 * ((POWERS - USUAL_POWER) / POWER_SPREAD) ** 2)[:, None]
    losses = []
    for sigma in SIGMAS.tolist():
        transfer = Transfer(*images.shape[1:], scale, f"gaussian:{sigma:.2f}")
        likelihood, levels = profile_likelihood(spectra[:EIGENIMAGES], signal_powers(transfer, i, j, POWERS), RATIOS)
        loss = likelihood / TEMPER + prior
        if noise is not None:
            loss = loss + noise_misfit(levels * RATIOS, noise[:EIGENIMAGES], NOISE_SPREAD)
        losses.append(loss.flatten(1).min(1).values.sum())
    return torch.stack(losses)


def _mild(sigma: float) -> str:
    """Return the PSF to use for a width."""
    if sigma < BICUBIC_RANGE[0]:
        return DEFAULT
    return "bicubic" if sigma < BICUBIC_RANGE[1] else f"gaussian:{sigma:.2f}"


def _signal_to_noise(lr: Tensor, images: Tensor, basis: object, scale: int, psf: str) -> float:
    """Return the median over bands of signal to noise in dB."""
    spectra = fit_spectra(images, basis, scale, psf)
    noise = (basis.vectors.double() ** 2) @ (spectra.noise * basis.sigma.double() ** 2) * basis.spread.double() ** 2
    power = lr.double().square().mean(dim=(1, 2))
    good = power > 0
    ratio = float((10 * (power[good] / noise[good].clamp_min(1e-30)).log10()).median())
    return math.inf if ratio > NOISELESS else ratio


def _default(reason: str) -> Estimate:
    return Estimate(DEFAULT, math.nan, math.nan, math.nan, math.inf, False, f"{reason}: {DEFAULT} is assumed")
