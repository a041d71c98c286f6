"""The one rule of what is no data in a scene, by the numbers as its file holds them."""

import warnings

import numpy as np
from numpy.typing import NDArray

LARGEST = 1e15  # of a float: the fill values of netCDF (9.97e36), IDL and the types' own limits are beyond
FILLS = (-9999, -99999, -32768)


def missing_pixels(raw: NDArray, no_data: float | None) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(H, W) twice, of (B, H, W): where any band has no data, and where only an undeclared fill value says so."""
    declared, undeclared = np.zeros(raw.shape[1:], bool), np.zeros(raw.shape[1:], bool)
    for band in raw:
        here, filled = missing_values(band, no_data)
        declared |= here
        undeclared |= filled
    return declared | undeclared, undeclared & ~declared


def missing_values(raw: NDArray, no_data: float | None) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Two masks of an array's shape: values that are no data, and others that only an undeclared fill value says are.

    No data is the no-data value, NaN and infinity; and what no instrument measures and programs fill gaps with: floats
    beyond `LARGEST`, the least number of a signed type, and `FILLS` exactly.
    """
    declared, undeclared = np.zeros(raw.shape, bool), np.zeros(raw.shape, bool)
    own = held_as(no_data, raw.dtype)
    is_float, signed = raw.dtype.kind == "f", raw.dtype.kind == "i" and raw.dtype.itemsize > 1
    least = np.iinfo(raw.dtype).min if signed else None
    fills = [fill for fill in (*FILLS, least) if fill is not None and held_as(fill, raw.dtype) not in (None, own)]
    if own is not None:
        declared |= raw == own
    if is_float:
        declared |= ~np.isfinite(raw)
        undeclared |= (np.abs(raw) > LARGEST) & ~declared
    if (is_float or signed) and np.fmin.reduce(raw, axis=None, initial=0) <= max(FILLS):
        for fill in fills:
            undeclared |= (raw == fill) & ~declared
    return declared, undeclared


def warn_of_fills(name: object, undeclared: int, pixels: int) -> None:
    """Say how many pixels were taken as no data though the file does not declare their value."""
    if undeclared:
        warnings.warn(
            f"{name}: {undeclared} of {pixels} pixels have a value that cannot be data (beyond {LARGEST:g}, the least "
            f"number of its type, or {', '.join(map(str, FILLS))}) and that the file does not declare: they are taken "
            "as no data",
            stacklevel=3,
        )


def held_as(number: float | None, dtype: np.dtype) -> np.generic | None:
    """`number` as `dtype` holds it, so that -3.4e38 is found in float32; None where it cannot be in there."""
    if number is None or not np.isfinite(number):
        return None
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return dtype.type(number)
    limits = np.iinfo(dtype)
    if number != int(number) or not limits.min <= number <= limits.max:
        return None
    return dtype.type(int(number))
