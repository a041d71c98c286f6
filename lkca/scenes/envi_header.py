"""The text of an ENVI header: what `lkca.scenes.envi` reads.

Written here rather than by spectral, whose `write_envi_header` uses the machine's own encoding and lets through braces
that its reader then stumbles over.
"""

import re
import sys
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from spectral.io.envi import dtype_map

from lkca.scenes.envi_fields import georeference, read_header, text_of
from lkca.scenes.wavelengths import NANOMETRES

if TYPE_CHECKING:
    from affine import Affine
    from rasterio.crs import CRS

DATA_TYPES = {np.dtype(kind).name: code for code, kind in dtype_map if np.dtype(kind).kind != "c"}
"""ENVI's code of each type of real numbers, by numpy's name."""
LONGEST_LINE = 9000
GEOREFERENCE = ("map info", "projection info", "coordinate system string")
GENERATED = (
    "samples", "lines", "bands", "header offset", "file type", "data type", "interleave", "byte order",
    "file compression", "major frame offsets", "minor frame offsets",
    "band names", "data ignore value", "reflectance scale factor", "data gain values", "data offset values",
)  # fmt: skip
"""Fields that follow from the numbers as they are written."""


def envi_header(
    path: Path,
    shape: tuple[int, int, int],
    dtype: np.dtype,
    interleave: str,
    *,
    wavelengths: np.ndarray | None,
    fwhm: np.ndarray | None,
    band_names: Iterable[str] | None,
    no_data: float | None,
    scale_factor: float,
    gains: np.ndarray | None,
    offsets: np.ndarray | None,
    crs: "CRS | None",
    transform: "Affine | None",
    metadata: Mapping[str, str],
) -> str:
    """The header; see `lkca.scenes.writing.SceneWriter` for the arguments and for what is replaced in texts.

    Raises
    ------
    ValueError
        A transform that `map info` cannot express: sheared, or rotated with pixels that are not square.
    """
    fields = {
        "samples": shape[2],
        "lines": shape[1],
        "bands": shape[0],
        "header offset": 0,
        "file type": "ENVI Standard",
        "data type": DATA_TYPES[dtype.name],
        "interleave": interleave,
        "byte order": int(sys.byteorder == "big"),
    }
    others = other_metadata(metadata, wavelengths is not None)
    fields |= {name.lower(): value for name, value in others.items()}  # spectral warns of capitals
    fields |= _georeference_fields(path, shape, crs, transform, metadata)
    if no_data is not None:
        fields["data ignore value"] = int(no_data) if dtype.kind in "iu" else float(no_data)
    if scale_factor != 1:
        fields["reflectance scale factor"] = scale_factor
        if gains is None and any(name.lower() == "data gain values" for name in metadata):  # as the input said it
            gains = np.full(shape[0], 1 / scale_factor)
    for name, values in (("data gain values", gains), ("data offset values", offsets)):
        if values is not None:
            fields[name] = _list(f"{value:.12g}" for value in values)
    if wavelengths is not None:
        unit = metadata.get("wavelength units", "").strip()
        factor = NANOMETRES.get(unit.lower().removesuffix("s"))
        fields["wavelength units"] = "Nanometers" if factor is None else unit
        for name, values in (("wavelength", wavelengths), ("fwhm", fwhm)):
            if values is not None:
                fields[name] = _list(f"{value / (factor or 1):.12g}" for value in values)
    if band_names is not None:
        fields["band names"] = _list(name.replace(",", ";") for name in band_names)
    if "description" in fields:
        fields["description"] = _list([fields["description"]])
    too_long = [name for name, value in fields.items() if max(map(len, str(value).split("\n"))) > LONGEST_LINE]
    if too_long:
        warnings.warn(f"{path}: left out of its header, too long for GDAL to read: {', '.join(too_long)}", stacklevel=3)
    return "\n".join(["ENVI", *(f"{name} = {value}" for name, value in fields.items() if name not in too_long), ""])


def other_metadata(metadata: Mapping[str, str], wavelengths_known: bool) -> dict[str, str]:
    """Those of the fields that nothing else says, as lines of text that neither ENVI nor GDAL takes apart."""
    said = {*GENERATED, *GEOREFERENCE}
    if wavelengths_known:
        said |= {"wavelength", "wavelength units", "fwhm"}
    fields = {}
    for name, value in metadata.items():
        name = " ".join(re.sub(r"[=:;{}]", " ", name).split())
        if name and name.lower() not in said:
            value = str(value).strip()
            is_list = value.startswith("{") and value.endswith("}")
            fields[name] = _list(value[1:-1].split(",")) if is_list else _plain(value)
    return fields


def _georeference_fields(
    path: Path,
    shape: tuple[int, int, int],
    crs: "CRS | None",
    transform: "Affine | None",
    metadata: Mapping[str, str],
) -> dict[str, str]:
    """`map info` and its kin: those given where they say what `crs` and `transform` say, else as GDAL writes them."""
    given = {name: " ".join(metadata[name].split()) for name in GEOREFERENCE if name in metadata}
    if transform is None:
        return given if "map info" in given else {}
    keep_map_info = False
    if "map info" in given:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # one that cannot be read is not the same
            given_crs, given_transform = georeference(path, given)
        keep_map_info = _same_corners(given_transform, transform, shape)
        if keep_map_info and given_crs == crs:
            return given
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        pixel = {"driver": "ENVI", "width": 1, "height": 1, "count": 1, "dtype": "uint8"}
        with rasterio.open(Path(folder) / "pixel.img", "w", **pixel, crs=crs, transform=transform):
            pass
        written = read_header(Path(folder) / "pixel.hdr")
    fields = {name: text_of(written, name) for name in GEOREFERENCE if name in written}
    if keep_map_info:  # its zone, datum, units and rotation
        fields["map info"] = given["map info"]
    read_crs, read_transform = georeference(path, fields)
    if not _same_corners(read_transform, transform, shape):
        raise ValueError(
            f"{path}: an ENVI header cannot hold the scene's georeference: sheared pixels, or rotated ones that "
            f"are not square ({tuple(transform)[:6]}). Write a GeoTIFF: {path.with_suffix('.tif').name}."
        )
    if read_crs != crs:
        warnings.warn(
            f"{path}: an ENVI header cannot hold all of the CRS {crs}; it will be read as {read_crs}. "
            f"A GeoTIFF ({path.with_suffix('.tif').name}) can.",
            stacklevel=2,
        )
    return fields


def _same_corners(found: "Affine | None", wanted: "Affine", shape: tuple[int, int, int]) -> bool:
    """Whether the image's corners agree to a thousandth of a pixel."""
    if found is None:
        return False
    height, width = shape[1:]
    corners = np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]])
    found, wanted = (np.array(tuple(each)[:6]).reshape(2, 3) for each in (found, wanted))
    pixel = np.linalg.norm(wanted[:, :2], axis=0).min()
    return bool(np.abs((found - wanted) @ corners).max() < 1e-3 * pixel)


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("{", "(").replace("}", ")")


def _list(items: Iterable[str]) -> str:
    """In braces; a long list has an item a line (GDAL reads no line of 10,000 characters), indented (spectral skips a
    line that begins with a semicolon)."""
    items = [_plain(item) for item in items]
    return "{" + (", " if sum(map(len, items)) < 500 else ",\n ").join(items) + "}"
