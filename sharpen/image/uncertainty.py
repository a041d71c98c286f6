"""Estimate a standard deviation for every pixel and band of a sharpened image.

For a scene of the fitted spectrum, the mean squared error of the Wiener estimate is known: one number for each
eigenimage. Local contrast tells where in the image the error lies: at edges, not in smooth areas. For each eigenimage

    log σ = a + b·log(root of the expected error) + c·log(local deviation) + d·log(local step) + e·m + f·n,

where the local deviation is that of v over 5x5 LR pixels, the step is the gradient of the sharpened eigenimage, m the
PSF's response at Nyquist and n the noise. `sharpen.study.calibrate` fits a to f to synthetic scenes. Errors have
heavier tails than a normal distribution, and scenes differ: `WIDE` times σ contains 95 % of the errors on three of four
synthetic scenes. The σ of bands follows from the eigenimages' spectra; errors of different eigenimages are taken as
independent.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from lkca.resize import resize
from sharpen.image.deconvolve import Plan, conditions, plan_image, sharpen_eigenimages
from sharpen.image.model import EigenimageNetwork
from sharpen.image.spectra import Transfer

COEFFICIENTS = {
    2: (-0.2743, 1.0258, 0.1464, 0.4783, 0.2693, 0.8002),
    4: (-0.0808, 0.5553, 0.0725, 0.4987, 0.0816, 0.2911),
    8: (0.4471, 0.6477, -0.0263, 0.4292, 0.0245, 0.0501),
}
"""a to f by scale, as `sharpen.study.calibrate` prints them."""
WIDE = {2: 2.816, 4: 2.954, 8: 2.634}
"""Multiples of σ that contain 95 % of the errors, by scale, as it prints them; one σ contains 68 %."""
WINDOW = 5  # LR pixels on a side of the window of the local deviation
FLOOR = 0.05  # of the root of the expected error, added to local contrast: smooth areas have errors too
GRID = 32  # frequencies along an axis for the expected error


def expected_errors(plan: Plan) -> Tensor:
    """Return the root mean squared error (k,) of the Wiener estimate of all eigenimages, by their spectra."""
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
    """Return the features of σ in every pixel, (4, k, r·h, r·w): 1, and the logarithms that b, c and d multiply.

    filtered : v, (k, h, w). sharpened : (k, r·h, r·w), the sharpened eigenimages.
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


def scene_conditions(plan: Plan) -> Tensor:
    """Return m and n, (2,): the PSF's response at Nyquist, and the leading eigenimages' noise, scaled to 0 to 1."""
    weights = plan.leading_basis.sigma**2
    return (weights / weights.sum().clamp_min(1e-30)) @ conditions(plan, plan.leading)


def eigenimage_deviations(plan: Plan, filtered: Tensor, sharpened: Tensor) -> Tensor:
    """Return σ of the eigenimages (k, r·h, r·w); see `features`."""
    return deviations_of(torch.tensor(COEFFICIENTS[plan.scale]), plan, features(plan, filtered, sharpened))


def deviations_of(coefficients: Tensor, plan: Plan, parts: Tensor) -> Tensor:
    """Return σ (k, r·h, r·w) from coefficients a to f (6,) and `features` (4, k, r·h, r·w)."""
    local, whole = coefficients[:4], coefficients[4:]
    return (torch.einsum("f,fkhw->khw", local, parts) + whole @ scene_conditions(plan)).exp()


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

    Parameters: see `sharpen.image.deconvolve.sharpen_tensor`. plan : of the image; None makes one.
    """
    plan = plan or plan_image(lr, scale, psf, noise)
    v, sharpened = sharpened_eigenimages(plan, lr, network)
    return band_deviations(plan, eigenimage_deviations(plan, v, sharpened))


def coverage(error: Tensor, deviation: Tensor, scale: int) -> tuple[float, float]:
    """Return the shares of errors within one σ and within `WIDE` times σ; ideal are 68 % and 95 %."""
    ratio = error.abs() / deviation.clamp_min(1e-30)
    return tuple(float((ratio <= limit).float().mean()) for limit in (1.0, WIDE[scale]))
