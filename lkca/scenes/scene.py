"""What an opened scene is, whatever file it comes from."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lkca.scenes.no_data import missing_pixels
from lkca.scenes.wavelengths import rgb_bands

if TYPE_CHECKING:
    from affine import Affine
    from matplotlib.axes import Axes
    from rasterio.crs import CRS

Reader = Callable[[slice, slice, list[int]], np.ndarray]
"""(rows, columns, bands) -> an array of its own, (b, h, w); slices have a start, a stop and step 1."""

BLOCK_BYTES = 2**24  # about what is read at once, beside the result


@dataclass(eq=False)
class Scene:
    """A hyperspectral scene on disk; its numbers are read when they are asked for.

    All numbers are as the file holds them: not divided by `scale_factor`, no-data values included.
    """

    path: Path
    format: str  # "matlab", "matlab v7.3", "envi", "envi+geotiff", "geotiff", "vrt" or "numpy"
    shape: tuple[int, int, int]  # (B, H, W)
    dtype: np.dtype  # as in the file, in this machine's byte order
    reader: Reader = field(repr=False)
    at_once: int = 0  # bytes that reading any part of the file takes at the least, because they are packed together
    rows_at_once: int = 1  # that come out of the file together
    reads_parts: bool = True  # False: the file can only be read whole, so `cube` is read and kept by the first `read`
    wavelengths: np.ndarray | None = field(default=None, repr=False)  # (B,) nm, float64
    fwhm: np.ndarray | None = field(default=None, repr=False)  # (B,) nm, float64
    band_names: tuple[str, ...] | None = field(default=None, repr=False)
    no_data: float | None = None
    scale_factor: float = 1.0  # reflectance (or radiance) = number in the file / scale_factor
    # Where the bands differ, or have an offset: = gain * number + offset, each (B,), and scale_factor is 1.
    gains: np.ndarray | None = field(default=None, repr=False)
    offsets: np.ndarray | None = field(default=None, repr=False)
    crs: "CRS | None" = None
    transform: "Affine | None" = field(default=None, repr=False)
    metadata: dict[str, str] = field(default_factory=dict, repr=False)  # the file's own header fields

    def read(
        self,
        rows: slice = slice(None),
        columns: slice = slice(None),
        bands: slice | Sequence[int] = slice(None),
    ) -> np.ndarray:
        """Read a part of the scene, and no more than that where the format allows it.

        Returns
        -------
        ndarray (b, h, w)
            Numbers as in the file. A copy: writing to it changes neither the file nor `cube`.

        Raises
        ------
        ValueError
            A band outside the scene; a file that turns out to be truncated or damaged.
        """
        row_range, column_range = range(self.shape[1])[rows], range(self.shape[2])[columns]
        band_list = self._band_list(bands)
        if not (band_list and len(row_range) and len(column_range)):
            return np.empty((len(band_list), len(row_range), len(column_range)), self.dtype)
        if self.reads_parts and "cube" not in self.__dict__:
            block = self.reader(_bounds(row_range), _bounds(column_range), band_list)
        else:
            block = self.cube[band_list, _bounds(row_range), _bounds(column_range)]
        return np.ascontiguousarray(block[:, :: row_range.step, :: column_range.step])

    @cached_property
    def cube(self) -> np.ndarray:
        """The whole scene (B, H, W), numbers as in the file; read on first use and kept."""
        bands, height, width = self.shape
        return self.reader(slice(0, height), slice(0, width), list(range(bands)))

    @cached_property
    def mask(self) -> np.ndarray:
        """Bool (H, W), True where a pixel has no data in any band: see `lkca.scenes.no_data.missing_pixels`."""
        if self.no_data is None and self.dtype.kind == "u":
            return np.zeros(self.shape[1:], bool)  # nothing to look for, nothing to read
        return missing_pixels(self.cube, self.no_data)[0]

    def check_memory(self, memory: float, taken: int) -> None:
        """ValueError, before anything is read, where the file's format does not let it be read within `memory`.

        taken : bytes that the process has resident already.
        """
        row = self.shape[0] * self.shape[2] * self.dtype.itemsize
        needed = taken + self.at_once + self.rows_at_once * row
        if self.at_once and needed > memory:
            raise ValueError(
                f"{self.path}: its format packs {self.at_once / 1e9:.2f} GB together, and reading any of it needs "
                f"{needed / 1e9:.2f} GB with what the program itself takes, but the memory is {memory / 1e9:.2f} GB: "
                "give more (--memory), or save it as ENVI, .npy or a GeoTIFF of small blocks"
            )

    def rgb_bands(self) -> tuple[int, int, int]:
        """Bands (0-based) to show as red, green and blue: see `lkca.scenes.wavelengths.rgb_bands`."""
        return rgb_bands(self.shape[0], self.wavelengths)

    def plot(self, rgb: Sequence[int] | None = None) -> "Axes":
        """Show the scene in colour, in a notebook say: by the bands `rgb` (from 0 on), else see `scenes.picture`."""
        import matplotlib.pyplot as plt  # here, because reading scenes needs no pictures

        from lkca.scenes.picture import picture

        axes = plt.subplots()[1]
        axes.imshow(picture(self, rgb), extent=(0, self.shape[2], self.shape[1], 0), interpolation="nearest")
        axes.set_title(f"{self.path.name}, {self.shape[0]} bands")
        axes.set(xlabel="column", ylabel="row")
        axes.grid(False)
        return axes

    def _band_list(self, bands: slice | Sequence[int]) -> list[int]:
        count = self.shape[0]
        if isinstance(bands, slice):
            return list(range(count)[bands])
        chosen = [int(band) for band in bands]
        outside = [band for band in chosen if not -count <= band < count]
        if outside:
            raise ValueError(f"{self.path}: no band {outside[0]}; it has {count}, numbered 0 to {count - 1}")
        return [band % count for band in chosen]


def check_cube(cube: np.ndarray, mask: np.ndarray, name: str) -> None:
    """Warn about bands that carry nothing, and stop where no pixel does.

    Parameters
    ----------
    cube : ndarray (B, H, W)
    mask : ndarray (H, W), bool
        True where a pixel has no data; such pixels are not looked at.
    name : str
        What to call the scene in the message: its file, or its dataset.

    Warns
    -----
    UserWarning
        Bands with one value everywhere. They stay in; a metric such as CC is undefined on them.

    Raises
    ------
    ValueError
        Not one pixel has data.
    """
    valid = ~mask
    if not valid.any():
        raise ValueError(
            f"{name}: not one of its {mask.size} pixels has data in all of its {len(cube)} bands (no-data "
            "value, NaN or infinity in at least one). Check the no-data value, or leave out the damaged bands."
        )
    first = np.unravel_index(valid.argmax(), valid.shape)
    constant = [band for band, image in enumerate(cube) if np.all((image == image[first]) | mask)]
    if constant:
        shown = ", ".join(f"{band + 1} (index {band})" for band in constant[:10])
        more = f" and {len(constant) - 10} more" if len(constant) > 10 else ""
        warnings.warn(
            f"{name}: one value everywhere in {len(constant)} of {len(cube)} bands, counted from 1: "
            f"{shown}{more}. They are kept; consider leaving them out.",
            stacklevel=2,
        )


def consecutive(bands: list[int]) -> slice | list[int]:
    """`bands` as a slice where they follow one another: files are read faster so."""
    if bands == list(range(bands[0], bands[0] + len(bands))):
        return slice(bands[0], bands[0] + len(bands))
    return bands


def mapped_reader(open_view: Callable[[], np.ndarray], dtype: np.dtype) -> Reader:
    """Reader of a memory-mapped file; `open_view` maps it and returns a (B, H, W) view.

    The file is read in the order it is stored in and mapped anew for every block: what was mapped counts as this
    process's memory until unmapped, and a scene would take twice its size.
    """

    def read(rows: slice, columns: slice, bands: list[int]) -> np.ndarray:
        out = np.empty((len(bands), rows.stop - rows.start, columns.stop - columns.start), dtype)
        slowest = int(np.argmax(open_view().strides))
        count = out.shape[slowest]
        step = max(1, BLOCK_BYTES * count // out.nbytes)
        for start in range(0, count, step):
            chosen = [consecutive(bands), rows, columns]
            if slowest == 0:
                chosen[0] = consecutive(bands[start : start + step])
            else:
                first, stop = chosen[slowest].start + start, chosen[slowest].stop
                chosen[slowest] = slice(first, min(first + step, stop))
            place = [slice(None)] * 3
            place[slowest] = slice(start, start + step)
            out[tuple(place)] = open_view()[tuple(chosen)]
        return out

    return read


def _bounds(numbers: range) -> slice:
    return slice(min(numbers), max(numbers) + 1)
