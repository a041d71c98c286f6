"""What the paper leaves open about how its test images were cut and normalised: the readings of its protocol.

A reading is a choice on each of several axes. Readings that come to the same images are measured once.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lkca.data.datasets import DATASETS

SCALES = (4, 8)
CONTEXT = 4 * max(SCALES)  # HR pixels outside a test image that its bicubic image depends on
Box = tuple[int, int, int, int]  # rows first, last + 1, columns first, last + 1
LR_FROM = ("each test image", "the whole crop, then cut", "the whole crop, enlarged, then cut")
DIVISORS = (
    "maximum of the crop",
    "maximum of the file",
    "minimum to maximum of the crop",
    "maximum of each band",
    "minimum to maximum of each band",
    "maximum of each test image",
)


@dataclass(frozen=True)
class Protocol:
    """The open choices of one dataset. The first of each is what `lkca.data.datasets` assumes.

    crops : name -> (rows first, last + 1, columns first, last + 1), 0-based, in the file.
    tests : (side, number) of the square test images.
    divisors : numbers to divide by, beside the `DIVISORS` found in the data.
    places : where the test images lie side by side.
    """

    crops: Mapping[str, Box]
    tests: tuple[tuple[int, int], ...]
    divisors: tuple[float, ...] = ()
    places: tuple[str, ...] = ("top", "left", "bottom")


class ProtocolReading(NamedTuple):
    """One choice on every axis that decides the images, in words."""

    crop: str
    tests: str
    place: str
    divisor: str
    lr_from: str
    outside: str  # what becomes of values outside [0, 1] after the division


class Tile(NamedTuple):
    """One test image and where its LR image comes from."""

    box: Box
    context: Box | None  # what the LR image is made from, where that is more than the test image
    enlarged_whole: bool
    limits: tuple[float, float]  # values are clipped to these, in the file's numbers


class Setting(NamedTuple):
    """What a reading comes to; equal settings cannot be told apart."""

    tiles: tuple[Tile, ...]
    offset: tuple[float, ...]  # of each band
    divisor: tuple[float, ...] | None  # of each band; None for each test image's own maximum


def _protocol(name: str) -> Protocol:
    dataset = DATASETS[name]
    _, height, width = dataset.shape
    if name == "chikusei":
        top, bottom, left, right = *dataset.rows, *dataset.columns
        crops = {
            f"rows {top + 1}-{bottom}, columns {left + 1}-{right}, counted from 1": (top, bottom, left, right),
            "the same numbers counted from 0, last left out": (top + 1, bottom, left + 1, right),
            "the same size, counted from 0": (top + 1, bottom + 1, left + 1, right + 1),
            "counted from 1, last left out": (top, bottom - 1, left, right - 1),
            "no crop": (0, height, 0, width),
        }
        return Protocol(crops, ((512, 4), (512, 3), (256, 8), (256, 4)))
    crops = {"no crop": (0, height, 0, width)}
    if name == "houston2018":
        return Protocol(crops, ((512, 8), (256, 8), (256, 16)))
    return Protocol(crops, ((224, 3), (232, 3), (256, 2)), (8000.0,))


PROTOCOLS = {name: _protocol(name) for name in ("chikusei", "houston2018", "pavia_centre")}


def settings(
    protocol: Protocol, cube: NDArray[np.float32], file_maximum: float | None = None
) -> dict[Setting, list[ProtocolReading]]:
    """All readings that fit into the cube (B, H, W), by what they come to."""
    found: dict[Setting, list[ProtocolReading]] = {}
    file_maximum = file_maximum or float(cube.max())
    for crop, box in protocol.crops.items():
        part = cube[:, box[0] : box[1], box[2] : box[3]]
        low, high = (np.array([f(band) for band in part], float) for f in (np.min, np.max))
        for divisor, offset, scale in _normalisations(protocol, low, high, file_maximum):
            for (side, count), place, lr_from in itertools.product(protocol.tests, protocol.places, LR_FROM):
                for outside, limits in _limits(divisor, scale, low, high):
                    tiles = _tiles(box, side, count, place, lr_from, limits)
                    if tiles:
                        reading = ProtocolReading(crop, f"{count} of {side}x{side}", place, divisor, lr_from, outside)
                        found.setdefault(Setting(tiles, offset, scale), []).append(reading)
    return found


def _normalisations(
    protocol: Protocol, low: NDArray, high: NDArray, file_maximum: float
) -> Iterator[tuple[str, tuple[float, ...], tuple[float, ...] | None]]:
    """Name, offset and divisor of each band."""
    bands = len(low)
    none, spread = np.zeros(bands), np.where(high > low, high - low, 1.0)
    found = {f"{number:g}": (none, np.full(bands, number)) for number in protocol.divisors}
    found |= dict(
        zip(
            DIVISORS,
            (
                (none, np.full(bands, high.max())),
                (none, np.full(bands, file_maximum)),
                (np.full(bands, low.min()), np.full(bands, high.max() - low.min())),
                (none, np.where(high > 0, high, 1.0)),
                (low, spread),
                (none, None),
            ),
            strict=True,
        )
    )
    for name, (offset, divisor) in found.items():
        if divisor is None or (divisor > 0).all():
            yield name, tuple(offset.tolist()), None if divisor is None else tuple(divisor.tolist())


def _limits(
    name: str, divisor: tuple[float, ...] | None, low: NDArray, high: NDArray
) -> Iterator[tuple[str, tuple[float, float]]]:
    """What may become of values that end up outside [0, 1]; where there are none, one answer."""
    unlimited = (-np.inf, np.inf)
    negative = low.min() < 0 and "minimum" not in name
    above = divisor is not None and len(set(divisor)) == 1 and high.max() > divisor[0]
    if not (negative or above):
        yield "there are none", unlimited
        return
    yield "clipped", (0.0 if negative else -np.inf, divisor[0] if above else np.inf)
    yield "kept", unlimited


def _tiles(
    crop: Box, side: int, count: int, place: str, lr_from: str, limits: tuple[float, float]
) -> tuple[Tile, ...] | None:
    """The test images side by side; None where they do not fit, or not on the LR pixels of the whole crop."""
    top, bottom, left, right = crop
    height, width = bottom - top, right - left
    along, across = (height, width) if place == "left" else (width, height)
    if count * side > along or side > across:
        return None
    tiles = []
    for i in range(count):
        row = {"top": top, "left": top + i * side, "bottom": bottom - side}[place]
        column = left if place == "left" else left + i * side
        box = (row, row + side, column, column + side)
        context = None
        if lr_from != LR_FROM[0]:
            if (row - top) % max(SCALES) or side % max(SCALES):
                return None
            context = (
                max(top, row - CONTEXT),
                min(bottom, row + side + CONTEXT),
                max(left, column - CONTEXT),
                min(right, column + side + CONTEXT),
            )
        tiles.append(Tile(box, context, lr_from == LR_FROM[2], limits))
    return tuple(tiles)
