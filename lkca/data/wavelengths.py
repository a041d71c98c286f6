"""Convert wavelengths to nanometres, with or without a stated unit; choose bands to show as colours."""

import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Wavelengths = NDArray[np.float64]  # (B,) nm

NANOMETRES = {
    "nm": 1.0, "nanometer": 1.0, "nanometre": 1.0,
    "um": 1e3, "µm": 1e3, "μm": 1e3, "micrometer": 1e3, "micrometre": 1e3, "micron": 1e3,
    "mm": 1e6, "millimeter": 1e6, "millimetre": 1e6, "m": 1e9, "meter": 1e9, "metre": 1e9,
    "a": 0.1, "å": 0.1, "angstrom": 0.1,
}  # fmt: skip
UNSTATED = ("", "unknown", "none")  # units that say nothing: the values decide
RGB_NM = (650.0, 550.0, 450.0)
MAX_COLOUR_DISTANCE = 60.0  # nm between a band and the colour that it represents


def nanometres(unit: str) -> float | None:
    """Return how many nm a unit of length is, in any spelling; None for anything else."""
    unit = unit.strip("{} ").lower()
    return NANOMETRES.get(unit, NANOMETRES.get(unit.removesuffix("s")))


def in_nanometres(
    path: Path | str,
    bands: int,
    wavelengths: Iterable[str | float] | None,
    fwhm: Iterable[str | float] | None = None,
    unit: str | None = None,
    fwhm_unit: str | None = None,
) -> tuple[Wavelengths | None, Wavelengths | None]:
    """Return wavelengths and band widths (FWHM) in nm, each float64 (B,), or None where unknown.

    Without a unit, values from 0.3 to 15 are taken as micrometres, and values from 300 to 15000 as nanometres; the
    numbers 1, 2, 3, ... only count the bands. The widths have the unit of the wavelengths, unless they have their own.
    A list that does not fit the bands, or a unit that is not of length, is left out with a warning.
    """
    centres = _numbers(path, "wavelengths", bands, wavelengths)
    factor = None if centres is None else _nanometres_each(path, centres, unit)
    if factor is None:
        return None, None
    widths = _numbers(path, "band widths (fwhm)", bands, fwhm)
    return centres * factor, None if widths is None else widths * (nanometres(fwhm_unit or "") or factor)


def _nanometres_each(path: Path | str, values: Wavelengths, unit: str | None) -> float | None:
    unit = (unit or "").strip("{} ").lower()
    factor = nanometres(unit)
    if factor is not None:
        return factor
    if unit not in UNSTATED:
        warnings.warn(
            f"{path}: its wavelengths are in {unit!r}, which is not a unit of length; they are left out", stacklevel=3
        )
        return None
    if len(values) > 1 and np.array_equal(values, 1 + np.arange(len(values))):
        return None  # they only count the bands
    if np.all((values >= 0.3) & (values <= 15)):
        return 1e3
    if np.all((values >= 300) & (values <= 15000)):
        return 1.0
    warnings.warn(
        f"{path}: its wavelengths, {values.min():g} to {values.max():g}, have no unit, and are neither all micrometres "
        "nor all nanometres; they are left out",
        stacklevel=3,
    )
    return None


def _numbers(path: Path | str, what: str, bands: int, values: Iterable[str | float] | None) -> Wavelengths | None:
    if values is None:
        return None
    values = list(values)
    if len(values) != bands:
        warnings.warn(f"{path}: {len(values)} {what} for {bands} bands; they are left out", stacklevel=3)
        return None
    try:
        numbers = np.array([float(value) for value in values])
    except ValueError as error:
        warnings.warn(f"{path}: its {what} are not all numbers ({error}); they are left out", stacklevel=3)
        return None
    if not (np.isfinite(numbers).all() and (numbers > 0).all()):
        warnings.warn(f"{path}: its {what} are not all positive numbers; they are left out", stacklevel=3)
        return None
    return numbers


def resample_bands(cube: NDArray[np.float32], wavelengths: Wavelengths | None, count: int) -> NDArray[np.float32]:
    """Resample (B, H, W) to `count` bands, evenly spaced over the scene's own spectral range; linear, float32.

    wavelengths : (B,) in nm, in any order; None takes the bands as evenly spaced.
    """
    axis = np.arange(len(cube), dtype=float) if wavelengths is None else wavelengths
    order = np.argsort(axis, kind="stable")
    axis = axis[order]
    centres = np.linspace(axis[0], axis[-1], count)
    above = np.clip(np.searchsorted(axis, centres), 1, len(axis) - 1)
    share = ((centres - axis[above - 1]) / (axis[above] - axis[above - 1])).astype(np.float32)[:, None, None]
    below, upper = cube[order[above - 1]], cube[order[above]]
    return below + share * (upper - below)


def rgb_bands(bands: int, wavelengths: Wavelengths | None) -> tuple[int, int, int]:
    """Return the bands, from 0, to show as red, green and blue: the nearest to 650, 550 and 450 nm.

    Without wavelengths, or if no three bands lie within 60 nm of these, the bands are divided into thirds, and the
    middles of the last, second and first third are taken.
    """
    if shows_colours(wavelengths):
        return tuple(int(band) for band in _colour_distance(wavelengths).argmin(axis=1))
    return 5 * bands // 6, bands // 2, bands // 6


def shows_colours(wavelengths: Wavelengths | None) -> bool:
    """Return whether three different bands lie within 60 nm of red, green and blue."""
    if wavelengths is None:
        return False
    distance = _colour_distance(wavelengths)
    return bool(distance.min(axis=1).max() <= MAX_COLOUR_DISTANCE and len(set(distance.argmin(axis=1))) == 3)


def _colour_distance(wavelengths: Wavelengths) -> NDArray[np.float64]:
    return np.abs(wavelengths[None] - np.array(RGB_NM)[:, None])  # (3, B)
