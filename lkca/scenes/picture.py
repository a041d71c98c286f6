"""A scene as a picture in colour, whatever it knows of its wavelengths."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lkca.scenes.no_data import missing_values
from lkca.scenes.wavelengths import shows_colours

if TYPE_CHECKING:  # a scene knows its picture, a picture only reads a scene
    from lkca.scenes.scene import Scene

NO_DATA = 0.85  # the grey of pixels without data
MOST_PIXELS = 1000  # on a side
SAMPLE = 100_000  # pixels that decide stretch and components
COLOUR = 0.12  # how far the second and third component turn grey into colour


def picture(scene: "Scene", rgb: Sequence[int] | None = None, most: int = MOST_PIXELS) -> NDArray[np.float64]:
    """(h, w, 3) in [0, 1], every n-th pixel of a large scene; pixels without data are grey.

    Colours are the bands `rgb` (from 0 on) or those nearest to red, green and blue, each between its 2nd and 98th
    percentile. A scene whose wavelengths are unknown, or are not those of colours, is shown by its principal
    components: the first is the brightness, the next two tint it.
    """
    step = max(1, -(-max(scene.shape[1:]) // most))
    every = slice(None, None, step)
    if rgb is None and not shows_colours(scene.wavelengths) and scene.shape[0] > 3:
        return _components(*_read(scene, every, None))
    values, missing = _read(scene, every, list(scene.rgb_bands() if rgb is None else rgb))
    if rgb is None and missing.all():  # a band of colour is a dead one
        return _components(*_read(scene, every, None))
    return _grey_where(missing, np.stack([_stretched(band, missing) for band in values], axis=-1))


def _read(scene: "Scene", every: slice, bands: list[int] | None) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(b, h, w), 0 without data, and where that is."""
    block = scene.read(every, every) if bands is None else scene.read(every, every, bands)
    valid = ~np.logical_or(*missing_values(block, scene.no_data))
    alive = valid.any(axis=(1, 2))  # a dead band says nothing on the others' pixels
    if bands is None:
        block, valid = block[alive], valid[alive]
    missing = ~valid.all(axis=0) if len(valid) else np.ones(block.shape[1:], bool)
    values = block.astype(np.float64)
    values[:, missing] = 0
    return values, missing


def _components(values: NDArray[np.float64], missing: NDArray[np.bool_]) -> NDArray[np.float64]:
    pixels = values[:, ~missing]
    if pixels.shape[1] < 2:
        return np.full((*missing.shape, 3), NO_DATA)
    mean = pixels.mean(axis=1, keepdims=True)
    sample = pixels[:, :: max(1, pixels.shape[1] // SAMPLE)] - mean
    _, vectors = np.linalg.eigh(sample @ sample.T / sample.shape[1])
    vectors = vectors[:, ::-1][:, :3]
    vectors = vectors * np.sign(vectors.sum(axis=0))  # an eigenvector's sign is nobody's choice: mostly positive
    scores = np.einsum("bk,bhw->khw", vectors, values - mean[..., None])
    scores = np.concatenate([scores, np.zeros((3 - len(scores), *missing.shape))])  # fewer than three bands
    bright = _stretched(scores[0], missing)
    warm, green = (2 * _stretched(score, missing) - 1 if score.any() else score for score in scores[1:])
    shown = np.stack([bright + COLOUR * warm, bright + COLOUR * green, bright - COLOUR * (warm + green) / 2], axis=-1)
    return _grey_where(missing, shown.clip(0, 1))


def _stretched(band: NDArray[np.float64], missing: NDArray[np.bool_]) -> NDArray[np.float64]:
    if missing.all():
        return np.zeros(band.shape)
    low, high = np.percentile(band[~missing], (2, 98))
    return ((band - low) / (high - low if high > low else 1)).clip(0, 1)


def _grey_where(missing: NDArray[np.bool_], shown: NDArray[np.float64]) -> NDArray[np.float64]:
    shown[missing] = NO_DATA
    return shown
