"""GeoTIFF and VRT, through rasterio (GDAL)."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from lkca.scenes.scene import Reader, Scene
from lkca.scenes.units import units
from lkca.scenes.variables import check_array
from lkca.scenes.wavelengths import in_nanometres

MOST_BANDS = 10_000  # no sensor has more, and GDAL takes minutes for the tags of 65,535
MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # little- and big-endian, classic and BigTIFF


def is_tiff(path: Path) -> bool:
    """Whether the file starts as a TIFF does."""
    with path.open("rb") as stream:
        return stream.read(4) in MAGIC


def open_geotiff(path: Path) -> Scene:
    """Open a GeoTIFF; see `lkca.open_scene`. Bands are pages or samples, as GDAL counts them."""
    with open_raster(path) as raster:
        shape = (raster.count, raster.height, raster.width)
        if raster.count > MOST_BANDS:
            raise ValueError(f"{path}: says that it has {raster.count} bands, more than {MOST_BANDS}; is it damaged?")
        kinds = set(raster.dtypes)
        if len(kinds) > 1:
            raise ValueError(f"{path}: bands of different types, {', '.join(sorted(kinds))}; a scene has one")
        kind = kinds.pop()
        check_array(path, shape, kind, "image")
        wavelengths, fwhm = _wavelengths(path, raster)
        names = raster.descriptions
        return Scene(
            path,
            "geotiff",
            shape,
            np.dtype(kind),
            reader=_reader(path, np.dtype(kind), raster.block_shapes[0][0]),
            rows_at_once=min(raster.height, raster.block_shapes[0][0]),
            # GDAL's own copy of the blocks of all bands, and one block as it comes out of the file
            at_once=2 * raster.block_shapes[0][0] * raster.width * raster.count * np.dtype(kind).itemsize,
            wavelengths=wavelengths,
            fwhm=fwhm,
            band_names=tuple(name or "" for name in names) if any(names) else None,
            no_data=raster.nodata,
            **units(path, raster.scales, raster.offsets),
            crs=raster.crs or None,
            transform=None if raster.transform.is_identity else raster.transform,
            metadata=dict(raster.tags()),
        )


def open_vrt(path: Path) -> Scene:
    """Open a GDAL virtual raster, which joins tiles or bands of local files; see `lkca.open_scene`."""
    for source in read_files(path):
        if not source.is_file():
            raise FileNotFoundError(f"{path}: names {source} as a source, which is no file here; make the .vrt again")
    return replace(open_geotiff(path), format="vrt")


def read_files(path: Path) -> list[Path]:
    """The file and every other one that GDAL reads with it: sources of a .vrt, what is beside a TIFF."""
    with open_raster(path) as raster:
        return [path, *(Path(file) for file in raster.files if Path(file).name != path.name)]


@contextmanager
def open_raster(path: Path) -> Iterator[rasterio.DatasetReader]:
    """`rasterio.open`, with its errors turned into a ValueError that names the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # most benchmark scenes have no georeference
        try:
            with rasterio.open(path) as raster:
                yield raster
        except RasterioError as error:
            cause = error.__cause__ or error
            raise ValueError(
                f"{path}: cannot be read, truncated or damaged ({cause}). Copy or download it again."
            ) from error


def _reader(path: Path, dtype: np.dtype, block_height: int) -> Reader:
    """Opens the file anew for every 64 rows or so: until it is closed, GDAL keeps what it unpacked (up to a
    twentieth of the machine's memory)."""
    step = block_height * max(1, 64 // block_height)

    def read(rows: slice, columns: slice, bands: list[int]) -> np.ndarray:
        out = np.empty((len(bands), rows.stop - rows.start, columns.stop - columns.start), dtype)
        for start in range(rows.start // step * step, rows.stop, step):
            part = slice(max(start, rows.start), min(start + step, rows.stop))
            with open_raster(path) as raster:
                out[:, part.start - rows.start : part.stop - rows.start] = raster.read(
                    [band + 1 for band in bands], window=Window.from_slices(part, columns)
                )
        return out

    return read


def _wavelengths(path: Path, raster: rasterio.DatasetReader) -> tuple[np.ndarray | None, np.ndarray | None]:
    """From GDAL's IMAGERY tags, else from the bands' own tags, where ENVI and others put them."""
    indexes = raster.indexes
    imagery = [raster.tags(index, ns="IMAGERY") for index in indexes]
    if all("CENTRAL_WAVELENGTH_UM" in tags for tags in imagery):
        widths = [tags.get("FWHM_UM") for tags in imagery]
        centers = [tags["CENTRAL_WAVELENGTH_UM"] for tags in imagery]
        return in_nanometres(path, raster.count, centers, None if None in widths else widths, "um")
    own = [{name.lower(): value for name, value in raster.tags(index).items()} for index in indexes]
    if not all("wavelength" in tags for tags in own):
        return None, None
    unit = own[0].get("wavelength_units") or own[0].get("wavelength_unit")
    widths = [tags.get("fwhm") for tags in own]
    return in_nanometres(
        path, raster.count, [tags["wavelength"] for tags in own], None if None in widths else widths, unit
    )
