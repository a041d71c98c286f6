"""Write small scenes in every format that is read, as MATLAB, cameras and publishers write them."""

import warnings
from pathlib import Path

import h5py
import numpy as np
import rasterio
import scipy.io

B, H, W = 5, 70, 6
TYPES = {"uint8": 1, "int16": 2, "int32": 3, "float32": 4, "float64": 5, "complex64": 6, "uint16": 12}


def coded(bands: int, height: int, width: int) -> np.ndarray:
    """(B, H, W) int32; the value says row, column and band."""
    band, row, column = np.ogrid[:bands, :height, :width]
    return (band * height * width + row * width + column + 1).astype(np.int32)


def write_v5(path: Path, cube: np.ndarray, key: str = "data", **others: np.ndarray) -> Path:
    """MATLAB v5, compressed; (B, H, W) is stored as (H, W, B)."""
    scipy.io.savemat(path, {key: cube.transpose(1, 2, 0), **others}, do_compression=True)
    return path


def write_v73(path: Path, cube: np.ndarray, key: str = "chikusei", chunks=None, **others: np.ndarray) -> Path:
    """MATLAB v7.3: HDF5 behind a 512-byte block of text, axes reversed, the class as an attribute."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in {key: cube.transpose(1, 2, 0), **others}.items():
            packed = {"chunks": chunks, "compression": "gzip"} if chunks and name == key else {}
            data = file.create_dataset(name, data=array.T, **packed)
            classes = {"float64": b"double", "float32": b"single"}
            data.attrs["MATLAB_class"] = np.bytes_(classes.get(array.dtype.name, array.dtype.name.encode()))
        file.create_group("#refs#")
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .")
    return path


def braces(values) -> str:
    """A list as ENVI headers have it."""
    return "{" + ", ".join(map(str, values)) + "}"


def header_text(cube: np.ndarray, interleave: str, head: str = "ENVI", **fields: object) -> str:
    basic = {
        "samples": cube.shape[2],
        "lines": cube.shape[1],
        "bands": cube.shape[0],
        "data type": TYPES[cube.dtype.name],
        "interleave": interleave,
        "byte order": 0,
    }
    lines = [f"{name} = {value}" for name, value in {**basic, **fields}.items() if value is not None]
    return "\n".join([head, *lines, ""])


def write_envi(path: Path, cube: np.ndarray, interleave="bsq", big_endian=False, offset=0, **fields: object) -> Path:
    """Write `path` (the data) and its header; return the header. A field of None is left out."""
    axes = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (1, 2, 0)}.get(interleave, (0, 1, 2))
    stored = cube.transpose(axes).astype(cube.dtype.newbyteorder(">" if big_endian else "<"))
    path.write_bytes(b"x" * offset + stored.tobytes())
    order = {"byte order": int(big_endian), "header offset": offset}
    header = path.with_suffix(".hdr")
    header.write_text(header_text(cube, interleave, **{**order, **fields}))
    return header


def write_tiff(path: Path, cube: np.ndarray, describe=lambda raster: None, **profile: object) -> Path:
    """describe : called with the raster, to tell what else is in the file."""
    count, height, width = cube.shape
    shape = {"count": count, "height": height, "width": width, "dtype": cube.dtype.name}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", **{**shape, **profile}) as raster:
            raster.write(cube)
            describe(raster)
    return path


def write_tiff_pair(path: Path, cube: np.ndarray, tiff: dict | None = None, **fields: object) -> Path:
    write_tiff(path, cube, **(tiff or {}))
    path.with_suffix(".hdr").write_text(header_text(cube, "tif", **{"file type": "TIFF", **fields}))
    return path.with_suffix(".hdr")


def write_npy(path: Path, cube: np.ndarray, fortran: bool = False) -> Path:
    array = cube.transpose(1, 2, 0)
    np.save(path, np.asfortranarray(array) if fortran else np.ascontiguousarray(array))
    return path


def write_npz(path: Path, cube: np.ndarray, **others: np.ndarray) -> Path:
    np.savez_compressed(path, scene=cube.transpose(1, 2, 0), **others)
    return path


FORMATS = {
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
