"""Read windows of datasets in HDF5 files, which may be damaged or incomplete."""

import contextlib
import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path

import h5py
from numpy.typing import NDArray

from lkca.data.reading.scene_file import damage_named


class HdfReader:
    """Read windows of one dataset whose axes are in the order of `axes`, the letters B, H and W."""

    def __init__(self, path: Path, name: str, axes: str) -> None:
        self.path, self.name, self.axes = path, name, axes

    def __call__(self, rows: slice, columns: slice, bands: list[int]) -> NDArray:
        first = min(bands)
        selection = {"B": slice(first, max(bands) + 1), "H": rows, "W": columns}
        with open_hdf5(self.path) as file:
            block = file[self.name][tuple(selection[axis] for axis in self.axes)]
        block = block.transpose([self.axes.index(axis) for axis in "BHW"])
        return block if len(block) == len(bands) else block[[band - first for band in bands]]


@contextlib.contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open a file by h5py; its errors become a ValueError that names the file."""
    with damage_named(path), h5py.File(path, "r") as file:
        yield file


def check_stored(path: Path, data: h5py.Dataset, no_data: float | None = None) -> None:
    """Refuse a dataset whose numbers lie in other files; warn of missing chunks, which HDF5 silently fills.

    A chunk is missing if it was never stored, or if its entry in the index is damaged.

    no_data : if the chunks are filled with this value, there is no warning.
    """
    if data.external or data.is_virtual or Path(data.file.filename) != path:
        raise ValueError(
            f"{path}: the numbers of {data.name} lie in other files, which are not read; copy all into one file"
        )
    if no_data is not None and data.fillvalue == no_data:
        return
    if data.chunks is None:
        expected, stored = {None}, {None} if data.id.get_offset() is not None else set()
    else:
        expected = set(itertools.product(*(range(0, *pair) for pair in zip(data.shape, data.chunks, strict=True))))
        stored = set()
        data.id.chunk_iter(lambda chunk: stored.add(chunk.chunk_offset))
    if missing := len(expected - stored):
        warnings.warn(
            f"{path}: {missing} of {len(expected)} chunks of {data.name} are not in the file; they are read as "
            f"{data.fillvalue}",
            stacklevel=4,
        )
