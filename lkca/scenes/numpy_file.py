"""numpy's .npy (read through a memory map) and .npz; arrays are (H, W, B) unless said."""

import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from lkca.scenes.scene import Scene, mapped_reader
from lkca.scenes.variables import BANDS_FIRST, Variables, check_array, choose_key, wavelengths_key
from lkca.scenes.wavelengths import in_nanometres


def open_numpy(path: Path, key: str | None, layout: str) -> Scene:
    """Open a .npy or .npz file; see `lkca.open_scene`."""
    if zipfile.is_zipfile(path):
        return _open_npz(path, key, layout)
    if path.suffix.lower() == ".npz":
        raise ValueError(f"{path}: not a whole .npz file (zip archive). Copy or save it again.")
    if key is not None:
        raise ValueError(f"{path}: key {key!r} was given, but a .npy file holds a single array; leave it out")
    return _open_npy(path, layout)


def _open_npy(path: Path, layout: str) -> Scene:
    try:
        with path.open("rb") as stream:
            shape, dtype = _array_header(stream)
            start = stream.tell()
    except Exception as error:  # on damaged bytes numpy raises almost anything, a tokenizer's errors too
        raise ValueError(f"{path}: not a .npy file, or its start is damaged ({error}). Save it again.") from error
    check_array(path, shape, dtype.name)
    needed = start + int(np.prod(shape, dtype=object)) * dtype.itemsize
    found = path.stat().st_size
    if found < needed:
        raise ValueError(f"{path}: truncated: {found} bytes, but {dtype.name} {shape} takes {needed}. Save it again.")
    axes = BANDS_FIRST[layout]
    native = dtype.newbyteorder("=")
    return Scene(
        path,
        "numpy",
        shape=tuple(shape[axis] for axis in axes),
        dtype=native,
        reader=mapped_reader(lambda: np.load(path, mmap_mode="r", allow_pickle=False).transpose(axes), native),
    )


def _open_npz(path: Path, key: str | None, layout: str) -> Scene:
    headers: dict[str, tuple[tuple[int, ...], np.dtype]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".npy"):
                    with archive.open(name) as stream:
                        headers[name.removesuffix(".npy")] = _array_header(stream)
    except Exception as error:  # as above, and what zlib and zipfile raise
        raise ValueError(f"{path}: not a readable .npz file ({error}). Save it again.") from error
    variables: Variables = {name: (shape, dtype.name) for name, (shape, dtype) in headers.items()}
    key = choose_key(path, variables, key)
    shape, dtype = headers[key]
    native = dtype.newbyteorder("=")
    axes = BANDS_FIRST[layout]

    def read_whole(rows: slice, columns: slice, bands: list[int]) -> np.ndarray:
        array = _load_member(path, key).transpose(axes)
        return np.ascontiguousarray(array, dtype=native)

    bands_first = tuple(shape[axis] for axis in axes)
    at_once = 2 * int(np.prod(shape, dtype=object)) * dtype.itemsize  # as it is stored, and as it is given
    named = wavelengths_key(variables)
    wavelengths = None
    if named:
        wavelengths, _ = in_nanometres(path, bands_first[0], _load_member(path, named).ravel())
    return Scene(path, "numpy", bands_first, native, read_whole, at_once, reads_parts=False, wavelengths=wavelengths)


def _load_member(path: Path, name: str) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return archive[name]
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise ValueError(f"{path}: {name} cannot be read to its end ({error}). Save it again.") from error


def _array_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type from the start of a .npy stream; nothing is unpickled."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype
