"""Open cubes in HDF5 and netCDF-4 files, whichever axis holds the bands.

GDAL takes the first of three axes as the bands, but many files have the bands last. Here h5py reads them, and the axes
follow from the names of the dimensions or the length of the list of wavelengths.
"""

import contextlib
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import CRSError

from lkca.data.reading.array_files import check_array
from lkca.data.reading.bands import Bands, checked_gains, describe_bands, meaning
from lkca.data.reading.hdf5 import HdfReader, check_stored, open_hdf5
from lkca.data.wavelengths import nanometres
from sharpen.scene.georeference import Georeference
from sharpen.scene.lazy import make_scene

AXIS_NAMES = {
    "B": {
        "band",
        "bands",
        "spectral",
        "channel",
        "channels",
        "nbands",
        "z",
    },  # and wavelengths
    "H": {"y", "row", "rows", "line", "lines", "lat", "latitude", "northing", "downtrack", "alongtrack", "along_track"},
    "W": {"x", "column", "columns", "sample", "samples", "lon", "longitude", "easting", "crosstrack", "across_track"},
}
CONTROL_POINTS = 11  # along each side, taken from a table of locations


def open_cube(path: Path, key: str | None, layout: str | None, default: str | None = None) -> xr.DataArray:
    """Open a 3-D dataset of an HDF5 file that is no known product.

    default : layout if nothing in the file tells which axis holds the bands; None takes GDAL's, BHW, with a warning.

    Raises
    ------
    ValueError
        Several 3-D datasets or none, and no key; no single dataset of that name; a wrong layout.
    """
    if layout is not None and sorted(layout) != ["B", "H", "W"]:
        raise ValueError(f"{path}: layout is {layout!r}, expected the letters B, H and W in some order, such as BHW")
    with open_hdf5(path) as file:
        data = _choose(path, file, key)
        lists = band_lists(file, data)
        if layout is None:
            layout = _axes(data, lists) or default
        attrs = {}
        if layout is None:
            layout = attrs["assumed_layout"] = "BHW"
            warnings.warn(
                f"{path}: nothing tells which axis of {data.name}, {data.shape}, holds the bands; read as (bands, "
                "rows, columns). Choose another order by layout= (--layout), such as HWB",
                stacklevel=3,
            )
        count = data.shape[layout.index("B")]
        bands = describe_bands(path, count, lists).updated(packed(path, data, count))
        attrs["metadata"] = text_fields({**file.attrs, **data.attrs})
        where = _cf_georeference(file, data, layout)
        return scene_of(path, data, layout, attrs, bands, where)


def scene_of(
    path: Path,
    data: h5py.Dataset,
    layout: str,
    attrs: Mapping[str, object],
    bands: Bands,
    where: Georeference | None = None,
    no_data: float | None = None,
    mask: Callable | None = None,
) -> xr.DataArray:
    """Return one dataset as a scene; see `sharpen.scene.lazy.make_scene`."""
    check_array(path, data.shape, data.dtype.name, data.name)
    if no_data is None:
        no_data = number_of(data.attrs, "_FillValue", number_of(data.attrs, "missing_value", None))
    check_stored(path, data, no_data)
    shape = tuple(data.shape[layout.index(axis)] for axis in "BHW")
    attrs = {"source": str(path), "files": [str(path)], **attrs}
    reader, dtype = HdfReader(path, data.name, layout), data.dtype
    if _text(data.attrs.get("_Unsigned", "")).lower() == "true" and dtype.kind == "i":  # netCDF's convention
        dtype = np.dtype(dtype.str.replace("i", "u"))
        no_data = no_data + 2.0 ** (8 * dtype.itemsize) if no_data is not None and no_data < 0 else no_data
        reader = _Unsigned(reader, dtype)
    return make_scene(reader, shape, dtype, attrs, bands, where, (no_data,), mask)


class _Unsigned:
    """Reads unsigned numbers that are stored as signed ones."""

    def __init__(self, reader: HdfReader, dtype: np.dtype) -> None:
        self.reader, self.dtype = reader, dtype

    def __call__(self, *window: object) -> NDArray:
        return self.reader(*window).view(self.dtype)


def control_points(latitude: h5py.Dataset, longitude: h5py.Dataset) -> Georeference:
    """Return evenly spaced control points from tables (H, W) of the pixel centres' latitude and longitude (WGS 84)."""
    rows, columns = (np.unique(np.linspace(0, size - 1, CONTROL_POINTS).round().astype(int)) for size in latitude.shape)
    y, x = (table[rows, :][:, columns].astype(float) for table in (latitude, longitude))
    points = tuple(
        GroundControlPoint(float(row) + 0.5, float(column) + 0.5, x[i, j], y[i, j], 0.0)
        for i, row in enumerate(rows)
        for j, column in enumerate(columns)
        if abs(y[i, j]) <= 90 and abs(x[i, j]) <= 360
    )
    return Georeference(CRS.from_epsg(4326), None, points) if points else Georeference()


def packed(path: Path, data: h5py.Dataset, count: int) -> Bands:
    """Return gains and offsets of `count` bands from CF's scale_factor and add_offset; warn of other spellings."""
    for name, value in data.attrs.items():
        if name.lower() in ("scale_factor", "scalefactor", "scale factor") and name != "scale_factor":
            warnings.warn(
                f"{path}: {data.name} has {name} = {value}, which is not applied: programs differ in whether they "
                "divide or multiply by it",
                stacklevel=2,
            )
    gain, offset = number_of(data.attrs, "scale_factor", 1), number_of(data.attrs, "add_offset", 0)
    gains, offsets = checked_gains(path, [gain] * count, [offset] * count)
    return Bands(gains=gains, offsets=offsets)


def band_lists(file: h5py.File, data: h5py.Dataset) -> dict[str, list | str]:
    """Return the lists that describe bands, for `describe_bands`: attributes of the data, else 1-D datasets nearby."""
    found = [
        (name, value, data.attrs.get(f"{name}_units", data.attrs.get("wavelength_units")))
        for name, value in data.attrs.items()
        if np.size(value) in data.shape
    ]
    items: list[h5py.Dataset] = []
    file.visititems(lambda _, item: items.append(item) if isinstance(item, h5py.Dataset) and item.ndim == 1 else None)
    for item in sorted(items, key=lambda item: item.parent != data.parent):
        if item.dtype.kind in "iufbSO" and len(item) in data.shape and meaning(name := item.name.rsplit("/", 1)[-1]):
            found.append((name, item[()], item.attrs.get("units", item.attrs.get("Units"))))
    lists: dict[str, list | str] = {}
    for what in ("wavelength", "fwhm", "bbl"):
        name, values, unit = next((each for each in found if meaning(each[0]) == what), ("", None, None))
        if values is None:
            continue
        unit = "" if unit is None else _text(unit)
        lists[f"{what} {unit}" if nanometres(unit) else name] = np.ravel(values).tolist()
        if what == "wavelength" and unit:
            lists["wavelength units"] = unit
    return lists


def number_of(attrs: Mapping[str, object], name: str, default: float | None) -> float | None:
    """Return an attribute as a number, in whichever type h5py reads it; `default` if it does not exist."""
    if name not in attrs:
        return default
    value = np.asarray(attrs[name]).ravel()[0]
    return float(value.decode() if isinstance(value, bytes) else value)


def text_fields(attrs: Mapping[str, object]) -> dict[str, str]:
    """Return the attributes that are short texts or numbers, as text."""
    fields = {}
    for name, value in attrs.items():
        value = _text(value) if isinstance(value, bytes) else value
        if isinstance(value, str | int | float | np.number) and not name.startswith(("_", "DIMENSION", "REFERENCE")):
            fields[name] = str(value)
    return fields


def _choose(path: Path, file: h5py.File, key: str | None) -> h5py.Dataset:
    cubes: list[h5py.Dataset] = []
    file.visititems(lambda _, item: cubes.append(item) if isinstance(item, h5py.Dataset) and item.ndim == 3 else None)
    names = ", ".join(f"{cube.name} {cube.shape}" for cube in cubes[:10]) or "none"
    if key is not None:
        item = file.get(key) if key in file else None
        if not isinstance(item, h5py.Dataset):
            found = [cube for cube in cubes if cube.name.rsplit("/", 1)[-1] == key]
            item = found[0] if len(found) == 1 else None
        if item is None:
            raise ValueError(f"{path}: holds no single dataset {key!r}. Its 3-D datasets: {names}.")
        return item
    cubes = [cube for cube in cubes if cube.dtype.kind in "iuf" and min(cube.shape) > 0]
    if len(cubes) != 1:
        raise ValueError(f"{path}: expected one 3-D dataset of numbers, found {names}. Choose one by key= (--key).")
    return cubes[0]


def _axes(data: h5py.Dataset, lists: Mapping[str, list | str]) -> str | None:
    """Return the order of the axes, such as "HWB", by their names or the number of wavelengths; None if unclear."""
    letters = []
    for axis in data.dims:
        names = {axis.label, *(scale.name for scale in axis.values())}
        names = {name.rsplit("/", 1)[-1].lower() for name in names if name}
        is_spectral = any(meaning(name) == "wavelength" for name in names)
        letters.append("B" if is_spectral else next((one for one, known in AXIS_NAMES.items() if names & known), "?"))
    if sorted(letters) == ["B", "H", "W"]:
        return "".join(letters)
    bands = [axis for axis, letter in enumerate(letters) if letter == "B"]
    if not bands:
        lengths = {len(values) for name, values in lists.items() if meaning(name) == "wavelength"}
        bands = [axis for axis, size in enumerate(data.shape) if size in lengths]
    if len(bands) != 1:
        return None
    return ("BHW", "HBW", "HWB")[bands[0]]


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _cf_georeference(file: h5py.File, data: h5py.Dataset, layout: str) -> Georeference:
    """Return the georeference by CF: evenly spaced coordinates, CRS of the grid mapping; else an empty one."""
    mapping = file.get(_text(data.attrs.get("grid_mapping", "spatial_ref")))
    wkt = [_text(mapping.attrs[name]) for name in ("crs_wkt", "spatial_ref") if mapping and name in mapping.attrs]
    crs = None
    if wkt:
        with contextlib.suppress(CRSError):
            crs = CRS.from_wkt(wkt[0])
    centres = {}
    for axis, letter in zip(data.dims, layout, strict=True):
        scales = [scale for scale in axis.values() if scale.ndim == 1 and scale.dtype.kind in "iuf"]
        if letter != "B" and scales and len(scales[0]) > 1:
            steps = np.diff(values := scales[0][()].astype(float))
            if steps[0] and np.abs(steps - steps.mean()).max() <= 1e-3 * abs(steps.mean()):
                centres[letter] = values[0], (values[-1] - values[0]) / (len(values) - 1)
    if len(centres) < 2 or (crs is None and {start for start, _ in centres.values()} <= {0.0, 1.0}):
        return Georeference()  # row and column numbers are no georeference
    (y, height), (x, width) = centres["H"], centres["W"]
    return Georeference(crs, Affine(width, 0, x - width / 2, 0, height, y - height / 2))
