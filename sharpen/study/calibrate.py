"""Fit the standard deviations of `sharpen.image.uncertainty` to the errors of a network on synthetic scenes.

    python -m sharpen.study.calibrate

prints the values of `COEFFICIENTS` and `WIDE` there for new weights. b, c and d are fitted to the logarithm of errors.
e and f are set so that the share of errors within one σ depends on neither PSF nor noise, a so that this share is 68 %
on average.
"""

import argparse
import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lkca.data.synthetic.sensors import landscape_cube
from lkca.degradation import DEGRADATIONS
from lkca.resize import resize
from sharpen.image.deconvolve import Plan, plan_image
from sharpen.image.model import EigenimageNetwork, load_pretrained
from sharpen.image.uncertainty import (
    WIDE,
    band_deviations,
    deviations_of,
    features,
    scene_conditions,
    sharpened_eigenimages,
)
from sharpen.study.samples import SIDE

HELD, WIDE_HELD = 0.6827, 0.95  # shares of errors within one σ, and within `WIDE` times σ
WIDE_SCENES = 0.75  # share of cases (a scene and a degradation) in which `WIDE` has that share of errors
CALIBRATED_ON = tuple(DEGRADATIONS.values())
CALIBRATION_SEEDS = range(3_000_000, 3_000_016)  # of synthetic scenes that are in neither training nor validation
STRIDE = 3  # every third pixel of a row and column is used; odd, so that all phases of an LR pixel are
MEAN_LOG = -0.635  # mean of log|e| for an error e of standard deviation 1


def calibrate(
    scale: int,
    network: EigenimageNetwork,
    seeds: range = CALIBRATION_SEEDS,
    log: Callable[[str], object] = lambda line: None,
) -> tuple[tuple[float, ...], float]:
    """Return `COEFFICIENTS` and `WIDE` of a scale, fitted to synthetic scenes under all of `CALIBRATED_ON`.

    log : gets a line on each degradation: the shares of errors within one and `WIDE` times the new σ.
    """
    normal, target, cases = torch.zeros(4, 4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64), []
    for seed in seeds:
        hr = torch.from_numpy(landscape_cube(seed, SIDE[scale]))
        for degradation in CALIBRATED_ON:
            lr = degradation(hr, scale, seed)
            plan = plan_image(lr, scale, degradation.psf)
            v, sharpened = sharpened_eigenimages(plan, lr, network)
            error = _thinned(hr - _bands(plan, lr, sharpened))
            x, wrong = (
                _thinned(part)
                for part in (features(plan, v, sharpened), plan.leading_basis.coefficients(hr) - sharpened)
            )
            y = wrong.abs().clamp_min(1e-6).double().log() - MEAN_LOG
            # Errors of bands are sums over eigenimages, so those with high variance count most.
            weight = plan.leading_basis.sigma.double()[:, None, None].expand_as(y) ** 2
            normal += torch.einsum("fkhw,gkhw,khw->fg", x.double(), x.double(), weight)
            target += torch.einsum("fkhw,khw,khw->f", x.double(), y, weight)
            cases.append((plan, x, error))
    coefficients = torch.cat([torch.linalg.solve(normal, target).float(), torch.zeros(2)])
    held = np.quantile(_ratios(coefficients, cases), HELD, axis=1)
    wholes = np.stack([scene_conditions(plan).numpy() for plan, _, _ in cases])
    coefficients[4:] = torch.from_numpy(np.linalg.lstsq(wholes - wholes.mean(0), np.log(held))[0])
    ratios = _ratios(coefficients, cases)
    one = np.quantile(ratios, HELD)
    wide = np.quantile(np.quantile(ratios, WIDE_HELD, axis=1), WIDE_SCENES)
    for number, degradation in enumerate(CALIBRATED_ON):
        part = ratios[number :: len(CALIBRATED_ON)]
        shares = ", ".join(f"{(part <= limit).mean():.1%}" for limit in (one, wide))
        log(f"{degradation.psf}, noise {degradation.noise:g} dB: {shares}")
    coefficients[0] += math.log(one)
    return tuple(round(float(value), 4) for value in coefficients), round(float(wide / one), 3)


def _ratios(coefficients: Tensor, cases: list[tuple[Plan, Tensor, Tensor]]) -> NDArray:
    """Return errors in units of σ, (cases, pixels times bands)."""
    rows = [error.abs() / band_deviations(plan, deviations_of(coefficients, plan, x)) for plan, x, error in cases]
    return torch.stack([row.flatten() for row in rows]).numpy()  # all scenes have the same size


def _thinned(images: Tensor) -> Tensor:
    every = slice(STRIDE // 2, None, STRIDE)
    return images[..., every, every].contiguous()


def _bands(plan: Plan, lr: Tensor, sharpened: Tensor) -> Tensor:
    detail = (plan.leading_basis.spectra() @ sharpened.flatten(1)).unflatten(1, sharpened.shape[1:])
    return detail + resize(plan.tail(lr)[0] + plan.basis.mean[:, None, None], plan.scale)


def main() -> None:
    """Calibrate from the command line."""
    parser = argparse.ArgumentParser(prog="python -m sharpen.study.calibrate", description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=int, choices=sorted(WIDE), help="default: all")
    scale = parser.parse_args().scale
    for each in (scale,) if scale else sorted(WIDE):
        coefficients, wide = calibrate(each, load_pretrained(each), log=print)
        print(f"COEFFICIENTS[{each}] = {coefficients}\nWIDE[{each}] = {wide}")


if __name__ == "__main__":
    main()
