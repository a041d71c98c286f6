"""Open GeoTIFF scenes through rasterio (GDAL)."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from lkca.data.array_files import check_array
from lkca.data.scene_file import SceneFile
from lkca.data.wavelengths import Wavelengths, in_nanometres

MAX_BANDS = 10_000  # no sensor has more, and GDAL takes minutes for the tags of 65,535
MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # little- and big-endian, classic and BigTIFF
TYPE_BYTES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)  # by TIFF's number of a type; 0: there is none


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
        fields = {name.lower(): text for space in (None, "ENVI") for name, text in raster.tags(ns=space).items()}
        wavelengths, fwhm = _wavelengths(path, raster, fields)
        gains, offsets = own_units(path, raster.scales, raster.offsets)
        beside = [Path(file) for file in raster.files if Path(file).name != path.name]
        return SceneFile(
            path, "geotiff", shape, np.dtype(kind), lambda *part: _read(str(path), *part), [path, *beside],
            wavelengths, fwhm, raster.nodata, gains, offsets, fields,
        )  # fmt: skip


def _check_tiff(path: Path) -> None:
    """Raise ValueError where a page of a TIFF, or a value of its tags, lies beyond the end of the file.

    GDAL leaves out what it cannot read of these: pages, wavelengths, scale factors, the georeference.
    """
    with path.open("rb") as stream:
        start = stream.read(16)
        order = ">" if start.startswith(b"MM") else "<"
        is_big = b"+" in start[2:4]
        count, offset = (order + "Q", order + "Q") if is_big else (order + "H", order + "I")
        entry = struct.Struct(order + ("HHQ8s" if is_big else "HHI4s"))  # tag, type, count, value or place
        try:
            (page,) = struct.unpack_from(offset, start, 8 if is_big else 4)
            seen: set[int] = set()
            while page and page not in seen:
                seen.add(page)
                stream.seek(page)
                (entries,) = struct.unpack(count, stream.read(struct.calcsize(count)))
                for tag, kind, number, value in entry.iter_unpack(stream.read(entries * entry.size)):
                    size = number * (TYPE_BYTES[kind] if kind < len(TYPE_BYTES) else 0)
                    if size > len(value) and struct.unpack(offset, value)[0] + size > path.stat().st_size:
                        raise ValueError(f"its tag {tag} lies beyond the end of the file")
                (page,) = struct.unpack(offset, stream.read(struct.calcsize(offset)))
        except (struct.error, ValueError, OverflowError) as error:
            raise ValueError(f"{path}: truncated or damaged ({error}). Copy or download it again.") from error


@contextmanager
def open_raster(path: Path | str) -> Iterator[rasterio.DatasetReader]:
    """Open by rasterio, whose errors become a ValueError that names the file.

    path : a file, which is checked first if it is a TIFF; or GDAL's name of one, such as `GTIFF_DIR:2:a.tif`.
    """
    if isinstance(path, Path) and path.is_file() and is_tiff(path):
        _check_tiff(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # most benchmark scenes have no georeference
        try:
            with rasterio.open(path) as raster:
                yield raster
        except (RasterioError, CPLE_BaseError) as error:  # the second where rasterio lets GDAL's own through
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


def _read(path: str, rows: slice, columns: slice, bands: list[int]) -> NDArray:
    with open_raster(path) as raster:
        return raster.read([band + 1 for band in bands], window=Window.from_slices(rows, columns))


def _wavelengths(
    path: Path, raster: rasterio.DatasetReader, fields: dict[str, str]
) -> tuple[Wavelengths | None, Wavelengths | None]:
    """Return wavelengths and widths from GDAL's IMAGERY tags, else from the bands' own, else from the dataset's lists."""
    for space, names in (("IMAGERY", ("central_wavelength_um", "fwhm_um")), (None, ("wavelength", "fwhm"))):
        tags = [{name.lower(): value for name, value in raster.tags(i, ns=space).items()} for i in raster.indexes]
        centres, widths = ([each.get(name) for each in tags] for name in names)
        if None not in centres:
            unit = "um" if space else tags[0].get("wavelength_units") or tags[0].get("wavelength_unit")
            return in_nanometres(path, raster.count, centres, None if None in widths else widths, unit)
    lists = {name: fields[name].strip("{}[], ").split(",") for name in ("wavelength", "fwhm") if name in fields}
    unit = fields.get("wavelength_units") or fields.get("wavelength_unit")
    return in_nanometres(path, raster.count, lists.get("wavelength"), lists.get("fwhm"), unit)
