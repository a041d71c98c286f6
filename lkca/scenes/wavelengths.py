"""Wavelengths in nanometres from what headers say, which is often without a usable unit."""

import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np

NANOMETRES = {
    "nm": 1.0, "nanometer": 1.0, "nanometre": 1.0,
    "um": 1e3, "µm": 1e3, "μm": 1e3, "micrometer": 1e3, "micrometre": 1e3, "micron": 1e3,
    "a": 0.1, "å": 0.1, "angstrom": 0.1,
}  # fmt: skip
NO_LENGTH = ("wavenumber", "ghz", "mhz", "index")  # ENVI's units that are not lengths


def in_nanometres(
    path: Path,
    bands: int,
    wavelengths: Iterable[str | float] | None,
    fwhm: Iterable[str | float] | None = None,
    unit: str | None = None,
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Wavelengths and band widths (FWHM) in nm, each float64 (B,), or None where unknown.

    Without a usable unit, values that are all within 0.3-15 are taken as micrometres and within 300-15000 as
    nanometres. The widths are taken to have the unit of the wavelengths. A list that does not fit is left out
    with a warning: a scene is usable without.
    """
    centers = _numbers(path, "wavelengths", bands, wavelengths)
    if centers is None:
        return None, None
    factor = _nanometres_each(centers, unit)
    if factor is None:
        return None, None
    widths = _numbers(path, "band widths (fwhm)", bands, fwhm)
    return centers * factor, None if widths is None else widths * factor


def _nanometres_each(values: np.ndarray, unit: str | None) -> float | None:
    unit = (unit or "").strip().lower()
    if unit in NO_LENGTH:
        return None
    singular = unit[:-1] if unit.endswith("s") else unit
    if singular in NANOMETRES:
        return NANOMETRES[singular]
    if np.all((values >= 0.3) & (values <= 15)):
        return 1e3
    if np.all((values >= 300) & (values <= 15000)):
        return 1.0
    return None


def _numbers(path: Path, what: str, bands: int, values: Iterable[str | float] | None) -> np.ndarray | None:
    if values is None:
        return None
    values = list(values)
    if len(values) != bands:
        warnings.warn(f"{path}: {len(values)} {what} for {bands} bands; they are left out", stacklevel=2)
        return None
    try:
        numbers = np.array([float(value) for value in values])
    except ValueError as error:
        warnings.warn(f"{path}: its {what} are not all numbers ({error}); they are left out", stacklevel=2)
        return None
    if not (np.isfinite(numbers).all() and (numbers > 0).all()):
        warnings.warn(f"{path}: its {what} are not all positive numbers; they are left out", stacklevel=2)
        return None
    return numbers


def rgb_bands(bands: int, wavelengths: np.ndarray | None) -> tuple[int, int, int]:
    """Bands (0-based) to show as red, green and blue: the nearest to 650, 550 and 450 nm.

    Without wavelengths, or where the visible is not covered to within 60 nm, the middles of three equal runs of
    bands, last to first.
    """
    if shows_colours(wavelengths):
        return tuple(int(band) for band in _distance(wavelengths).argmin(axis=1))
    return 5 * bands // 6, bands // 2, bands // 6


def shows_colours(wavelengths: np.ndarray | None) -> bool:
    """Whether three different bands lie within 60 nm of red, green and blue."""
    if wavelengths is None:
        return False
    distance = _distance(wavelengths)
    return bool(distance.min(axis=1).max() <= 60 and len(set(distance.argmin(axis=1))) == 3)


def _distance(wavelengths: np.ndarray) -> np.ndarray:
    return np.abs(wavelengths[None] - np.array([[650.0], [550.0], [450.0]]))  # (3, B)
