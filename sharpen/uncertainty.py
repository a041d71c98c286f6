"""Give every pixel and band of a sharpened image a standard deviation.

The Wiener estimate knows its mean squared error for a scene of the fitted spectrum, one number for each eigenimage.
Where in the image the error lies is told by local contrast: edges err, calm areas do not. For eigenimage i

    log σ = a + b·log(root of the expected error) + c·log(local deviation) + d·log(local step),

the local deviation of v over 5x5 LR pixels, the step the gradient of the sharpened eigenimage. The four coefficients of
each scale are fitted to the logarithm of errors on synthetic scenes under `CALIBRATED_ON` (`calibrate`), and a factor
is chosen so that 68 % of their errors lie within one σ. Errors have heavier tails than a normal distribution: 95 % of
them lie within `WIDE` times σ. Bands follow by the eigenimages' spectra; errors of different eigenimages are taken as
independent.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lkca.degradation import DEGRADATIONS
from lkca.resize import resize
from sharpen.deconvolve import Plan, plan_image, sharpen_eigenimages
from sharpen.model import EigenimageNetwork
from sharpen.spectra import Transfer

COEFFICIENTS = {
    2: (-0.0859, 0.9996, 0.1778, 0.4526),
    4: (-0.0066, 0.7225, 0.1032, 0.4695),
    8: (0.5238, 0.4439, -0.0077, 0.4444),
}
"""a, b, c, d of each scale, by `calibrate`."""
WIDE = {2: 2.525, 4: 2.58, 8: 2.571}
"""σ to either side that hold 95 % of the errors, of each scale, by `calibrate`; one σ holds 68 %."""
CALIBRATED_ON = tuple(DEGRADATIONS.values())
CALIBRATION_SEEDS = range(3_000_000, 3_000_008)  # of synthetic scenes that neither train nor validate the network
WINDOW = 5  # LR pixels on a side, over which the local deviation is taken
FLOOR = 0.05  # of the root of the expected error, added to local contrast: calm areas are not certain
GRID = 32  # frequencies along an axis for the expected error
MEAN_LOG = -0.635  # mean of log|e| for an error e of standard deviation 1


def expected_errors(plan: Plan) -> Tensor:
    """Return the root mean squared error (k,) of the Wiener estimate of all eigenimages, as their spectra have it."""
    transfer = Transfer(GRID, GRID, plan.scale, plan.psf)
    index = torch.arange(1, GRID * GRID)
    i, j = index // GRID, index % GRID
    errors = torch.empty(len(plan.spectra.power), dtype=torch.float64)
    for power in plan.spectra.power.unique():
        seen, gain, total = transfer.fidelity(i, j, power)
        chosen = plan.spectra.power == power
        ratio = plan.spectra.ratio[chosen, None]
        left = (total - gain / (seen + ratio)).clamp_min(0).mean(dim=1)
        errors[chosen] = plan.spectra.level[chosen] * left
    return errors.sqrt()


def features(plan: Plan, filtered: Tensor, sharpened: Tensor) -> Tensor:
    """Return what σ is made of, (4, k, r·h, r·w).

    filtered : v, (k, h, w). sharpened : (k, r·h, r·w), the eigenimages that were put together.
    """
    count = len(filtered)
    root = expected_errors(plan)[:count].float().clamp_min(1e-6)[:, None, None]
    padded = F.pad(filtered[None], (WINDOW // 2,) * 4, mode="replicate")
    mean, square = (F.avg_pool2d(x, WINDOW, 1)[0] for x in (padded, padded**2))
    local = (square - mean**2).clamp_min(0).sqrt()
    local = resize(local, plan.scale).clamp_min(0)
    padded = F.pad(sharpened[None], (1, 1, 1, 1), mode="replicate")[0]
    down, across = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2, (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    step = (down**2 + across**2).sqrt()
    ones = torch.ones_like(step)
    return torch.stack([ones, root.log() * ones, (local + FLOOR * root).log(), (step + FLOOR * root).log()])


def eigenimage_deviations(plan: Plan, filtered: Tensor, sharpened: Tensor) -> Tensor:
    """Return σ of the eigenimages (k, r·h, r·w); see `features`."""
    coefficients = torch.tensor(COEFFICIENTS[plan.scale])
    return torch.einsum("f,fkhw->khw", coefficients, features(plan, filtered, sharpened)).exp()


def band_deviations(plan: Plan, deviations: Tensor) -> Tensor:
    """Return σ of the bands (B, r·h, r·w), in the image's unit, from that of leading eigenimages (k, r·h, r·w)."""
    count = len(deviations)
    spectra = plan.basis.spectra()
    variance = ((spectra[:, :count] ** 2) @ (deviations.flatten(1) ** 2)).unflatten(1, deviations.shape[1:])
    rest = (spectra[:, count:] ** 2) @ (expected_errors(plan)[count:].float() ** 2)
    return (variance + rest[:, None, None]).sqrt()


@torch.no_grad()
def sharpened_eigenimages(plan: Plan, lr: Tensor, network: EigenimageNetwork) -> tuple[Tensor, Tensor]:
    """Return v (K, h, w) and the sharpened leading eigenimages (K, r·h, r·w) of an image in memory."""
    eigenimages = plan.leading_basis.coefficients(lr)
    z, v = plan.filter(eigenimages)
    sharpened = resize(z, plan.scale)
    residuals, _ = sharpen_eigenimages(plan, eigenimages, v, network)
    deviation = v[: len(residuals)].flatten(1).std(dim=1, correction=0)[:, None, None]
    sharpened[: len(residuals)] += residuals * deviation
    return v, sharpened


@torch.no_grad()
def standard_deviation(
    lr: Tensor, scale: int, psf: str, noise: float | None, network: EigenimageNetwork, plan: Plan | None = None
) -> Tensor:
    """Return a standard deviation for every pixel and band of the sharpened image, (B, r·h, r·w).

    Parameters: as of `sharpen.deconvolve.sharpen_tensor`. plan : of the image, if there is one.
    """
    plan = plan or plan_image(lr, scale, psf, noise)
    v, sharpened = sharpened_eigenimages(plan, lr, network)
    return band_deviations(plan, eigenimage_deviations(plan, v, sharpened))


def coverage(error: Tensor, deviation: Tensor, scale: int) -> tuple[float, float]:
    """Return the shares of errors within one σ and within `WIDE`, which shall be 68 % and 95 %."""
    ratio = error.abs() / deviation.clamp_min(1e-30)
    return tuple(float((ratio <= limit).float().mean()) for limit in (1.0, WIDE[scale]))


def calibrate(
    scale: int, network: EigenimageNetwork, seeds: range = CALIBRATION_SEEDS
) -> tuple[tuple[float, ...], float]:
    """Return `COEFFICIENTS` and `WIDE` of a scale, fitted to synthetic scenes under all of `CALIBRATED_ON`."""
    from lkca.data.synthetic_sensors import landscape_cube
    from sharpen.training import SIDE

    normal, target, ratios = torch.zeros(4, 4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64), []
    cases = []
    for seed in seeds:
        hr = torch.from_numpy(landscape_cube(seed, SIDE[scale]))
        for degradation in CALIBRATED_ON:
            lr = degradation(hr, scale, seed)
            plan = plan_image(lr, scale, degradation.psf)
            v, sharpened = sharpened_eigenimages(plan, lr, network)
            truth = plan.leading_basis.coefficients(hr)
            x = features(plan, v, sharpened).double()
            # Errors of band b are sums over eigenimages: those with much variance count.
            weight = plan.leading_basis.sigma.double()[:, None, None].expand_as(x[0]) ** 2
            y = (truth - sharpened).abs().clamp_min(1e-6).double().log() - MEAN_LOG
            normal += torch.einsum("fkhw,gkhw,khw->fg", x, x, weight)
            target += torch.einsum("fkhw,khw,khw->f", x, y, weight)
            cases.append((plan, x, hr - _bands(plan, lr, sharpened)))
    coefficients = torch.linalg.solve(normal, target)
    for plan, x, error in cases:
        deviation = band_deviations(plan, torch.einsum("f,fkhw->khw", coefficients, x).exp().float())
        ratios.append((error.abs() / deviation).flatten()[::7])
    found = np.quantile(torch.cat(ratios).numpy(), (0.6827, 0.95))
    coefficients[0] += math.log(found[0])
    return tuple(round(float(value), 4) for value in coefficients), round(float(found[1] / found[0]), 3)


def _bands(plan: Plan, lr: Tensor, sharpened: Tensor) -> Tensor:
    detail = (plan.leading_basis.spectra() @ sharpened.flatten(1)).unflatten(1, sharpened.shape[1:])
    return detail + resize(plan.tail(lr)[0] + plan.basis.mean[:, None, None], plan.scale)
