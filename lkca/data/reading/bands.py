"""Read what a file says of its bands, in every spelling: wavelengths, widths, bad bands, names, gains and offsets.

Wavelengths come from the first of these sources that has one for each band:

1. a list in the header, the dataset's tags or the file's other variables: `wavelength = {400, 450, ...}` of ENVI, of
   GDAL's ENVI domain, of a .aux.xml beside the file; the name may end with the unit, as `wavelength (um)`;
2. the bands' own tags: `wavelength`, `wavelength_units`, `fwhm`, `bbl`, GDAL's CENTRAL_WAVELENGTH_UM and FWHM_UM;
3. the bands' names: `band 3 (500.0 Nanometers)`.

What does not fit the bands is left out with a warning, because a scene is usable without it.
"""

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lkca.data.wavelengths import in_nanometres, nanometres

SPELLINGS = {  # of field names, in lower case with blanks, without the unit at the end
    "wavelength": (
        "wavelength", "wavelengths", "center wavelength", "center wavelengths", "centre wavelengths",
        "central wavelength", "central wavelengths", "wl", "wvl", "lambda",
    ),
    "unit": ("wavelength units", "wavelength unit", "wavelengths units", "wavelengths unit"),
    "fwhm": ("fwhm", "bandwidth", "bandwidths", "full width half max"),
    "bbl": ("bbl", "bad bands list", "bad band list", "good wavelengths", "good bands"),
    "names": ("band names",),
}  # fmt: skip
UNREAD = re.compile(r"wavelength|wavenumber")  # in the name of an unknown field that may hold wavelengths
WAVELENGTH_IN_NAME = re.compile(
    r"(?<![\w.])(\d+(?:\.\d+)?)\s*(nm|[uµμ]m|nanomet(?:er|re)s?|micromet(?:er|re)s?|microns?)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Bands:
    """What a file says of its bands; each (B,), None where it says nothing.

    wavelength, fwhm : nm. good : False where the file marks a band as bad.
    gains, offsets : value = gain · number + offset; both are given, or neither.
    """

    wavelength: NDArray[np.float64] | None = None
    fwhm: NDArray[np.float64] | None = None
    good: NDArray[np.bool_] | None = None
    names: tuple[str, ...] | None = None
    gains: NDArray[np.float64] | None = None
    offsets: NDArray[np.float64] | None = None

    def updated(self, other: "Bands") -> "Bands":
        """Return a copy in which whatever another source says replaces this one's."""
        return Bands(**{**vars(self), **{name: value for name, value in vars(other).items() if value is not None}})


def describe_bands(
    source: object,
    count: int,
    fields: Mapping[str, str | Sequence],
    tags: Sequence[Mapping[str, str]] = (),
    names: Sequence[str | None] = (),
) -> Bands:
    """Return what header fields, tags of each band and band names say of `count` bands.

    Parameters
    ----------
    source : the file, for messages.
    fields : header fields or tags of the dataset, in which a list is text in braces; or variables of the file.
    tags : tags of each band, from all domains; empty if there are none.
    names : descriptions of the bands; if there are none, the header's list of names is used.

    Warns
    -----
    UserWarning
        For a list that does not fit the bands, a unit that is not of length, a list in an unknown spelling.
    """
    fields, tags = _by_plain_names(fields), [_by_plain_names(each) for each in tags]
    if not any(names):
        names = split_list(_find(fields, "names")[0]) or ()
    names = tuple(name or "" for name in names) if len(names) == count else None

    centres, unit = _find(fields, "wavelength")
    widths, width_unit = _find(fields, "fwhm")
    centres, widths, unit = split_list(centres), split_list(widths), unit or _find(fields, "unit")[0]
    if centres is None or len(centres) == 1 < count:
        own, own_unit = _each(source, tags, "wavelength")
        if own is not None:
            units = [_find(each, "unit")[0] or unit or "" for each in tags]
            centres, unit = own, own_unit or units[0]
            if len(set(units)) > 1 and not own_unit:
                centres = [f"{value} {each}" for value, each in zip(own, units, strict=True)]
            widths, width_unit = _each(source, tags, "fwhm")
    if centres is None and names is not None and (centres := _in_names(names)):
        unit, widths = "nm", None
    elif centres is not None and (with_units := _in_names(map(str, centres))):  # {400 nm, 500 nm}
        centres, unit = with_units, "nm"
    if centres is None:
        _warn_of_unread(source, count, fields)
    wavelength, fwhm = in_nanometres(source, count, centres, widths, unit, width_unit)
    return Bands(
        wavelength, fwhm, _good_bands(source, count, fields, tags), names, *_header_gains(source, count, fields)
    )


def meaning(name: str) -> str:
    """Return what a field, tag or variable of this name holds: a key of `SPELLINGS`, or "" for anything else."""
    return next((what for what in SPELLINGS if _find({_plain(name): "x"}, what)[0]), "")


def split_list(value: str | Sequence | None) -> list | None:
    """Split "{1, 2, 3}" into its items; a trailing comma adds none, and without commas blanks separate numbers."""
    if value is None or not isinstance(value, str):
        return value if value is None else list(value)
    inner = value.strip().strip("{}[]").strip()
    if "," in inner:
        items = [item.strip() for item in inner.split(",")]
        return items if items[-1] else items[:-1]
    words = inner.split()
    return words if all(re.fullmatch(r"[-+.\deE]+", word) for word in words) and words else [inner] if inner else None


def checked_gains(
    source: object, gains: Iterable[float], offsets: Iterable[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | tuple[None, None]:
    """Return gains and offsets as arrays; None twice if they are all 1 and 0 or, with a warning, invalid."""
    gains, offsets = np.asarray(gains, np.float64), np.asarray(offsets, np.float64)
    if not (np.isfinite(gains).all() and np.isfinite(offsets).all() and gains.all()):
        warnings.warn(f"{source}: a gain is 0, or a gain or offset is not a number; they are left out", stacklevel=3)
        return None, None
    return (None, None) if (gains == 1).all() and not offsets.any() else (gains, offsets)


def numbers_of(source: object, fields: Mapping[str, str], name: str, count: int) -> list[float] | None:
    """Return a field as `count` numbers; None if it is missing or, with a warning, if it does not fit."""
    text = _by_plain_names(fields).get(name)
    items = split_list(text)
    if items is None:
        return None
    try:
        found = [float(item) for item in items]
    except ValueError:
        found = []
    if len(found) != count:
        many = "a number" if count == 1 else f"a number for each of {count} bands"
        warnings.warn(f"{source}: {name} = {text} is not {many}; it is left out", stacklevel=4)
        return None
    return found


def _header_gains(
    source: object, count: int, fields: Mapping[str, str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | tuple[None, None]:
    """Return gains and offsets by an ENVI header; None twice if it has none.

    "data gain values" and "data offset values" multiply and add; "reflectance scale factor" divides.
    """
    factor = numbers_of(source, fields, "reflectance scale factor", 1)
    gains = numbers_of(source, fields, "data gain values", count)
    offsets = numbers_of(source, fields, "data offset values", count)
    by_factor = (None, None)
    if factor is not None:
        by_factor = checked_gains(source, [1 / factor[0] if factor[0] else 0] * count, [0] * count)
    found = checked_gains(source, gains or [1] * count, offsets or [0] * count)
    if found[0] is None:
        return by_factor
    if by_factor[0] is not None and not np.allclose(found, by_factor, rtol=1e-5, atol=0):
        warnings.warn(
            f"{source}: data gain values and reflectance scale factor {factor[0]:g} disagree; the gain values are used",
            stacklevel=3,
        )
    return found


def _good_bands(
    source: object, count: int, fields: Mapping[str, str], tags: Sequence[Mapping[str, str]]
) -> NDArray[np.bool_] | None:
    """Return False for bands that a list of bad bands marks with 0, or that are missing from a list of good bands."""
    marks = split_list(_find(fields, "bbl")[0])
    if marks is None or len(marks) == 1 < count:
        own = [_find(each, "bbl")[0] for each in tags]
        if not any(own):
            return None
        marks = [mark or "1" for mark in own]
    words = {"true": "1", "false": "0", "good": "1", "bad": "0"}
    try:
        numbers = [float(words.get(str(mark).lower(), mark)) for mark in marks]
    except ValueError:
        numbers = []
    if "good bands" in fields and len(numbers) < count and set(numbers) <= set(range(1, count + 1)):
        return np.isin(np.arange(1, count + 1), numbers)
    if len(numbers) != count:
        warnings.warn(
            f"{source}: its list of bad bands (bbl) is not a number for each of {count} bands; it is left out",
            stacklevel=3,
        )
        return None
    return np.array(numbers) != 0


def _in_names(names: Iterable[str]) -> list[float] | None:
    """Return wavelengths in nm from names such as "band 3 (500.0 Nanometers)"; None unless each name has one."""
    found = [WAVELENGTH_IN_NAME.search(name) for name in names]
    return [float(match[1]) * nanometres(match[2]) for match in found] if all(found) else None


def _warn_of_unread(source: object, count: int, fields: Mapping[str, str]) -> None:
    for name, value in fields.items():
        if UNREAD.search(name) and count > 1 and len(split_list(value) or ()) == count:
            warnings.warn(
                f"{source}: {name!r} may hold wavelengths, but is not read: its name or unit is not known. Name it "
                "wavelength, and its unit in wavelength units.",
                stacklevel=3,
            )


def _each(source: object, tags: Sequence[Mapping[str, str]], what: str) -> tuple[list[str] | None, str]:
    """Return one tag of each band, and the unit in its name; None if no band or, with a warning, only some have it."""
    found = [_find(each, what) for each in tags]
    there = [value for value, _ in found if value]
    if there and len(there) < len(found):
        warnings.warn(f"{source}: {what} for {len(there)} of {len(found)} bands; they are left out", stacklevel=3)
    return (there, found[0][1]) if there and len(there) == len(found) else (None, "")


def _find(fields: Mapping[str, str | Sequence], what: str) -> tuple[str | Sequence | None, str]:
    """Return the field with a meaning, and the unit at the end of its name; None and "" if there is none."""
    for spelling in SPELLINGS[what]:
        for name, value in fields.items():
            unit = name.removeprefix(spelling).strip()
            if name == spelling or name.startswith(f"{spelling} ") and nanometres(unit):
                return value, unit
    return None, ""


def _by_plain_names(fields: Mapping[str, str | Sequence]) -> dict[str, str | Sequence]:
    return {_plain(name): value for name, value in fields.items()}


def _plain(name: str) -> str:
    """Return a name in lower case with single blanks: "Wavelength_(nm)" becomes "wavelength nm".

    GDAL's names for lists in a netCDF file, NETCDF_DIM_wavelength_VALUES and, for each band, NETCDF_DIM_wavelength,
    become "wavelength".
    """
    plain = " ".join(re.sub(r"[_()\[\]#]", " ", name.lower()).split())
    return re.sub(r"^netcdf dim (.*?)( values)?$", r"\1", plain)
