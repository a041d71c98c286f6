"""Estimate a sensor's point spread function from an image alone, and list published ones.

The spectrum of a scene falls as a power of the frequency, |f|^-p with p = 2.3 ± 0.35; a PSF bends it. So the leading
eigenimages' spectra are fitted by c·Σ|P|²|f|^-p + σ² for Gaussian PSFs of many widths, and the widths are weighted by
their likelihood. The noise follows from the last eigenimages, as in `sharpen.image.deconvolve`. The PSF to undo is
narrower than the blur in the image, because an ideal HR image has some blur too, in its own smaller pixels: the squares
of the widths add up.

A PSF assumed too wide costs far more than one too narrow (results/cpu/any_sensor_regret.csv): at x4, assuming a width
of 0.65 LR pixels where 0.5 is true loses about 3 dB, the other way round about 1 dB. Therefore the width used lies
below the estimate, and an image that allows no estimate gets `DEFAULT`. On the real scenes of that table, it is the PSF
with the smallest worst regret among those that never do worse than bicubic.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sharpen.image.deconvolve import middle
from sharpen.image.model import Basis, principal_components
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
RATIOS = torch.cat([torch.zeros(1), torch.logspace(-5, 2, 36)]).double()  # σ²/c that are tried
EIGENIMAGES = 3  # that are fitted
TEMPER = 4.0  # divides log-likelihoods, because no spectrum is exactly a power of the frequency
NOISE_SPREAD = 0.3  # standard deviation of a leading eigenimage's log σ² around what the last ones predict
ERROR = 0.045  # LR pixels, standard deviation of estimates on synthetic scenes in addition to that of the likelihood
CAUTION = 1.0  # standard deviations by which the width used lies below the estimate
OWN_SIGMA, OWN_SPREAD = 0.55, 0.3  # HR pixels: mean and standard deviation of the blur in HR scenes
BICUBIC_RANGE = (0.33, 0.43)  # LR pixels; widths taken as bicubic, which is nearly such a Gaussian, but milder
MIN_SIDE = 32  # LR pixels; smaller images get the default
WIDEST = 0.95  # LR pixels; no sensor blurs more (its modulation at Nyquist would be 0.01): the scene itself is soft
SURE_ERROR, LARGEST_ERROR = 0.08, 0.16  # LR pixels, highest standard deviation of a sure estimate, of one in use
NOISELESS = 60.0  # dB; a higher signal-to-noise ratio counts as no noise
MIN_VARIATION = 1e-4  # of the largest value; an image with less contrast allows no estimate


@dataclass(frozen=True)
class Sensor:
    """A published PSF.

    psf : see `lkca.psf`. evidence : how it is known, "specification", "laboratory" or "flight".
    source : the published number, how the PSF follows from it, and its reference.
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
"""Sensors with a published number that could be checked; of several numbers, the one for the narrowest PSF."""


@dataclass(frozen=True)
class Estimate:
    """The PSF and noise estimated from an image.

    psf : the one to use, narrower than the estimate. sigma : width as a Gaussian, LR pixels, NaN if unknown.
    low, high : one standard deviation below and above it. snr : median over bands in dB, infinite without noise.
    sure : at least `MIN_SIDE` pixels a side, and a standard deviation of at most `SURE_ERROR`. text : a sentence on it.
    """

    psf: str
    sigma: float
    low: float
    high: float
    snr: float
    sure: bool
    text: str


def sensor_psf(name: str) -> str:
    """Return the PSF of a sensor in `SENSORS`; upper and lower case are the same.

    Raises
    ------
    ValueError
        If the sensor is not listed.
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
    lr : (B, h, w), no-data pixels filled; of a large image, the middle is used. scale : of the HR image to estimate.
    min_side : LR pixels; an image with a shorter side gets `DEFAULT`.
    """
    height, width = lr.shape[1:]
    lr = lr[:, *middle(height, width)].float()
    pixels = lr.double().flatten(1)
    size = f"{height}x{width} LR pixels"
    if min(height, width) < min_side or (lr.shape[1] - 1) * (lr.shape[2] - 1) < MIN_FREQUENCIES:
        return _default(f"{size} are too few to estimate the PSF from (at least {min_side} a side)")
    flat = pixels.std(dim=1) <= MIN_VARIATION * pixels.abs().amax(dim=1).clamp_min(1e-30)
    if not pixels.isfinite().all() or bool(flat.all()):
        return _default("the image is constant or has NaN or infinite values")
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
            f"{size} seem blurred by {sigma:.2f} pixels, more than by any sensor: a scene without fine texture, or an "
            "upsampled image; give its PSF if you know it"
        )
    if error > LARGEST_ERROR and sigma >= BICUBIC_RANGE[0]:
        return _default(f"{size} do not determine the PSF ({sigma:.2f} ± {error:.2f} LR pixels)")
    sure = min(height, width) >= MIN_SIDE and error <= SURE_ERROR
    psf = _mild(sigma - CAUTION * error)
    snr = _signal_to_noise(lr, images, basis, scale, psf)
    noise = "no significant noise" if math.isinf(snr) else f"noise {snr:.0f} dB below the signal"
    text = (
        f"PSF estimated from {size}: a Gaussian of {sigma:.2f} ± {error:.2f} LR pixels, {noise}; "
        f"{'reliable' if sure else 'uncertain'}; {psf} is used"
    )
    return Estimate(psf, sigma, sigma - error, sigma + error, snr, sure, text)


def _losses(images: Tensor, basis: Basis, scale: int) -> Tensor:
    """Return the negative log-likelihood, divided by `TEMPER` and with priors, of each of `SIGMAS`."""
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


def _signal_to_noise(lr: Tensor, images: Tensor, basis: Basis, scale: int, psf: str) -> float:
    """Return the median over bands of the signal-to-noise ratio in dB; infinite beyond `NOISELESS`."""
    spectra = fit_spectra(images, basis, scale, psf)
    noise = (basis.vectors.double() ** 2) @ (spectra.noise * basis.sigma.double() ** 2) * basis.spread.double() ** 2
    power = lr.double().square().mean(dim=(1, 2))
    good = power > 0
    ratio = float((10 * (power[good] / noise[good].clamp_min(1e-30)).log10()).median())
    return math.inf if ratio > NOISELESS else ratio


def _default(reason: str) -> Estimate:
    return Estimate(DEFAULT, math.nan, math.nan, math.nan, math.inf, False, f"{reason}: {DEFAULT} is assumed")
