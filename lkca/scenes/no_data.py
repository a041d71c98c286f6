"""The one rule of what is no data in a scene, by the numbers as its file holds them."""

import warnings

import numpy as np
from numpy.typing import NDArray

LARGEST = 1e15  # of a float: the fill values of netCDF (9.97e36), IDL and the types' own limits are beyond
FILLS = (-9999, -99999, -32768)
# Times the largest of a scene's other values: in 19 real scenes the largest of all is 1.6 times what all but one in ten
# thousand stay below; of instruments of 16 bits, nothing is so far from what a million other values reach.
FAR = 10_000
FEW, SAMPLE = 2, 10**6  # different sizes that a fill value has at most; values that are looked at for all others
ENOUGH = 16  # different sizes among the others: a mask, or a scene of a few numbers, says nothing


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


def far_limit(sample: NDArray, most: float) -> float:
    """The size beyond which floats are far from all others, as fill values may be that no rule knows; else infinity.

    sample : about `SAMPLE` values of a scene, from all over it. most : the largest size of all its values.

    Far are at most `FEW` different sizes, `FAR` times as large as all others: 65535 or 1e6 among reflectances. Zeros do
    not count: a sparse scene has no scale. A pixel thirty or a thousand times as bright as all others stays data.
    """
    sizes = np.unique(np.append(np.abs(sample[sample != 0]), most).astype(np.float64))
    for far in range(1, FEW + 1):
        if len(sizes) > far + ENOUGH and sizes[-far] > FAR * sizes[-far - 1]:
            return float(FAR * sizes[-far - 1])
    return np.inf


def warn_of_far(name: object, found: NDArray, pixels: int, taken: bool) -> None:
    """Say that values are far from all others, and whether they were taken as no data.

    found : different values of them. pixels : that have one.
    """
    shown = ", ".join(f"{value:g}" for value in found[:FEW])
    then = "they are taken as no data" if taken else "they differ, and are left as they are: check them"
    warnings.warn(
        f"{name}: {pixels} pixels have a value more than {FAR} times as large as all others ({shown}): {then}",
        stacklevel=3,
    )


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
