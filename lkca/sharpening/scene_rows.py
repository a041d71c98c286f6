"""A scene file as a network takes it, row by row."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from lkca.scenes import Scene
from lkca.scenes.files import files_of
from lkca.scenes.no_data import FEW, SAMPLE, far_limit, missing_pixels, warn_of_far, warn_of_fills
from lkca.scenes.scene import BLOCK_BYTES
from lkca.sharpening.feature_maps import resident, said_of_spill

SAMPLED_ROWS = 32  # by which values far from all others are known
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
            if scene.dtype.kind == "f" and not self.missing.all():
                self._take_out_far(scene.path)
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

    def _take_out_far(self, name: Path) -> None:
        """Pixels with a value far from all others become missing: see `lkca.scenes.no_data.far_limit`."""
        _, height, _ = self.shape
        step = -(-self._row * SAMPLED_ROWS // SAMPLE)
        chosen = np.unique(np.linspace(0, height - 1, SAMPLED_ROWS).round().astype(int))
        sample = [self._read(row, row + 1)[0][:, ~self.missing[row]].ravel()[::step] for row in chosen]
        most = max(abs(float(self.low.min())), abs(float(self.high.max())))
        limit = far_limit(np.concatenate(sample), most)
        if limit == np.inf:
            return
        far, found = np.zeros_like(self.missing), np.empty(0, np.float32)
        for start in range(0, height, self._at_once):
            stop = min(start + self._at_once, height)
            block, missing = self._read(start, stop), self.missing[start:stop]
            here = (np.abs(block) > limit) & ~missing[:, None]
            far[start:stop] = here.any(axis=1)
            found = np.unique(np.append(found, block[here]))
        taken = len(found) <= FEW
        warn_of_far(name, found, int(far.sum()), taken)
        if not taken:
            return
        self.missing |= far
        self.low[:], self.high[:] = np.inf, -np.inf
        for start in range(0, height, self._at_once):
            stop = min(start + self._at_once, height)
            self._note_range(self._read(start, stop), ~self.missing[start:stop])

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
