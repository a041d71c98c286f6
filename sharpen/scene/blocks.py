"""Read windows of a scene with a mask of the pixels without data, and choose the bands to use.

A value is no data if it is the declared one (of its band), if the file's mask says so, or if `lkca.data.no_data` finds
it: NaN, infinity, undeclared fill values.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lkca.data.no_data import (
    MAX_FAR_VALUES,
    SAMPLE_SIZE,
    far_limit,
    missing_values,
    stored_as,
    warn_of_far,
    warn_of_fills,
)

BLOCK_BYTES = 2**25  # read at once when a whole scene is surveyed
COSTLY_SHARE = 0.01  # of the pixels: a band is named if it lacks data at that many more than the median band


def read_block(
    scene: xr.DataArray, rows: slice = slice(None), columns: slice = slice(None), bands: Sequence[int] | None = None
) -> tuple[NDArray, NDArray[np.bool_]]:
    """Read a window: its values (b, h, w), and a mask (h, w), True where at least one band has no data.

    bands : indices from 0, in any order; None takes all.

    Values are the numbers of the file in its dtype, no-data values included.
    """
    part = scene.isel(y=rows, x=columns)
    if bands is not None:
        part = part.isel(band=list(bands))
    values = part.values
    missing = _masked(part)
    for band, image in enumerate(values):
        missing |= np.logical_or(*_missing(part, image, band))
    return values, missing


def missing_by_band(scene: xr.DataArray, bands: Sequence[int] | None = None) -> NDArray[np.int64]:
    """Return how many pixels have no data in each band, (b,); pixels that the file's mask excludes do not count.

    bands : indices from 0; None takes all. Reads the scene once, or twice if it may hold undeclared fill values.
    """
    return _survey(scene, range(scene.sizes["band"]) if bands is None else bands).by_band


def usable_bands(scene: xr.DataArray, asked: str | None = None) -> tuple[list[int], str]:
    """Return the bands to use, indices from 0, and a line on those left out, "" if there are none.

    Bands without data anywhere are left out, and bands that the file marks as bad, unless `asked` names the bands. A
    band stays if it alone has no data at many pixels, but the line says how to leave it out.

    The scene is read once, or twice if it may hold undeclared fill values. Values far from all others that are taken as
    no data are stored in `scene.attrs["fills"]`, where `read_block` and `SceneWriter` find them.

    Parameters
    ----------
    asked : bands as numbers and ranges from 1, such as "1-129,136-224".

    Warns
    -----
    UserWarning
        If undeclared fill values are taken as no data.

    Raises
    ------
    ValueError
        If no band is left, or `asked` is not a list of bands.
    """
    total, name = scene.sizes["band"], scene.attrs.get("source", "the scene")
    if asked is None:
        chosen = list(range(total))
        flagged = np.flatnonzero(~scene.coords["good_band"].values) if "good_band" in scene.coords else ()
    else:
        chosen, flagged = numbers_in(asked, total, f"{name}: bands"), ()
    looked_at = [band for band in chosen if band not in set(flagged)]
    survey, pixels = _survey(scene, looked_at), scene.sizes["y"] * scene.sizes["x"]
    warn_of_fills(name, survey.undeclared, pixels)
    if survey.fills:
        scene.attrs["fills"] = survey.fills
    shares = {band: count / pixels for band, count in zip(looked_at, survey.by_band.tolist(), strict=True)}
    dead = [band for band, share in shares.items() if share * pixels == pixels - survey.masked]
    good = [band for band in looked_at if band not in dead]
    said = {
        "not asked for": set(range(total)) - set(chosen),
        "marked as bad": flagged,
        "no data anywhere": dead,
    }
    reasons = "; ".join(f"{in_ranges(bands)} ({why})" for why, bands in said.items() if len(bands))
    line = f"{name}: {len(good)} of {total} bands are used; left out: {reasons}" if reasons else ""
    if not good:
        raise ValueError(f"{line}. No band is left: check the no-data value and the bad bands, or name the bands.")
    usual = np.median([shares[band] for band in good])
    if costly := [band for band in good if shares[band] - usual > COSTLY_SHARE]:
        cost = ", ".join(f"{band + 1} ({shares[band]:.1%})" for band in costly[:10])
        rest = in_ranges(set(good) - set(costly)).replace(" ", "")
        line += ". " if line else f"{name}: "
        line += f"single bands without data cost pixels of all bands: {cost}; --bands {rest} leaves these bands out"
    return good, line


def gains_and_offsets(scene: xr.DataArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return gain and offset of each band, (B,) each: physical value = gain * number + offset."""
    if "gain" in scene.coords:
        return scene.coords["gain"].values.astype(float), scene.coords["offset"].values.astype(float)
    both = (scene.attrs.get("scale_factor", 1.0), scene.attrs.get("add_offset", 0.0))
    return tuple(np.full(scene.sizes["band"], float(value)) for value in both)


def numbers_in(text: str, count: int, what: str) -> list[int]:
    """Return the numbers, from 0, that a text such as "1-129,136-224" names: from 1 to `count`, both ends included.

    what : the option, for messages.

    Raises
    ------
    ValueError
        For any other text, a number out of range, or a number named twice.
    """
    numbers: list[int] = []
    for piece in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", piece)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= last <= count:
            raise ValueError(
                f"{what}: {piece.strip()!r} of {text!r} is not a number between 1 and {count}, or a range such as 1-129"
            )
        numbers += range(first - 1, last)
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{what}: {text!r} names a number twice")
    return numbers


def in_ranges(numbers: Iterable[int]) -> str:
    """Return numbers from 0 as text from 1: "1-129, 136"."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(f"{first + 1}" if first == last else f"{first + 1}-{last + 1}" for first, last in ranges)


@dataclass
class _Survey:
    """by_band : pixels without data in each band, those of the mask aside. masked : pixels that the mask excludes.

    undeclared : pixels that only an undeclared fill value excludes. fills : values far from all others.
    """

    by_band: NDArray[np.int64]
    masked: int = 0
    undeclared: int = 0
    fills: tuple[float, ...] = ()


def _survey(scene: xr.DataArray, bands: Sequence[int]) -> _Survey:
    part = scene.isel(band=list(bands))
    survey = _Survey(np.zeros(len(bands), np.int64))
    is_float, largest, sample = part.dtype.kind == "f", 0.0, []
    for block, values, masked in _blocks(part):
        survey.masked += int(masked.sum())
        known, undeclared = masked.copy(), np.zeros_like(masked)
        for band, image in enumerate(values):
            declared, filled = _missing(block, image, band)
            survey.by_band[band] += int(((declared | filled) & ~masked).sum())
            known |= declared
            undeclared |= filled
        survey.undeclared += int((undeclared & ~known).sum())
        if is_float and (valid := ~(known | undeclared)).any():
            sizes = np.abs(values[:, valid])
            largest = max(largest, float(sizes.max()))
            sample.append(sizes.ravel()[:: -(-part.size // SAMPLE_SIZE)])
    if is_float and sample and (limit := far_limit(np.concatenate(sample), largest)) < np.inf:
        _add_far_values(part, limit, survey)
    return survey


def _add_far_values(part: xr.DataArray, limit: float, survey: _Survey) -> None:
    """Count values far from all others as no data if they are few enough to be fill values."""
    counts, pixels, found = np.zeros(len(survey.by_band), np.int64), 0, np.empty(0, part.dtype)
    for block, values, masked in _blocks(part):
        far = np.zeros_like(masked)
        missing = masked.copy()
        for band, image in enumerate(values):
            missing |= np.logical_or(*_missing(block, image, band))
        for band, image in enumerate(values):
            here = (np.abs(image) > limit) & ~missing
            counts[band] += int(here.sum())
            far |= here
            found = np.unique(np.append(found, image[here]))
        pixels += int(far.sum())
    if warn_of_far(part.attrs.get("source", "the scene"), found, pixels):
        survey.by_band += counts
        survey.fills = tuple(float(value) for value in found[:MAX_FAR_VALUES])


def _blocks(part: xr.DataArray) -> Iterator[tuple[xr.DataArray, NDArray, NDArray[np.bool_]]]:
    """Yield strips of rows: the DataArray, its values (b, h, w) and its mask (h, w)."""
    row_bytes = max(1, part.sizes["band"] * part.sizes["x"] * part.dtype.itemsize)
    rows = max(1, min(part.sizes["y"], BLOCK_BYTES // row_bytes))
    for row in range(0, part.sizes["y"], rows):
        block = part.isel(y=slice(row, row + rows))
        yield block, block.values, _masked(block)


def _masked(part: xr.DataArray) -> NDArray[np.bool_]:
    if "masked" in part.coords:
        return np.array(part.coords["masked"].values, bool)
    return np.zeros((part.sizes["y"], part.sizes["x"]), bool)


def _missing(part: xr.DataArray, image: NDArray, band: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return two masks (h, w) of one band: no data by declaration, and no data by an undeclared fill value only."""
    own = part.rio.nodata
    if "no_data" in part.coords:
        own = float(part.coords["no_data"].values[band])
    declared, filled = missing_values(image, None if own is None else float(own))
    for fill in part.attrs.get("fills", ()):
        if (stored := stored_as(fill, image.dtype)) is not None:
            filled |= (image == stored) & ~declared
    return declared, filled
