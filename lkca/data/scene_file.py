"""What an opened scene file is, whatever its format."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lkca.data.bands import Bands

BandChoice = slice | Sequence[int]
Reader = Callable[[slice, slice, list[int]], NDArray]
"""(rows, columns, bands) -> (b, h, w) in the file's type; slices have a start, a stop and step 1."""


@dataclass(eq=False)
class SceneFile:
    """A scene on disk; its numbers are read when they are asked for.

    shape : (B, H, W). dtype : as in the file, in native byte order.
    files : all that the scene is read from. no_data : the declared value. bands : what the file says of them.
    metadata : the file's own header fields. chunk_bands : that lie together in a file stored band by band, else 0.
    """

    path: Path
    format: str
    shape: tuple[int, int, int]
    dtype: np.dtype
    reader: Reader = field(repr=False)
    files: list[Path] = field(default_factory=list)
    bands: Bands = field(default_factory=Bands, repr=False)
    no_data: float | None = None
    metadata: dict[str, str] = field(default_factory=dict, repr=False)
    chunk_bands: int = 0

    @property
    def wavelengths(self) -> NDArray[np.float64] | None:
        """Wavelengths (B,) in nm; None if unknown."""
        return self.bands.wavelength

    def read(self, rows: slice = slice(None), columns: slice = slice(None), bands: BandChoice = slice(None)) -> NDArray:
        """Read a part, (b, h, w) in the file's type, and no more than that where the format allows it.

        Raises
        ------
        ValueError
            A band outside the scene; a file that turns out to be truncated or damaged.
        """
        row_range, column_range = range(self.shape[1])[rows], range(self.shape[2])[columns]
        band_list = self.band_list(bands)
        if not (band_list and len(row_range) and len(column_range)):
            return np.empty((len(band_list), len(row_range), len(column_range)), self.dtype)
        block = self.reader(_bounds(row_range), _bounds(column_range), band_list)
        block = block[:, :: row_range.step, :: column_range.step]
        return np.require(block, self.dtype, ["C", "W", "O"])

    def band_list(self, bands: BandChoice) -> list[int]:
        """Return band numbers from 0 for a slice or a list that may count from the end."""
        count = self.shape[0]
        if isinstance(bands, slice):
            return list(range(count)[bands])
        outside = [band for band in bands if not -count <= band < count]
        if outside:
            raise ValueError(f"{self.path}: no band {outside[0]}; it has {count}, numbered 0 to {count - 1}")
        return [int(band) % count for band in bands]

    def checksum(self) -> str:
        """Return the SHA-256 over all files that the scene is read from."""
        return files_checksum(self.files)


def files_checksum(paths: Sequence[Path]) -> str:
    """Return the SHA-256 over the files, one after another."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def _bounds(numbers: range) -> slice:
    return slice(min(numbers), max(numbers) + 1)
