"""Write a scene in strips of rows, as ENVI or GeoTIFF, in the background and atomically."""

import contextlib
import errno
import queue
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from lkca.files import atomic_write, expand
from sharpen.scene.describe import ENVI_TYPES, fill_value, good_bands
from sharpen.scene.georeference import georeference_of
from sharpen.scene.row_files import COMPRESSIONS, EnviFile, Output, TiffFile
from sharpen.scene.targets import INTERLEAVES, check_target, choose_interleave, target_files

WAITING_STRIPS = 1  # strips that may wait while another is written


class SceneWriter:
    """Context manager that writes a scene; its file or files appear only when the block has ended without error.

    >>> with SceneWriter("sharp.tif", like=scene, scale=4, bands=good) as writer:  # doctest: +SKIP
    ...     for strip, missing in strips:  # (b, n, W), (n, W)
    ...         writer.write(strip, missing)

    An exception in the block, such as a full disk, leaves old files untouched. Of an ENVI pair, the old header is
    removed first and the new one is written last: no header ever stands beside data that is not its own.

    Parameters
    ----------
    path : its suffix decides the format. `.tif`, `.tiff`: GeoTIFF (BigTIFF beyond 4 GB). `.hdr`, or a suffix of raw
        data (`.img`, `.dat`, `.raw`, `.bsq`, `.bil`, `.bip`, ...): ENVI, a header beside its data; `.hdr` gets `.img`.
    like : DataArray (band, y, x) that describes the scene: bands, georeference, no-data value, dtype, metadata.
    scale : new pixels along each side of one of `like`. The outer corners stay where they are.
    bands : bands of `like` that the strips hold, indices from 0 in the strips' order; None for all. The others are
        written as no data and marked as bad.
    holes : True if pixels without data will be written: integers then need a no-data value. Not needed if `like` has
        one, or for floating-point types (NaN).
    dtype : of the file; None takes that of `like`, or float32 instead of half precision, which no format holds.
    interleave : bsq, bil or bip; None takes that of the suffix, else that of `like`, else bil (GeoTIFF: bsq).
    compress : of a GeoTIFF: None, "deflate", "lzw" or "zstd". Deflate halves the file and takes six times as long.
    overwrite : replace files that exist.

    Attributes
    ----------
    clipped : values so far that did not fit the dtype and were set to the nearest limit.
    no_data : the value of pixels without data in the file; None for NaN, or if there are none.

    Raises
    ------
    FileExistsError, FileNotFoundError
        The file, its header, or another file that would be taken for a part of it, exists; no such folder.
    OSError
        The disk is full; found before writing if possible.
    ValueError
        The suffix or dtype does not fit, ENVI cannot express the transform, or the target is the scene itself.
    """

    def __init__(
        self,
        path: str | Path,
        like: xr.DataArray,
        scale: int = 1,
        bands: Sequence[int] | None = None,
        *,
        holes: bool = False,
        dtype: np.dtype | str | None = None,
        interleave: str | None = None,
        compress: str | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path = expand(path)
        if scale != int(scale) or scale < 1:
            raise ValueError(f"{self.path}: scale is {scale}, expected a whole number of at least 1")
        count, height, width = (like.sizes[name] for name in ("band", "y", "x"))
        self.bands = list(range(count)) if bands is None else [int(band) for band in bands]
        if not self.bands or not set(self.bands) <= set(range(count)) or min(height, width) < 1:
            raise ValueError(f"{self.path}: bands {self.bands} of {count}, {height} x {width} pixels: nothing to write")
        self._data, self._header = target_files(self.path)
        own = np.dtype(np.float32) if like.dtype == np.float16 else like.dtype
        self.dtype = np.dtype(own if dtype is None else dtype).newbyteorder("=")
        self._check(like, compress)
        self._limits = _limits(self.dtype)
        holes = holes or len(self.bands) < count or "masked" in like.coords or bool(like.attrs.get("fills"))
        self.no_data = fill_value(like, self.dtype, holes)
        self._output = Output(
            self.path,
            (count, int(scale) * height, int(scale) * width),
            self.dtype,
            choose_interleave(self._data, like.attrs.get("metadata", {}), interleave),
            compress,
            self.no_data,
            like,
            good_bands(like, self.bands),
            georeference_of(like).moved(int(scale)),
        )
        self.shape, self.clipped = self._output.shape, 0
        self._leftovers = check_target(self._data, self._header, overwrite)
        self._check_space()

    def __enter__(self) -> "SceneWriter":
        self._row, self._failure = 0, None
        self._strips: queue.Queue[tuple | None] = queue.Queue(WAITING_STRIPS)
        self._stack, self._file, self._thread = contextlib.ExitStack(), None, None
        try:
            with _named_errors(self.path):
                data, self._new_header = self._stack.enter_context(_atomic_pair(self._data, self._header))
                self._file = (TiffFile if self._header is None else EnviFile)(self._output, data)
        except BaseException:
            self._abandon()
            raise
        self._thread = threading.Thread(target=self._work, name="SceneWriter", daemon=True)
        self._thread.start()
        return self

    def write(self, strip: NDArray, missing: NDArray[np.bool_] | None = None) -> None:
        """Queue the next rows, from the top. Do not change a strip afterwards.

        Parameters
        ----------
        strip : (b, n, W), any real type, in the unit of the file's numbers. For an integer file, values are rounded and
            clipped. A value that equals the no-data value is replaced by the next number towards zero.
        missing : (n, W), True where the pixel has no data.

        Raises
        ------
        ValueError
            Another shape, more rows than the scene has, or NaN or infinity in data; of this strip or an earlier one.
        OSError
            Writing failed, for example on a full disk; of this strip or an earlier one.
        """
        self._raise_failure()
        count, width = len(self.bands), self.shape[2]
        if strip.ndim != 3 or strip.shape[::2] != (count, width) or strip.dtype.kind not in "iuf":
            raise ValueError(
                f"{self.path}: got a strip of {strip.dtype} of shape {strip.shape}, expected ({count}, rows, {width})"
            )
        if self._row + strip.shape[1] > self.shape[1]:
            raise ValueError(f"{self.path}: got {self._row + strip.shape[1]} rows, expected {self.shape[1]}")
        if missing is not None and missing.any() and self.no_data is None and self.dtype.kind != "f":
            raise ValueError(
                f"{self.path}: pixels without data, but no value for them: open the writer with holes=True"
            )
        self._row += strip.shape[1]
        self._strips.put((strip, missing))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._failure = self._failure or error
            self._abandon()
            return
        try:
            self._stop()
            self._raise_failure()
            if self._row < self.shape[1]:
                raise ValueError(f"{self.path}: {self.shape[1] - self._row} of {self.shape[1]} rows were not written")
            with _named_errors(self.path):
                self._file.finish()
                if self._new_header is not None:
                    self._new_header.write_text(self._file.header, encoding="utf-8")
                self._stack.close()
        except BaseException:
            self._abandon()
            raise
        for leftover in self._leftovers:
            leftover.unlink(missing_ok=True)

    def _work(self) -> None:
        while (item := self._strips.get()) is not None:
            if self._failure is None:
                try:
                    with _named_errors(self.path):
                        self._file.write(self._convert(*item))
                except BaseException as error:  # raised in the caller's thread by its next call
                    self._failure = error

    def _convert(self, strip: NDArray, missing: NDArray[np.bool_] | None) -> NDArray:
        """Return (B, n, W) of the file's dtype, laid out in memory as in the file."""
        axes = INTERLEAVES["bil" if self._output.interleave == "bil" else "bsq"]
        shape = (self.shape[0], *strip.shape[1:])
        out = np.empty([shape[axis] for axis in axes], self.dtype).transpose(np.argsort(axes))
        hole = np.nan if self.no_data is None else self.no_data
        left_out = np.setdiff1d(np.arange(shape[0]), self.bands)
        if len(left_out):
            out[left_out] = hole
        holes = missing is not None and missing.any()
        for values, band in zip(strip, self.bands, strict=True):  # one band at a time stays in the processor's cache
            self._convert_band(np.where(missing, 0, values) if holes else values, out[band])
            if self.no_data is not None and (taken := out[band] == self.no_data).any():
                out[band][taken] = _neighbour(self.no_data, self.dtype)
            if holes:
                out[band][missing] = hole
        return out

    def _convert_band(self, values: NDArray, out: NDArray) -> None:
        if values.dtype == self.dtype and self.dtype.kind != "f":
            out[:] = values
            return
        if self.dtype.kind != "f" and values.dtype.kind == "f":
            values = np.rint(values)
        least, most = float(values.min()), float(values.max())
        if not (np.isfinite(least) and np.isfinite(most)):
            raise ValueError(f"{self.path}: NaN or infinity among the values to be written; no file was written")
        low, high = self._limits
        if least < low or most > high:
            self.clipped += int(((values < low) | (values > high)).sum())
            values = values.clip(low, high)
        np.copyto(out, values, casting="unsafe")

    def _check(self, like: xr.DataArray, compress: str | None) -> None:
        types = ENVI_TYPES if self._header else (*ENVI_TYPES, "int8")
        if self.dtype.name not in types:
            instead = {"int8": "int16, or a .tif", "bool": "uint8"}.get(self.dtype.name, "float32")
            raise ValueError(
                f"{self.path}: the format cannot hold {self.dtype}, only {', '.join(types)}. Write {instead}."
            )
        if compress is not None and (self._header or compress not in COMPRESSIONS):
            raise ValueError(f"{self.path}: compression {compress!r}; a GeoTIFF has {', '.join(COMPRESSIONS)}")
        read = {Path(file).resolve() for file in like.attrs.get("files", ())}
        if read & {file.resolve() for file in (self._data, self._header) if file}:
            raise ValueError(f"{self.path}: would overwrite the scene that is read; choose another name or folder")

    def _check_space(self) -> None:
        needed, free = self._output.nbytes + 2**20, shutil.disk_usage(self._data.parent).free
        if self._output.compress is None and needed > free:
            raise OSError(
                errno.ENOSPC,
                f"could not write {self.path}: it needs {needed} bytes ({needed / 1e9:.2f} GB), but only {free} "
                f"({free / 1e9:.2f} GB) are free on that disk. Free some, or choose another folder",
            )

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _stop(self) -> None:
        if self._thread is not None:
            self._strips.put(None)
            self._thread.join()
            self._thread = None

    def _abandon(self) -> None:
        """Stop the thread and remove the temporary files; the error that led here is raised by the caller."""
        self._failure = self._failure or _Abandoned()
        self._stop()
        if self._file is not None:
            self._file.close()
        with contextlib.suppress(_Abandoned):
            self._stack.__exit__(_Abandoned, _Abandoned(), None)


def write_scene(
    path: str | Path, data: xr.DataArray, like: xr.DataArray | None = None, scale: int = 1, **options: object
) -> int:
    """Write a whole scene; return how many values were clipped to the file's dtype.

    data : DataArray (band, y, x), or an array if `like` is given. like : describes it, by default `data` itself.
    options : of `SceneWriter`. NaN and the no-data value of `like` mark pixels without data.
    """
    values = np.asarray(data.values if isinstance(data, xr.DataArray) else data)
    like = data if like is None else like
    missing = np.isnan(values).any(axis=0) if values.dtype.kind == "f" else np.zeros(values.shape[1:], bool)
    if like.rio.nodata is not None:
        missing |= (values == like.rio.nodata).any(axis=0)
    options = {"holes": bool(missing.any()), **options}
    with SceneWriter(path, like, scale, **options) as writer:
        for row in range(0, values.shape[1], 64):
            writer.write(values[:, row : row + 64], missing[row : row + 64])
    return writer.clipped


@contextlib.contextmanager
def _atomic_pair(data: Path, header: Path | None) -> Iterator[tuple[Path, Path | None]]:
    """Yield temporary names of data and header; no header ever stands beside data that is not its own."""
    if header is None:
        with atomic_write(data) as new_data:
            yield new_data, None
        return
    old = None
    with atomic_write(header) as new_header:  # entered first, so it gets its final name last
        try:
            with atomic_write(data) as new_data:
                yield new_data, new_header
                old = header.read_bytes() if header.exists() else None
                header.unlink(missing_ok=True)
        except BaseException:
            if old is not None:
                header.write_bytes(old)
            raise


class _Abandoned(BaseException):
    """End `atomic_write` without its message."""


@contextlib.contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """Add the file's name and the free space to disk errors; GDAL does not say that the disk is full."""
    try:
        yield
    except (OSError, RasterioError) as error:
        if str(path) in str(error):
            raise
        free = shutil.disk_usage(path.parent).free
        code = getattr(error, "errno", None) or (errno.ENOSPC if free <= 2**20 else errno.EIO)
        why = getattr(error, "strerror", None) or error.__cause__ or error
        raise OSError(
            code,
            f"could not write {path}: {why} ({free} bytes are free on that disk); no partial file was left, and "
            "an older file of that name is untouched",
        ) from error


def _limits(dtype: np.dtype) -> tuple[float, float]:
    """Return the smallest and the largest number that both a dtype and float32 hold."""
    if dtype.kind == "f":
        limits = np.finfo(dtype)
        return float(limits.min), float(limits.max)
    limits = np.iinfo(dtype)
    high = np.float32(limits.max)
    if int(high) > limits.max:  # 2^31 - 1 becomes 2^31
        high = np.nextafter(high, np.float32(0))
    return float(limits.min), float(high)


def _neighbour(number: float, dtype: np.dtype) -> np.generic:
    """Return the next number of a dtype towards zero; for zero, the next one above."""
    if dtype.kind == "f":
        return np.nextafter(dtype.type(number), dtype.type(0)) if number else np.finfo(dtype).tiny
    return dtype.type(int(number) - int(np.sign(number))) if number else dtype.type(1)
