"""Which network sharpens a scene, and whether its weights fit the scene's bands."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from lkca.box import DEFAULT, KINDS, box_weights
from lkca.models import MODELS, build_model
from lkca.paths import expanded
from lkca.scenes import Scene
from lkca.scenes.bands import in_ranges
from lkca.training.weights import Passport, load_weights

WITHOUT_WEIGHTS = ("bicubic", "back-projection")
ANY_SCENE = (*WITHOUT_WEIGHTS, "lkca-any")  # models for any bands, in any unit
USUAL_SCALE = 4


def network(
    weights: str | Path, scene: Scene, scale: int | None = None, whole: Scene | None = None
) -> tuple[nn.Module, Passport]:
    """The network that is to sharpen a scene, and what its weights are for; see `upscale`.

    whole : the scene with the bands that were left out, to say which ones the weights need.

    Raises
    ------
    ValueError
        If it is not for such a scene, or not for that scale.
    FileNotFoundError
        If there are no such weights.
    """
    bands = scene.shape[0]
    if str(weights) in WITHOUT_WEIGHTS:
        scale = USUAL_SCALE if scale is None else scale
        return build_model(str(weights), bands, scale), Passport(str(weights), bands, scale)
    if weights is None or str(weights) in KINDS:
        weights = box_weights(USUAL_SCALE if scale is None else scale, str(weights or DEFAULT))
    path = expanded(weights)
    path = path / "weights.safetensors" if path.is_dir() else path
    if not path.is_file() and str(weights) in MODELS:
        raise ValueError(f"{weights} is a network's name: give a run's folder, its weights.safetensors, or bicubic")
    model, passport = load_weights(path)
    if scale not in (None, passport.scale):
        raise ValueError(
            f"{path} enlarges {passport.scale} times, but scale {scale} is asked for: leave the scale out, or train "
            f"weights for {scale}"
        )
    if passport.model in ANY_SCENE:
        return model, passport
    if passport.bands != bands:
        raise ValueError(
            f"{scene.path} has {bands} usable bands, but {path} was trained on {passport.bands} "
            f"({passport.trained_on}): {_bands_hint(scene, whole or scene, passport)}"
        )
    _check_wavelengths(scene, passport, path)
    return model, passport


def _bands_hint(scene: Scene, whole: Scene, passport: Passport) -> str:
    """What to do where a scene's usable bands are not as many as the weights'."""
    if whole.wavelengths is not None and passport.wavelengths is not None:
        trained = np.array(passport.wavelengths)
        distances = np.abs(whole.wavelengths[:, None] - trained)
        needed = [int(band) for band in distances.argmin(axis=0)]
        if distances.min(axis=0).max() <= _spacing(trained) / 2 and len(set(needed)) == len(needed):
            here = set(scene.wavelengths)
            dead = [band for band in needed if whole.wavelengths[band] not in here]
            if dead:
                return (
                    f"it needs the bands {in_ranges(dead)} as well, which are left out here (--bands takes in those "
                    "that are only marked as bad); where they hold no data, use the weights in the box, which take "
                    "any bands (no --weights), or train on this scene"
                )
            return f"give the same bands with --bands {in_ranges(needed).replace(' ', '')}"
    return (
        "give the bands that it was trained on with --bands (dead ones are left out by themselves, and may be others "
        "here), or a scene of the same sensor, or train on this one"
    )


def _spacing(wavelengths: NDArray[np.float64]) -> float:
    return float(np.median(np.abs(np.diff(wavelengths)))) if len(wavelengths) > 1 else 10.0


def _check_wavelengths(scene: Scene, passport: Passport, path: Path) -> None:
    """ValueError where a band lies farther from the weights' than half their spacing."""
    if (scene.wavelengths is None) != (passport.wavelengths is None):
        knows, silent = (scene.path, path) if passport.wavelengths is None else (path, scene.path)
        warnings.warn(
            f"{knows} knows its wavelengths, {silent} does not: whether the bands fit is not checked", stacklevel=4
        )
    if scene.wavelengths is None or passport.wavelengths is None:
        return
    trained = np.array(passport.wavelengths)
    spacing = _spacing(trained)
    wrong = np.flatnonzero(np.abs(scene.wavelengths - trained) > spacing / 2)
    if len(wrong):
        band = wrong[0]
        raise ValueError(
            f"{scene.path}: band {band + 1} is at {scene.wavelengths[band]:.1f} nm, but {path} was trained with it at "
            f"{trained[band]:.1f} nm ({len(wrong)} of {len(trained)} bands differ by more than half the spacing of "
            f"{spacing:.1f} nm): choose the same bands in the same order (--bands), or train on this scene"
        )
