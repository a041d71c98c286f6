"""The files of the paper's scenes as their publishers wrote them, small."""

from pathlib import Path

import h5py
import numpy as np
import scipy.io
import spectral.io.envi


def coded(bands: int, height: int, width: int) -> np.ndarray:
    """(H, W, B), as MATLAB shows it; the value says row, column and band."""
    row, column, band = np.ogrid[:height, :width, :bands]
    return (band * height * width + row * width + column + 1).astype(np.int32)


def write_chikusei(path: Path, cube: np.ndarray, key: str = "chikusei") -> None:
    """MATLAB v7.3: HDF5 behind a 512-byte header, axes reversed, doubles, chunked and compressed."""
    with h5py.File(path, "w", userblock_size=512) as file:
        data = file.create_dataset(key, data=cube.T.astype(np.float64), chunks=(2, 4, 8), compression="gzip")
        data.attrs["MATLAB_class"] = np.bytes_("double")
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: PCWIN64, Created on: Tue Jun 07 2016 HDF5 schema 1.00 .")


def write_houston(path: Path, cube: np.ndarray) -> None:
    """ENVI header beside a band-sequential .pix file of unsigned 16-bit numbers, wavelengths in nm."""
    fields = {"wavelength": [f"{nm:.1f}" for nm in np.linspace(374.4, 1059.7, cube.shape[2])]}
    fields |= {"wavelength units": "Nanometers"}
    spectral.io.envi.save_image(
        str(path), cube.astype(np.uint16), interleave="bsq", ext=".pix", dtype=np.uint16, metadata=fields
    )


def write_pavia(path: Path, cube: np.ndarray, key: str = "pavia") -> None:
    """MATLAB v5, compressed, doubles of whole numbers."""
    scipy.io.savemat(path, {key: cube.astype(np.float64)}, do_compression=True)
