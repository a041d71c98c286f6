"""Divide images into tiles and strips, so that a scene of any size is sharpened in bounded memory."""

from collections.abc import Callable, Iterator
from math import ceil, sqrt
from typing import NamedTuple, Protocol

import psutil
import torch
from torch import Tensor

FLOAT = 4  # bytes of a float32
MIN_TILE_SIDE = 16  # LR pixels of a tile without its overlap


class Rows(Protocol):
    """An LR image that is read by rows."""

    shape: tuple[int, int, int]  # (B, h, w)

    def rows(self, start: int, stop: int) -> Tensor:
        """Return the rows from `start` to before `stop`: float32 (B, stop - start, w), every pixel with data."""


class ImageRows:
    """`Rows` of an image in memory, (B, h, w)."""

    def __init__(self, image: Tensor) -> None:
        self.image, self.shape = image, tuple(image.shape)

    def rows(self, start: int, stop: int) -> Tensor:
        return self.image[:, start:stop]


class Tile(NamedTuple):
    """inner, outer : rows and columns of a tile without and with its overlap."""

    inner: tuple[slice, slice]
    outer: tuple[slice, slice]


def resident() -> int:
    """Return the bytes of memory that this process holds now."""
    return psutil.Process().memory_info().rss


def spans(length: int, step: int, margin: int = 0, first: int = 0) -> Iterator[tuple[int, int, int, int]]:
    """Divide `first` … `length` into pieces of at most `step`: (start, stop), and the same plus `margin` either way."""
    for start in range(first, length, step):
        stop = min(start + step, length)
        yield start, stop, max(0, start - margin), min(length, stop + margin)


def tiles(height: int, width: int, overlap: int, max_pixels: int) -> list[Tile]:
    """Divide an image into tiles of at most about `max_pixels` pixels, their overlap included; one if it fits."""
    if height * width <= max_pixels:
        whole = (slice(0, height), slice(0, width))
        return [Tile(whole, whole)]
    side = max(MIN_TILE_SIDE, int(sqrt(max_pixels)) - 2 * overlap)
    found = []
    for top, bottom, above, below in spans(height, ceil(height / ceil(height / side)), overlap):
        for left, right, before, after in spans(width, ceil(width / ceil(width / side)), overlap):
            inner = slice(top, bottom), slice(left, right)
            found.append(Tile(inner, (slice(above, below), slice(before, after))))
    return found


def through_tiles(
    function: Callable[[Tensor], Tensor],
    image: Tensor,
    scale: int,
    overlap: int,
    max_pixels: int,
    on_tile: Callable[[int, int], None] = lambda done, count: None,
) -> Tensor:
    """Apply a function that upsamples (n, C, h, w) to (n, c, r·h, r·w) tile by tile, one image after another: float32.

    It equals the function of the whole image if an output pixel depends on no more than `overlap` LR pixels around it.
    on_tile : called after each tile with how many of how many are done.
    """
    height, width = image.shape[-2:]
    pieces = tiles(height, width, overlap, max_pixels)
    count, result = len(image) * len(pieces), None
    for number, each in enumerate(image.split(1)):
        for place, (inner, outer) in enumerate(pieces):
            part = function(each[..., *outer])[0]
            on_tile(number * len(pieces) + place + 1, count)
            if result is None:
                result = torch.empty(len(image), len(part), scale * height, scale * width, device=part.device)
            cut = (scale * (i.start - o.start) for i, o in zip(inner, outer, strict=True))
            cut = (slice(c, c + scale * (i.stop - i.start)) for c, i in zip(cut, inner, strict=True))
            result[number, :, *(slice(scale * i.start, scale * i.stop) for i in inner)] = part[:, *cut]
    return result
