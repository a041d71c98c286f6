"""Which bands of a scene can be used: the header's list of bad ones, those without data, the user's choice."""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from lkca.scenes.no_data import missing_values
from lkca.scenes.scene import BLOCK_BYTES, Scene


def numbers_in(text: str, count: int, what: str) -> list[int]:
    """Numbers of "1-129,136-224", from 0 on.

    Parameters
    ----------
    text : numbers and ranges from 1 on, both ends included. count : how many there are.
    what : the option's name, for the message.

    Raises
    ------
    ValueError
        For anything else, for a number outside of 1 to `count`, and for one that comes twice.
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
    """Numbers from 0 on as "1-129, 136": from 1 on."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(f"{first + 1}" if first == last else f"{first + 1}-{last + 1}" for first, last in ranges)


def usable_bands(scene: Scene, asked: str | None = None) -> tuple[list[int], str]:
    """The bands to work with, from 0 on, and a line on those left out ("" where there are none).

    Left out are the bands that `bbl` of an ENVI header (or a TIFF's tag of that name) marks with 0, unless `asked`
    names the bands; and always those that hold no data anywhere. To know the latter the file is read until each band
    has shown a number.

    Raises
    ------
    ValueError
        If no band is left, or `asked` is no list of bands.
    """
    total = scene.shape[0]
    chosen = list(range(total)) if asked is None else numbers_in(asked, total, f"{scene.path}: bands")
    flagged = [] if asked is not None else flagged_bands(scene)
    dead = bands_without_data(scene, [band for band in chosen if band not in set(flagged)])
    left_out = {*flagged, *dead}
    good = [band for band in chosen if band not in left_out]
    said = []
    if asked is not None and len(chosen) < total:
        said.append(f"{in_ranges(set(range(total)) - set(chosen))} (not asked for)")
    if flagged:
        said.append(f"{in_ranges(flagged)} (marked as bad, bbl)")
    if dead:
        said.append(f"{in_ranges(dead)} (no data anywhere)")
    line = f"{scene.path}: {len(good)} of {total} bands are used; left out: {'; '.join(said)}" if said else ""
    if not good:
        raise ValueError(f"{line}. Nothing is left: check the no-data value and bbl, or name the bands yourself.")
    return good, line


def flagged_bands(scene: Scene) -> list[int]:
    """Bands (from 0 on) that the scene's own list of bad bands marks; none where the list does not fit the scene."""
    text = next((value for name, value in scene.metadata.items() if name.lower() == "bbl"), "")
    try:
        marks = [float(mark) for mark in text.strip("{} ").split(",")]
    except ValueError:
        return []
    if len(marks) != scene.shape[0]:
        return []
    return [band for band, mark in enumerate(marks) if mark == 0]


def bands_without_data(scene: Scene, bands: Sequence[int]) -> list[int]:
    """Those of the bands in which not one pixel has data: see `lkca.scenes.no_data`.

    Whole numbers of a scene that declares no no-data value are not read: a band of nothing but a fill value is rare.
    """
    if scene.no_data is None and scene.dtype.kind != "f":
        return []
    silent = list(bands)
    height, width = scene.shape[1:]
    start = 0
    while silent and start < height:
        rows = max(1, BLOCK_BYTES // (len(silent) * width * scene.dtype.itemsize))
        block = scene.read(slice(start, start + rows), slice(None), silent)
        missing = np.logical_or(*missing_values(block, scene.no_data)).all(axis=(1, 2))
        silent = [band for band, dead in zip(silent, missing, strict=True) if dead]
        start += rows
    return silent


def marked_bad(metadata: Mapping[str, str], bands: Sequence[int], total: int) -> dict[str, str]:
    """A header's fields with all but `bands` of `total` marked as bad in its `bbl`."""
    name = next((name for name in metadata if name.lower() == "bbl"), "bbl")
    if len(bands) == total:
        return dict(metadata)
    marks = [int(band in set(bands)) for band in range(total)]
    return {**metadata, name: "{" + ", ".join(map(str, marks)) + "}"}
