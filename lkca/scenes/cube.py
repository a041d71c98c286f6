"""A scene as a cube in memory, and the one rule of what is no data."""

import warnings

import numpy as np
import psutil
from numpy.typing import NDArray

from lkca.scenes.scene import Scene, _as_dtype

LARGEST = 1e15  # of a float: the fill values of netCDF (9.97e36), IDL and the types' own limits are beyond
FILLS = (-9999, -99999, -32768)


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
    if no_data.any():
        cube[:, no_data] = 0
    return cube, no_data


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


def missing_pixels(raw: NDArray, no_data: float | None) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(H, W) twice, of (B, H, W): where any band has no data, and where only an undeclared fill value says so.

    No data is the no-data value, NaN and infinity; and what no instrument measures and programs fill gaps with: floats
    beyond `LARGEST`, the least number of a signed type, and `FILLS` exactly.
    """
    declared, undeclared = np.zeros(raw.shape[1:], bool), np.zeros(raw.shape[1:], bool)
    own = _as_dtype(no_data, raw.dtype)
    is_float, signed = raw.dtype.kind == "f", raw.dtype.kind == "i" and raw.dtype.itemsize > 1
    least = np.iinfo(raw.dtype).min if signed else None
    fills = [fill for fill in (*FILLS, least) if fill is not None and _as_dtype(fill, raw.dtype) not in (None, own)]
    for band in raw:
        here = np.zeros(band.shape, bool)
        if own is not None:
            here |= band == own
        if is_float:
            here |= ~np.isfinite(band)
            undeclared |= (np.abs(band) > LARGEST) & ~here
        if (is_float or signed) and np.fmin.reduce(band, axis=None, initial=0) <= max(FILLS):
            for fill in fills:
                undeclared |= (band == fill) & ~here
        declared |= here
    return declared | undeclared, undeclared & ~declared


def warn_of_fills(name: object, undeclared: int, pixels: int) -> None:
    """Say how many pixels were taken as no data though the file does not declare their value."""
    if undeclared:
        warnings.warn(
            f"{name}: {undeclared} of {pixels} pixels have a value that cannot be data (beyond {LARGEST:g}, the least "
            f"number of its type, or {', '.join(map(str, FILLS))}) and that the file does not declare: they are taken "
            "as no data",
            stacklevel=3,
        )
