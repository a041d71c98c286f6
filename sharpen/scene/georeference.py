"""Read the georeference of a DataArray or of a selection of it, and scale it.

A georeference is a transform with a CRS, ground control points, or rational polynomials (RPC). rioxarray keeps the
first two; RPCs are in `attrs["rpcs"]`. Rectilinear scenes have the coordinates x and y. All others have the coordinates
`column` and `row`, positions in the file, so that a selection keeps its position.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

import numpy as np
import rioxarray  # noqa: F401 - adds .rio to every DataArray
import xarray as xr
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile
from rasterio.rpc import RPC
from rioxarray.rioxarray import affine_to_coords

ENVI_FIELDS = ("map info", "projection info", "coordinate system string", "geo points", "rpc info")
ONE_PIXEL = "ENVI\nsamples = 1\nlines = 1\nbands = 1\ndata type = 5\ninterleave = bsq\nbyte order = 0\n"


@dataclass(frozen=True)
class Georeference:
    """Transform, control points and RPCs of a scene. crs : of the transform or of the control points."""

    crs: CRS | None = None
    transform: Affine | None = None
    gcps: tuple[GroundControlPoint, ...] = ()
    rpcs: RPC | None = None

    def moved(self, scale: float, column: float = 0, row: float = 0) -> "Georeference":
        """Return it for pixels `scale` times smaller, of which the first starts at (row, column) of the old grid."""
        transform = self.transform
        if transform is not None:
            transform = transform @ Affine.translation(column, row)
            a, b, c, d, e, f = transform[:6]
            transform = Affine(a / scale, b / scale, c, d / scale, e / scale, f)
        gcps = tuple(
            GroundControlPoint(
                (point.row - row) * scale, (point.col - column) * scale, point.x, point.y, point.z, point.id, point.info
            )
            for point in self.gcps
        )
        rpcs = self.rpcs
        if rpcs is not None:
            # RPCs count from the centre of the first pixel, so half a pixel is scaled too.
            changes = {
                "line_off": (rpcs.line_off + 0.5 - row) * scale - 0.5,
                "samp_off": (rpcs.samp_off + 0.5 - column) * scale - 0.5,
                "line_scale": rpcs.line_scale * scale,
                "samp_scale": rpcs.samp_scale * scale,
            }
            rpcs = RPC(**{**rpcs.to_dict(), **changes})
        return Georeference(self.crs, transform, gcps, rpcs)


def place(array: xr.DataArray, where: Georeference) -> xr.DataArray:
    """Return `array` (band, y, x) with a georeference, and with coordinates that a selection keeps."""
    height, width = array.sizes["y"], array.sizes["x"]
    transform = where.transform
    if transform is not None and transform.b == transform.d == 0:
        array = array.assign_coords(affine_to_coords(transform, width, height))
    else:
        array = array.assign_coords(row=("y", np.arange(height)), column=("x", np.arange(width)))
    if where.gcps:
        array = array.rio.write_gcps(where.gcps, where.crs)
    elif where.crs is not None:
        array = array.rio.write_crs(where.crs)
    if transform is not None:
        array = array.rio.write_transform(transform)
    if where.rpcs is not None:
        array.attrs["rpcs"] = where.rpcs
    return array


def georeference_of(scene: xr.DataArray) -> Georeference:
    """Return the georeference of a DataArray from this project or any other that follows rioxarray's conventions."""
    crs, mapping = scene.rio.crs, {}
    if scene.rio.grid_mapping in scene.coords:
        mapping = scene.coords[scene.rio.grid_mapping].attrs
    gcps = tuple(scene.rio.get_gcps() or ()) if "gcps" in mapping else ()
    stored = None
    if "GeoTransform" in mapping:
        stored = Affine.from_gdal(*map(float, mapping["GeoTransform"].split()))
    elif "transform" in scene.attrs:
        stored = Affine(*scene.attrs["transform"][:6])
    found = Georeference(crs, None if gcps else stored, gcps, scene.attrs.get("rpcs"))
    if "row" in scene.coords and "column" in scene.coords:
        rows, columns = scene.coords["row"].values, scene.coords["column"].values
        return found.moved(1 / _step(rows, columns), float(columns[0]), float(rows[0]))
    if gcps or not {"x", "y"} <= set(scene.coords) or (crs is None and stored is None):
        return found
    from_coordinates = scene.rio.transform(recalc=min(scene.sizes["x"], scene.sizes["y"]) > 1)
    if stored is not None and stored.almost_equals(from_coordinates, 1e-6 * abs(stored.a)):
        return found
    return Georeference(crs, from_coordinates, (), found.rpcs)


def _step(rows: np.ndarray, columns: np.ndarray) -> int:
    """Return n of a selection of every n-th row and column; 1 for a selection without gaps."""
    steps = {int(places[1] - places[0]) for places in (rows, columns) if len(places) > 1} or {1}
    if len(steps) > 1 or min(steps) < 1:
        raise ValueError(
            f"a selection must take every n-th row and column with the same n of at least 1, found steps {steps}"
        )
    return steps.pop()


def envi_georeference(header: object, fields: Mapping[str, str]) -> Georeference:
    """Return the georeference of an ENVI header, as GDAL reads it for a file of one pixel.

    header : the file, for messages. fields : texts, lists in braces.
    """
    kept = [name for name in ENVI_FIELDS if name in fields]
    if not kept:
        return Georeference()
    text = ONE_PIXEL + "".join(f"{name} = {fields[name]}\n" for name in kept)
    try:
        with (
            warnings.catch_warnings(),
            MemoryFile(bytes(8), dirname=(folder := uuid4().hex), filename="pixel.img") as data,
            MemoryFile(text.encode(), dirname=folder, filename="pixel.hdr"),
        ):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with data.open() as raster:
                gcps, gcp_crs = raster.gcps
                crs, transform, rpcs = raster.crs or None, raster.transform, raster.rpcs
    except RasterioError as error:
        warnings.warn(f"{header}: its georeference cannot be read ({error}) and is left out", stacklevel=3)
        return Georeference()
    if "arbitrary" in fields.get("map info", "").lower() and "coordinate system string" not in fields:
        crs = None  # ENVI's word for unknown, from which GDAL makes a local system
    if gcps:
        return Georeference(gcp_crs or CRS.from_epsg(4326), None, tuple(gcps), rpcs)  # ENVI gives them in degrees
    return Georeference(crs, None if transform.is_identity else transform, (), rpcs)
