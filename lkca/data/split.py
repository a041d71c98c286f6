"""Prepare areas to train and test on: normalise them to [0, 1], divide them, crop no-data from test areas."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lkca.data.datasets import find_dataset
from lkca.data.wavelengths import rgb_bands

HOT_PIXELS = 99.99  # percentile taken as the maximum, because single hot pixels would compress all other values


@dataclass(frozen=True)
class Area:
    """A piece of a scene to train or test on.

    name : its name in tables and errors.
    cube : float32 (B, H, W), in [0, 1] once normalised; often a view of a larger array.
    no_data : bool (H, W), True where nothing was measured; None where all pixels are valid.
    """

    name: str
    cube: NDArray[np.float32]
    no_data: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Split:
    """A dataset as a run sees it.

    train, test : areas in [0, 1]; of a large scene they are views of one array.
    wavelengths : (B,) in nm, or None.
    peak : the value in the file that became 1.
    checksum : SHA-256 over the source files, or over the cubes of synthetic scenes.
    validation : areas to choose the best weights by; empty if a part of the training areas serves for that.
    scale_factor : factor between physical values and the numbers in the file, None if unknown.
    """

    dataset: str
    variant: str
    train: tuple[Area, ...]
    test: tuple[Area, ...]
    wavelengths: NDArray[np.float64] | None
    peak: float
    checksum: str
    validation: tuple[Area, ...] = ()
    scale_factor: float | None = None

    @property
    def bands(self) -> int:
        return (*self.train, *self.test)[0].cube.shape[0]

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Band numbers, from 0, to show as red, green, blue: as declared, else by the wavelengths."""
        return find_dataset(self.dataset).rgb or rgb_bands(self.bands, self.wavelengths)


def hot_pixel_limit(areas: Sequence[Area]) -> float:
    """Return the percentile `HOT_PIXELS` of all values of the areas except no-data, without copying the areas."""
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
    """Divide (B, H, W) by `peak` and clip it to [0, 1], in place; return it.

    Raises
    ------
    ValueError
        If the peak is not positive.
    """
    if not peak > 0:
        raise ValueError(f"the scene's maximum is {peak}: nothing to normalise by")
    for band in cube:
        np.divide(band, np.float32(peak), out=band)
        np.clip(band, 0, 1, out=band)
    return cube


def crop_no_data(area: Area) -> Area:
    """Crop a test area to its largest rectangle without no-data, and warn if that is not the whole area.

    Raises
    ------
    ValueError
        If every pixel is no-data.
    """
    if area.no_data is None or not area.no_data.any():
        return area
    inside = largest_valid_rectangle(area.no_data)
    warnings.warn(
        f"test area {area.name!r} has {area.no_data.sum()} pixels without data: measured on its largest rectangle "
        f"without any, rows {inside[0].start}:{inside[0].stop}, columns {inside[1].start}:{inside[1].stop}",
        stacklevel=2,
    )
    return Area(area.name, area.cube[:, *inside])


def largest_valid_rectangle(no_data: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return the rows and columns of the largest rectangle without a no-data pixel, by the histogram method.

    Raises
    ------
    ValueError
        If every pixel is no-data.
    """
    best, found = 0, None
    depth = np.zeros(no_data.shape[1] + 1, int)  # valid pixels upwards from this row; the extra 0 closes the last run
    for row, line in enumerate(no_data):
        depth[:-1] = np.where(line, 0, depth[:-1] + 1)
        open_runs: list[tuple[int, int]] = []  # (first column, depth), depths ascending
        for column, d in enumerate(depth):
            start = column
            while open_runs and open_runs[-1][1] >= d:
                start, run_depth = open_runs.pop()
                if run_depth * (column - start) > best:
                    best = run_depth * (column - start)
                    found = slice(row - run_depth + 1, row + 1), slice(start, column)
            open_runs.append((start, int(d)))
    if found is None:
        raise ValueError("every pixel of the area is no-data")
    return found


def part_area(area: Area, axis: int, line: int) -> tuple[Area, Area]:
    """Divide an area at row (axis 0) or column (axis 1) `line` into the part before it and the rest, both views."""
    return _cut(area, axis, slice(line)), _cut(area, axis, slice(line, None))


def _cut(area: Area, axis: int, along: slice) -> Area:
    part = (along, slice(None)) if axis == 0 else (slice(None), along)
    return Area(area.name, area.cube[:, *part], None if area.no_data is None else area.no_data[part])
