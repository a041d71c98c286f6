"""Write ENVI and GeoTIFF files row by row, from the top; `sharpen.scene.write` does all the rest.

GDAL writes GeoTIFFs and ENVI headers. ENVI's numbers are written without GDAL, which writes band by band, and so would
read and write each line of a BIL or BIP file once for every band.
"""

import contextlib
import errno
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from sharpen.scene.describe import finish_header, write_tags
from sharpen.scene.georeference import Georeference

TIFF_ROWS = 16  # rows of a block; each block is as wide as the image and, unless interleaved by pixel, holds one band
COMPRESSIONS = {"deflate": {"zlevel": 1}, "lzw": {}, "zstd": {"zstd_level": 1}}


@dataclass(frozen=True)
class Output:
    """The file to write: path (for messages), shape (B, H, W), dtype, format options and metadata.

    no_data : value of pixels without data. good : (B,), None if all bands are good. like : the scene that describes it.
    where : the new georeference.
    """

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype
    interleave: str
    compress: str | None
    no_data: float | None
    like: xr.DataArray
    good: NDArray[np.bool_] | None
    where: Georeference

    @property
    def nbytes(self) -> int:
        """Return the size of the numbers, in bytes."""
        return self.dtype.itemsize * int(np.prod(self.shape, dtype=object))


class EnviFile:
    """An ENVI data file; GDAL makes the header and the file in full size."""

    def __init__(self, output: Output, path: Path) -> None:
        self.shape, self.interleave, self.itemsize = output.shape, output.interleave, output.dtype.itemsize
        header = path.with_suffix(".hdr")
        try:
            with _created(output, path, driver="ENVI", interleave=output.interleave):
                pass
            _check_georeference(output, path)
            self.header = finish_header(header.read_text(encoding="utf-8"), output.like, output.where)
        finally:
            header.unlink(missing_ok=True)
        self.stream, self.row = path.open("r+b"), 0
        with contextlib.suppress(AttributeError):  # not on every system
            try:  # reserves the space: a full disk or a quota shows now, and the file is contiguous
                os.posix_fallocate(self.stream.fileno(), 0, output.nbytes)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                    raise

    def write(self, block: NDArray) -> None:
        _, height, width = self.shape
        if self.interleave == "bsq":
            for band, rows in enumerate(block):
                self.stream.seek((band * height + self.row) * width * self.itemsize)
                self.stream.write(np.ascontiguousarray(rows))
        elif self.interleave == "bil":
            self.stream.write(np.ascontiguousarray(block.transpose(1, 0, 2)))
        else:
            # Padded rows: at lengths of a power of two, cache conflicts make the transposition five times slower.
            spaced = np.empty((len(block), width + 64 // self.itemsize), block.dtype)[:, :width]
            for row in range(block.shape[1]):
                spaced[:] = block[:, row]
                self.stream.write(np.ascontiguousarray(spaced.T))
        self.row += block.shape[1]

    def finish(self) -> None:
        self.stream.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.stream.close()


class TiffFile:
    """A GeoTIFF whose blocks are written whole, so that GDAL keeps none."""

    def __init__(self, output: Output, path: Path) -> None:
        self.path, self.row, self.pending, self.last = path, 0, [], None
        options = {"interleave": "pixel" if output.interleave == "bip" else "band", "photometric": "MINISBLACK"}
        if output.compress:
            options |= {"compress": output.compress, "predictor": 3 if output.dtype.kind == "f" else 2}
            options |= COMPRESSIONS[output.compress]
        options["bigtiff"] = "IF_SAFER" if output.compress else "IF_NEEDED"
        self.raster = _created(output, path, driver="GTiff", blockysize=TIFF_ROWS, **options)

    def write(self, block: NDArray) -> None:
        self.pending.append(block)
        rows = sum(part.shape[1] for part in self.pending)
        if rows >= TIFF_ROWS:
            self._flush(rows // TIFF_ROWS * TIFF_ROWS)

    def _flush(self, rows: int) -> None:
        block = self.pending[0] if len(self.pending) == 1 else np.concatenate(self.pending, axis=1)
        whole, rest = block[:, :rows], block[:, rows:]
        self.raster.write(whole, window=Window(0, self.row, whole.shape[2], rows))
        self.row += rows
        self.pending = [rest] if rest.shape[1] else []
        self.last = whole[:, -1].copy()

    def finish(self) -> None:
        """Close the file, and read its last row back: on a full disk GDAL closes a file without an error."""
        if self.pending:
            self._flush(sum(part.shape[1] for part in self.pending))
        self.raster.close()
        with _quiet(), rasterio.open(self.path) as raster:
            found = raster.read(window=Window(0, self.row - 1, raster.width, 1))[:, 0]
        if found.tobytes() != self.last.tobytes():
            raise OSError(errno.EIO, "the file does not hold what was written to it")

    def close(self) -> None:
        with contextlib.suppress(OSError, RasterioError):
            self.raster.close()


def _created(output: Output, path: Path, **options: object) -> rasterio.io.DatasetWriter:
    """Create a GDAL dataset with everything but the numbers."""
    count, height, width = output.shape
    # No .aux.xml beside the file: all of it is in the file itself.
    with _quiet(), rasterio.Env(GDAL_PAM_ENABLED="NO"):
        profile = {"count": count, "height": height, "width": width, "dtype": output.dtype.name}
        raster = rasterio.open(path, "w", **profile, nodata=output.no_data, **options)
        write_tags(raster, output.like, output.where, output.good)
    return raster


def _check_georeference(output: Output, path: Path) -> None:
    """Raise ValueError or warn if an ENVI header cannot hold the scene's georeference."""
    where, (_, height, width) = output.where, output.shape
    if where.gcps:
        warnings.warn(
            f"{output.path}: GDAL reads the control points of an ENVI header without their CRS, WGS 84. A GeoTIFF "
            f"({output.path.with_suffix('.tif').name}) keeps it.",
            stacklevel=4,
        )
    if where.transform is None:
        return
    with _quiet(), rasterio.open(path) as raster:
        found, crs = raster.transform, raster.crs
    corners = np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]])
    written, expected = (np.array(each[:6]).reshape(2, 3) for each in (found, where.transform))
    if np.abs((written - expected) @ corners).max() > 1e-3 * np.linalg.norm(expected[:, :2], axis=0).min():
        raise ValueError(
            f"{output.path}: an ENVI header cannot hold the scene's georeference: sheared pixels, or rotated ones that "
            f"are not square ({where.transform[:6]}). Write a GeoTIFF: {output.path.with_suffix('.tif').name}."
        )
    if where.crs is not None and crs != where.crs:
        warnings.warn(
            f"{output.path}: an ENVI header cannot hold all of the CRS {where.crs}; it will be read as {crs}. A "
            f"GeoTIFF ({output.path.with_suffix('.tif').name}) can.",
            stacklevel=4,
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
