"""From the numbers of a file to areas in [0, 1] without no-data."""

import math
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lkca.data.patches import Area
from lkca.scenes.cube import largest_valid_rectangle

HOT_PIXELS = 99.99  # percentile that stands for the maximum where single hot pixels would squeeze everything else


def hot_pixel_limit(areas: Sequence[Area]) -> float:
    """The percentile `HOT_PIXELS` of all values of the areas but no-data, found without a second copy of them."""
    valid = [np.ones(area.cube.shape[1:], bool) if area.no_data is None else ~area.no_data for area in areas]
    count = sum(len(area.cube) * int(v.sum()) for area, v in zip(areas, valid, strict=True))
    position = HOT_PIXELS / 100 * (count - 1)
    needed = count - math.floor(position)
    largest = np.empty(0, np.float32)
    for area, v in zip(areas, valid, strict=True):
        for band in area.cube:
            largest = np.concatenate([largest, band[v]])
            if len(largest) > needed:
                largest = np.partition(largest, -needed)[-needed:]
    below, above = np.sort(largest)[[0, min(1, needed - 1)]].astype(float)
    return float(below + (above - below) * (position % 1))


def normalise(cube: NDArray[np.float32], peak: float) -> NDArray[np.float32]:
    """Divide by `peak` and clip to [0, 1], in place, band by band."""
    if not peak > 0:
        raise ValueError(f"the scene's maximum is {peak}: nothing to normalise by")
    for band in cube:
        np.divide(band, np.float32(peak), out=band)
        np.clip(band, 0, 1, out=band)
    return cube


def without_no_data(area: Area) -> Area:
    """The largest rectangle of a test area that has data everywhere, with a warning where that is not all of it."""
    if area.no_data is None or not area.no_data.any():
        return area
    inside = largest_valid_rectangle(area.no_data)
    warnings.warn(
        f"test area {area.name!r} has {area.no_data.sum()} pixels without data: measured on its largest rectangle "
        f"without any, rows {inside[0].start}:{inside[0].stop}, columns {inside[1].start}:{inside[1].stop}",
        stacklevel=2,
    )
    return Area(area.name, area.cube[:, *inside])
