"""List the variants of the paper's test protocol. The paper does not say exactly how test images were cut and scaled.

A variant is one choice on each of several axes. Variants that give the same images are measured once.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lkca.data.datasets import DATASETS

SCALES = (4, 8)
MARGIN = 4 * max(SCALES)  # HR pixels around a test image that can influence its bicubic image
Box = tuple[int, int, int, int]  # first row, last row + 1, first column, last column + 1; 0-based
EACH = "each test image"
LR_FROM = (EACH, "the whole crop, then cut", "the whole crop, upsampled, then cut")
PLACES = ("top", "left", "bottom")  # edges of the crop along which the test images may lie


@dataclass(frozen=True)
class Protocol:
    """The open choices of one dataset. The first of each is what `lkca.data.datasets` assumes.

    crops : name -> box in the file.
    tests : (side in HR pixels, number) of the square test images.
    divisors : fixed numbers to divide by, besides minima and maxima of the data.
    """

    crops: Mapping[str, Box]
    tests: tuple[tuple[int, int], ...]
    divisors: tuple[float, ...] = ()


class Variant(NamedTuple):
    """One choice on every axis, in words."""

    crop: str
    tests: str
    place: str
    divisor: str
    lr_from: str
    outside: str  # whether values outside [0, 1] after the division are clipped or kept


class TestImage(NamedTuple):
    """Where one test image lies, and where its LR image comes from.

    context : the box from which the LR image is made: the test image, or more.
    cut_last : whether the whole context is upsampled before the test image is cut out.
    limits : values are clipped to these, in the file's numbers.
    """

    box: Box
    context: Box
    cut_last: bool
    limits: tuple[float, float]

    @property
    def pixels(self) -> int:
        """The number of pixels of the test image."""
        top, bottom, left, right = self.box
        return (bottom - top) * (right - left)


class Setting(NamedTuple):
    """The images and normalisation of a variant; variants with equal settings cannot be told apart.

    offset, divisor : of each band; a divisor of None stands for each test image's own maximum.
    """

    images: tuple[TestImage, ...]
    offset: tuple[float, ...]
    divisor: tuple[float, ...] | None

    @property
    def placement(self) -> tuple[TestImage, ...]:
        """The test images, as if each LR image were made from its test image alone."""
        return tuple(image._replace(context=image.box, cut_last=False) for image in self.images)


def _protocol(name: str) -> Protocol:
    _, height, width = DATASETS[name].shape
    whole = {"no crop": (0, height, 0, width)}
    if name == "houston2018":
        return Protocol(whole, ((512, 8), (256, 8), (256, 16)))
    if name == "pavia_centre":
        return Protocol(whole, ((224, 3), (232, 3), (256, 2)), (8000.0,))
    top, bottom, left, right = *DATASETS[name].rows, *DATASETS[name].columns
    crops = {
        f"rows {top + 1}-{bottom}, columns {left + 1}-{right}, counted from 1": (top, bottom, left, right),
        "the same numbers counted from 0, last left out": (top + 1, bottom, left + 1, right),
        "the same size, counted from 0": (top + 1, bottom + 1, left + 1, right + 1),
        "counted from 1, last left out": (top, bottom - 1, left, right - 1),
    }
    return Protocol(crops | whole, ((512, 4), (512, 3), (256, 8), (256, 4)))


PROTOCOLS = {name: _protocol(name) for name in ("chikusei", "houston2018", "pavia_centre")}


def settings(
    protocol: Protocol, cube: NDArray[np.float32], file_maximum: float | None = None
) -> dict[Setting, list[Variant]]:
    """Return all variants that fit into the cube (B, H, W), grouped by their setting.

    file_maximum : the maximum over all bands of the file, where the cube has fewer; by default the cube's.
    """
    found: dict[Setting, list[Variant]] = {}
    for crop, box in protocol.crops.items():
        part = cube[:, box[0] : box[1], box[2] : box[3]]
        low, high = part.min(axis=(1, 2)).astype(float), part.max(axis=(1, 2)).astype(float)
        for name, offset, divisor in _normalisations(protocol.divisors, low, high, file_maximum or float(cube.max())):
            for (side, count), place, lr_from in itertools.product(protocol.tests, PLACES, LR_FROM):
                for outside, limits in _clippings(name, divisor, low, high):
                    if images := _test_images(box, side, count, place, lr_from, limits):
                        variant = Variant(crop, f"{count} of {side}x{side}", place, name, lr_from, outside)
                        found.setdefault(Setting(images, offset, divisor), []).append(variant)
    return found


def _normalisations(
    numbers: tuple[float, ...], low: NDArray, high: NDArray, file_maximum: float
) -> Iterator[tuple[str, tuple[float, ...], tuple[float, ...] | None]]:
    """Yield each normalisation: name, offset and divisor of each band. low, high : range of each band of the crop."""
    bands, zero = len(low), np.zeros(len(low))
    choices = [(f"{number:g}", zero, np.full(bands, number)) for number in numbers]
    choices += [
        ("maximum of the crop", zero, np.full(bands, high.max())),
        ("maximum of the file", zero, np.full(bands, file_maximum)),
        ("minimum to maximum of the crop", np.full(bands, low.min()), np.full(bands, high.max() - low.min())),
        ("maximum of each band", zero, np.where(high > 0, high, 1.0)),
        ("minimum to maximum of each band", low, np.where(high > low, high - low, 1.0)),
    ]
    for name, offset, divisor in choices:
        if (divisor > 0).all():
            yield name, tuple(offset.tolist()), tuple(divisor.tolist())
    yield "maximum of each test image", tuple(zero.tolist()), None


def _clippings(
    name: str, divisor: tuple[float, ...] | None, low: NDArray, high: NDArray
) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield what is done with values outside [0, 1], and the limits for clipping; one choice if there are none."""
    negative = low.min() < 0 and "minimum" not in name
    above = divisor is not None and len(set(divisor)) == 1 and high.max() > divisor[0]
    unlimited = (-np.inf, np.inf)
    if negative or above:
        yield "clipped", (0.0 if negative else -np.inf, divisor[0] if above else np.inf)
        yield "kept", unlimited
    else:
        yield "there are none", unlimited


def _test_images(
    crop: Box, side: int, count: int, place: str, lr_from: str, limits: tuple[float, float]
) -> tuple[TestImage, ...] | None:
    """Return the test images side by side; None if they do not fit, or are off the LR pixel grid of the whole crop."""
    top, bottom, left, right = crop
    along, across = (bottom - top, right - left) if place == "left" else (right - left, bottom - top)
    if count * side > along or side > across:
        return None
    images = []
    for i in range(count):
        row = {"top": top, "left": top + i * side, "bottom": bottom - side}[place]
        column = left if place == "left" else left + i * side
        box = context = row, row + side, column, column + side
        if lr_from != EACH:
            if (row - top) % max(SCALES) or side % max(SCALES):
                return None
            rows = max(top, row - MARGIN), min(bottom, row + side + MARGIN)
            context = *rows, max(left, column - MARGIN), min(right, column + side + MARGIN)
        images.append(TestImage(box, context, lr_from == LR_FROM[2], limits))
    return tuple(images)
