"""Write the metadata of an output file: bands, scale, no data, georeference, and the input's other fields.

GDAL writes both formats. To its ENVI header, `finish_header` adds what GDAL leaves out: control points other than
four, and RPCs.
"""

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import rasterio
import xarray as xr
from rasterio.warp import transform as transform_points

from lkca.data.reading.bands import meaning
from lkca.data.wavelengths import nanometres
from sharpen.scene.georeference import Georeference

ENVI_TYPES = ("uint8", "int16", "int32", "int64", "uint16", "uint32", "uint64", "float32", "float64")
GENERATED = (
    "samples", "lines", "bands", "header offset", "file type", "data type", "interleave", "byte order",
    "file compression", "major frame offsets", "minor frame offsets", "band names", "bbl", "data ignore value",
    "reflectance scale factor", "data gain values", "data offset values", "map info", "projection info",
    "coordinate system string", "geo points", "rpc info",
)  # fmt: skip
"""Fields that are generated from the output, not copied from the input."""
STALE = (
    "x start", "y start", "pixel size", "pseudo projection info", "autodarkstartline", "classes", "class names",
    "class lookup", "complex function", "read procedures", "area or point", "tifftag xresolution",
    "tifftag yresolution", "tifftag resolutionunit",
)  # fmt: skip
"""Fields that hold for the input only: its pixels, a larger image, or classes."""
LONG_LIST = 500  # characters; a longer list has one item a line
MAX_LINE = 9000  # characters; GDAL cannot read a line of 10,000


def fill_value(like: xr.DataArray, dtype: np.dtype, needed: bool) -> int | float | None:
    """Return the value of pixels without data in a file of `dtype`.

    This is the scene's own value if the dtype holds it. Otherwise it is NaN for floating-point types, returned as None.
    For integers, if a value is `needed`, it is a fill value found in the scene, else the dtype's minimum (signed) or
    maximum (unsigned); else None.
    """
    own = like.rio.encoded_nodata if like.rio.encoded_nodata is not None else like.rio.nodata
    candidates = [own, *(like.attrs.get("fills", ()) if needed else ())]
    for value in candidates:
        if value is not None and (dtype.kind == "f" or _fits(value, dtype)):
            return float(value) if dtype.kind == "f" else int(value)
    if dtype.kind == "f" or not needed:
        return None
    return int(np.iinfo(dtype).min if dtype.kind == "i" else np.iinfo(dtype).max)


def good_bands(like: xr.DataArray, bands: Sequence[int]) -> np.ndarray | None:
    """Return which bands of the output are good (B,), None if all are; bands that are left out are bad."""
    count = like.sizes["band"]
    good = np.isin(np.arange(count), bands)
    if good.all() and "good_band" in like.coords:
        good = like.coords["good_band"].values.astype(bool)
    return None if good.all() else good


def write_tags(
    raster: rasterio.io.DatasetWriter, like: xr.DataArray, where: Georeference, good: np.ndarray | None
) -> None:
    """Write everything but the numbers into a dataset that GDAL has created, GeoTIFF or ENVI.

    A GeoTIFF gets its wavelengths twice: in GDAL's IMAGERY domain, and as band tags, which gdalinfo and rasterio show,
    named as GDAL names those of an ENVI header.
    """
    is_envi = raster.driver == "ENVI"
    count = raster.count
    fields = _other_fields(like)
    names = like.coords["band_name"].values.astype(str) if "band_name" in like.coords else None
    if where.transform is not None:
        raster.transform = where.transform
    if where.gcps and not is_envi:
        raster.gcps = (list(where.gcps), where.crs)
    elif where.crs is not None and not where.gcps:
        raster.crs = where.crs
    if where.rpcs is not None and not is_envi:
        raster.rpcs = where.rpcs
    if "gain" in like.coords:
        raster.scales, raster.offsets = (tuple(map(float, like.coords[name].values)) for name in ("gain", "offset"))
    elif (factor := like.attrs.get("scale_factor", 1.0), offset := like.attrs.get("add_offset", 0.0)) != (1.0, 0.0):
        raster.scales, raster.offsets = (float(factor),) * count, (float(offset),) * count
        if is_envi and offset == 0:
            fields["reflectance scale factor"] = f"{1 / factor:.12g}"
    if names is not None and not is_envi:
        raster.descriptions = tuple(names)
    if good is not None:
        fields["bbl"] = _braces(str(int(mark)) for mark in good)
    wavelengths = {name: like.coords[name].values for name in ("wavelength", "fwhm") if name in like.coords}
    if is_envi:
        unit = fields.pop("wavelength units", "").strip()
        factor = nanometres(unit)
        for name, values in wavelengths.items():
            fields[name] = _braces(f"{value / (factor or 1):.12g}" for value in values)
        if wavelengths or unit:
            fields["wavelength units"] = "Nanometers" if wavelengths and factor is None else unit
        raster.update_tags(ns="ENVI", **_short(raster.name, fields))
        return
    raster.update_tags(**fields)
    for band in range(count):
        tags = {name: f"{values[band]:.12g}" for name, values in wavelengths.items()}
        if tags:
            imagery = {"wavelength": "CENTRAL_WAVELENGTH_UM", "fwhm": "FWHM_UM"}
            micrometres = {imagery[name]: f"{values[band] / 1e3:.12g}" for name, values in wavelengths.items()}
            raster.update_tags(band + 1, ns="IMAGERY", **micrometres)
            tags["wavelength_units"] = "Nanometers"
        if good is not None:
            tags["bbl"] = str(int(good[band]))
        if tags:
            raster.update_tags(band + 1, **tags)


def finish_header(text: str, like: xr.DataArray, where: Georeference) -> str:
    """Return GDAL's ENVI header with the scene's own description and with the fields that GDAL does not write."""
    own = like.attrs.get("metadata", {}).get("description", "").strip("{} \n")
    text = re.sub(
        r"description = \{.*?\}\n", lambda _: f"description = {{{_plain(own)}}}\n" if own else "", text, flags=re.S
    )
    text = re.sub(r"(band names|geo points) = \{.*?\}\n", "", text, flags=re.S)
    if "band_name" in like.coords:  # GDAL would number nameless bands, and starts lines with ';', a comment
        text += f"band names = {_braces(name.replace(',', ';') for name in like.coords['band_name'].values)}\n"
    if where.gcps:
        text += f"geo points = {_geo_points(where)}\n"
    if where.rpcs is not None:
        text += f"rpc info = {_rpc_info(where.rpcs)}\n"
    return text


def _other_fields(like: xr.DataArray) -> dict[str, str]:
    """Return the input's header fields that are to be copied; names of several words in lower case, as in ENVI."""
    said = {*GENERATED, *STALE, "description"}
    listed = {"bbl", *({"wavelength", "fwhm"} & set(like.coords))}
    fields = {}
    for name, value in like.attrs.get("metadata", {}).items():
        name, value = " ".join(re.sub(r"[=:;{}]", " ", str(name)).split()), str(value).strip()
        if not name or name.lower().replace("_", " ") in said or meaning(name) in listed:
            continue
        is_list = value.startswith("{") and value.endswith("}")
        fields[name.lower() if " " in name else name] = _braces(value[1:-1].split(",")) if is_list else _plain(value)
    return fields


def _geo_points(where: Georeference) -> str:
    """Return ENVI's list of control points: column, row (from 1), latitude, longitude (WGS 84)."""
    x, y = [point.x for point in where.gcps], [point.y for point in where.gcps]
    if where.crs is not None and where.crs.to_epsg() != 4326:
        x, y = transform_points(where.crs, "EPSG:4326", x, y)
    items = (
        f"{point.col + 1:.10g}, {point.row + 1:.10g}, {latitude:.12g}, {longitude:.12g}"
        for point, longitude, latitude in zip(where.gcps, x, y, strict=True)
    )
    return "{" + ",\n ".join(items) + "}"


def _rpc_info(rpcs: rasterio.rpc.RPC) -> str:
    names = ["line", "samp", "lat", "long", "height"]
    numbers = [getattr(rpcs, f"{name}_{what}") for what in ("off", "scale") for name in names]
    for what in ("line_num", "line_den", "samp_num", "samp_den"):
        numbers += getattr(rpcs, f"{what}_coeff")
    return _braces(f"{number:.16g}" for number in [*numbers, 0, 0, 1])


def _short(path: str, fields: Mapping[str, str]) -> dict[str, str]:
    too_long = [name for name, value in fields.items() if max(map(len, value.split("\n"))) > MAX_LINE]
    if too_long:
        warnings.warn(f"left out of the ENVI header, too long for GDAL to read: {', '.join(too_long)}", stacklevel=4)
    return {name: value for name, value in fields.items() if name not in too_long}


def _fits(value: float, dtype: np.dtype) -> bool:
    limits = np.iinfo(dtype)
    return bool(np.isfinite(value)) and value == int(value) and limits.min <= value <= limits.max


def _plain(text: str) -> str:
    """Return text on one line, without the braces that would end a field."""
    return " ".join(text.split()).replace("{", "(").replace("}", ")")


def _braces(items: Iterable[str]) -> str:
    """Return a list in braces; a long one has an item a line, indented, as GDAL and spectral read it."""
    items = [_plain(item) for item in items]
    return "{" + (", " if sum(map(len, items)) < LONG_LIST else ",\n ").join(items) + "}"
