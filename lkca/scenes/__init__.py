"""Scenes: one way to open a hyperspectral file, whatever its format.

>>> scene = open_scene("data/scene.mat")  # doctest: +SKIP
>>> scene.shape, scene.wavelengths  # (B, H, W); nm or None                           # doctest: +SKIP
>>> scene.cube  # (B, H, W), read now                                                  # doctest: +SKIP

A new format is one file with one function that returns a `Scene`, and one line in `open_scene`. What writes scenes is
`lkca.scenes.writing`; it is not imported here, because GDAL takes its time.
"""

import difflib
from pathlib import Path

from lkca.paths import expanded
from lkca.scenes.scene import Scene, check_cube
from lkca.scenes.variables import BANDS_FIRST

__all__ = ["Scene", "check_cube", "open_scene"]

FORMATS = "MATLAB .mat, ENVI (.hdr beside its data), GeoTIFF .tif, GDAL's .vrt, numpy .npy or .npz"


def open_scene(path: str | Path, key: str | None = None, layout: str = "HWB") -> Scene:
    """Open a hyperspectral scene without reading its cube.

    Parameters
    ----------
    path : str or Path
        MATLAB (v5 or v7.3), ENVI (the header or the data file; the data may be raw or a TIFF), GeoTIFF, VRT, .npy
        or .npz. What is in the file decides, not only its suffix.
    key : str, optional
        The variable to take from a .mat or .npz file. Needed only where it holds several 3-D arrays.
    layout : {"HWB", "BHW", "HBW"}
        Order of the axes in .mat, .npy and .npz files, which do not say it themselves: the field's habit is
        (height, width, bands). For MATLAB v7.3 the order is the one that MATLAB shows.

    Returns
    -------
    Scene
        Its cube is always (B, H, W).

    Raises
    ------
    FileNotFoundError
        No such file, or one half of an ENVI pair is missing.
    ValueError
        Not a scene, truncated, a wrong or missing key, not a 3-D array of real numbers, an impossible header.
    """
    path = expanded(path)
    if layout not in BANDS_FIRST:
        raise ValueError(f"layout {layout!r} is unknown: choose 'HWB' (height, width, bands), 'BHW' or 'HBW'")
    _check_file(path)
    with path.open("rb") as stream:
        start = stream.read(520)
    suffix = path.suffix.lower()

    # The formats' libraries are imported only when needed: together they take seconds.
    if suffix == ".mat" or start.startswith(b"MATLAB "):
        from lkca.scenes.matlab import open_matlab

        return open_matlab(path, key, layout)
    if suffix in (".npy", ".npz") or start.startswith(b"\x93NUMPY"):
        from lkca.scenes.numpy_file import open_numpy

        return open_numpy(path, key, layout)

    if key is not None:
        raise ValueError(f"{path}: key {key!r} was given, but only .mat and .npz hold variables; leave it out")
    if layout != "HWB":
        raise ValueError(f"{path}: layout {layout!r} was given, but this format knows its own axes; leave it out")
    from lkca.scenes import envi, geotiff

    if suffix == ".vrt":
        return geotiff.open_vrt(path)
    if geotiff.is_tiff(path):
        header = envi.find_header(path)
        return envi.open_tiff_pair(path, header) if header else geotiff.open_geotiff(path)
    if suffix in (".tif", ".tiff"):
        raise ValueError(
            f"{path}: not a TIFF file, though its name says so: it starts with {start[:8]!r}. "
            "Copy or download it again."
        )
    if suffix == ".hdr" or suffix in envi.DATA_SUFFIXES or envi.find_header(path):
        return envi.open_envi(path)
    raise ValueError(f"{path}: not a scene that can be read (suffix {suffix!r}). Expected: {FORMATS}.")


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise ValueError(f"{path}: a folder, expected a scene file: {FORMATS}")
    if not path.exists():
        folder = path.parent
        if not folder.is_dir():
            raise FileNotFoundError(f"{path}: no such file; the folder {folder} does not exist either")
        names = [entry.name for entry in folder.iterdir() if entry.is_file()]
        similar = difflib.get_close_matches(path.name, names, n=3, cutoff=0.6)
        hint = f" Did you mean {' or '.join(similar)}?" if similar else ""
        raise FileNotFoundError(f"{path}: no such file.{hint}")
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty (0 bytes). Copy or download it again.")
