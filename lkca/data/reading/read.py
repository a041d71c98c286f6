"""Read hyperspectral scenes: MATLAB, numpy, ENVI and GeoTIFF files, whole or in part.

The content of a file decides its format, not only its suffix. Numbers are those in the file, no-data values included;
only `read_cube` applies gains, if they differ by band, and sets no-data pixels to 0.
"""

import difflib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lkca.data.no_data import far_pixels, missing_pixels, warn_of_fills
from lkca.data.reading.scene_file import BandChoice, SceneFile
from lkca.files import expand

FORMATS = "MATLAB .mat, ENVI (.hdr beside its data), GeoTIFF .tif, numpy .npy or .npz"
PIECES = 64  # in which a cube is read, so that little memory is needed beside the result


def open_scene_file(path: str | Path, key: str | None = None, layout: str | None = None) -> SceneFile:
    """Open a scene without reading its numbers.

    Parameters
    ----------
    path : a MATLAB file (v5 or v7.3), .npy, .npz, a GeoTIFF, or the header or the data file of an ENVI pair.
    key : variable of a .mat or .npz file; needed only where it holds several 3-D arrays.
    layout : order of the axes in .mat, .npy and .npz files, which do not state it: any order of the letters B, H and W;
        by default the usual "HWB". For MATLAB v7.3 it is the order that MATLAB shows.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or one half of an ENVI pair is missing.
    ValueError
        If it is not a scene, is truncated, has an impossible header, or its array is not 3-D and real; for a wrong or
        missing key or layout.
    """
    path = expand(path)
    if layout is not None and sorted(layout) != ["B", "H", "W"]:
        raise ValueError(f"layout {layout!r} is unknown: it is an order of B, H and W, such as HWB or BHW")
    _check_file(path)
    with path.open("rb") as stream:
        start = stream.read(520)
    suffix = path.suffix.lower()
    # Each format's library is imported only when needed: together they take seconds.
    if suffix in (".mat", ".npy", ".npz") or start.startswith((b"MATLAB ", b"\x93NUMPY")):
        from lkca.data.reading import array_files

        return array_files.open_array_file(path, key, layout)
    if key is not None or layout is not None:
        raise ValueError(f"{path}: key and layout are for .mat, .npy and .npz files; this format states its axes")
    from lkca.data.reading import envi, geotiff

    if geotiff.is_tiff(path):
        return envi.open_tiff(path)
    if suffix in (".tif", ".tiff"):
        raise ValueError(f"{path}: not a TIFF file, though its name says so (it starts with {start[:8]!r})")
    if suffix == ".hdr" or suffix in envi.DATA_SUFFIXES or envi.find_header(path):
        return envi.open_envi(path)
    raise ValueError(f"{path}: not a scene that can be read (suffix {suffix!r}). Expected: {FORMATS}.")


def read_cube(
    scene: SceneFile, rows: slice = slice(None), columns: slice = slice(None), bands: BandChoice = slice(None)
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Read a part as float32 (B, H, W) with its no-data mask (H, W), with little memory beside the result.

    Gains are applied if they differ by band or come with offsets; a common factor is not, because scenes are divided by
    their peak later. No-data pixels become 0 in the cube.

    Raises
    ------
    ValueError
        If the cube does not fit into the free memory.
    """
    import psutil

    chosen = scene.band_list(bands)
    top, bottom, _ = rows.indices(scene.shape[1])
    height, width = bottom - top, len(range(scene.shape[2])[columns])
    needed, free = 4 * len(chosen) * height * width, psutil.virtual_memory().available
    if needed > free:
        raise ValueError(
            f"{scene.path}: the cube takes {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free: take a part of the "
            "scene, or a machine with more memory"
        )
    cube = np.empty((len(chosen), height, width), np.float32)
    no_data, undeclared = np.zeros(cube.shape[1:], bool), np.zeros(cube.shape[1:], bool)
    # Read along the axis by which the file is stored: HDF5 by bands, the other formats mostly by rows.
    count = len(chosen) if scene.chunk_bands else height
    step = -(-count // PIECES)
    if scene.chunk_bands:
        step = -(-step // scene.chunk_bands) * scene.chunk_bands  # so that no chunk is unpacked twice
    for start in range(0, count, step):
        piece = slice(start, start + step)
        if scene.chunk_bands:
            part, place, into = scene.read(rows, columns, chosen[piece]), np.s_[:], cube[piece]
        else:
            here = slice(top + start, min(top + start + step, bottom))
            part, place, into = scene.read(here, columns, chosen), piece, cube[:, piece]
        missing, filled = missing_pixels(part, scene.no_data)
        no_data[place] |= missing
        undeclared[place] |= filled
        with np.errstate(over="ignore"):  # what is too large for float32 is no data, and becomes 0 below
            into[:] = part
    if scene.gains_differ:
        for image, gain, offset in zip(cube, scene.bands.gains[chosen], scene.bands.offsets[chosen], strict=True):
            image *= np.float32(gain)
            image += np.float32(offset)
    warn_of_fills(scene.path, int(undeclared.sum()), undeclared.size)
    if scene.dtype.kind == "f":
        no_data |= far_pixels(cube, no_data, scene.path)
    if no_data.any():
        cube[:, no_data] = 0
    return cube, no_data


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise ValueError(f"{path}: a folder, expected a scene file: {FORMATS}")
    if not path.exists():
        names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        similar = difflib.get_close_matches(path.name, names, n=3)
        hint = f" Did you mean {' or '.join(similar)}?" if similar else ""
        raise FileNotFoundError(f"{path}: no such file.{hint}")
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty (0 bytes). Copy or download it again.")
