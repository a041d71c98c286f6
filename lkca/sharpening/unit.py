"""Which number of a file stands for the 1 of training, and whether the file's numbers are of the same kind at all."""

import warnings
from pathlib import Path

import numpy as np

from lkca.scenes import Scene
from lkca.sharpening.scene_rows import SceneRows
from lkca.training.weights import Passport

USUAL_MEDIAN, USUAL_BRIGHT = 2.0, 0.01  # in units of the peak: above, below these the numbers are of another kind


def peak_of(scene: Scene, passport: Passport) -> float:
    """The number of this file that stands for the training scene's 1."""
    factor = 1.0 if passport.scale_factor is None else scene.scale_factor / passport.scale_factor
    return passport.peak * (factor if abs(factor - 1) > 1e-6 else 1.0)


def check_range(lr: SceneRows, scene: Scene, weights: str | Path, peak: float, forced: bool) -> None:
    """ValueError, or a warning if forced, where the numbers look as if they were of another kind (counts, reflectance,
    percent) than the weights'.
    """
    median, bright = np.percentile(lr.sample(), (50, 99.9))
    if bright >= USUAL_BRIGHT and median <= USUAL_MEDIAN:
        return
    message = (
        f"{scene.path}: its median is {median * peak:.4g} and its 99.9 percentile {bright * peak:.4g}, but for "
        f"{weights} the brightest is about {peak:.4g} (scale factor of this file: {scene.scale_factor:g}): "
        "are they the same quantity in the same unit?"
    )
    if not forced:
        raise ValueError(
            f"{message} Give the file its scale factor (ENVI: reflectance scale factor, GeoTIFF: scale), or go on all "
            "the same with --force-units."
        )
    warnings.warn(message, stacklevel=3)
