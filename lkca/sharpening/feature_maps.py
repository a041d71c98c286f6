"""Images and feature maps that are read and written by rows."""

import contextlib
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

import numpy as np
import psutil
import torch
import torch.nn.functional as F
from torch import Tensor

FLOATS = 4  # bytes of a float32


class Rows(Protocol):
    """An LR image that is read by rows."""

    shape: tuple[int, int, int]  # (B, h, w)

    def rows(self, start: int, stop: int) -> Tensor:
        """The rows from `start` to before `stop`: float32 (B, stop - start, w)."""


class WholeImage:
    """`Rows` of an image in memory, (B, h, w)."""

    def __init__(self, image: Tensor) -> None:
        self.image = image
        self.shape = tuple(image.shape)

    def rows(self, start: int, stop: int) -> Tensor:
        return self.image[:, start:stop]


class ImageRows:
    """An LR image that can be read as a feature map is: each strip of rows is a batch of one."""

    def __init__(self, lr: Rows) -> None:
        self.lr, self.height = lr, lr.shape[1]

    def rows(self, start: int, stop: int) -> Tensor:
        return self.lr.rows(start, stop)[None]


class FeatureMap:
    """A feature map (h, w, C), float32, that is read and written by rows, in memory or in a temporary file."""

    def __init__(self, shape: tuple[int, int, int], file: tempfile._TemporaryFileWrapper | None = None) -> None:
        self.height, self.width, self.channels = shape
        self.file = file
        self.memory = None if file else torch.empty(shape)
        self.row_bytes = self.width * self.channels * FLOATS

    def turn(self, height: int, width: int) -> None:
        """Hold a map of as many pixels but other sides from now on; what it held is lost."""
        self.height, self.width = height, width
        self.memory = None if self.memory is None else self.memory.view(height, width, self.channels)
        self.row_bytes = width * self.channels * FLOATS

    def rows(self, start: int, stop: int) -> Tensor:
        """The rows as (1, C, stop - start, w), channels last; a view where the map is in memory."""
        if self.memory is not None:
            strip = self.memory[start:stop]
        else:
            self.file.seek(start * self.row_bytes)
            numbers = np.fromfile(self.file, np.float32, (stop - start) * self.width * self.channels)
            strip = torch.from_numpy(numbers).view(stop - start, self.width, self.channels)
        return strip.permute(2, 0, 1)[None]

    def put(self, start: int, strip: Tensor) -> None:
        rows = strip[0].permute(1, 2, 0)  # (n, w, C)
        if self.memory is not None:
            self.memory[start : start + len(rows)] = rows
        else:
            self.file.seek(start * self.row_bytes)
            with said_of_spill(self.file):
                self.file.write(rows.contiguous().numpy().data)  # tofile would not say why it could not
                self.file.flush()


def middle(lr: Rows, side: int) -> Tensor:
    """(B, up to `side`, up to `side`) from the middle of an image."""
    _, height, width = lr.shape
    top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
    return lr.rows(top, min(height, top + side))[:, :, left : left + side].contiguous()


class Room:
    """Memory for feature maps: those asked for first are held in it, the others go to temporary files.

    free : bytes that may be taken. folder : of the temporary files. files : what closes them. taken : bytes so far.
    """

    def __init__(self, free: float, folder: str | Path | None, files: contextlib.ExitStack) -> None:
        self.free, self.folder, self.files, self.taken = free, folder, files, 0

    def map(self, shape: tuple[int, int, int]) -> FeatureMap:
        """A feature map (h, w, C)."""
        size = math.prod(shape) * FLOATS
        if self.taken + size > self.free:
            return FeatureMap(shape, self.files.enter_context(tempfile.TemporaryFile(dir=self.folder)))
        self.taken += size
        return FeatureMap(shape)


def resident() -> int:
    """Bytes of memory that this process has now."""
    return psutil.Process().memory_info().rss


@contextlib.contextmanager
def said_of_spill(file: IO[bytes]) -> Iterator[None]:
    """Says which disk is full when a temporary file cannot be written."""
    try:
        yield
    except OSError as error:
        state = os.fstatvfs(file.fileno())
        raise OSError(
            error.errno,
            f"could not write what does not fit into the memory to a temporary file: {error.strerror or error} "
            f"({state.f_bavail * state.f_frsize} bytes are free on its disk). Free some, give more --memory, or write "
            "the result to another disk",
        ) from error


def strips(height: int, rows: int) -> Iterator[tuple[int, int]]:
    """The first row and the end of each strip of at most `rows` rows."""
    for start in range(0, height, rows):
        yield start, min(start + rows, height)


def around(source: "FeatureMap | ImageRows", start: int, stop: int, halo: int) -> Tensor:
    """The strip with `halo` rows above and below, zeros outside the image: (1, C, n + 2·halo, w)."""
    first, last = max(0, start - halo), min(source.height, stop + halo)
    above, below = halo - (start - first), halo - (last - stop)
    strip = source.rows(first, last)
    return F.pad(strip, (0, 0, above, below)) if above or below else strip
