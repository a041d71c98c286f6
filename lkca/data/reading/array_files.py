"""Open MATLAB files (v5 by scipy, v7.3 by h5py) and numpy files, whose axes follow a convention only."""

import difflib
import struct
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO

import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray

from lkca.data.reading.bands import describe_bands, meaning
from lkca.data.reading.hdf5 import HdfReader, check_stored, open_hdf5
from lkca.data.reading.scene_file import Reader, SceneFile, damage_named

NUMBERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)} | {"float16", "float32", "float64"}
NUMPY_NAMES = {"double": "float64", "single": "float32"}  # the names of MATLAB's other numeric types are numpy's
USUAL_LAYOUT = "HWB"
MAX_LISTED = 10_000  # numbers in a variable that may describe the bands
BLOCK_BYTES = 2**24  # about how much of a memory-mapped file is mapped at once

Variables = dict[str, tuple[tuple[int, ...], str]]
"""Name -> (shape as MATLAB or numpy shows it, type by numpy's name, or by MATLAB's if it is not a number)."""


def open_array_file(path: Path, key: str | None, layout: str | None) -> SceneFile:
    """Open a .mat, .npy or .npz file; see `lkca.data.reading.read.open_scene_file`."""
    axes = tuple((layout or USUAL_LAYOUT).index(axis) for axis in "BHW")
    if path.suffix.lower() in (".npy", ".npz") or not _starts(path, b"MATLAB ") and path.suffix.lower() != ".mat":
        return _open_npz(path, key, axes) if zipfile.is_zipfile(path) else _open_npy(path, key, axes)
    if not h5py.is_hdf5(path):
        return _open_v5(path, key, axes)
    return _open_v73(path, key, axes, layout is not None)


def check_array(path: Path, shape: tuple[int, ...], kind: str, name: str = "array") -> None:
    """Raise ValueError unless shape and type are those of a scene: three axes, real numbers, not empty."""
    if kind.startswith("complex"):
        raise ValueError(f"{path}: {name} holds complex numbers; a scene has real ones. Save its abs() or real part.")
    if kind not in NUMBERS:
        raise ValueError(f"{path}: {name} is of type {kind}; a scene is a 3-D array of whole or floating numbers")
    if len(shape) != 3:
        raise ValueError(
            f"{path}: {name} has {len(shape)} axes, shape {shape}; a scene has three (height, width, bands). "
            "Reshape it, or choose another variable or file."
        )
    if min(shape) <= 0:
        raise ValueError(f"{path}: {name} is empty, shape {shape}")


# --- MATLAB v5 (and v4): variables are compressed whole, so the scene is read whole, once


def _open_v5(path: Path, key: str | None, axes: tuple[int, ...]) -> SceneFile:
    with damage_named(path, "not a .mat file, or truncated"):
        _check_v5(path)
        found = scipy.io.whosmat(path)
    variables: Variables = {name: (shape, NUMPY_NAMES.get(kind, kind)) for name, shape, kind in found}
    return _whole_scene(
        path, "matlab", variables, key, axes, lambda name: scipy.io.loadmat(path, variable_names=[name])[name]
    )


def _check_v5(path: Path) -> None:
    """Raise ValueError if a v5 file ends within a variable, which scipy would silently leave out."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        order = {b"IM": "<", b"MI": ">"}.get(stream.read(128)[126:])
        if order is None:  # version 4 has no such mark, nor lengths
            return
        place = 128
        while place < size:
            stream.seek(place)
            place += 8 + struct.unpack(order + "II", stream.read(8).ljust(8, b"\xff"))[1]
    if place > size:
        raise ValueError(f"{size} bytes, expected {place}")


# --- MATLAB v7.3: HDF5 with the axes in reverse order


def _open_v73(path: Path, key: str | None, axes: tuple[int, ...], told: bool) -> SceneFile:
    """Open HDF5; told : whether the caller gave the layout, which is ambiguous if MATLAB did not write the file."""
    with open_hdf5(path) as file:
        variables = {name: _described(file, name) for name in file if not name.startswith("#")}
        key = _choose_key(path, variables, key)
        data = file[key]
        check_stored(path, data)
        if not told and "MATLAB_class" not in data.attrs and not _starts(path, b"MATLAB "):
            warnings.warn(
                f"{path}: was not written by MATLAB; {key} is read as MATLAB would, {variables[key][0]} as height, "
                "width and bands. If it was stored in that order, as h5py does, give layout BWH (--layout)",
                stacklevel=4,
            )
        dtype, chunks = data.dtype.newbyteorder("="), data.chunks
        listed = _band_lists(variables, key, lambda name: file[name][()])
    shape = tuple(variables[key][0][axis] for axis in axes)
    in_file = "".join("BHW"[axes.index(2 - place)] for place in range(3))
    chunk_bands = (chunks[0] if chunks else 1) if in_file[0] == "B" else 0
    if 4 * chunk_bands > shape[0]:  # too many bands at once: read by rows, although chunks are then unpacked repeatedly
        chunk_bands = 0
    bands = describe_bands(path, shape[0], listed)
    reader = HdfReader(path, key, in_file)
    return SceneFile(path, "matlab v7.3", shape, dtype, reader, [path], bands, chunk_bands=chunk_bands)


def _described(file: h5py.File, name: str) -> tuple[tuple[int, ...], str]:
    """Return the shape, as MATLAB shows it, and the type of what a name leads to; never follow links to other files."""
    if isinstance(file.get(name, getlink=True), h5py.ExternalLink):
        return (), "link to another file, which is not followed"
    try:
        item = file[name]
    except (KeyError, RuntimeError, OSError):  # a dangling or circular link; damage is found when it is read
        return (), "link to nothing"
    if not isinstance(item, h5py.Dataset):
        return (), "group" if isinstance(item, h5py.Group) else "named type"
    if item.shape is None:
        return (), "empty (no shape)"
    kind = item.attrs.get("MATLAB_class", b"")
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if item.dtype.names and set(item.dtype.names) == {"real", "imag"}:
        return item.shape[::-1], "complex"
    return item.shape[::-1], kind if kind in ("char", "logical", "cell") else item.dtype.name


# --- numpy


def _open_npy(path: Path, key: str | None, axes: tuple[int, ...]) -> SceneFile:
    if path.suffix.lower() == ".npz":
        raise ValueError(f"{path}: not a whole .npz file (zip archive). Copy or save it again.")
    if key is not None:
        raise ValueError(f"{path}: key {key!r} was given, but a .npy file holds a single array; leave it out")
    with damage_named(path, "not a .npy file, or its start is damaged"), path.open("rb") as stream:
        shape, dtype = _array_header(stream)
        start = stream.tell()
    check_array(path, shape, dtype.name)
    needed, found = start + int(np.prod(shape, dtype=object)) * dtype.itemsize, path.stat().st_size
    if found < needed:
        raise ValueError(f"{path}: truncated: {found} bytes, but {dtype.name} {shape} takes {needed}. Save it again.")
    if found > needed:
        warnings.warn(f"{path}: {found - needed} bytes more than {dtype.name} {shape} takes; not read", stacklevel=3)
    return SceneFile(
        path, "numpy", tuple(shape[axis] for axis in axes), dtype.newbyteorder("="),
        mapped_reader(lambda: np.load(path, mmap_mode="r", allow_pickle=False).transpose(axes)), [path],
    )  # fmt: skip


def _open_npz(path: Path, key: str | None, axes: tuple[int, ...]) -> SceneFile:
    variables: Variables = {}
    with damage_named(path, "not a readable .npz file"), zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as stream:  # compares the two copies of its name in the archive
                if name.endswith(".npy"):
                    shape, dtype = _array_header(stream)
                    variables[name.removesuffix(".npy")] = shape, dtype.name

    def load(name: str) -> NDArray:
        with np.load(path, allow_pickle=False) as archive:
            return archive[name]

    return _whole_scene(path, "numpy", variables, key, axes, load)


def _array_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Return shape and type from the start of a .npy stream; nothing is unpickled."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype


# --- shared


def mapped_reader(open_view: Callable[[], NDArray]) -> Reader:
    """Return a reader of a memory-mapped file; `open_view` maps it and returns a (B, H, W) view.

    The file is mapped anew for every block: mapped pages count as this process's memory until unmapped, so a scene
    would otherwise take twice its size.
    """

    def read(rows: slice, columns: slice, bands: list[int]) -> NDArray:
        together = slice(bands[0], bands[-1] + 1)  # a slice reads faster than a list
        chosen = together if bands == list(range(together.start, together.stop)) else bands
        shape = (len(bands), rows.stop - rows.start, columns.stop - columns.start)
        out = np.empty(shape, open_view().dtype.newbyteorder("="))
        step = max(1, BLOCK_BYTES * shape[1] // out.nbytes)
        for start in range(0, shape[1], step):
            part = slice(rows.start + start, min(rows.start + start + step, rows.stop))
            out[:, start : start + step] = open_view()[chosen, part, columns]
        return out

    return read


def _whole_scene(
    path: Path, kind: str, variables: Variables, key: str | None, axes: tuple[int, ...], load: Callable[[str], NDArray]
) -> SceneFile:
    """Return a scene whose file can only be read as a whole: once, when its numbers are first needed."""
    key = _choose_key(path, variables, key)
    shape, dtype = tuple(int(variables[key][0][axis]) for axis in axes), np.dtype(variables[key][1]).newbyteorder("=")

    def loaded(name: str) -> NDArray:
        with damage_named(path, f"{name} cannot be read, truncated or damaged"):
            return load(name)

    @cache
    def cube() -> NDArray:
        array = loaded(key)
        check_array(path, array.shape, array.dtype.name, key)  # scipy shows complex numbers only when it reads
        # MATLAB stores doubles with whole values as small integers: convert them back.
        return np.ascontiguousarray(array.transpose(axes), dtype=dtype)

    bands = describe_bands(path, shape[0], _band_lists(variables, key, loaded))
    return SceneFile(
        path, kind, shape, dtype, lambda rows, columns, chosen: cube()[chosen, rows, columns], [path], bands
    )


def _choose_key(path: Path, variables: Variables, key: str | None) -> str:
    """Return the variable to read: `key`, else the only 3-D array of real numbers; a ValueError lists the variables."""
    listing = ", ".join(f"{name} {shape} {kind}" for name, (shape, kind) in variables.items()) or "nothing"
    if key is None:
        fitting = [name for name, (shape, kind) in variables.items() if len(shape) == 3 and kind in NUMBERS]
        if len(fitting) > 1:
            raise ValueError(f"{path}: holds several 3-D arrays, choose one by key=: {', '.join(fitting)}")
        if not fitting and len(variables) != 1:
            raise ValueError(f"{path}: holds no 3-D array of real numbers, which a scene is. It holds: {listing}.")
        key = fitting[0] if fitting else next(iter(variables))  # the check below says what is wrong with it
    elif key not in variables:
        similar = difflib.get_close_matches(key, variables, n=1)
        hint = f" Did you mean {similar[0]!r}?" if similar else ""
        raise ValueError(f"{path}: holds no variable {key!r}.{hint} It holds: {listing}.")
    check_array(path, *variables[key], name=key)
    return key


def _band_lists(variables: Variables, key: str, load: Callable[[str], NDArray]) -> dict[str, list | str]:
    """Return the other variables that describe the scene's bands: wavelengths, their unit, widths, bad bands."""
    lists = {}
    for name, (shape, kind) in variables.items():
        is_text = kind.startswith(("char", "str"))
        fits = meaning(name) == "unit" if is_text else meaning(name) and kind in NUMBERS | {"logical", "bool"}
        if name != key and fits and 0 < np.prod(shape, dtype=object) <= MAX_LISTED:
            items = load(name).ravel().tolist()
            # MATLAB v7.3 stores text as character codes.
            lists[name] = "".join(chr(i) if isinstance(i, int) else i for i in items) if is_text else items
    return lists


def _starts(path: Path, magic: bytes) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(magic)) == magic
