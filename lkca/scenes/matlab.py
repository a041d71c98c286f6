"""MATLAB files: v5 (and v4) through scipy, v7.3 through h5py; arrays are (H, W, B) unless said."""

from pathlib import Path

import h5py
import numpy as np
import scipy.io

from lkca.scenes.scene import Reader, Scene
from lkca.scenes.variables import BANDS_FIRST, Variables, choose_key, wavelengths_key
from lkca.scenes.wavelengths import in_nanometres

NUMPY_NAMES = {"double": "float64", "single": "float32"}  # MATLAB's other numeric types have numpy's names
DAMAGED = "cannot be read, truncated or damaged"


def open_matlab(path: Path, key: str | None, layout: str) -> Scene:
    """Open a .mat file; see `lkca.open_scene`."""
    return _open_v73(path, key, layout) if h5py.is_hdf5(path) else _open_v5(path, key, layout)


# --- v5: variables are compressed whole, so the scene is read whole, at its first use


def _open_v5(path: Path, key: str | None, layout: str) -> Scene:
    try:
        found = scipy.io.whosmat(path)
    except Exception as error:  # on damaged bytes scipy raises almost anything
        raise ValueError(f"{path}: not a .mat file, or truncated ({error}). Copy or download it again.") from error
    variables: Variables = {name: (shape, NUMPY_NAMES.get(kind, kind)) for name, shape, kind in found}
    key = choose_key(path, variables, key)
    shape, kind = variables[key]
    axes = BANDS_FIRST[layout]
    bands_first = tuple(int(shape[axis]) for axis in axes)
    dtype = np.dtype(kind)

    def read_whole(rows: slice, columns: slice, bands: list[int]) -> np.ndarray:
        array = _load_v5(path, key)
        if np.iscomplexobj(array):
            raise ValueError(
                f"{path}: {key} holds complex numbers; a scene has real ones. Save its abs() or real part."
            )
        # MATLAB stores doubles that are whole numbers as small integers; they come back as what they were.
        return np.ascontiguousarray(array.transpose(axes), dtype=dtype)

    at_once = _size_in_memory(bands_first, dtype)
    named = wavelengths_key(variables)
    wavelengths = None
    if named:
        wavelengths, _ = in_nanometres(path, bands_first[0], _load_v5(path, named).ravel())
    return Scene(
        path,
        "matlab",
        bands_first,
        dtype,
        read_whole,
        reads_parts=False,
        at_once=at_once,
        wavelengths=wavelengths,
    )


def _size_in_memory(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """Bytes that two copies of the array need: one as it is stored, at most as large, and one as it is given."""
    return int(np.prod(shape, dtype=object)) * 2 * dtype.itemsize


def _load_v5(path: Path, name: str) -> np.ndarray:
    try:
        return scipy.io.loadmat(path, variable_names=[name])[name]
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"{path}: {name} {DAMAGED} ({error}). Copy or download it again.") from error


# --- v7.3: HDF5 with the axes in reverse order


def _open_v73(path: Path, key: str | None, layout: str) -> Scene:
    try:
        with h5py.File(path, "r") as file:
            variables: Variables = {name: _described(file, name) for name in file if not name.startswith("#")}
            key = choose_key(path, variables, key)
            dtype, chunks = file[key].dtype.newbyteorder("="), file[key].chunks
            named = wavelengths_key(variables)
            _check_own_storage(path, file[key], key)
            values = _values(file, named) if named else None
    except MemoryError:
        raise
    except Exception as error:  # on damaged bytes h5py raises almost anything
        if isinstance(error, ValueError) and str(path) in str(error):
            raise  # what this project says of it
        raise ValueError(f"{path}: {DAMAGED} ({error}). Copy or download it again.") from error
    shape = variables[key][0]
    axes = BANDS_FIRST[layout]
    bands_first = tuple(shape[axis] for axis in axes)
    wavelengths, _ = in_nanometres(path, bands_first[0], values)
    reader = _v73_reader(path, key, layout, dtype)
    packed = 2 * int(np.prod(chunks, dtype=object)) * dtype.itemsize if chunks and max(shape) > 1 else 0
    return Scene(path, "matlab v7.3", bands_first, dtype, reader, at_once=packed, wavelengths=wavelengths)


def _described(file: h5py.File, name: str) -> tuple[tuple[int, ...], str]:
    """`_describe`, for whatever a name may lead to; nothing in other files is looked at."""
    link = file.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        return (), "link to another file, which is not followed"
    try:
        item = file[name]
    except (KeyError, RuntimeError, OSError):  # dangling or looping links; damage, which the variable itself will show
        return (), "link to nothing"
    if not isinstance(item, h5py.Dataset | h5py.Group):
        return (), "named type"
    return _describe(item)


def _values(file: h5py.File, name: str) -> np.ndarray | None:
    """The numbers of a small variable; None where there are none to be had."""
    if file[name].shape is None or file[name].external or file[name].is_virtual:
        return None
    return file[name][()].ravel()


def _check_own_storage(path: Path, data: h5py.Dataset, key: str) -> None:
    """ValueError where the numbers lie in other files, named by this one: it could name any."""
    if data.external or data.is_virtual:
        raise ValueError(
            f"{path}: the numbers of {key} lie in other files, which are not read; save them in one file (MATLAB: save)"
        )


def _describe(item: h5py.Dataset | h5py.Group) -> tuple[tuple[int, ...], str]:
    """Shape as MATLAB shows it, and type."""
    kind = item.attrs.get("MATLAB_class", b"")
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if isinstance(item, h5py.Group):
        return (), kind or "group"
    if item.shape is None:
        return (), "empty (no shape)"
    shape = item.shape[::-1]
    if item.dtype.names and set(item.dtype.names) == {"real", "imag"}:
        return shape, "complex"
    if kind in ("char", "logical", "cell"):
        return shape, kind
    return shape, item.dtype.name


def _v73_reader(path: Path, key: str, layout: str, dtype: np.dtype) -> Reader:
    """Reads in blocks of whole HDF5 chunks, so that no chunk is unpacked twice and no second cube is held."""
    # MATLAB's axes lie in the file in reverse order: its (H, W, B) as (B, W, H).
    to_bands_first = tuple(2 - axis for axis in BANDS_FIRST[layout])

    def read(rows: slice, columns: slice, bands: list[int]) -> np.ndarray:
        out = np.empty((len(bands), rows.stop - rows.start, columns.stop - columns.start), dtype)
        lowest = min(bands)
        span = slice(lowest, max(bands) + 1)
        wanted = np.array(bands)
        try:
            with h5py.File(path, "r") as file:
                data = file[key]
                in_file = [(span, rows, columns)[to_bands_first.index(axis)] for axis in range(3)]
                for first in _blocks(in_file[0], data, 0):
                    for second in _blocks(in_file[1], data, 1):
                        selection = [first, second, in_file[2]]
                        b, r, c = (selection[axis] for axis in to_bands_first)
                        places = np.flatnonzero((wanted >= b.start) & (wanted < b.stop))
                        if not len(places):
                            continue
                        block = data[tuple(selection)].transpose(to_bands_first)
                        r_out = slice(r.start - rows.start, r.stop - rows.start)
                        c_out = slice(c.start - columns.start, c.stop - columns.start)
                        out[places, r_out, c_out] = block[wanted[places] - b.start]
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            raise ValueError(f"{path}: {key} {DAMAGED} ({error}). Copy or download it again.") from error
        return out

    return read


def _blocks(span: slice, data: h5py.Dataset, axis: int) -> list[slice]:
    """`span` cut at multiples of the chunks' length; without chunks, one by one along the slowest axis."""
    length = data.shape[axis] if axis else 1
    if data.chunks:
        length = data.chunks[axis]
        length *= max(1, 256 // length) if axis else 1  # few calls where chunks are narrow
    starts = range(span.start // length * length, span.stop, length)
    return [slice(max(span.start, start), min(span.stop, start + length)) for start in starts]
