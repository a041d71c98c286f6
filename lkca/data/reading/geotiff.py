"""Open GeoTIFF scenes through rasterio (GDAL)."""

import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from lkca.data.reading.array_files import check_array
from lkca.data.reading.bands import Bands, checked_gains, describe_bands, numbers_of
from lkca.data.reading.scene_file import SceneFile

MAX_BANDS = 10_000  # no sensor has more, and GDAL takes minutes for the tags of 65,535
MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # little- and big-endian, classic and BigTIFF
TYPE_BYTES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)  # by TIFF's number of a type; 0: no such type


def is_tiff(path: Path) -> bool:
    """Return whether a file begins as a TIFF does."""
    with path.open("rb") as stream:
        return stream.read(4) in MAGIC


def open_geotiff(path: Path) -> SceneFile:
    """Open a GeoTIFF of one page; see `lkca.data.reading.read.open_scene_file`.

    A file with several pages, an alpha band, a mask, or no-data values or types that differ by band is refused; the
    package `sharpen` reads those.
    """
    with open_raster(path) as raster:
        check_raster(path, raster)
        flags = {flag for band in raster.mask_flag_enums for flag in band}
        for found, what in (
            (len(raster.subdatasets) > 1, "several pages"),
            (ColorInterp.alpha in raster.colorinterp or MaskFlags.alpha in flags, "an alpha band"),
            (MaskFlags.per_dataset in flags, "a mask"),
            (len({repr(value) for value in raster.nodatavals}) > 1, "no-data values that differ by band"),
            (len(set(raster.dtypes)) > 1, "bands of different types"),
        ):
            if found:
                raise ValueError(f"{path}: has {what}, which training does not read; sharpen.open_scene does")
        shape, kind = (raster.count, raster.height, raster.width), raster.dtypes[0]
        check_array(path, shape, kind, "image")
        beside = [Path(file) for file in raster.files if Path(file).name != path.name]
        return SceneFile(
            path, "geotiff", shape, np.dtype(kind), RasterReader(str(path), raster.indexes, {}), [path, *beside],
            raster_bands(path, raster), no_data_of(path, raster)[0],
            {name.lower(): text for name, text in raster_fields(raster).items()},
        )  # fmt: skip


def check_tiff(path: Path) -> None:
    """Raise ValueError if a page of a TIFF, or a value of its tags, lies beyond the end of the file.

    GDAL silently leaves out those that it cannot read: pages, wavelengths, scale factors, the georeference.
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
    """Open a raster by rasterio; its errors become a ValueError that names the file.

    path : a file, which is checked first if it is a TIFF; or a GDAL name such as `GTIFF_DIR:2:a.tif`.
    """
    if isinstance(path, Path) and path.is_file() and is_tiff(path):
        check_tiff(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # most benchmark scenes have no georeference
        try:
            with rasterio.open(path) as raster:
                yield raster
        except (RasterioError, CPLE_BaseError) as error:  # the second: GDAL's own, which rasterio may pass on
            cause = error.__cause__ or error
            raise ValueError(f"{path}: cannot be read, truncated or damaged ({cause}). Copy it again.") from error


def check_raster(path: object, raster: rasterio.DatasetReader) -> None:
    """Raise ValueError if a raster has too many bands, or a colour table, which no image of spectra has."""
    if raster.count > MAX_BANDS:
        raise ValueError(f"{path}: says that it has {raster.count} bands, more than {MAX_BANDS}; is it damaged?")
    if raster.colorinterp == (ColorInterp.palette,):
        raise ValueError(f"{path}: has a colour table: it holds classes, not spectra. Choose an image of spectra.")


def raster_fields(raster: rasterio.DatasetReader) -> dict[str, str]:
    """Return the tags of a dataset, including those of GDAL's ENVI domain."""
    return {**raster.tags(), **raster.tags(ns="ENVI")}


def no_data_of(source: object, raster: rasterio.DatasetReader) -> Sequence[float | None]:
    """Return the no-data value of each band; if GDAL has none, that of a tag `data_ignore_value`."""
    if raster.nodatavals[0] is None and (tag := numbers_of(source, raster_fields(raster), "data ignore value", 1)):
        return tag * raster.count
    return raster.nodatavals


def raster_bands(
    source: object,
    raster: rasterio.DatasetReader,
    fields: Mapping[str, str] | None = None,
    indexes: Sequence[int] | None = None,
) -> Bands:
    """Return what a dataset, and the header beside it, say of its bands.

    source : the file, for messages. fields : of the header, used in place of the dataset's tags; None if there is none.
    indexes : of the bands, from 1; None takes all.
    """
    indexes = raster.indexes if indexes is None else indexes
    spaces = ("IMAGERY", "ENVI", None)
    tags = [{name: text for space in spaces for name, text in raster.tags(band, ns=space).items()} for band in indexes]
    names = [raster.descriptions[band - 1] for band in indexes]
    gains, offsets = ([each[band - 1] for band in indexes] for each in (raster.scales, raster.offsets))
    own = Bands(None, None, None, None, *checked_gains(source, gains, offsets))
    return own.updated(
        describe_bands(source, len(indexes), raster_fields(raster) if fields is None else fields, tags, names)
    )


class RasterReader:
    """Read windows of a dataset, opened anew each time: GDAL keeps unpacked data until it closes the file."""

    def __init__(self, name: str, indexes: Sequence[int], options: Mapping[str, str]) -> None:
        self.name, self.indexes, self.options = name, indexes, options

    def __call__(self, rows: slice, columns: slice, bands: list[int]) -> NDArray:
        with rasterio.Env(**self.options), open_raster(self.name) as raster:
            return raster.read([self.indexes[band] for band in bands], window=Window.from_slices(rows, columns))
