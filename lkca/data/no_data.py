"""Decide which values of a scene are no data: one rule for files and arrays, for training and sharpening.

The declared no-data value, NaN and infinity are no data. So are values that programs fill gaps with and no instrument
measures, declared or not: floats beyond `MAX_VALUE`, the least number of a signed type, exactly one of `FILLS`, and
floats more than `FAR` times as large as all others. A warning always counts the undeclared ones.
"""

import warnings
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

MAX_VALUE = 1e15  # of a float: the fill values of netCDF (9.97e36) and IDL, and the limits of the types, are larger
FILLS = (-9999, -99999, -32768)
# Times the largest of a scene's other values. In 19 real scenes, the largest value of all is 1.6 times the 99.99
# percentile; no 16-bit instrument measures one value so far above a million others.
FAR = 10_000
MAX_FAR_VALUES = 2  # different magnitudes of far values; with more of them, they are not fill values
MIN_OTHER_SIZES = 16  # different magnitudes among the other values: a mask, or a scene of a few numbers, has no scale
SAMPLE_SIZE = 10**6  # values that represent all others


def find_no_data(values: NDArray, declared: float | None = None, name: object = "the scene") -> Mask:
    """Return where a pixel of (B, H, W) has no data in at least one band, (H, W); warn of undeclared values.

    declared : the no-data value, if the file or the caller gives one. name : of the scene, for the warning.
    """
    missing, undeclared = missing_pixels(values, declared)
    warn_of_fills(name, int(undeclared.sum()), undeclared.size)
    return missing | far_pixels(values, missing, name) if values.dtype.kind == "f" else missing


def missing_pixels(values: NDArray, declared: float | None) -> tuple[Mask, Mask]:
    """Return two masks (H, W) of (B, H, W): no data in any band; and of these, only because of undeclared fills."""
    certain, undeclared = np.zeros(values.shape[1:], bool), np.zeros(values.shape[1:], bool)
    for band in values:
        here, filled = missing_values(band, declared)
        certain |= here
        undeclared |= filled
    return certain | undeclared, undeclared & ~certain


def missing_values(values: NDArray, declared: float | None) -> tuple[Mask, Mask]:
    """Return two masks of the array's shape: values that are no data for certain, and undeclared fills."""
    certain, undeclared = np.zeros(values.shape, bool), np.zeros(values.shape, bool)
    own = stored_as(declared, values.dtype)
    is_float, signed = values.dtype.kind == "f", values.dtype.kind == "i" and values.dtype.itemsize > 1
    if own is not None:
        certain |= values == own
    if is_float:
        certain |= ~np.isfinite(values)
        with np.errstate(over="ignore"):  # half precision holds no such number
            undeclared |= (np.abs(values) > MAX_VALUE) & ~certain
    if (is_float or signed) and np.fmin.reduce(values, axis=None, initial=0) <= max(FILLS):
        least = (np.iinfo(values.dtype).min,) if signed else ()
        for fill in (*FILLS, *least):
            if stored_as(fill, values.dtype) not in (None, own):
                undeclared |= (values == fill) & ~certain
    return certain, undeclared


def far_pixels(values: NDArray[np.floating], missing: Mask, name: object) -> Mask:
    """Return where a pixel of (B, H, W) has a value so far above all others that it counts as a fill value; warn.

    missing : (H, W), pixels already found to have no data.
    """
    valid = ~missing
    far = np.zeros(missing.shape, bool)
    if not valid.any():
        return far
    pixels = np.flatnonzero(valid)
    sample = values.reshape(len(values), -1)[:, pixels[:: -(-len(values) * len(pixels) // SAMPLE_SIZE)]]
    limit = far_limit(sample, max(float(np.abs(band[valid]).max()) for band in values))
    if limit == np.inf:
        return far
    found = np.empty(0, values.dtype)
    for band in values:
        here = valid & (np.abs(band) > limit)
        far |= here
        found = np.unique(np.append(found, band[here]))
    taken = warn_of_far(name, found, int(far.sum()))
    return far if taken else np.zeros_like(far)


def far_limit(sample: NDArray, largest: float) -> float:
    """Return the magnitude above which floats are far from all others; infinity if none is.

    sample : about `SAMPLE_SIZE` values from all over the scene. largest : the largest magnitude of all its values.

    Far are at most `MAX_FAR_VALUES` different magnitudes, more than `FAR` times as large as all others: 65535 or 1e6
    among reflectances. Zeros do not count. A pixel a thousand times as bright as all others is kept.
    """
    sizes = np.unique(np.append(np.abs(sample[sample != 0]), largest).astype(np.float64))
    for far in range(1, MAX_FAR_VALUES + 1):
        if len(sizes) > far + MIN_OTHER_SIZES and sizes[-far] > FAR * sizes[-far - 1]:
            return float(FAR * sizes[-far - 1])
    return np.inf


def warn_of_far(name: object, found: Iterable[float], pixels: int) -> bool:
    """Warn that values are far from all others; return whether they count as no data.

    found : the different values. pixels : number of pixels with such a value.
    """
    found = list(found)
    taken = len(found) <= MAX_FAR_VALUES
    shown = ", ".join(f"{value:g}" for value in found[:MAX_FAR_VALUES])
    then = "they are taken as no data" if taken else "they differ, and are left as they are: check them"
    warnings.warn(
        f"{name}: {pixels} pixels have a value more than {FAR} times as large as all others ({shown}): {then}",
        stacklevel=3,
    )
    return taken


def warn_of_fills(name: object, undeclared: int, pixels: int) -> None:
    """Warn of the number of pixels that are taken as no data although their value is undeclared."""
    if undeclared:
        warnings.warn(
            f"{name}: {undeclared} of {pixels} pixels have a value that cannot be data (beyond {MAX_VALUE:g}, the "
            f"least number of its type, or {', '.join(map(str, FILLS))}) and is not declared: they are taken as no "
            "data",
            stacklevel=3,
        )


def stored_as(number: float | None, dtype: np.dtype) -> np.generic | None:
    """Return `number` as `dtype` holds it, so that -3.4e38 is found in float32; None if the type cannot hold it."""
    if number is None or not np.isfinite(number):
        return None
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return dtype.type(number)
    limits = np.iinfo(dtype)
    if number != int(number) or not limits.min <= number <= limits.max:
        return None
    return dtype.type(int(number))
