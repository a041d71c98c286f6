"""Make a scene: a DataArray whose numbers are read when it is indexed."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from lkca.data.no_data import stored_as
from lkca.data.reading.bands import Bands
from lkca.data.reading.scene_file import Reader
from sharpen.scene.georeference import Georeference, place

MaskReader = Callable[[slice, slice], NDArray[np.bool_]]
"""(rows, columns) -> (h, w), True where the file's mask says that there is no data."""
NO_BANDS = Bands()


def make_scene(
    reader: Reader,
    shape: tuple[int, int, int],
    dtype: np.dtype,
    attrs: Mapping[str, object],
    bands: Bands = NO_BANDS,
    where: Georeference | None = None,
    no_data: Sequence[float | None] = (None,),
    mask: MaskReader | None = None,
) -> xr.DataArray:
    """Return the DataArray (band, y, x) that `sharpen.scene.io.open_scene` describes.

    no_data : one value for all bands, or one for each.
    """
    count, gains, offsets, attrs = shape[0], bands.gains, bands.offsets, dict(attrs)
    if gains is None or np.ptp(gains) <= 1e-9 * abs(gains[0]) and np.ptp(offsets) <= 1e-9 * abs(offsets[0]):
        attrs["scale_factor"], attrs["add_offset"] = map(float, (1, 0) if gains is None else (gains[0], offsets[0]))
        gains = offsets = None
    scene = xr.DataArray(_lazy(reader, shape, np.dtype(dtype).newbyteorder("=")), name="scene", attrs=attrs)
    scene = scene.assign_coords(
        band=np.arange(1, count + 1),
        good_band=("band", np.ones(count, bool) if bands.good is None else bands.good),
    )
    of_bands = {"wavelength": bands.wavelength, "fwhm": bands.fwhm, "band_name": bands.names, "gain": gains,
               "offset": offsets}  # fmt: skip
    for name, values in of_bands.items():
        if values is not None:
            scene = scene.assign_coords({name: ("band", np.asarray(values))})
    for name in {"wavelength", "fwhm"} & set(scene.coords):
        scene.coords[name].attrs["units"] = "nm"
    # No pixel has a value that the dtype cannot hold, and rioxarray refuses such a value.
    declared = [None if value is None else _as_dtype(value, scene.dtype) for value in no_data]
    if len({repr(value) for value in declared}) > 1:
        numbers = [np.nan if value is None else float(value) for value in declared]
        scene = scene.assign_coords(no_data=("band", numbers))
    elif declared[0] is not None:
        scene = scene.rio.write_nodata(declared[0])
    scene = place(scene, where or Georeference())
    if mask is not None:
        lazy = _lazy(lambda rows, columns, _: mask(rows, columns)[None], (1, *shape[1:]), np.dtype(bool))
        scene.coords["masked"] = lazy.isel(band=0)
    return scene


def _lazy(reader: Reader, shape: tuple[int, int, int], dtype: np.dtype) -> xr.Variable:
    return xr.Variable(("band", "y", "x"), indexing.LazilyIndexedArray(_File(reader, shape, dtype)))


class _File(BackendArray):
    """The array that xarray indexes: any selection is read as the window around it."""

    def __init__(self, reader: Reader, shape: tuple[int, int, int], dtype: np.dtype) -> None:
        self.reader, self.shape, self.dtype = reader, shape, dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> NDArray:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[int | slice | NDArray, ...]) -> NDArray:
        bands, rows, columns = (np.arange(size)[part] for size, part in zip(self.shape, key, strict=True))
        scalars = tuple(axis for axis, places in enumerate((bands, rows, columns)) if places.ndim == 0)
        bands, rows, columns = (np.atleast_1d(places) for places in (bands, rows, columns))
        if not (bands.size and rows.size and columns.size):
            return np.empty((bands.size, rows.size, columns.size), self.dtype)
        block = self.reader(_window(rows), _window(columns), bands.tolist())
        if not _is_run(rows):
            block = block[:, rows - rows.min()]
        if not _is_run(columns):
            block = block[:, :, columns - columns.min()]
        return np.ascontiguousarray(block, self.dtype).squeeze(scalars)


def _window(places: NDArray[np.integer]) -> slice:
    return slice(int(places.min()), int(places.max()) + 1)


def _is_run(places: NDArray[np.integer]) -> bool:
    return len(places) == 1 or bool((np.diff(places) == 1).all())


def _as_dtype(value: float, dtype: np.dtype) -> np.generic | float | None:
    if dtype.kind == "f" and not np.isfinite(value):
        return dtype.type(value)
    return stored_as(value, dtype)
