"""Open what GDAL opens, by rasterio: georeference, masks, alpha, pages, tags of every spelling."""

import re
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
import scipy.io
import xarray as xr
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.windows import Window

from lkca.data import envi
from lkca.data.geotiff import MAX_BANDS, is_tiff, open_raster
from sharpen.georeference import Georeference, envi_georeference
from sharpen.lazy import Reader, make_scene
from sharpen.metadata import describe_bands, header_scaling, scaling
from sharpen.products import read_product

BLOCK_BYTES = 2**20  # a row of blocks of all bands, from which on it is worth a word
DRIVER_PREFIX = re.compile(r"([A-Z][A-Z0-9_]+):|/vsi")
SPATIAL_DIMENSIONS = re.compile(r"\{.*\b(y|x|lat|lon|latitude|longitude|rows?|lines?|downtrack|crosstrack)\b.*\}")


def open_gdal(path: str | Path) -> xr.DataArray:
    """Open a file, or a subdataset by GDAL's name for it; see `sharpen.io.open_scene`.

    Raises
    ------
    ValueError
        GDAL cannot open it, or it is no image of one type of real numbers.
    FileNotFoundError
        A source of a .vrt is missing.
    """
    header = _header_of_tiff(path) if isinstance(path, Path) and is_tiff(path) else None
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
        raise ValueError(f"{path}: holds {dtype} numbers; a scene has real ones. Save its abs() or real part.")
    pages = _pages(raster, path)
    count = len(pages or [1]) * len(spectral)
    # GDAL turns a netCDF image upside down where nothing says where its rows lie.
    options = {"GDAL_NETCDF_BOTTOMUP": "NO"} if raster.driver == "netCDF" and raster.transform.is_identity else {}
    reader: Reader = _PageReader(pages, spectral) if pages else _GdalReader(str(path), spectral, options)
    files = [str(path), *(file for file in raster.files if file != str(path) and not DRIVER_PREFIX.match(file))]
    attrs = {"source": str(path), "files": files}
    block = raster.block_shapes[0][0] * raster.width * raster.count * np.dtype(dtype).itemsize
    if block > BLOCK_BYTES:  # GDAL's own copy of the blocks of all bands, and one as it comes out of the file
        attrs["read_at_once"] = 2 * block
    attrs |= scaling(path, *([values[band - 1] for band in spectral] for values in (raster.scales, raster.offsets)))
    fields = {**raster.tags(), **raster.tags(ns="ENVI")}
    spaces = ("IMAGERY", "ENVI", None)
    tags = [{name: text for space in spaces for name, text in raster.tags(band, ns=space).items()} for band in spectral]
    names = [raster.descriptions[band - 1] for band in spectral]
    no_data = [raster.nodatavals[band - 1] for band in spectral]
    if pages:
        tags, names, no_data = [], [], no_data[:1]
    mask = None
    alpha = next((band for band in raster.indexes if band not in spectral), None)
    if alpha or MaskFlags.per_dataset in {flag for flags in raster.mask_flag_enums for flag in flags} and not pages:
        attrs["mask"] = "alpha" if alpha else "mask"
        mask = _GdalMask(str(path), alpha)
    where = _georeference(raster)
    if header is not None:
        fields = _header_fields(header)
        attrs["files"] = [*files, str(header)]
        attrs |= _drop_scaling(attrs, header_scaling(header, count, fields))
        ignored = _number(fields.get("data ignore value"))
        no_data = no_data if ignored is None else [ignored]
        where = envi_georeference(header, fields) if where == Georeference() else where
    bands = describe_bands(header or path, count, fields, tags, names)
    product = read_product(Path(path), count) if header is None else None
    if product is not None:
        known = {name: value for name, value in vars(product.bands).items() if value is not None}
        bands = replace(bands, **known)
        attrs["files"] = [*files, str(product.file)]
        attrs |= _drop_scaling(attrs, product.attrs)
        no_data = [product.no_data] if no_data[0] is None else no_data
    attrs["metadata"] = {name: text for name, text in fields.items() if not re.fullmatch(r"Band_\d+", name)}
    return make_scene(reader, (count, raster.height, raster.width), dtype, attrs, bands, where, no_data, mask)


def _check(raster: rasterio.DatasetReader, path: str | Path) -> None:
    if not raster.count:
        names = ", ".join(raster.subdatasets[:8]) or "nothing"
        raise ValueError(f"{path}: holds no image itself, but {names}. Give one of these names in its place.")
    if raster.count > MAX_BANDS:
        raise ValueError(f"{path}: says that it has {raster.count} bands, more than {MAX_BANDS}; is it damaged?")
    missing = [file for file in raster.files if not DRIVER_PREFIX.match(file) and not Path(file).exists()]
    if missing:
        raise FileNotFoundError(f"{path}: names {missing[0]} as a source, which is no file here; make {path} again")
    if (data := Path(raster.files[0])).is_file():
        _check_whole(raster, data)
    if SPATIAL_DIMENSIONS.fullmatch(raster.tags().get("NETCDF_DIM_EXTRA", "").lower()):
        raise ValueError(
            f"{path}: its bands are not the first dimension, which GDAL takes for them. Open it with "
            "xarray.open_dataset, transpose it to (band, y, x), and pass that to sharpen.sharpen."
        )


def _check_whole(raster: rasterio.DatasetReader, path: Path) -> None:
    """Raise ValueError for a truncated file of a format for which GDAL silently makes up what is missing."""
    size = path.stat().st_size
    try:
        if raster.driver == "GTiff":
            _check_page_list(path)
        elif raster.driver == "EHdr":
            row = sum(np.dtype(kind).itemsize for kind in raster.dtypes) * raster.width
            _check_size(path, row * raster.height, size)
        elif raster.driver == "PCIDSK":
            with path.open("rb") as stream:
                _check_size(path, 512 * int(stream.read(32)[16:]), size)  # it counts blocks of 512 bytes
        elif raster.driver == "netCDF":
            scipy.io.netcdf_file(path, mmap=True).close()
    except (ValueError, TypeError, IndexError, struct.error) as error:
        if str(path) in str(error):
            raise
        raise ValueError(f"{path}: truncated or damaged ({error}). Copy or download it again.") from error


def _check_size(path: str | Path, needed: int, found: int) -> None:
    if found < needed:
        raise ValueError(f"{path}: truncated: {found} bytes, at least {needed} expected. Copy or download it again.")


def _check_page_list(path: Path) -> None:
    """Raise ValueError where a TIFF's list of pages leads beyond its end: GDAL silently leaves out what follows."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(16)
        order = "<" if start[:2] == b"II" else ">"
        is_big = start[2:4] in (b"+\0", b"\0+")
        count, entry, pointer = ("Q", 20, "Q") if is_big else ("H", 12, "I")
        (place,) = struct.unpack_from(order + pointer, start, 8 if is_big else 4)
        seen: set[int] = set()
        while place and place not in seen:
            seen.add(place)
            _check_size(path, place + 8, size)
            stream.seek(place)
            (entries,) = struct.unpack(order + count, stream.read(struct.calcsize(order + count)))
            end = place + struct.calcsize(order + count) + entry * entries
            _check_size(path, end + struct.calcsize(order + pointer), size)
            stream.seek(end)
            (place,) = struct.unpack(order + pointer, stream.read(struct.calcsize(order + pointer)))


def _pages(raster: rasterio.DatasetReader, path: str | Path) -> list[str]:
    """Return the names of a TIFF's pages where it has several of one kind, which are then bands.

    Raises
    ------
    ValueError
        Its pages differ, or there are fewer of them than ImageJ's note of their number says.
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


def _header_of_tiff(path: Path) -> Path | None:
    """Return the ENVI header that describes a TIFF; None where there is none, or it has raw data of its own.

    Raises
    ------
    ValueError
        A header that says it is a TIFF's, but not of this size.
    """
    header = envi.find_header(path)
    if header is None:
        return None
    fields = _header_fields(header)
    means_tiff = "tif" in (fields.get("file type", "") + fields.get("interleave", "")).lower()
    if not means_tiff:
        try:
            if not is_tiff(envi.find_data(header, envi.read_header(header))):
                return None
        except FileNotFoundError:
            return None
    with open_raster(path) as raster:
        declared = tuple(fields.get(name, "").strip() for name in ("bands", "lines", "samples"))
        found = tuple(str(size) for size in (raster.count, raster.height, raster.width))
    if declared == found:
        return header
    if means_tiff:
        raise ValueError(
            f"{header}: says (bands, lines, samples) ({', '.join(declared)}), but {path.name} has "
            f"({', '.join(found)}). One of the two belongs to another image."
        )
    return None


def _header_fields(header: Path) -> dict[str, str]:
    fields = envi.read_header(header)
    return {name: envi.text_of(fields, name) for name in fields}


def _drop_scaling(attrs: dict[str, object], found: dict[str, object]) -> dict[str, object]:
    """Return what a header says of the scale, after what the TIFF said of it was dropped from `attrs`."""
    for name in ("scale_factor", "add_offset", "gains", "offsets") if found else ():
        attrs.pop(name, None)
    return dict(found)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text.strip("{} "))
    except ValueError:
        return None


class _GdalReader:
    """Reads windows of a dataset, opened anew each time: GDAL keeps what it unpacked until it closes the file."""

    def __init__(self, name: str, indexes: list[int], options: dict[str, str]) -> None:
        self.name, self.indexes, self.options = name, indexes, options

    def __call__(self, rows: slice, columns: slice, bands: list[int]) -> NDArray:
        with rasterio.Env(**self.options), open_raster(self.name) as raster:
            return raster.read([self.indexes[band] for band in bands], window=Window.from_slices(rows, columns))


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
    """True where the alpha band, if there is one, or GDAL's mask of the dataset, internal or in a .msk, is 0."""

    def __init__(self, name: str, alpha: int | None) -> None:
        self.name, self.alpha = name, alpha

    def __call__(self, rows: slice, columns: slice) -> NDArray[np.bool_]:
        window = Window.from_slices(rows, columns)
        with open_raster(self.name) as raster:
            return (raster.read(self.alpha, window=window) if self.alpha else raster.dataset_mask(window=window)) == 0
