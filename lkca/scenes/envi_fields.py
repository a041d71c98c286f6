"""The fields of an ENVI header, as it has them and as numbers; its georeference, as GDAL reads it."""

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from spectral.io.envi import read_envi_header
from spectral.utilities.errors import SpyException

from lkca.scenes.geotiff import open_raster

if TYPE_CHECKING:
    from affine import Affine
    from rasterio.crs import CRS

ONE_PIXEL = "ENVI\nsamples = 1\nlines = 1\nbands = 1\ndata type = 5\ninterleave = bsq\nbyte order = 0\n"
Header = dict[str, str | list[str]]


def read_header(path: Path) -> Header:
    """The header's fields, names in lower case.

    Raises
    ------
    ValueError
        Not an ENVI header, or one that breaks off.
    """
    # spectral reads the machine's own encoding only; headers also come in Latin-1 and with a BOM.
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it turns names to lower case
        copy = Path(folder) / "header.hdr"
        copy.write_text(text, errors="replace")
        try:
            return read_envi_header(copy)
        except SpyException as error:
            raise ValueError(
                f"{path}: not an ENVI header, or one that breaks off: expected 'ENVI' on the first line, "
                f"then 'name = value' lines and every {{ closed ({one_line(error)})"
            ) from error


def georeference(header_path: Path, fields: Header) -> "tuple[CRS | None, Affine | None]":
    """CRS and transform, as GDAL reads them over a 1x1 image: they do not depend on the data."""
    kept = [name for name in ("map info", "projection info", "coordinate system string") if name in fields]
    with tempfile.TemporaryDirectory() as folder:
        pixel = Path(folder) / "pixel.img"
        pixel.write_bytes(bytes(8))
        lines = [ONE_PIXEL, *(f"{name} = {text_of(fields, name)}\n" for name in kept)]
        pixel.with_suffix(".hdr").write_text("".join(lines), encoding="utf-8")
        try:
            with open_raster(pixel) as raster:
                crs = raster.crs or None
                if "arbitrary" in text_of(fields, "map info").lower() and "coordinate system string" not in fields:
                    crs = None  # ENVI's word for unknown, of which GDAL makes a local system
                return crs, None if raster.transform.is_identity else raster.transform
        except ValueError as error:
            warnings.warn(f"{header_path}: its georeference cannot be read ({error}) and is left out", stacklevel=2)
            return None, None


def text_of(fields: Header, name: str) -> str:
    """A field as the header has it, a list in braces; "" where it is missing."""
    value = fields.get(name, "")
    return value if isinstance(value, str) else "{" + ", ".join(value) + "}"


def listed(fields: Header, name: str) -> list[str] | None:
    """A field as a list, of one item where it has no braces; None where it is missing."""
    value = fields.get(name)
    return [value] if isinstance(value, str) else value


def whole_number(fields: Header, name: str) -> int | None:
    """A field as a whole number; None where it is none."""
    return int(text_of(fields, name)) if text_of(fields, name).isdigit() else None


def number(path: Path, fields: Header, name: str) -> float | None:
    """A field as a number; None where it is missing, and with a warning where it is none."""
    text = text_of(fields, name).strip("{} ")
    try:
        return float(text) if text else None
    except ValueError:
        warnings.warn(f"{path}: {name} is {text!r}, no number; it is left out", stacklevel=2)
        return None


def numbers(path: Path, fields: Header, name: str, bands: int) -> list[float] | None:
    """A list of one number a band."""
    items = listed(fields, name)
    if items is None:
        return None
    try:
        found = [float(str(item).strip("{} ")) for item in items]
    except ValueError:
        found = []
    if len(found) != bands:
        warnings.warn(f"{path}: {name} is not a number for each of {bands} bands; it is left out", stacklevel=2)
        return None
    return found


def one_line(error: Exception) -> str:
    """What an error of spectral says, on one line."""
    return f"unknown value {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
