"""Open scenes as xarray, whatever their format, and write them.

>>> scene = open_scene("scene.hdr")  # doctest: +SKIP
>>> values, missing = read_block(scene, slice(0, 64), bands=usable_bands(scene)[0])  # doctest: +SKIP

GDAL (rasterio) reads what it has a driver for, with its georeference and masks. Other code reads what GDAL cannot:
`lkca.data.reading` reads MATLAB, numpy and ENVI (headers that GDAL refuses; truncated data and file types that are no
images are found before reading); `sharpen.scene.products` reads HDF5 with the bands last, and the products of imaging
spectrometers.
"""

import re
from pathlib import Path

import h5py
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lkca.data.reading import envi
from lkca.data.reading.envi_header import read_header
from lkca.data.reading.geotiff import is_tiff
from lkca.data.reading.read import open_scene_file
from lkca.data.suspicions import doubtful_axes, middle
from lkca.files import expand
from sharpen.scene.blocks import gains_and_offsets, missing_by_band, numbers_in, read_block, usable_bands
from sharpen.scene.georeference import Georeference, envi_georeference, georeference_of, place
from sharpen.scene.lazy import make_scene
from sharpen.scene.products import image_of, open_product
from sharpen.scene.raster import open_gdal
from sharpen.scene.write import SceneWriter, write_scene

__all__ = [
    "SceneWriter",
    "doubt_axes",
    "gains_and_offsets",
    "missing_by_band",
    "numbers_in",
    "open_scene",
    "read_block",
    "source_files",
    "upsampled",
    "usable_bands",
    "write_scene",
]

ARRAY_SUFFIXES = (".mat", ".npy", ".npz")
HDF_SUBDATASET = re.compile(r'(?:NETCDF|HDF5):"?(.+?)"?:(?://)?([^":]+)')
SUBDATASET = re.compile(r"[A-Z][A-Z0-9_]+:.+")
ESRI_HEADER = re.compile(rb"^\s*(BYTEORDER|LAYOUT|NROWS|NCOLS)\s+\w", re.IGNORECASE | re.MULTILINE)
ESRI_SUFFIXES = (".bil", ".bip", ".bsq", ".flt")
LIBRARIES = {  # suffix -> what opens it
    ".hdf": "pyhdf, or rioxarray with a GDAL that has HDF4 (conda-forge: libgdal-hdf4)",
    ".zarr": "xarray.open_zarr",
    ".grib": "xarray with cfgrib",
    ".fits": "astropy.io.fits",
    ".ecw": "rioxarray with a GDAL that has the ECW driver",
    ".sid": "rioxarray with a GDAL that has the MrSID driver",
}


def open_scene(path: str | Path, key: str | None = None, layout: str | None = None) -> xr.DataArray:
    """Open a hyperspectral scene without reading its pixels.

    Parameters
    ----------
    path : ENVI (header or data), GeoTIFF, MATLAB, .npy, .npz, a product of EMIT, PRISMA, EnMAP, DESIS, NEON or Tanager,
        HDF5, netCDF, and what GDAL opens, subdatasets included: `NETCDF:"f.nc":reflectance`.
    key : the variable of a .mat, .npz, HDF5 or netCDF file; needed only where it holds several 3-D arrays.
    layout : order of the axes, any order of B, H and W, for a file that does not say it. None takes "HWB" (MATLAB,
        numpy) or "BHW" as GDAL does (HDF5).

    Returns
    -------
    DataArray (band, y, x), read when it is indexed; numbers and dtype as in the file: not scaled, no-data values kept.
        Coordinates on band: `band` from 1, `good_band` (bool); where known `wavelength` and `fwhm` (nm), `band_name`;
        `gain` and `offset`, and `no_data`, where they differ by band. On (y, x): `masked` (bool, read when used), where
        the file has a mask. `.rio.crs`, `.rio.transform()`, `.rio.nodata`, `.rio.get_gcps()` as rioxarray has them.
        attrs: source; files (all that are read); scale_factor and add_offset as CF has them (value = number *
        scale_factor + add_offset; see `gains_and_offsets`); rpcs; mask (its kind); metadata (the header's fields);
        read_at_once (bytes that any reading unpacks, where they are many); assumed_layout (if the file says none).

    Raises
    ------
    FileNotFoundError
        No such file; one half of an ENVI pair, or a source of a .vrt, is missing.
    ValueError
        Not a hyperspectral scene, a truncated file, a wrong or missing key, an impossible header.
    """
    text = str(path)
    if SUBDATASET.fullmatch(text) and not Path(text).exists():
        return _open_subdataset(text, key, layout)
    path = expand(path)
    suffix = path.suffix.lower()
    if not path.is_file() or not path.stat().st_size or suffix in ARRAY_SUFFIXES:
        return _open_file(path, key, layout)  # which also raises the error for a missing file
    with path.open("rb") as stream:
        start = stream.read(8)
    if start.startswith((b"MATLAB", b"\x93NUMPY")):
        return _open_file(path, key, layout)
    if h5py.is_hdf5(path):
        return open_product(path, key, layout)
    if key is not None or layout is not None:
        raise ValueError(f"{path}: key {key!r} and layout {layout!r}, but this format knows its own; leave them out")
    if suffix == ".xml":
        path = image_of(path)
    elif suffix == ".hdr":
        if start.strip().lower().startswith(b"envi") or not ESRI_HEADER.search(path.read_bytes()[:4096]):
            return _open_header(path)
        path = next((path.with_suffix(end) for end in ESRI_SUFFIXES if path.with_suffix(end).is_file()), path)
    elif envi.find_header(path) and not is_tiff(path):
        return _open_file(path)
    return _open_by_gdal(path)


def source_files(scene: xr.DataArray) -> list[Path]:
    """Return every file that the scene is read from, that of its numbers first; none for a scene made in memory."""
    return [Path(file) for file in scene.attrs.get("files", ())]


def doubt_axes(scene: xr.DataArray) -> str:
    """Return a sentence if another axis is likelier to hold the bands than the one read as such; else "".

    Only files without named axes, read in the default layout, can be in doubt.
    """
    if "assumed_layout" not in scene.attrs:
        return ""
    doubt = doubtful_axes(scene[middle(scene.shape)].values, scene.shape, scene.attrs["assumed_layout"])
    return f"{scene.attrs['source']}: {doubt} (--layout, layout=)" if doubt else ""


def upsampled(scene: xr.DataArray, values: NDArray, scale: int) -> xr.DataArray:
    """Return values (B, scale*h, scale*w) with the metadata of `scene`: same bands, pixels `scale` times smaller."""
    attrs = {name: value for name, value in scene.attrs.items() if name not in ("transform", "rpcs", "files", "mask")}
    result = xr.DataArray(values, dims=("band", "y", "x"), name=scene.name, attrs=attrs)
    result = result.assign_coords({name: each for name, each in scene.coords.items() if each.dims == ("band",)})
    return place(result, georeference_of(scene).moved(scale))


def _open_subdataset(name: str, key: str | None, layout: str | None) -> xr.DataArray:
    """Open what GDAL names, such as NETCDF:"f.nc":reflectance; HDF5 by h5py, which sees where the bands are."""
    match = HDF_SUBDATASET.fullmatch(name)
    if match and (path := expand(match[1])).is_file() and h5py.is_hdf5(path):
        return open_product(path, match[2], layout, default="BHW")
    if key is not None or layout is not None:
        raise ValueError(f"{name}: key {key!r} and layout {layout!r}, but the name says what is read; leave them out")
    if match and not path.is_file():
        raise FileNotFoundError(f"{name}: no such file as {path}")
    return open_gdal(name)


def _open_header(path: Path) -> xr.DataArray:
    """Open an ENVI header: its data may be raw or a TIFF."""
    fields = read_header(path, quiet=True)
    data = envi.find_data(path, fields)
    return open_gdal(data, path) if is_tiff(data) else _open_file(path)


def _open_by_gdal(path: Path) -> xr.DataArray:
    try:
        return open_gdal(path)
    except ValueError as error:
        if "not recognized as being in a supported file format" not in str(error):
            raise
        suffix = path.suffix.lower()
        if suffix in (".tif", ".tiff", *envi.DATA_SUFFIXES):
            return _open_file(path)  # which raises the error: no TIFF, or a missing header
        library = LIBRARIES.get(suffix, "rioxarray.open_rasterio and a GDAL that has a driver for it")
        raise ValueError(
            f"{path}: unknown format, expected MATLAB, numpy, ENVI, HDF5, netCDF or one of GDAL's. If it is a scene, "
            f"open it with {library}, and pass the DataArray to sharpen.sharpen."
        ) from error


def _open_file(path: Path, key: str | None = None, layout: str | None = None) -> xr.DataArray:
    """Open what `lkca.data.reading.read` opens: MATLAB, numpy and raw ENVI files."""
    file = open_scene_file(path, key, layout)
    fields = file.metadata
    attrs = {"source": str(path), "files": [str(each) for each in file.files], "metadata": fields}
    if not fields and layout is None:
        attrs["assumed_layout"] = "HWB"
    if file.format == "matlab" or path.suffix.lower() == ".npz":  # unpacked as a whole, which needs two copies
        attrs["read_at_once"] = 2 * file.dtype.itemsize * int(np.prod(file.shape, dtype=object))
    where = envi_georeference(path, fields) if fields else Georeference()
    return make_scene(file.reader, file.shape, file.dtype, attrs, file.bands, where, (file.no_data,))
