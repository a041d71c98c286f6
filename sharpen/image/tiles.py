"""Divide images into tiles and strips, so that scenes of any size can be sharpened in bounded memory."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from math import ceil, sqrt
from threading import Lock
from typing import NamedTuple, Protocol

import psutil
import torch
from torch import Tensor

FLOAT = 4  # bytes of a float32
MIN_TILE_SIDE = 16  # LR pixels of a tile without its overlap
MAX_WORKERS = 2  # tiles processed at once


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
    """inner : rows and columns of a tile without its overlap. outer : with it."""

    inner: tuple[slice, slice]
    outer: tuple[slice, slice]


def resident() -> int:
    """Return the bytes of memory that this process has resident now."""
    return psutil.Process().memory_info().rss


def spans(length: int, step: int, margin: int = 0, first: int = 0) -> Iterator[tuple[int, int, int, int]]:
    """Divide `first` … `length` into pieces of at most `step`.

    Yield start and stop of each piece, then the same widened by `margin` on both sides, within 0 … `length`.
    """
    for start in range(first, length, step):
        stop = min(start + step, length)
        yield start, stop, max(0, start - margin), min(length, stop + margin)


def tiles(height: int, width: int, overlap: int, max_pixels: int) -> list[Tile]:
    """Divide an image into tiles of about `max_pixels` pixels at most, overlap included; one tile if it fits."""
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


def side_by_side() -> int:
    """Return how many tiles are processed at once: two tiles, each with half of torch's threads, idle less than one."""
    return min(MAX_WORKERS, torch.get_num_threads())


def through_tiles(
    function: Callable[[Tensor], Tensor],
    image: Tensor,
    scale: int,
    overlap: int,
    max_pixels: int,
    on_tile: Callable[[int, int], None] = lambda done, count: None,
    workers: int = 1,
) -> Tensor:
    """Apply a function that upsamples (n, C, h, w) to (n, c, r·h, r·w) to each tile of each image: float32.

    The result equals that of the whole image if an output pixel depends on no more than `overlap` LR pixels around it.
    on_tile : called after each tile with the number of tiles done and of all tiles. workers : tiles processed at once;
    several run without gradients.
    """
    height, width = image.shape[-2:]
    jobs = [(number, tile) for number in range(len(image)) for tile in tiles(height, width, overlap, max_pixels)]
    results: list[Tensor] = []
    lock, threads = Lock(), torch.get_num_threads()
    workers = min(workers, len(jobs))

    def work(number: int, tile: Tile) -> None:
        part = function(image[number : number + 1, :, *tile.outer])[0]
        with lock:
            if not results:
                shape = len(image), len(part), scale * height, scale * width
                results.append(torch.empty(shape, device=part.device))
        cut = (scale * (i.start - o.start) for i, o in zip(tile.inner, tile.outer, strict=True))
        cut = (slice(c, c + scale * (i.stop - i.start)) for c, i in zip(cut, tile.inner, strict=True))
        results[0][number, :, *(slice(scale * i.start, scale * i.stop) for i in tile.inner)] = part[:, *cut]

    if workers <= 1:
        for done, job in enumerate(jobs, 1):
            work(*job)
            on_tile(done, len(jobs))
        return results[0]
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(max(1, threads // workers),))
    try:
        for done, future in enumerate(
            as_completed([pool.submit(torch.inference_mode()(work), *job) for job in jobs]), 1
        ):
            future.result()
            on_tile(done, len(jobs))
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # part of this setting is process-wide
    return results[0]
