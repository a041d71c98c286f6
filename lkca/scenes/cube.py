"""A scene as a cube in memory."""

from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from lkca.scenes.no_data import FEW, SAMPLE, far_limit, missing_pixels, warn_of_far, warn_of_fills
from lkca.scenes.scene import Scene


def read_cube(
    scene: Scene, rows: slice = slice(None), columns: slice = slice(None), bands: slice = slice(None)
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Part of a scene as float32 (B, H, W) and its no-data mask (H, W), holding one copy and a small piece of the file.

    No-data pixels (see `missing_pixels`) become 0 in the cube and True in the mask; undeclared ones are said in a
    warning.
    """
    total_bands, height, width = scene.shape
    band_range, row_range = range(total_bands)[bands], range(height)[rows]
    needed = 4 * len(band_range) * len(row_range) * len(range(width)[columns])
    if needed > (free := psutil.virtual_memory().available):
        raise ValueError(
            f"{scene.path}: {needed / 1e9:.1f} GB as a cube in memory, of which {free / 1e9:.1f} GB are free: take a "
            "part of the scene, or another machine"
        )
    cube = np.empty((len(band_range), len(row_range), len(range(width)[columns])), np.float32)
    no_data, undeclared = np.zeros(cube.shape[1:], bool), np.zeros(cube.shape[1:], bool)
    pieces = 64
    # HDF5 stores bands apart, the other formats mostly rows: read along the axis that the file is laid out by.
    if scene.format == "matlab v7.3":
        step = -(-len(band_range) // pieces)
        for i in range(0, len(band_range), step):
            part = band_range[i : i + step]
            raw = scene.read(rows, columns, slice(part.start, part.stop, part.step))
            missing, filled = missing_pixels(raw, scene.no_data)
            no_data |= missing
            undeclared |= filled
            with np.errstate(over="ignore"):  # what is too large for float32 is no data, and becomes 0 below
                cube[i : i + step] = raw
    else:
        step = -(-len(row_range) // pieces)
        for i in range(0, len(row_range), step):
            part = row_range[i : i + step]
            raw = scene.read(slice(part.start, part.stop, part.step), columns, bands)
            no_data[i : i + step], undeclared[i : i + step] = missing_pixels(raw, scene.no_data)
            with np.errstate(over="ignore"):
                cube[:, i : i + step] = raw
    if scene.gains is not None:
        for image, gain, offset in zip(cube, scene.gains[bands], scene.offsets[bands], strict=True):
            image *= np.float32(gain)
            image += np.float32(offset)
    warn_of_fills(scene.path, int(undeclared.sum()), undeclared.size)
    if scene.dtype.kind == "f":
        no_data |= _far_pixels(scene.path, cube, no_data)
    if no_data.any():
        cube[:, no_data] = 0
    return cube, no_data


def _far_pixels(name: Path, cube: NDArray[np.float32], no_data: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Bool (H, W): pixels with a value far from all others, as `no_data.far_limit` has it."""
    valid = ~no_data
    far = np.zeros(no_data.shape, bool)
    if not valid.any():
        return far
    pixels = np.flatnonzero(valid)
    flat = cube.reshape(len(cube), -1)
    sample = flat[:, pixels[:: -(-len(cube) * len(pixels) // SAMPLE)]]
    most = max(float(np.abs(band[valid]).max()) for band in cube)
    limit = far_limit(sample, most)
    if limit == np.inf:
        return far
    found = np.empty(0, np.float32)
    for band in cube:
        here = valid & (np.abs(band) > limit)
        far |= here
        found = np.unique(np.append(found, band[here]))
    taken = len(found) <= FEW
    warn_of_far(name, found, int(far.sum()), taken)
    return far if taken else np.zeros_like(far)


def largest_valid_rectangle(no_data: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of the largest rectangle without a no-data pixel, by the histogram method.

    Raises
    ------
    ValueError
        If every pixel is no-data.
    """
    best, found = 0, None
    depth = np.zeros(no_data.shape[1] + 1, int)  # valid pixels upwards from this row; a 0 closes the last run
    for row, line in enumerate(no_data):
        depth[:-1] = np.where(line, 0, depth[:-1] + 1)
        open_runs: list[tuple[int, int]] = []  # (first column, depth), depths rising
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
