"""Open cubes in HDF5 and netCDF-4 files, which say in their own way which axis holds the bands.

GDAL takes the first of three axes for the bands and the last two for the image; many files have the bands last. h5py
reads them here, by the names of the dimensions and the length of the list of wavelengths.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import CRSError

from lkca.data.array_files import check_array
from lkca.data.wavelengths import in_nanometres
from sharpen.georeference import Georeference
from sharpen.lazy import make_scene
from sharpen.metadata import Bands, scaling

AXIS_NAMES = {
    "B": {
        "band",
        "bands",
        "wavelength",
        "wavelengths",
        "wl",
        "lambda",
        "spectral",
        "channel",
        "channels",
        "nbands",
        "z",
    },
    "H": {"y", "row", "rows", "line", "lines", "lat", "latitude", "northing", "downtrack", "alongtrack", "along_track"},
    "W": {"x", "column", "columns", "sample", "samples", "lon", "longitude", "easting", "crosstrack", "across_track"},
}
WAVELENGTHS = ("wavelength", "wavelengths", "wavelength_nm", "wavelengths_nm", "center_wavelengths")
WIDTHS = ("fwhm", "bandwidth", "bandwidths", "full_width_half_max")
GOOD = ("good_wavelengths", "bbl", "good_bands")
CONTROL_POINTS = 11  # along each side, taken from a table of locations


class HdfReader:
    """Reads windows of one dataset whose axes are in the order of `axes`, letters of B, H and W."""

    def __init__(self, path: Path, name: str, axes: str) -> None:
        self.path, self.name, self.axes = path, name, axes

    def __call__(self, rows: slice, columns: slice, bands: list[int]) -> NDArray:
        first = min(bands)
        wanted = {"B": slice(first, max(bands) + 1), "H": rows, "W": columns}
        with open_file(self.path) as file:
            block = file[self.name][tuple(wanted[axis] for axis in self.axes)]
        return block.transpose([self.axes.index(axis) for axis in "BHW"])[[band - first for band in bands]]


@contextlib.contextmanager
def open_file(path: Path) -> Iterator[h5py.File]:
    """Open by h5py, whose errors become a ValueError that names the file."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError) as error:
        raise ValueError(
            f"{path}: cannot be read, truncated or damaged ({error}). Copy or download it again."
        ) from error


def open_cube(path: Path, key: str | None, layout: str | None, default: str | None = None) -> xr.DataArray:
    """Open a 3-D dataset of an HDF5 file that is no known product.

    default : layout where nothing in the file tells which axis holds the bands; None takes GDAL's, BHW, with a warning.

    Raises
    ------
    ValueError
        Several 3-D datasets and no key, none of that name, axes that are not (band, row, column) in any order.
    """
    with open_file(path) as file:
        data = _choose(path, file, key)
        wavelength, fwhm, good = (_listed(file, data, names) for names in (WAVELENGTHS, WIDTHS, GOOD))
        if layout is None:
            layout = _axes(data, wavelength) or default
        attrs = {}
        if layout is None:
            layout = attrs["assumed_layout"] = "BHW"
            warnings.warn(
                f"{path}: nothing tells which axis of {data.name}, {data.shape}, holds the bands; read as (bands, "
                "rows, columns). layout= (--layout) reads another order, such as HWB",
                stacklevel=3,
            )
        count = data.shape[layout.index("B")]
        unit = wavelength[1] if wavelength else None
        nm, widths = in_nanometres(path, count, wavelength and wavelength[0], fwhm and fwhm[0], unit)
        marks = good[0] != 0 if good is not None and len(good[0]) == count else None
        attrs |= {"metadata": text_fields({**file.attrs, **data.attrs})}
        attrs |= scaling(path, [number_of(data.attrs, "scale_factor", 1)], [number_of(data.attrs, "add_offset", 0)])
        where = _cf_georeference(file, data, layout)
        return scene_of(path, data, layout, attrs, Bands(nm, widths, marks), where)


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
    """Return one dataset as a scene; see `sharpen.lazy.make_scene`."""
    check_array(path, data.shape, data.dtype.name, data.name)
    if data.external or data.is_virtual or Path(data.file.filename) != path:
        raise ValueError(
            f"{path}: the numbers of {data.name} lie in other files, which are not read; copy them into one"
        )
    if no_data is None:
        no_data = number_of(data.attrs, "_FillValue", number_of(data.attrs, "missing_value", None))
    shape = tuple(data.shape[layout.index(axis)] for axis in "BHW")
    attrs = {"source": str(path), "files": [str(path)], **attrs}
    return make_scene(HdfReader(path, data.name, layout), shape, data.dtype, attrs, bands, where, (no_data,), mask)


def control_points(latitude: h5py.Dataset, longitude: h5py.Dataset) -> Georeference:
    """Return control points taken evenly from tables of locations (H, W), the pixels' centres; WGS 84."""
    rows, columns = (np.unique(np.linspace(0, size - 1, CONTROL_POINTS).round().astype(int)) for size in latitude.shape)
    y, x = (table[rows, :][:, columns].astype(float) for table in (latitude, longitude))
    points = tuple(
        GroundControlPoint(float(row) + 0.5, float(column) + 0.5, x[i, j], y[i, j], 0.0)
        for i, row in enumerate(rows)
        for j, column in enumerate(columns)
        if abs(y[i, j]) <= 90 and abs(x[i, j]) <= 360
    )
    return Georeference(CRS.from_epsg(4326), None, points) if points else Georeference()


def number_of(attrs: Mapping[str, object], name: str, default: float | None) -> float | None:
    """Return an attribute as a number, whatever h5py makes of it."""
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


def _axes(data: h5py.Dataset, wavelength: tuple[NDArray, str | None] | None) -> str | None:
    """Return the order of the axes, letters of B, H and W, by their names, else by the number of wavelengths."""
    letters = []
    for axis in data.dims:
        names = {axis.label, *(scale.name for scale in axis.values())}
        names = {name.rsplit("/", 1)[-1].lower() for name in names if name}
        letters.append(next((letter for letter, known in AXIS_NAMES.items() if names & known), "?"))
    if sorted(letters) == ["B", "H", "W"]:
        return "".join(letters)
    bands = [axis for axis, letter in enumerate(letters) if letter == "B"]
    if not bands and wavelength is not None:
        bands = [axis for axis, size in enumerate(data.shape) if size == len(wavelength[0])]
    if len(bands) != 1:
        return None
    return ("BHW", "HBW", "HWB")[bands[0]]


def _listed(file: h5py.File, data: h5py.Dataset, names: tuple[str, ...]) -> tuple[NDArray, str | None] | None:
    """Return a list of one number a band, and its unit: an attribute of the data, or a 1-D dataset, nearest first."""
    for name, value in data.attrs.items():
        if name.lower() in names and np.size(value) in data.shape:
            unit = data.attrs.get(f"{name}_units", data.attrs.get("wavelength_units"))
            return np.asarray(value, float).ravel(), unit
    found: list[h5py.Dataset] = []
    file.visititems(
        lambda path, item: (
            found.append(item)
            if isinstance(item, h5py.Dataset) and item.ndim == 1 and path.rsplit("/", 1)[-1].lower() in names
            else None
        )
    )
    for item in sorted(found, key=lambda item: item.parent != data.parent):
        if item.dtype.kind in "iufb" and len(item) in data.shape:
            unit = item.attrs.get("units", item.attrs.get("Units"))
            return item[()].astype(float), None if unit is None else _text(unit)
    return None


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _cf_georeference(file: h5py.File, data: h5py.Dataset, layout: str) -> Georeference:
    """Return what CF says: coordinates of the dimensions, CRS of the grid mapping; nothing where they are uneven."""
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
        return Georeference()  # a plain count of rows and columns is no place
    (y, height), (x, width) = centres["H"], centres["W"]
    return Georeference(crs, Affine(width, 0, x - width / 2, 0, height, y - height / 2))
