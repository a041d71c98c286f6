"""Draw training samples: deconvolved eigenimages of synthetic scenes with random PSF and noise."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lkca.data.synthetic.sensors import landscape_cube
from lkca.degradation import Degradation
from lkca.resize import SYMMETRIES, resize, symmetry
from lkca.trainer import epoch_generator
from sharpen.image.deconvolve import Plan, conditions, noise_variances, stack_inputs
from sharpen.image.model import Basis, principal_components
from sharpen.image.spectra import Spectra, fit_spectra

STEPS, BATCH = 50, 8  # steps of an epoch, samples of a step
PATCH = 24  # LR pixels on a side of a sample; with 12 the large kernels see mostly padding
SIDE = {2: 64, 4: 96, 8: 192}  # HR pixels on a side of a scene
POOL, FRESH = 48, 12  # scenes in use, and how many of them each epoch replaces
COMPONENTS, BANDS, MIXTURES = 8, 6, 4  # images of a scene: eigenimages, single bands, random mixtures
LEADING = 0.35  # parameter of the geometric distribution that draws an eigenimage's number
BRIGHTNESS = 0.15  # standard deviation of the log of a random factor on a sample
TOLD = 0.25  # share of the scenes whose true noise is given; for the others it is estimated, as in use
MISJUDGED = 0.03  # LR pixels, standard deviation of the error in width of half of the assumed Gaussian PSFs
TRAINING_SEED = 20_000_000  # of the first scene for seed 0


@dataclass(frozen=True)
class Images:
    """M images of one degraded scene, each divided by the standard deviation of its deconvolved version v.

    inputs : (M, 5, h, w) of the network. targets : (M, r², h, w), the residuals over the Wiener estimate,
    pixel-unshuffled. weights : (M,) of their errors in the loss: the standard deviation of v for an image of variance
    1. Images that are mostly noise weigh little.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor


def draw_degradation(rng: np.random.Generator) -> tuple[Degradation, str]:
    """Draw a degradation and the PSF assumed for it; half of the Gaussian ones are slightly wrong."""
    kind = rng.random()
    noise = math.inf if rng.random() < 0.4 else float(rng.uniform(25, 50))
    if kind < 0.3:
        return Degradation("bicubic", noise), "bicubic"
    if kind < 0.4:
        return Degradation("mean", noise), "mean"
    sigma = rng.uniform(0.25, 0.9)
    assumed = np.clip(sigma + rng.normal(0, MISJUDGED) * (rng.random() < 0.5), 0.2, 1)
    if kind < 0.75:
        return Degradation(f"gaussian:{sigma:.3f}", noise), f"gaussian:{assumed:.3f}"
    ratio, angle = np.exp(rng.uniform(0, 0.25)), rng.uniform(0, 180)
    true, guess = (f"gaussian:{s * ratio:.3f},{s / ratio:.3f},{angle:.0f}" for s in (sigma, assumed))
    return Degradation(true, noise), guess


def make_images(seed: int, scale: int) -> Images:
    """Return the images of the synthetic scene of a seed, under a degradation drawn from the same seed."""
    rng = np.random.default_rng((seed, 0x5EED))
    hr = torch.from_numpy(landscape_cube(seed, SIDE[scale]))
    degradation, psf = draw_degradation(rng)
    lr = degradation(hr, scale, seed)
    pixels = lr.double().flatten(1)
    components = principal_components(pixels.shape[1], pixels.sum(1), pixels @ pixels.T, len(lr))
    basis = _drawn_basis(components, rng)
    images = basis.coefficients(lr)
    if rng.random() < TOLD:
        power = lr.double().square().mean(dim=(1, 2)) * 10 ** (-degradation.noise / 10)
        spectra = fit_spectra(images, basis, scale, psf, noise_variances(basis, power / basis.spread.double() ** 2))
    else:
        spectra = _estimated_spectra(images, lr, components, basis, scale, psf)
    plan = Plan(scale, psf, basis, spectra, images.shape[0])
    z, v = plan.filter(images)
    unit = 1 / v.flatten(1).std(dim=1, correction=0).clamp_min(1e-12)
    targets = (basis.coefficients(hr) - resize(z, scale)) * unit[:, None, None]
    v, images = v * unit[:, None, None], images * unit[:, None, None]
    inputs = stack_inputs(v, images, conditions(plan, len(v), unit))
    return Images(inputs, F.pixel_unshuffle(targets[:, None], scale), (1 / unit).clamp_max(1))


def _estimated_spectra(images: Tensor, lr: Tensor, components: Basis, basis: Basis, scale: int, psf: str) -> Spectra:
    """Return the spectra estimated from an LR image, so that conditions in training are as inexact as in use."""
    found = fit_spectra(components.coefficients(lr), components, scale, psf)
    power = components.vectors.double() ** 2 @ (components.sigma.double() ** 2 * found.noise)
    drawn = fit_spectra(images, basis, scale, psf, noise_variances(basis, power))
    count = images.shape[0] - BANDS - MIXTURES
    parts = [(getattr(found, name)[:count], getattr(drawn, name)[count:]) for name in ("power", "level", "noise")]
    return Spectra(*(torch.cat(pair) for pair in parts))


def _drawn_basis(basis: Basis, rng: np.random.Generator) -> Basis:
    """Return a basis of leading components, single bands and random mixtures of components."""
    count = int((basis.sigma > 0).sum())
    vectors = [basis.vectors[:, n] for n in range(min(COMPONENTS, count))]
    vectors += [torch.eye(len(basis.mean))[n] for n in rng.choice(len(basis.mean), BANDS, replace=False)]
    for _ in range(MIXTURES):
        vectors.append(basis.vectors[:, :count] @ torch.from_numpy(rng.standard_normal(count)).float())
    vectors = torch.stack(vectors, dim=1)
    sigma = ((basis.vectors * basis.sigma).T @ vectors).square().sum(0).sqrt()
    return Basis(basis.mean, basis.spread, vectors, sigma)


class SceneStream:
    """Synthetic scenes, replaced during training: epoch e has those from FRESH·e to FRESH·e + POOL."""

    def __init__(self, scale: int, seed: int) -> None:
        self.scale, self.seed = scale, seed
        self.ready: dict[int, Images] = {}

    def batches(self, epoch: int) -> Iterator[Tensor]:
        """Yield the batches of an epoch: (BATCH, 5 + r² + 1, PATCH, PATCH), inputs, targets and weight."""
        numbers = range(FRESH * epoch, FRESH * epoch + POOL)
        first = TRAINING_SEED * (self.seed + 1)
        self.ready = {number: self.ready.get(number) or make_images(first + number, self.scale) for number in numbers}
        rng = epoch_generator(self.seed, epoch)
        for _ in range(STEPS):
            yield torch.stack([self._sample(self.ready[int(rng.choice(numbers))], rng) for _ in range(BATCH)])

    def _sample(self, scene: Images, rng: np.random.Generator) -> Tensor:
        count, _, height, width = scene.inputs.shape
        others = count - BANDS - MIXTURES
        number = min(int(rng.geometric(LEADING)) - 1, others - 1)
        if rng.random() < 0.4:
            number = int(rng.integers(others, count))
        top, left = rng.integers(height - PATCH + 1), rng.integers(width - PATCH + 1)
        window = slice(top, top + PATCH), slice(left, left + PATCH)
        shown, target = scene.inputs[number, :, *window].clone(), scene.targets[number, :, *window]
        target = F.pixel_shuffle(target, self.scale)
        turn, sign = int(rng.integers(SYMMETRIES)), rng.choice((-1.0, 1.0), 2)
        factor = float(np.exp(rng.normal(0, BRIGHTNESS)))
        shown[:3] *= torch.tensor([sign[0], sign[1], sign[0]]).float()[:, None, None] * factor
        target = symmetry(target * (float(sign[0]) * factor), turn)
        weight = scene.weights[number].expand(1, PATCH, PATCH)
        return torch.cat([symmetry(shown, turn), F.pixel_unshuffle(target, self.scale), weight])
