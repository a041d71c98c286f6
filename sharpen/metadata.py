"""Read what a file says of its bands, in every spelling: wavelengths, their unit, widths, bad bands, names; and gains.

Sources, in this order; the first that has a value for each band wins:

1. the header or the dataset's tags, as a list: `wavelength = {400, 450, ...}` of ENVI, of GDAL's ENVI domain, of a
   .aux.xml beside the file;
2. the bands' own tags: `wavelength`, `wavelength_units`, `fwhm`, `bbl`, in the default domain or in ENVI's;
3. GDAL's IMAGERY domain: CENTRAL_WAVELENGTH_UM, FWHM_UM;
4. the bands' names: `band 3 (500.0 Nanometers)`.

A list that does not fit the bands is left out with a warning: a scene is usable without.
"""

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lkca.data.wavelengths import in_nanometres

SPELLINGS = {  # of a field's name, in lower case with spaces
    "wavelength": ("wavelength", "wavelengths", "center wavelength", "center wavelengths", "central wavelength"),
    "unit": ("wavelength units", "wavelength unit", "wavelengths units", "wavelengths unit"),
    "fwhm": ("fwhm", "bandwidth", "bandwidths"),
    "bbl": ("bbl", "bad bands list", "bad band list"),
    "names": ("band names",),
    "imagery wavelength": ("central wavelength um",),
    "imagery fwhm": ("fwhm um",),
}
WAVELENGTH_IN_NAME = re.compile(
    r"(?<![\w.])(\d+(?:\.\d+)?)\s*(nm|[uµμ]m|nanomet(?:er|re)s?|micromet(?:er|re)s?|microns?)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Bands:
    """What a file says of its bands; each (B,), None where it says nothing.

    wavelength, fwhm : nm. good : False where the file marks a band as bad.
    """

    wavelength: NDArray[np.float64] | None = None
    fwhm: NDArray[np.float64] | None = None
    good: NDArray[np.bool_] | None = None
    names: tuple[str, ...] | None = None


def describe_bands(
    source: object,
    count: int,
    fields: Mapping[str, str],
    tags: Sequence[Mapping[str, str]] = (),
    names: Sequence[str | None] = (),
) -> Bands:
    """Return what header fields, tags of each band and names say of `count` bands.

    Parameters
    ----------
    source : the file, for messages.
    fields : header fields or tags of the dataset; a list is text in braces.
    tags : tags of each band, of all domains; empty if none.
    names : descriptions of the bands; without any, the header's list of names serves.

    Warns
    -----
    UserWarning
        A list that does not fit the bands, or a unit that is no length.
    """
    fields, tags = _by_plain_names(fields), [_by_plain_names(each) for each in tags]
    if not any(names):
        names = split_list(_find(fields, "names")) or ()
    names = tuple(name or "" for name in names) if len(names) == count else None

    centres, unit = split_list(_find(fields, "wavelength")), _find(fields, "unit")
    widths = split_list(_find(fields, "fwhm"))
    if centres is None or len(centres) == 1 < count:
        centres, widths = _each(tags, "wavelength"), _each(tags, "fwhm")
        unit = next((_find(each, "unit") for each in tags if _find(each, "unit")), unit)
    if centres is None and (centres := _each(tags, "imagery wavelength")):
        widths, unit = _each(tags, "imagery fwhm"), "um"
    if centres is None and names is not None:
        (centres, unit), widths = _in_names(names), None
    wavelength, fwhm = in_nanometres(source, count, centres, widths, (unit or "").strip("{} "))
    return Bands(wavelength, fwhm, _good_bands(source, count, fields, tags), names)


def split_list(text: str | None) -> list[str] | None:
    """Split "{1, 2, 3}" into its items: a trailing comma adds none, and blanks split where no comma does."""
    inner = (text or "").strip().strip("{}[]").strip()
    if "," in inner:
        items = [item.strip() for item in inner.split(",")]
        return items if items[-1] else items[:-1]
    words = inner.split()
    return words if all(re.fullmatch(r"[-+.\deE]+", word) for word in words) and words else [inner] if inner else None


def scaling(source: object, gains: Sequence[float], offsets: Sequence[float]) -> dict[str, object]:
    """Return the attributes that say value = gain * number + offset: CF's where all bands agree, arrays where not.

    Gains or offsets that cannot be (0, NaN) are left out with a warning.
    """
    gains, offsets = np.asarray(gains, np.float64), np.asarray(offsets, np.float64)
    if not (np.isfinite(gains).all() and np.isfinite(offsets).all() and gains.all()):
        warnings.warn(f"{source}: its gains or offsets hold 0 or no number; they are left out", stacklevel=2)
        return {"scale_factor": 1.0, "add_offset": 0.0}
    if np.ptp(gains) <= 1e-9 * abs(gains[0]) and np.ptp(offsets) <= 1e-9 * abs(offsets[0]):
        return {"scale_factor": float(gains[0]), "add_offset": float(offsets[0])}
    return {"gains": gains, "offsets": offsets}


def header_scaling(source: object, count: int, fields: Mapping[str, str]) -> dict[str, object]:
    """Return what an ENVI header says of the numbers' unit; nothing where it says nothing.

    "data gain values" and "data offset values" multiply and add; "reflectance scale factor" divides.
    """
    factor = _numbers(source, fields, "reflectance scale factor", 1)
    gains = _numbers(source, fields, "data gain values", count)
    offsets = _numbers(source, fields, "data offset values", count)
    by_factor = {"scale_factor": 1 / factor[0], "add_offset": 0.0} if factor and factor[0] else {}
    if gains is None and offsets is None:
        return by_factor
    found = scaling(source, gains or [1.0] * count, offsets or [0.0] * count)
    if found == {"scale_factor": 1.0, "add_offset": 0.0} and by_factor:
        return by_factor
    if by_factor and factor[0] != 1 and not np.isclose(found.get("scale_factor", 0.0), by_factor["scale_factor"]):
        warnings.warn(
            f"{source}: data gain values and reflectance scale factor {factor[0]:g} disagree; the gains are taken",
            stacklevel=2,
        )
    return found


def _numbers(source: object, fields: Mapping[str, str], name: str, count: int) -> list[float] | None:
    items = split_list(fields.get(name))
    if items is None:
        return None
    try:
        found = [float(item) for item in items]
    except ValueError:
        found = []
    if len(found) != count:
        warnings.warn(f"{source}: {name} is not a number for each of {count} bands; it is left out", stacklevel=3)
        return None
    return found


def _good_bands(
    source: object, count: int, fields: Mapping[str, str], tags: Sequence[Mapping[str, str]]
) -> NDArray[np.bool_] | None:
    """Return False for the bands that the list of bad bands marks with 0."""
    marks = split_list(_find(fields, "bbl"))
    if marks is None or len(marks) == 1 < count:
        if not any(_find(each, "bbl") for each in tags):
            return None
        marks = [_find(each, "bbl") or "1" for each in tags]
    words = {"true": "1", "false": "0", "good": "1", "bad": "0"}
    try:
        numbers = [float(words.get(mark.lower(), mark)) for mark in marks]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        warnings.warn(
            f"{source}: its list of bad bands (bbl) is not a number for each of {count} bands; it is left out",
            stacklevel=3,
        )
        return None
    return np.array(numbers) != 0


def _in_names(names: Iterable[str]) -> tuple[list[str] | None, str | None]:
    """Return wavelengths and unit from names such as "band 3 (500.0 Nanometers)", where each has one in one unit."""
    found = [WAVELENGTH_IN_NAME.search(name) for name in names]
    if not all(found) or len({match[2].lower() for match in found}) > 1:
        return None, None
    return [match[1] for match in found], found[0][2]


def _each(tags: Sequence[Mapping[str, str]], name: str) -> list[str] | None:
    """Return one tag of each band, None unless all have it."""
    values = [_find(each, name) for each in tags]
    return values if values and all(values) else None


def _find(fields: Mapping[str, str], name: str) -> str | None:
    return next((fields[spelling] for spelling in SPELLINGS[name] if spelling in fields), None)


def _by_plain_names(fields: Mapping[str, str]) -> dict[str, str]:
    return {" ".join(name.lower().replace("_", " ").split()): value for name, value in fields.items()}
