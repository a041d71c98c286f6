"""Open GeoTIFF scenes through rasterio (GDAL)."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from lkca.data.array_files import check_array
from lkca.data.read import SceneFile
from lkca.data.wavelengths import Wavelengths, in_nanometres

MAX_BANDS = 10_000  # no sensor has more, and GDAL takes minutes for the tags of 65,535
MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # little- and big-endian, classic and BigTIFF


def is_tiff(path: Path) -> bool:
    """Return whether the file starts as a TIFF does."""
    with path.open("rb") as stream:
        return stream.read(4) in MAGIC


def open_geotiff(path: Path) -> SceneFile:
    """Open a GeoTIFF of one page; see `lkca.data.read.open_scene_file`.

    A file with several pages, an alpha band, a mask or no-data values that differ by band is refused: the package
    `sharpen` reads those.
    """
    with open_raster(path) as raster:
        if raster.count > MAX_BANDS:
            raise ValueError(f"{path}: says that it has {raster.count} bands, more than {MAX_BANDS}; is it damaged?")
        flags = {flag for band in raster.mask_flag_enums for flag in band}
        for found, what in (
            (len(raster.subdatasets) > 1, "several pages"),
            (ColorInterp.alpha in raster.colorinterp or MaskFlags.alpha in flags, "an alpha band"),
            (MaskFlags.per_dataset in flags, "a mask"),
            (len({repr(value) for value in raster.nodatavals}) > 1, "no-data values that differ by band"),
            (len(set(raster.dtypes)) > 1, "bands of unlike types"),
        ):
            if found:
                raise ValueError(f"{path}: has {what}, which is not read here; open it with sharpen.open_scene")
        shape, kind = (raster.count, raster.height, raster.width), raster.dtypes[0]
        check_array(path, shape, kind, "image")
        wavelengths, fwhm = _wavelengths(path, raster)
        gains, offsets = own_units(path, raster.scales, raster.offsets)
        beside = [Path(file) for file in raster.files if Path(file).name != path.name]
        return SceneFile(
            path, "geotiff", shape, np.dtype(kind), lambda *part: _read(path, *part), [path, *beside],
            wavelengths, fwhm, raster.nodata, gains, offsets, dict(raster.tags()),
        )  # fmt: skip


@contextmanager
def open_raster(path: Path) -> Iterator[rasterio.DatasetReader]:
    """Open by rasterio, whose errors become a ValueError that names the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # most benchmark scenes have no georeference
        try:
            with rasterio.open(path) as raster:
                yield raster
        except RasterioError as error:
            cause = error.__cause__ or error
            raise ValueError(f"{path}: cannot be read, truncated or damaged ({cause}). Copy it again.") from error


def own_units(path: Path, gains: object, offsets: object) -> tuple[NDArray | None, NDArray | None]:
    """Return gains and offsets (B,) where bands differ or have an offset; None twice where one factor serves for all."""
    gains, offsets = np.asarray(gains, np.float64), np.asarray(offsets, np.float64)
    if not (np.isfinite(gains).all() and np.isfinite(offsets).all() and gains.all()):
        warnings.warn(f"{path}: its gains or offsets hold 0 or no number; they are left out", stacklevel=3)
        return None, None
    alike = not offsets.any() and np.ptp(gains) <= 1e-9 * abs(gains[0])
    return (None, None) if alike else (gains, offsets)


def _read(path: Path, rows: slice, columns: slice, bands: list[int]) -> NDArray:
    with open_raster(path) as raster:
        return raster.read([band + 1 for band in bands], window=Window.from_slices(rows, columns))


def _wavelengths(path: Path, raster: rasterio.DatasetReader) -> tuple[Wavelengths | None, Wavelengths | None]:
    """Return wavelengths and widths from GDAL's IMAGERY tags, else from the bands' own tags."""
    for space, names in (("IMAGERY", ("central_wavelength_um", "fwhm_um")), (None, ("wavelength", "fwhm"))):
        tags = [{name.lower(): value for name, value in raster.tags(i, ns=space).items()} for i in raster.indexes]
        centres, widths = ([each.get(name) for each in tags] for name in names)
        if None not in centres:
            unit = "um" if space else tags[0].get("wavelength_units") or tags[0].get("wavelength_unit")
            return in_nanometres(path, raster.count, centres, None if None in widths else widths, unit)
    return None, None
