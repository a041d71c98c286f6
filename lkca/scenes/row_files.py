"""Files that take an image's rows in any order: raw numbers, and GeoTIFF. `lkca.scenes.writing` knows the rest."""

import contextlib
import errno
import os
import warnings
from pathlib import Path

import numpy as np
import rasterio
from rasterio.dtypes import dtype_rev
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from lkca.scenes.envi_header import other_metadata

TIFF_INTERLEAVES = {"bsq": "band", "bip": "pixel"}
TIFF_TYPES = [name for name in dtype_rev if isinstance(name, str) and name[0] in "iuf"]


class RawFile:
    """ENVI's data: numbers alone, in one of three orders."""

    def __init__(self, path: Path, shape: tuple[int, int, int], dtype: np.dtype, interleave: str) -> None:
        self.shape, self.itemsize, self.interleave = shape, dtype.itemsize, interleave
        self.stream = path.open("r+b")
        size = self.itemsize * int(np.prod(shape, dtype=object))
        try:  # keeps the space, so that a full disk or a quota shows now; rows then also lie together
            os.posix_fallocate(self.stream.fileno(), 0, size)
        except (AttributeError, OSError) as error:
            if getattr(error, "errno", None) not in (None, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise
            self.stream.truncate(size)

    def write(self, row: int, strip: np.ndarray) -> None:
        bands, height, width = self.shape
        if self.interleave == "bsq":
            for band, rows in enumerate(_bands_first(strip)):
                self._put((band * height + row) * width, rows)
        else:
            for place, pixels in enumerate(strip.transpose(1, 0, 2), row):  # (B, W)
                self._put(place * bands * width, self._bands_last(pixels) if self.interleave == "bip" else pixels)
        self.stream.flush()

    def _bands_last(self, pixels: np.ndarray) -> np.ndarray:
        """(B, W) -> (W, B), by way of rows of an odd length: at powers of two the cache makes it five times slower."""
        if pixels.T.flags.c_contiguous:
            return pixels.T
        bands, _, width = self.shape
        spaced = np.empty((bands, width + 64 // self.itemsize), pixels.dtype)[:, :width]
        spaced[:] = pixels
        return spaced.T

    def _put(self, offset: int, numbers: np.ndarray) -> None:
        self.stream.seek(offset * self.itemsize)
        self.stream.write(np.ascontiguousarray(numbers))

    def finish(self) -> None:
        self.stream.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.stream.close()


class TiffFile:
    """One row a block, so that a strip of any height is whole blocks: those GDAL writes at once, keeping none."""

    def __init__(
        self, path: Path, shape: tuple[int, int, int], dtype: np.dtype, interleave: str, said: dict[str, object]
    ) -> None:
        bands, height, width = shape
        self.path, self.last = path, (0, np.empty(0))
        big = dtype.itemsize * bands * height * width + 16 * bands * height > 4e9
        profile = {"driver": "GTiff", "count": bands, "height": height, "width": width, "dtype": dtype.name}
        options = {"interleave": TIFF_INTERLEAVES.get(interleave, "band"), "blockysize": 1, "photometric": "MINISBLACK"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            self.raster = rasterio.open(
                path,
                "w",
                **profile,
                **options,
                bigtiff="YES" if big else "NO",
                nodata=said["no_data"],
                crs=said["crs"],
                transform=said["transform"],
            )
        self.raster.update_tags(**other_metadata(said["metadata"], said["wavelengths"] is not None))
        if said["scale_factor"] != 1:
            self.raster.scales = (1 / said["scale_factor"],) * bands
        if said["gains"] is not None:
            self.raster.scales, self.raster.offsets = tuple(said["gains"]), tuple(said["offsets"])
        if said["band_names"] is not None:
            self.raster.descriptions = tuple(said["band_names"])
        for tag, values in (("CENTRAL_WAVELENGTH_UM", said["wavelengths"]), ("FWHM_UM", said["fwhm"])):
            for band, value in enumerate(() if values is None else values, 1):
                self.raster.update_tags(band, ns="IMAGERY", **{tag: f"{value / 1e3:.12g}"})
        # The same once more where plain gdalinfo and rasterio show it, named as GDAL names an ENVI header's.
        for tag, values in (("wavelength", said["wavelengths"]), ("fwhm", said["fwhm"])):
            for band, value in enumerate(() if values is None else values, 1):
                self.raster.update_tags(band, **{tag: f"{value:.12g}", "wavelength_units": "Nanometers"})

    def write(self, row: int, strip: np.ndarray) -> None:
        self.raster.write(_bands_first(strip), window=Window(0, row, strip.shape[2], strip.shape[1]))
        self.last = row + strip.shape[1] - 1, strip[:, -1].copy()

    def finish(self) -> None:
        """Close, and read the last row back: GDAL closes a file on a full disk without a word."""
        self.raster.close()
        row, numbers = self.last
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(self.path) as raster:
                found = raster.read(window=Window(0, row, raster.width, 1))[:, 0]
        if found.tobytes() != numbers.tobytes():
            raise OSError(errno.EIO, "the file does not hold what was written to it")

    def close(self) -> None:
        with contextlib.suppress(OSError, RasterioError):
            self.raster.close()


def _bands_first(strip: np.ndarray) -> np.ndarray:
    """(B, n, W) with each band in one piece; turned row by row, which fits the cache."""
    if strip[0].flags.c_contiguous:
        return strip
    turned = np.empty(strip.shape, strip.dtype)
    for row in range(strip.shape[1]):
        turned[:, row] = strip[:, row]
    return turned
