"""Writers of small scenes in every format that is read."""

import warnings
from pathlib import Path

import h5py
import numpy as np
import rasterio
import scipy.io
from affine import Affine

B, H, W = 5, 70, 6  # more rows than are read at once from a TIFF
UTM32 = Affine(0.7, 0, 669639.6, 0, -0.7, 5328106.0)
MAP_INFO = "{UTM, 1.000, 1.000, 669639.600, 5328106.000, 0.7, 0.7, 32, North, WGS-84, units=Meters}"


def write_v5(path: Path, cube: np.ndarray, **others) -> Path:
    scipy.io.savemat(path, {"data": cube.transpose(1, 2, 0), **others}, do_compression=True)
    return path


def write_v73(path: Path, cube: np.ndarray, key: str = "chikusei", chunks=None, **others) -> Path:
    """As MATLAB saves -v7.3: a 512-byte block of text before the HDF5, axes reversed, the class as an attribute."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in {key: cube.transpose(1, 2, 0), **others}.items():
            data = file.create_dataset(name, data=array.T, chunks=chunks if name == key else None)
            classes = {"float64": b"double", "float32": b"single"}
            data.attrs["MATLAB_class"] = np.bytes_(classes.get(array.dtype.name, array.dtype.name.encode()))
        file.create_group("#refs#")
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .")
    return path


def header_text(cube: np.ndarray, interleave: str, **fields) -> str:
    kinds = {"int16": 2, "float32": 4, "uint16": 12, "complex64": 6}
    basic = {
        "samples": cube.shape[2],
        "lines": cube.shape[1],
        "bands": cube.shape[0],
        "data type": kinds[cube.dtype.name],
        "interleave": interleave,
        "byte order": 0,
    }
    lines = [f"{name} = {value}" for name, value in {**basic, **fields}.items() if value is not None]
    return "\n".join(["ENVI", "description = {made by a test}", *lines, ""])


def write_envi(path: Path, cube: np.ndarray, interleave="bsq", big_endian=False, offset=0, **fields) -> Path:
    """Writes `path` (the data) and its header; returns the header."""
    axes = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (1, 2, 0)}.get(interleave, (0, 1, 2))
    stored = cube.transpose(axes).astype(cube.dtype.newbyteorder(">" if big_endian else "<"))
    path.write_bytes(b"x" * offset + stored.tobytes())
    order = {"byte order": int(big_endian), "header offset": offset}
    header = path.with_suffix(".hdr")
    header.write_text(header_text(cube, interleave and interleave.upper(), **{**order, **fields}))
    return header


def write_tiff(path: Path, cube: np.ndarray, **profile) -> Path:
    count, height, width = cube.shape
    shape = {"count": count, "height": height, "width": width, "dtype": cube.dtype.name}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", **{**shape, **profile}) as raster:
            raster.write(cube)
    return path


def write_tiff_pair(path: Path, cube: np.ndarray, tiff=None, **fields) -> Path:
    write_tiff(path, cube, **(tiff or {}))
    fields = {"file type": "TIFF", **fields}
    path.with_suffix(".hdr").write_text(header_text(cube, "tif", **fields))
    return path.with_suffix(".hdr")


def write_npy(path: Path, cube: np.ndarray, fortran: bool = False) -> Path:
    array = cube.transpose(1, 2, 0)
    np.save(path, np.asfortranarray(array) if fortran else np.ascontiguousarray(array))
    return path


def write_npz(path: Path, cube: np.ndarray, **others) -> Path:
    np.savez_compressed(path, scene=cube.transpose(1, 2, 0), **others)
    return path


WRITERS = {
    "matlab": lambda folder, cube: write_v5(folder / "a.mat", cube),
    "matlab v7.3": lambda folder, cube: write_v73(folder / "a.mat", cube),
    "matlab v7.3 chunked": lambda folder, cube: write_v73(folder / "a.mat", cube, chunks=(2, 4, 16)),
    "envi bsq": lambda folder, cube: write_envi(folder / "a.img", cube),
    "envi bil": lambda folder, cube: write_envi(folder / "a.dat", cube, "bil", big_endian=True),
    "envi bip": lambda folder, cube: write_envi(folder / "a.pix", cube, "bip", offset=7),
    "envi no suffix": lambda folder, cube: write_envi(folder / "a", cube, "bip", big_endian=True, offset=128),
    "envi+geotiff": lambda folder, cube: write_tiff_pair(folder / "a.tif", cube),
    "geotiff": lambda folder, cube: write_tiff(folder / "a.tif", cube, interleave="pixel", blockysize=16),
    "numpy npy": lambda folder, cube: write_npy(folder / "a.npy", cube),
    "numpy fortran": lambda folder, cube: write_npy(folder / "a.npy", cube, fortran=True),
    "numpy npz": lambda folder, cube: write_npz(folder / "a.npz", cube),
}
