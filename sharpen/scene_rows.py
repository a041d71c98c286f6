"""Read a scene file for a method: rows of float32, with no-data pixels filled."""

import warnings
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from lkca.checkpoints import Metadata
from lkca.data.wavelengths import in_nanometres
from lkca.files import expand
from sharpen.arrays import fill_missing
from sharpen.image.tiles import FLOAT, spans
from sharpen.scene.io import gains_and_offsets, read_block, source_files

HELD_SHARE = 1 / 4  # of the memory: an LR image up to that size is kept, a larger one is read again
READ_SHARE = 1 / 64  # of the memory, read at once
USUAL_MEDIAN, USUAL_BRIGHT = 2.0, 0.01  # of the peak in training; a higher median or lower highlights mean another unit
SAMPLED_ROWS = 32


class SceneRows:
    """`Rows` of a scene, in the unit of the file or of a run's weights.

    Attributes
    ----------
    shape : (b, h, w), usable bands.
    missing : bool (h, w), True where at least one usable band has no data.
    low, high : (b,), the range of each band over pixels with data.

    Raises
    ------
    OSError
        If the scene's files change while they are read.
    ValueError
        If no pixel has data.
    """

    def __init__(self, scene: xr.DataArray, bands: list[int], unit: "Unit", memory: float) -> None:
        self.scene, self.bands, self.unit = scene, bands, unit
        self.shape = len(bands), scene.sizes["y"], scene.sizes["x"]
        self.missing = np.zeros(self.shape[1:], bool)
        self.low, self.high = torch.full((len(bands),), np.inf), torch.full((len(bands),), -np.inf)
        self._files = {path: _stamp(path) for path in source_files(scene)}
        self._whole: Tensor | None = None
        self._mean = torch.zeros(len(bands))
        row_bytes = FLOAT * len(bands) * self.shape[2]
        whole = None
        if row_bytes * self.shape[1] <= HELD_SHARE * memory:
            whole = torch.empty(self.shape)
        sums = torch.zeros(len(bands)).double()
        rows = int(min(self.shape[1], max(1, READ_SHARE * memory // row_bytes)))
        for start, stop, _, _ in spans(self.shape[1], rows):
            block, self.missing[start:stop] = self._read(start, stop)
            valid = block.flatten(1)
            if self.missing[start:stop].any():
                valid = valid[:, torch.from_numpy(~self.missing[start:stop]).flatten()]
            if valid.shape[1]:
                self.low, self.high = torch.minimum(self.low, valid.amin(1)), torch.maximum(self.high, valid.amax(1))
                sums += valid.sum(1, dtype=torch.float64)
            if whole is not None:
                whole[:, start:stop] = block
        if self.missing.all():
            raise ValueError(
                f"{scene.attrs.get('source')}: not one of its {self.missing.size} pixels has data in all of its "
                f"{len(bands)} bands: check the no-data value, or choose bands"
            )
        self._mean = (sums / int((~self.missing).sum())).float()
        if whole is not None:
            self._whole = torch.from_numpy(fill_missing(whole.numpy(), self.missing))

    def rows(self, start: int, stop: int) -> Tensor:
        """Return rows, float32 (b, stop - start, w); pixels without data get that of one nearby, or the mean."""
        if self._whole is not None:
            return self._whole[:, start:stop]
        block, missing = self._read(start, stop)
        if missing.all():
            return self._mean[:, None, None].expand(-1, *missing.shape).clone()
        return torch.from_numpy(fill_missing(block.numpy(), missing))

    def check_unchanged(self) -> None:
        """Raise OSError if a file of the scene has changed since it was opened."""
        for path, stamp in self._files.items():
            if not path.exists():
                raise OSError(f"{path} vanished while it was read; put it back and start again")
            if (now := _stamp(path)) != stamp:
                raise OSError(
                    f"{path} changed while it was read: it had {stamp[0]} bytes, now it has {now[0]}, or was written "
                    "again. Wait until it is complete and start again."
                )

    def _read(self, start: int, stop: int) -> tuple[Tensor, NDArray[np.bool_]]:
        self.check_unchanged()
        try:
            values, missing = read_block(self.scene, slice(start, stop), bands=self.bands)
        except ValueError:
            self.check_unchanged()  # if it changed, that is the reason
            raise
        self.check_unchanged()
        with np.errstate(over="ignore"):  # values too large for float32 become infinite: no data
            block = torch.from_numpy(values.astype(np.float32))
        if missing.any():
            block[:, torch.from_numpy(missing)] = 0
        return self.unit.from_file(block), missing


class Unit:
    """Converts between the file's numbers and those of a method: x = gain · number + offset, for each band.

    Most methods take the file's numbers. A run's weights expect the unit in which their training scene peaked at 1. If
    that scene's scale factor is known, equal reflectances get equal values.
    """

    def __init__(self, scene: xr.DataArray, bands: list[int], metadata: Metadata | None) -> None:
        self.gain = self.offset = None
        self.peak = 1.0 if metadata is None else metadata.peak
        if metadata is None:
            return
        self.gain, self.offset = torch.full((len(bands),), 1 / self.peak), torch.zeros(len(bands))
        if metadata.scale_factor is not None:
            gains, offsets = (torch.from_numpy(values[bands]) for values in gains_and_offsets(scene))
            factor = metadata.scale_factor / self.peak
            self.gain, self.offset = (gains * factor).float(), (offsets * factor).float()

    @torch.inference_mode()
    def from_file(self, block: Tensor) -> Tensor:
        """Convert (b, n, w), in place."""
        if self.gain is None:
            return block
        return block.mul_(self.gain[:, None, None]).add_(self.offset[:, None, None])

    @torch.inference_mode()
    def to_file(self, block: Tensor) -> Tensor:
        """Convert (b, n, w) back, in place."""
        if self.gain is None:
            return block
        return block.sub_(self.offset[:, None, None]).div_(self.gain[:, None, None])

    def check(self, lr: SceneRows, weights: object, forced: bool) -> None:
        """Raise ValueError, or warn if forced, if the numbers seem to be in another unit than the weights expect."""
        rows = np.unique(np.linspace(0, lr.shape[1] - 1, SAMPLED_ROWS).round().astype(int))
        median, bright = np.percentile(torch.cat([lr.rows(row, row + 1) for row in rows], dim=1).numpy(), (50, 99.9))
        if bright >= USUAL_BRIGHT and median <= USUAL_MEDIAN:
            return
        message = (
            f"{lr.scene.attrs.get('source')}: in the unit of {weights} its median is {median * self.peak:.4g} and its "
            f"99.9 percentile {bright * self.peak:.4g}, but the brightest in training was about {self.peak:.4g}: is "
            "it the same quantity in the same unit?"
        )
        if not forced:
            raise ValueError(f"{message} Add the scale factor to the file, or go on with --force-units.")
        warnings.warn(message, stacklevel=3)


def upsampled_mask(missing: NDArray[np.bool_], row: int, rows: int, scale: int) -> NDArray[np.bool_] | None:
    """Return `rows` rows of the upsampled mask from HR row `row` on, (rows, r·w); None if they all have data."""
    part = missing[np.arange(row, row + rows) // scale]
    return np.repeat(part, scale, axis=1) if part.any() else None


def with_wavelengths(scene: xr.DataArray, path: str | Path | None) -> xr.DataArray:
    """Return the scene with wavelengths from a text file: a number for each band, in nm or µm.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file; if it does not hold one wavelength for each band.
    """
    if path is None:
        return scene
    path, count = expand(path), scene.sizes["band"]
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of wavelengths")
    words = path.read_text(encoding="utf-8", errors="replace").replace(",", " ").replace(";", " ").split()
    with warnings.catch_warnings(record=True) as said:
        found, _ = in_nanometres(path, count, words)
    if found is None:
        reason = said[0].message if said else "they are neither 300 to 15000 nm nor 0.3 to 15 µm"
        raise ValueError(f"{path}: expected {count} wavelengths, one for each band of the scene: {reason}")
    return scene.assign_coords(wavelength=("band", found))


def _stamp(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns
