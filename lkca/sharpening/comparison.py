"""What can be said of a sharpened scene without a truth: where two results differ, and whether one, shrunk again, is
the scene it was made from. Scenes are read in strips; all values are the file's divided by its scale factor.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from lkca.measures.resize import resize
from lkca.scenes import Scene
from lkca.scenes.cube import read_cube

NUMBERS_AT_ONCE = 2**25  # of a strip
REACH = 2  # LR pixels on either side that the shrinking kernel looks at


def change_map(one: Scene, other: Scene) -> NDArray[np.floating]:
    """Root mean square over bands of the difference of two scenes of one shape: (H, W), NaN without data.

    Raises
    ------
    ValueError
        If their shapes differ.
    """
    if one.shape != other.shape:
        raise ValueError(
            f"{one.path} has shape (B, H, W) = {one.shape}, {other.path} has {other.shape}: not comparable"
        )
    result = np.empty(one.shape[1:], np.float32)
    for start, stop in _strips(one, 1):
        first, missing = _values(one, start, stop)
        second, missing_too = _values(other, start, stop)
        result[start:stop] = _rms(first - second, missing | missing_too)
    return result


def consistency_map(before: Scene, after: Scene) -> NDArray[np.floating]:
    """Root mean square over bands of the enlarged scene, shrunk as LR images are made in training, minus the scene
    itself: (h, w), NaN without data or beside it. It says whether the result agrees with what was measured, not
    whether the detail added is true.

    Raises
    ------
    ValueError
        If the one is no enlargement of the other.
    """
    bands, height, width = before.shape
    scale = after.shape[1] // height
    if after.shape != (bands, scale * height, scale * width):
        raise ValueError(f"{after.path}, {after.shape}, is not an enlargement of {before.path}, {before.shape}")
    result = np.empty((height, width), np.float32)
    for start, stop in _strips(before, scale**2):
        first, last = max(0, start - REACH), min(height, stop + REACH)
        measured, missing = _values(before, first, last)
        enlarged, _ = _values(after, scale * first, scale * last)
        shrunk = resize(torch.from_numpy(enlarged), 1 / scale).numpy()
        beside = binary_dilation(missing, np.ones((2 * REACH + 1,) * 2)) if missing.any() else missing
        result[start:stop] = _rms(shrunk - measured, beside)[start - first : stop - first]
    return result


def mean_of_map(values: NDArray[np.floating]) -> float:
    """Root mean square of a map, pixels without data left out."""
    return float(np.sqrt(np.nanmean(np.square(values, dtype=np.float64))))


def corners(scene: Scene) -> dict[str, tuple[float, float]]:
    """(x, y) of the outer corners of the image, in the units of its CRS; of pixels where it has no georeference."""
    height, width = scene.shape[1:]
    places = {
        "upper left": (0, 0),
        "upper right": (width, 0),
        "lower left": (0, height),
        "lower right": (width, height),
    }
    return {name: scene.transform * place if scene.transform else place for name, place in places.items()}


def corner_shift(before: Scene, after: Scene) -> float:
    """How far the corners of two images of one place lie apart at most, in pixels of the first; NaN without both
    georeferences.
    """
    if before.transform is None or after.transform is None:
        return np.nan
    pairs = zip(corners(before).values(), corners(after).values(), strict=True)
    side = abs(before.transform.determinant) ** 0.5
    return max(float(np.hypot(a[0] - b[0], a[1] - b[1])) for a, b in pairs) / side


def corner_table(scenes: dict[str, Scene]) -> pd.DataFrame:
    """A table with a row for each scene: its size in pixels, and its corners (see `corners`)."""
    rows = {
        name: {"pixels": f"{scene.shape[1]} x {scene.shape[2]}"}
        | {corner: f"{x:.3f}, {y:.3f}" for corner, (x, y) in corners(scene).items()}
        for name, scene in scenes.items()
    }
    return pd.DataFrame(rows).T


def _values(scene: Scene, start: int, stop: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    cube, missing = read_cube(scene, slice(start, stop))
    cube /= np.float32(scene.scale_factor)
    return cube, missing


def _rms(difference: NDArray[np.float32], missing: NDArray[np.bool_]) -> NDArray[np.float32]:
    values = np.sqrt(np.square(difference).mean(axis=0))
    values[missing] = np.nan
    return values


def _strips(scene: Scene, numbers: int) -> Iterator[tuple[int, int]]:
    """The first row and the end of each strip of a scene, for work that needs `numbers` numbers for each of its own."""
    bands, height, width = scene.shape
    rows = max(1, NUMBERS_AT_ONCE // (bands * width * numbers))
    for start in range(0, height, rows):
        yield start, min(start + rows, height)
