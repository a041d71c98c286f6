"""Writing a scene row by row, as ENVI or GeoTIFF, so that it never has to be in memory as a whole.

>>> with SceneWriter("new.img", shape, dtype, **enlarged(scene, 4)) as writer:  # doctest: +SKIP
...     writer.write(0, first_rows)  # (B, n, W)                                  # doctest: +SKIP
"""

import contextlib
import errno
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from rasterio.errors import RasterioError

from lkca.paths import expanded, put_in_place, tell, temporary_beside
from lkca.scenes.enlarging import enlarged
from lkca.scenes.envi_header import DATA_TYPES, envi_header
from lkca.scenes.file_names import TIFF_SUFFIXES, check_names, file_names, interleave_of, sidecars
from lkca.scenes.no_data import held_as
from lkca.scenes.row_files import TIFF_TYPES, RawFile, TiffFile

if TYPE_CHECKING:
    from affine import Affine
    from rasterio.crs import CRS

__all__ = ["SceneWriter", "enlarged"]


class SceneWriter:
    """Context manager that writes a scene; nothing stands under its name(s) before the block has ended well.

    An exception in the block, a full disk included, leaves what stood there before. Only a killed process leaves its
    unfinished file, hidden, as `.NAME-…` in the same folder; the next writing of that name removes it. Of an ENVI pair
    the old header goes first and the new one comes last: killed in between, data stands without a header, and both
    opening and writing again say so. The numbers go to the file as they come; memory is needed
    for the strips alone.

    Parameters
    ----------
    path : str or Path
        Its name decides. `.tif`, `.tiff`: a GeoTIFF, uncompressed, BigTIFF from 4 GB on. `.hdr`, or a suffix of raw
        data (`.img`, `.dat`, `.raw`, `.bsq`, `.bil`, `.bip`, ...): ENVI, a header beside its data; `.hdr` gets `.img`.
    shape : (B, H, W)
    dtype : numpy type
        ENVI holds uint8, int16, int32, int64, uint16, uint32, uint64, float32, float64; GeoTIFF also int8.
    wavelengths, fwhm : ndarray (B,), optional
        In nm. An ENVI header has them in the unit of its `wavelength units` in `metadata` where that is a length.
    band_names : sequence of B str, optional
        In an ENVI header `,` becomes `;`, braces become parentheses, and line breaks spaces.
    no_data : float, optional
        Must fit `dtype`.
    scale_factor : float
        Reflectance (or radiance) = number / scale_factor.
    gains, offsets : ndarray (B,), optional
        Of a scene whose bands differ: = gain * number + offset; then `scale_factor` is 1.
    crs, transform : optional
        As rasterio has them. ENVI leaves out a CRS without a transform.
    metadata : dict of str, optional
        Further header fields (ENVI) or tags (GeoTIFF), as in `Scene.metadata`; each on one line, braces within become
        parentheses. Fields that follow from the other arguments are left out. An ENVI header keeps the `map info` given
        here if it says the same as `transform`.
    interleave : {"bsq", "bil", "bip"}, optional
        A suffix .bsq, .bil or .bip says it; else this; else `metadata`; else bil. A GeoTIFF is bsq unless this, or
        `metadata`, says bip.
    overwrite : bool
        Replace what stands under the name(s).

    Raises
    ------
    FileExistsError
        The file, its header, or a leftover that would be taken for a part of it, exists.
    FileNotFoundError
        No such folder.
    OSError
        Not enough space on the disk, found before anything is written or in the middle.
    ValueError
        A suffix, type, shape, list or no-data value that does not fit; a transform that ENVI cannot express.
    """

    def __init__(
        self,
        path: str | Path,
        shape: tuple[int, int, int],
        dtype: np.dtype | type | str,
        *,
        wavelengths: np.ndarray | None = None,
        fwhm: np.ndarray | None = None,
        band_names: Sequence[str] | None = None,
        no_data: float | None = None,
        scale_factor: float = 1.0,
        gains: np.ndarray | None = None,
        offsets: np.ndarray | None = None,
        crs: "CRS | None" = None,
        transform: "Affine | None" = None,
        metadata: Mapping[str, str] | None = None,
        interleave: str | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path = expanded(path)
        self.shape = tuple(int(size) for size in shape)
        self.dtype = np.dtype(dtype).newbyteorder("=")
        self._tiff = self.path.suffix.lower() in TIFF_SUFFIXES
        self._data, self._header = file_names(self.path)
        self._description = {
            "wavelengths": wavelengths,
            "fwhm": fwhm,
            "band_names": band_names,
            "no_data": no_data,
            "scale_factor": scale_factor,
            "gains": gains,
            "offsets": offsets,
            "crs": crs,
            "transform": transform,
            "metadata": dict(metadata or {}),
        }
        self._interleave = interleave_of(self._data, self._description["metadata"], interleave)
        self._check_numbers()
        self._stale = check_names(self._data, self._header, overwrite)
        self._header_text = ""
        if not self._tiff:
            self._header_text = envi_header(self.path, self.shape, self.dtype, self._interleave, **self._description)
        self._check_space()
        self._written = np.zeros(self.shape[1], bool)
        self._temporaries: dict[Path, Path] = {}
        self._file: RawFile | TiffFile | None = None

    def __enter__(self) -> "SceneWriter":
        try:
            with _named_errors(self.path):
                for target in filter(None, (self._data, self._header)):  # the header last, here and when renamed
                    self._temporaries[target] = temporary_beside(target)
                data = self._temporaries[self._data]
                if self._tiff:
                    self._file = TiffFile(data, self.shape, self.dtype, self._interleave, self._description)
                else:
                    self._temporaries[self._header].write_text(self._header_text, encoding="utf-8")
                    self._file = RawFile(data, self.shape, self.dtype, self._interleave)
        except BaseException:
            self._clean_up()
            raise
        return self

    def write(self, row: int, strip: np.ndarray) -> None:
        """Write rows row, row + 1, ...; each row once, in any order, from any thread but one at a time.

        Parameters
        ----------
        row : int
            The first of them, from 0.
        strip : ndarray (B, n, W)
            Of the file's dtype. Any strides: a view will do.

        Raises
        ------
        ValueError
            Another shape or dtype, a row outside the scene, or one that has been written.
        OSError
            The disk is full, say.
        """
        if self._file is None:
            raise ValueError(f"{self.path}: is written in a with block: `with SceneWriter(...) as writer:`")
        bands, height, width = self.shape
        if strip.ndim != 3 or strip.shape[::2] != (bands, width) or strip.dtype != self.dtype:
            raise ValueError(
                f"{self.path}: a strip of shape {strip.shape} and type {strip.dtype}, "
                f"expected ({bands}, rows, {width}) and {self.dtype}"
            )
        stop = row + strip.shape[1]
        if not 0 <= row < stop <= height:
            raise ValueError(
                f"{self.path}: rows {row} to {stop - 1} are not in the scene, whose rows are 0 to {height - 1}"
            )
        if self._written[row:stop].any():
            raise ValueError(f"{self.path}: row {row + int(self._written[row:stop].argmax())} has been written already")
        with _named_errors(self.path, strip.nbytes):
            self._file.write(row, strip)
        self._written[row:stop] = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._clean_up()

    def _finish(self) -> None:
        if not self._written.all():
            raise ValueError(
                f"{self.path}: {int((~self._written).sum())} of {self.shape[1]} rows were not written, "
                f"the first of them row {int(self._written.argmin())}; nothing was kept"
            )
        with _named_errors(self.path):
            self._file.finish()
            self._put_in_place()
            for leftover in self._stale:
                leftover.unlink(missing_ok=True)

    def _put_in_place(self) -> None:
        """Give data and header their names, so that no header ever stands beside other data than its own."""
        old = self._header.read_bytes() if self._header is not None and self._header.exists() else None
        if old is not None:
            self._header.unlink()
            tell("header removed", self._header)
        try:
            put_in_place(self._temporaries[self._data], self._data)
        except OSError:
            if old is not None:
                self._header.write_bytes(old)
            raise
        if self._header is not None:
            put_in_place(self._temporaries[self._header], self._header)

    def _clean_up(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        for temporary in self._temporaries.values():
            for path in (temporary, *sidecars(temporary)):
                path.unlink(missing_ok=True)

    def _check_numbers(self) -> None:
        name, (bands, *_), said = self.dtype.name, self.shape, self._description
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ValueError(f"{self.path}: shape is {self.shape}, expected three sizes (bands, rows, columns)")
        types = TIFF_TYPES if self._tiff else DATA_TYPES
        if name not in types:
            instead = {"float16": "float32", "int8": "int16, or a .tif", "bool": "uint8"}.get(name, "float32")
            raise ValueError(
                f"{self.path}: {'GeoTIFF' if self._tiff else 'ENVI'} holds no {name}, only {', '.join(sorted(types))}. "
                f"Write {instead}."
            )
        no_data, factor = said["no_data"], said["scale_factor"]
        is_float = self.dtype.kind == "f"
        if no_data is not None and not (is_float and not np.isfinite(no_data)):
            held = held_as(no_data, self.dtype)
            if held is None or not np.isfinite(held):
                raise ValueError(f"{self.path}: the no-data value {no_data} does not fit {name}; choose another")
        if not np.isfinite(factor) or factor == 0:
            raise ValueError(f"{self.path}: the scale factor is {factor}, expected a number other than 0")
        for what in ("wavelengths", "fwhm", "band_names", "gains", "offsets"):
            if said[what] is not None and len(said[what]) != bands:
                raise ValueError(f"{self.path}: {len(said[what])} {what} for {bands} bands")

    def _check_space(self) -> None:
        overhead = len(self._header_text.encode()) + 2**20
        if self._tiff:
            overhead += (
                2**10 * self.shape[0] + 16 * self.shape[0] * self.shape[1]
            )  # tags; where each row of a band lies
        needed = self.dtype.itemsize * int(np.prod(self.shape, dtype=object)) + overhead
        free = shutil.disk_usage(self.path.parent).free
        if needed > free:
            raise OSError(
                errno.ENOSPC,
                f"could not write {self.path}: it needs {needed} bytes ({needed / 1e9:.2f} GB), but only {free} "
                f"({free / 1e9:.2f} GB) are free on that disk. Free some, or choose another folder",
            )


@contextlib.contextmanager
def _named_errors(path: Path, nbytes: int = 0) -> Iterator[None]:
    """Errors of the disk with the file's name and what is still free; GDAL's do not say that the disk is full."""
    try:
        yield
    except (OSError, RasterioError) as error:
        free = shutil.disk_usage(path.parent).free
        code = getattr(error, "errno", None) or (errno.ENOSPC if free <= nbytes + 2**20 else errno.EIO)
        why = getattr(error, "strerror", None) or error.__cause__ or error
        raise OSError(
            code,
            f"could not write {path}: {why} ({free} bytes are free on that disk); nothing of it was kept, "
            "what stood under that name before is untouched",
        ) from error
