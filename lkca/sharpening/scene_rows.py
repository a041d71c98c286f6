"""A scene file as a network takes it, row by row, and a network's rows as the file's numbers."""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from lkca.scenes import Scene
from lkca.scenes.files import files_of
from lkca.scenes.no_data import held_as, missing_pixels, warn_of_fills
from lkca.scenes.scene import BLOCK_BYTES
from lkca.sharpening.feature_maps import resident, said_of_spill

SHARE_HELD = 1 / 4  # of the memory: a larger LR image is kept in a file
SHARE_READ = 1 / 32  # of the memory: about what is read at once


class SourceFiles:
    """The files that a scene is read from, watched for changes."""

    def __init__(self, scene: Scene) -> None:
        self.paths = files_of(scene)
        self.stamps = [_stamp(path) for path in self.paths]

    def check_unchanged(self) -> None:
        """OSError if a file is no longer what it was when it was opened."""
        for path, stamp in zip(self.paths, self.stamps, strict=True):
            try:
                now = _stamp(path)
            except FileNotFoundError as error:
                raise OSError(f"{path} vanished while it was read; put it back and start again") from error
            if now != stamp:
                raise OSError(
                    f"{path} changed while it was read: it had {stamp[0]} bytes, now it has {now[0]}, or was written "
                    "again. Wait until it is complete and start again."
                )

    def check_target(self, target: Path) -> None:
        """ValueError if writing `target`, or the other half of an ENVI pair of its name, would destroy one of these."""
        from lkca.scenes.file_names import file_names  # GDAL, as above

        if {path.resolve() for path in file_names(target) if path} & {path.resolve() for path in self.paths}:
            names = " and ".join(str(path) for path in self.paths)
            raise ValueError(f"{target} would overwrite the scene that is read, {names}: choose another name or folder")


def _stamp(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns


class SceneRows:
    """The whole scene in units of `peak`, read once, pixels without data filled from the nearest that has some.

    Up to a quarter of `memory` it is held; beyond, or where `beside`, bytes that are needed later, would not fit then,
    it is in a nameless file in `folder`, gone with this process.

    Attributes
    ----------
    shape : (B, h, w).
    missing : bool (h, w), True where the scene has no data: no-data value, NaN or infinity in any band.
    undeclared : how many of them by a fill value that the file does not declare; fill : the first such value, or None.
    low, high : float32 (B,), the least and the greatest value of each band where there is data.

    Raises
    ------
    OSError
        If the scene's files change while they are read, or the disk is full.
    ValueError
        If not one pixel has data, or the file turns out to be damaged.
    """

    def __init__(
        self, scene: Scene, files: SourceFiles, peak: float, memory: float, folder: Path, beside: int = 0
    ) -> None:
        self.shape = bands, height, width = scene.shape
        self.missing = np.zeros((height, width), bool)
        self.low, self.high = np.full(bands, np.inf, np.float32), np.full(bands, -np.inf, np.float32)
        self._row = bands * width  # numbers
        self.undeclared, self.fill = 0, None
        scene.check_memory(memory, resident())
        numbers = 4 * self._row * height
        packed = scene.at_once + scene.rows_at_once * self._row * scene.dtype.itemsize
        large = numbers > SHARE_HELD * memory or numbers + max(packed, beside) + resident() > 0.9 * memory
        # Rows outermost: a strip of rows is one piece of the file.
        self._held = None if large else np.empty((height, bands, width), np.float32)
        self._file = tempfile.TemporaryFile(dir=folder) if large else None  # noqa: SIM115 - closed by close()
        self._at_once = max(scene.rows_at_once, int(SHARE_READ * memory / (8 * self._row)))
        try:
            for start in range(0, height, self._at_once):
                self._take(scene, files, peak, start, min(start + self._at_once, height))
            scene.__dict__.pop("cube", None)  # kept by the formats that can only be read whole
            warn_of_fills(scene.path, self.undeclared, self.missing.size)
            if self.missing.all():
                raise ValueError(
                    f"{scene.path}: not one of its {self.missing.size} pixels has data in all of its {bands} bands "
                    "(no-data value, NaN or infinity in at least one): check the no-data value"
                )
            if self.missing.any():
                self._fill()
        except BaseException:
            self.close()
            raise

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows `start` to `stop`, float32 (B, stop - start, w), a copy."""
        block = torch.from_numpy(self._read(start, stop))
        return block.transpose(0, 1).clone(memory_format=torch.contiguous_format)

    def sample(self, rows: int = 32, values: int = 10**6) -> NDArray[np.float32]:
        """About so many of the scene's values, from all bands and from rows all over it."""
        step = -(-self._row * rows // values)
        chosen = np.unique(np.linspace(0, self.shape[1] - 1, rows).round().astype(int))
        return np.concatenate([self._read(row, row + 1)[0, :, ::step].ravel() for row in chosen])

    def close(self) -> None:
        """Give the memory or the file back; `missing` stays."""
        if self._file:
            self._file.close()
        self._held = None

    def _take(self, scene: Scene, files: SourceFiles, peak: float, start: int, stop: int) -> None:
        files.check_unchanged()
        try:
            raw = scene.read(slice(start, stop))
        except ValueError:
            files.check_unchanged()  # then that is why
            raise
        files.check_unchanged()
        step = max(1, BLOCK_BYTES // (4 * self._row))
        for first in range(start, stop, step):  # what is read together may be all of the scene
            self._convert(scene, peak, first, raw[:, first - start : first - start + step])

    def _convert(self, scene: Scene, peak: float, start: int, raw: NDArray) -> None:
        """Take rows (B, n, w) from row `start` on, as the file holds them."""
        missing, undeclared = missing_pixels(raw, scene.no_data)
        if undeclared.any() and self.fill is None:
            first = raw[:, undeclared][:, 0]
            self.fill = max(first, key=lambda value: abs(float(value)))
        self.undeclared += int(undeclared.sum())
        self.missing[start : start + raw.shape[1]] = missing
        block = np.empty((raw.shape[1], self.shape[0], self.shape[2]), np.float32)
        with np.errstate(over="ignore"):  # what is too large for float32 is no data
            np.copyto(block.transpose(1, 0, 2), raw, casting="unsafe")
        if missing.any():
            block[missing[:, None].repeat(block.shape[1], 1)] = 0
        if scene.gains is not None:
            block *= scene.gains[:, None].astype(np.float32)
            block += scene.offsets[:, None].astype(np.float32)
        block /= np.float32(peak)
        self._note_range(block, ~missing)
        self._write(start, block)

    def _note_range(self, block: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
        if not valid.any():
            return
        values = block.transpose(1, 0, 2)  # (B, n, w)
        values = values.reshape(len(values), -1) if valid.all() else values[:, valid]
        np.minimum(self.low, values.min(axis=1), out=self.low)
        np.maximum(self.high, values.max(axis=1), out=self.high)

    def _fill(self) -> None:
        """Give each missing pixel the spectrum of the nearest one with data."""
        height = self.shape[1]
        near_row, near_column = distance_transform_edt(self.missing, return_distances=False, return_indices=True)
        for start in range(0, height, self._at_once):
            rows, columns = np.nonzero(self.missing[start : start + self._at_once])
            if not len(rows):
                continue
            block = self._read(start, min(start + self._at_once, height))
            source, column = near_row[start + rows, columns], near_column[start + rows, columns]
            for row in np.unique(source):
                here = source == row
                block[rows[here], :, columns[here]] = self._read(row, row + 1)[0][:, column[here]].T
            self._write(start, block)

    def _read(self, start: int, stop: int) -> NDArray[np.float32]:
        """(stop - start, B, w), perhaps a view."""
        if self._held is not None:
            return self._held[start:stop]
        self._file.seek(4 * self._row * int(start))
        values = np.fromfile(self._file, np.float32, self._row * int(stop - start))
        return values.reshape(stop - start, self.shape[0], self.shape[2])

    def _write(self, start: int, block: NDArray[np.float32]) -> None:
        if self._held is not None:
            self._held[start : start + len(block)] = block
            return
        self._file.seek(4 * self._row * start)
        with said_of_spill(self._file):
            self._file.write(block.data)
            self._file.flush()


class FileNumbers:
    """Turns rows of a network's output into a file's numbers and type.

    Parameters
    ----------
    scene : the whole file, whose bands, type and no-data value they get.
    bands : those of its bands, from 0 on, that went through the network; the others become no-data.
    lr : what the network was given. peak : the file's number for 1. scale : r.

    Attributes
    ----------
    no_data : what stands for it in the new file; None for NaN.
    clipped : how many values so far did not fit the type and were set to its limit.
    beyond : how many were outside of the range that their band has in the input, and `farthest`, how far at most, as a
        share of that range.

    Raises
    ------
    ValueError
        If the network made values that are no numbers.
    """

    def __init__(self, scene: Scene, bands: Sequence[int], lr: SceneRows, peak: float, scale: int) -> None:
        self.dtype, self.bands, self.peak, self.scale = scene.dtype, list(bands), peak, scale
        self.total, self.gains, self.offsets = scene.shape[0], scene.gains, scene.offsets
        self.missing = lr.missing if lr.missing.any() else None
        self.low, self.high = lr.low.astype(float), lr.high.astype(float)
        self.whole = scene.dtype.kind in "iu"
        self.no_data, self.fill = no_data_for(scene, self.bands), lr.fill
        self.limits = _limits(scene.dtype)
        self.clipped, self.beyond, self.farthest = 0, 0, 0.0

    @torch.inference_mode()
    def of(self, row: int, strip: Tensor) -> NDArray:
        """float32 (b, n, W) in units of the peak, from HR row `row` on, as numbers (B, n, W); `strip` is used up."""
        out = np.empty((self.total, *strip.shape[1:]), self.dtype)
        if len(self.bands) < self.total:
            out[np.setdiff1d(np.arange(self.total), self.bands)] = self._hole()
        missing = self._missing(row, strip.shape[1])
        for place, values in enumerate(strip):  # one band of a strip stays in the processor's cache
            band = self.bands[place]
            if missing is not None:
                values.masked_fill_(missing, self.low[place])
            self._count_beyond(place, values)
            values.mul_(self.peak)
            if self.gains is not None:
                values.sub_(self.offsets[band]).div_(self.gains[band])
            self._convert(values, out[band])
            if missing is not None:
                out[band][missing.numpy()] = self._hole()
        return out

    def _hole(self) -> np.generic | float:
        if self.no_data is not None:
            return self.no_data
        return self.fill if self.whole and self.fill is not None else np.nan

    def _count_beyond(self, place: int, values: Tensor) -> None:
        low, high = self.low[place], self.high[place]
        least, most = (float(value) for value in torch.aminmax(values))
        rounding = 0.5 / abs(self.peak) if self.whole else 1e-6 * max(abs(low), abs(high))
        if least < low - rounding or most > high + rounding:
            self.beyond += int(((values < low - rounding) | (values > high + rounding)).sum())
            self.farthest = max(self.farthest, float(max(low - least, most - high) / max(high - low, rounding)))

    def _convert(self, values: Tensor, band: NDArray) -> None:
        if self.whole:
            values.round_()
        least, most = (float(value) for value in torch.aminmax(values))
        if not (math.isfinite(least) and math.isfinite(most)):
            raise ValueError(
                "the network made NaN or infinite values of this scene, nothing was written: its weights, or the "
                "number that they take for 1, do not fit the scene"
            )
        if self.limits:
            low, high = self.limits
            if least < low or most > high:
                self.clipped += int(((values < low) | (values > high)).sum())
                values.clamp_(low, high)
        torch.from_numpy(band).copy_(values)
        if self.no_data is not None:
            taken = band == self.no_data  # a measured value would be lost
            if taken.any():
                band[taken] = _neighbour(self.no_data)

    def _missing(self, row: int, rows: int) -> Tensor | None:
        """bool (rows, W) of the enlarged image; None where all of it has data."""
        if self.missing is None:
            return None
        source = self.missing[np.arange(row, row + rows) // self.scale]
        return torch.from_numpy(np.repeat(source, self.scale, axis=1)) if source.any() else None


def no_data_for(scene: Scene, bands: Sequence[int]) -> np.generic | None:
    """The no-data value of the enlarged file: the scene's own; for whole numbers without one, of which some bands are
    left out, the end of the type; else None.
    """
    own = held_as(scene.no_data, scene.dtype)
    if own is not None or scene.dtype.kind == "f" or len(bands) == scene.shape[0]:
        return own
    limits = np.iinfo(scene.dtype)
    return scene.dtype.type(limits.min if scene.dtype.kind == "i" else limits.max)


def _limits(dtype: np.dtype) -> tuple[float, float] | None:
    """The least and the greatest float32 that a type holds; None where all fit."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        high = np.float32(limits.max)
        if int(high) > limits.max:  # 2^31 - 1 becomes 2^31
            high = np.nextafter(high, np.float32(0))
        return float(limits.min), float(high)
    return (-65504.0, 65504.0) if dtype == np.float16 else None


def _neighbour(number: np.generic) -> np.generic:
    """The next number of that type towards zero; from zero, the next above."""
    kind = number.dtype
    if kind.kind == "f":
        return np.nextafter(number, kind.type(0)) if number else np.finfo(kind).tiny
    return kind.type(int(number) - int(np.sign(int(number)))) if number else kind.type(1)
