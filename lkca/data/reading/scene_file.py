"""Define an opened scene file, for every format."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lkca.data.reading.bands import Bands

BandChoice = slice | Sequence[int]
Reader = Callable[[slice, slice, list[int]], NDArray]
"""(rows, columns, bands) -> (b, h, w) in the file's type; both slices have a start, a stop and step 1."""


@dataclass(eq=False)
class SceneFile:
    """A scene on disk; its numbers are read when needed.

    shape : (B, H, W). dtype : as in the file, in native byte order.
    files : all files that the scene is read from. no_data : the declared value. bands : what the file says of them.
    metadata : the file's own header fields. chunk_bands : bands per chunk, if the file is stored by bands; else 0.
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

    @property
    def gains_differ(self) -> bool:
        """Whether gains differ by band or come with offsets, so that one factor cannot replace them."""
        gains, offsets = self.bands.gains, self.bands.offsets
        return gains is not None and bool(offsets.any() or np.ptp(gains) > 1e-9 * abs(gains[0]))

    def read(self, rows: slice = slice(None), columns: slice = slice(None), bands: BandChoice = slice(None)) -> NDArray:
        """Read a part, (b, h, w) in the file's type; if the format allows it, nothing else is read.

        rows, columns : slices without a step.

        Raises
        ------
        ValueError
            If the file is truncated or damaged.
        """
        window = (slice(*part.indices(side)[:2]) for part, side in zip((rows, columns), self.shape[1:], strict=True))
        return np.require(self.reader(*window, self.band_list(bands)), self.dtype, ["C", "W", "O"])

    def band_list(self, bands: BandChoice) -> list[int]:
        """Return the numbers of the bands, from 0."""
        return np.arange(self.shape[0])[bands].tolist()


def files_checksum(paths: Sequence[Path]) -> str:
    """Return the SHA-256 over the files, one after another."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


@contextmanager
def damage_named(path: Path, what: str = "cannot be read, truncated or damaged") -> Iterator[None]:
    """Turn any exception that a library raises on damaged bytes into a ValueError that names the file."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(error, ValueError) and str(path) in str(error):
            raise
        raise ValueError(f"{path}: {what} ({error}). Copy, save or download it again.") from error
