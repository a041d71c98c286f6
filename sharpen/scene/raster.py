"""Open files by GDAL (rasterio): georeference, masks, alpha bands, pages and tags in every spelling."""

import contextlib
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import scipy.io
import xarray as xr
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.windows import Window

from lkca.data.reading import envi
from lkca.data.reading.bands import describe_bands, numbers_of
from lkca.data.reading.envi_header import as_texts
from lkca.data.reading.geotiff import (
    RasterReader,
    check_raster,
    check_tiff,
    is_tiff,
    no_data_of,
    open_raster,
    raster_bands,
    raster_fields,
)
from lkca.data.reading.scene_file import Reader
from sharpen.scene.georeference import Georeference, envi_georeference
from sharpen.scene.lazy import make_scene
from sharpen.scene.products import read_product

BLOCK_BYTES = 2**20  # of a row of blocks of all bands; more is noted in attrs as read_at_once
ALPHA_SIDE = 256  # pixels on a side of the middle of an alpha band that is examined
MAX_ALPHA_VALUES = 32  # different values there: a mask has two, one with soft edges a few
DRIVER_PREFIX = re.compile(r"([A-Z][A-Z0-9_]+):|/vsi")
SPATIAL_DIMENSIONS = re.compile(r"\{.*\b(y|x|lat|lon|latitude|longitude|rows?|lines?|downtrack|crosstrack)\b.*\}")


def open_gdal(path: str | Path, header: Path | None = None) -> xr.DataArray:
    """Open a file, or a subdataset by GDAL's name for it; see `sharpen.scene.io.open_scene`.

    header : the ENVI header that led to a TIFF; None without one.

    Raises
    ------
    ValueError
        GDAL cannot open it, it is truncated, or it is no image of one type of real numbers.
    FileNotFoundError
        A source of a .vrt does not exist.
    """
    with open_raster(path) as raster:
        return _scene_of(raster, path, header)


def _scene_of(raster: rasterio.DatasetReader, path: str | Path, header: Path | None) -> xr.DataArray:
    _check(raster, path)
    spectral = [
        band for band, kind in zip(raster.indexes, raster.colorinterp, strict=True) if kind != ColorInterp.alpha
    ]
    kinds = {raster.dtypes[band - 1] for band in spectral}
    if len(kinds) != 1:
        raise ValueError(f"{path}: its bands are of different types, {', '.join(sorted(kinds))}; a scene has one")
    dtype = np.dtype(kinds.pop())
    if dtype.kind not in "iuf":
        raise ValueError(f"{path}: holds {dtype} numbers, expected real ones. Save its absolute value or real part.")
    pages = _pages(raster, path)
    count = len(pages or [1]) * len(spectral)
    sources = _sources(raster)
    # GDAL turns a netCDF image upside down if it has no georeference.
    options = {"GDAL_NETCDF_BOTTOMUP": "NO"} if any(each.is_unplaced_netcdf for each in sources) else {}
    reader: Reader = _PageReader(pages, spectral) if pages else RasterReader(str(path), spectral, options)
    files = [str(path), *(file for file in raster.files if file != str(path) and not DRIVER_PREFIX.match(file))]
    attrs = {"source": str(path)}
    block = raster.block_shapes[0][0] * raster.width * raster.count * np.dtype(dtype).itemsize
    if block > BLOCK_BYTES:  # GDAL's copy of the blocks of all bands, and one as stored in the file
        attrs["read_at_once"] = 2 * block
    mask = None
    alpha = next((band for band in raster.indexes if band not in spectral), None)
    if alpha or MaskFlags.per_dataset in {flag for flags in raster.mask_flag_enums for flag in flags} and not pages:
        attrs["mask"] = "alpha" if alpha else "mask"
        _warn_of_alpha(raster, path, alpha)
        mask = _GdalMask(str(path), alpha)
    fields, described, where = raster_fields(raster), None, _georeference(raster)
    no_data = no_data_of(path, raster)
    no_data = no_data[:1] if pages else [no_data[band - 1] for band in spectral]
    if isinstance(path, Path) and is_tiff(path):
        described = envi.tiff_header(path, (count if pages else raster.count, raster.height, raster.width), header)
    if described is not None:
        header, fields = described[0], as_texts(described[1])
        files = [*files, str(header)]
        ignored = numbers_of(header, fields, "data ignore value", 1)
        no_data = ignored or no_data
        where = envi_georeference(header, fields) if where == Georeference() else where
    bands = describe_bands(path, count, fields) if pages else raster_bands(header or path, raster, fields, spectral)
    product = read_product(Path(path), count) if described is None else None
    if product is not None:
        bands, files = bands.updated(product.bands), [*files, str(product.file)]
        no_data = [product.no_data] if no_data[0] is None else no_data
    placed = [each.said for each in sources if each.said]
    if where == Georeference() and placed:
        warnings.warn(
            f"{path}: has no georeference, but its source {placed[0]}, which is left out: write the .vrt "
            "with gdal_translate, which keeps it",
            stacklevel=4,
        )
    attrs["files"] = files
    attrs["metadata"] = {name: text for name, text in fields.items() if not re.fullmatch(r"Band_\d+", name)}
    return make_scene(reader, (count, raster.height, raster.width), dtype, attrs, bands, where, no_data, mask)


def _check(raster: rasterio.DatasetReader, path: str | Path) -> None:
    if not raster.count:
        names = ", ".join(raster.subdatasets[:8]) or "nothing"
        raise ValueError(f"{path}: holds no image itself, but {names}. Give one of these names instead.")
    check_raster(path, raster)
    missing = [file for file in raster.files if not DRIVER_PREFIX.match(file) and not Path(file).exists()]
    if missing:
        raise FileNotFoundError(f"{path}: names {missing[0]} as a source, which does not exist; make {path} again")
    if (data := Path(raster.files[0])).is_file():
        _check_whole(raster, data)
    if SPATIAL_DIMENSIONS.fullmatch(raster.tags().get("NETCDF_DIM_EXTRA", "").lower()):
        raise ValueError(
            f"{path}: the bands are not its first dimension, where GDAL expects them. Open it with "
            "xarray.open_dataset, transpose it to (band, y, x), and pass that to sharpen.sharpen."
        )


def _warn_of_alpha(raster: rasterio.DatasetReader, path: str | Path, alpha: int | None) -> None:
    """Warn of an alpha band that looks like data: GDAL declares the last of four byte bands as alpha by itself."""
    if alpha is None:
        return
    row, column = (max(0, (size - ALPHA_SIDE) // 2) for size in raster.shape)
    found = np.unique(raster.read(alpha, window=Window(column, row, ALPHA_SIDE, ALPHA_SIDE), boundless=False))
    if len(found) > MAX_ALPHA_VALUES:
        warnings.warn(
            f"{path}: its band {alpha} is declared as alpha, so it is taken as a mask and left out, but it has values "
            f"like data ({found[0]} to {found[-1]}). If it is data: gdal_translate -colorinterp_{alpha} undefined",
            stacklevel=5,
        )


def _check_whole(raster: rasterio.DatasetReader, path: Path) -> None:
    """Raise ValueError for a truncated file of a format in which GDAL silently fills what is missing."""
    size = path.stat().st_size
    try:
        if raster.driver == "GTiff":
            check_tiff(path)
        elif raster.driver == "EHdr":
            row = sum(np.dtype(kind).itemsize for kind in raster.dtypes) * raster.width
            _check_size(path, row * raster.height, size)
        elif raster.driver == "PCIDSK":
            with path.open("rb") as stream:
                _check_size(path, 512 * int(stream.read(32)[16:]), size)  # it counts blocks of 512 bytes
        elif raster.driver == "netCDF":
            scipy.io.netcdf_file(path, mmap=True).close()
    except (ValueError, TypeError, IndexError) as error:
        if str(path) in str(error):
            raise
        raise ValueError(f"{path}: truncated or damaged ({error}). Copy or download it again.") from error


def _check_size(path: str | Path, needed: int, found: int) -> None:
    if found < needed:
        raise ValueError(f"{path}: truncated: {found} bytes, at least {needed} expected. Copy or download it again.")


def _pages(raster: rasterio.DatasetReader, path: str | Path) -> list[str]:
    """Return the names of a TIFF's pages if it has several of one kind, which are then its bands; else nothing.

    Raises
    ------
    ValueError
        Its pages differ, or there are fewer of them than ImageJ's note says.
    """
    pages = [name for name in raster.subdatasets if name.startswith("GTIFF_DIR:")]
    noted = re.search(r"^images=(\d+)", raster.tags().get("TIFFTAG_IMAGEDESCRIPTION", ""), re.MULTILINE)
    if noted and int(noted[1]) > max(1, len(pages)) * raster.count:
        raise ValueError(
            f"{path}: ImageJ wrote {noted[1]} images into it, of which GDAL sees {max(1, len(pages))}. Save it as "
            "pages (tifffile.imwrite with bigtiff=True), or in another format."
        )
    if len(pages) < 2:
        return []
    kinds = set()
    for page in pages:
        with open_raster(page) as each:
            kinds.add((each.count, each.height, each.width, each.dtypes[0]))
    if len(kinds) > 1:
        shapes = ", ".join(f"{count} bands of {height}x{width} {kind}" for count, height, width, kind in sorted(kinds))
        raise ValueError(f"{path}: its {len(pages)} pages differ ({shapes}). Give one of them, such as {pages[0]}.")
    return pages


def _georeference(raster: rasterio.DatasetReader) -> Georeference:
    gcps, gcp_crs = raster.gcps
    if gcps and raster.transform.is_identity:
        return Georeference(gcp_crs, None, tuple(gcps), raster.rpcs)
    transform = None if raster.transform.is_identity else raster.transform
    return Georeference(raster.crs or None, transform, (), raster.rpcs)


@dataclass(frozen=True)
class _Source:
    """A dataset that numbers come from. said : its name and the georeference it has, "" without one."""

    is_unplaced_netcdf: bool
    said: str


def _sources(raster: rasterio.DatasetReader) -> list[_Source]:
    """Return the dataset itself; of a .vrt its sources, if it has no georeference."""
    if raster.driver != "VRT":
        return [_source(raster, "")]
    found = []
    for name in raster.files if _georeference(raster) == Georeference() else ():
        with contextlib.suppress(ValueError), open_raster(name) as source:  # not every file listed is a raster
            if source.driver != "VRT":
                found.append(_source(source, name))
    return found


def _source(raster: rasterio.DatasetReader, name: str) -> _Source:
    where = _georeference(raster)
    has = {"control points": where.gcps, "rational polynomials (RPC)": where.rpcs, "a transform": where.transform}
    what = " and ".join(each for each, there in has.items() if there)
    unplaced = raster.driver == "netCDF" and where.transform is None
    return _Source(unplaced, f"{name} has {what}" if name and what else "")


class _PageReader:
    """Reads bands that are pages, or samples of pages, of a TIFF."""

    def __init__(self, pages: list[str], indexes: list[int]) -> None:
        self.pages, self.indexes = pages, indexes

    def __call__(self, rows: slice, columns: slice, bands: list[int]) -> NDArray:
        window, images = Window.from_slices(rows, columns), []
        for page, sample in (divmod(band, len(self.indexes)) for band in bands):
            with open_raster(self.pages[page]) as raster:
                images.append(raster.read(self.indexes[sample], window=window))
        return np.stack(images)


class _GdalMask:
    """True where the alpha band is 0, or without one GDAL's mask of the dataset (internal or in a .msk)."""

    def __init__(self, name: str, alpha: int | None) -> None:
        self.name, self.alpha = name, alpha

    def __call__(self, rows: slice, columns: slice) -> NDArray[np.bool_]:
        window = Window.from_slices(rows, columns)
        with open_raster(self.name) as raster:
            return (raster.read(self.alpha, window=window) if self.alpha else raster.dataset_mask(window=window)) == 0
