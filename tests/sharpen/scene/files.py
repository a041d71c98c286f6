"""Writers of small scenes in the formats that `sharpen` reads, beside those of `tests.data.scene_files`."""

from pathlib import Path

import h5py
import numpy as np
import rasterio
import scipy.io
import tifffile
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC
from rasterio.shutil import copy as gdal_copy

from tests.data.scene_files import FORMATS, write_tiff

UTM32 = Affine(0.7, 0, 669639.6, 0, -0.7, 5328106.0)
MAP_INFO = "{UTM, 1.000, 1.000, 669639.600, 5328106.000, 0.7, 0.7, 32, North, WGS-84, units=Meters}"
NM = [400.0, 500.0, 600.0, 700.0, 2500.0]


def write_netcdf3(path: Path, cube) -> Path:
    with scipy.io.netcdf_file(path, "w") as file:
        for name, size in zip(("wavelength", "y", "x"), cube.shape, strict=True):
            file.createDimension(name, size)
        file.createVariable("reflectance", cube.dtype, ("wavelength", "y", "x"))[:] = cube
        file.createVariable("wavelength", "f4", ("wavelength",))[:] = NM
    return path


def write_hdf5(path: Path, cube, axes: str = "BHW", names=("wavelength", "y", "x"), wavelengths=None) -> Path:
    """A netCDF-4-like file: a cube whose axes are in the order of `axes`, with named dimensions."""
    with h5py.File(path, "w") as file:
        data = file.create_dataset("reflectance", data=cube.transpose(["BHW".index(axis) for axis in axes]))
        for place, axis in enumerate(axes):
            name = names["BHW".index(axis)]
            values = (wavelengths or NM[: len(cube)]) if axis == "B" else np.arange(data.shape[place])
            file[name] = values
            file[name].make_scale(name)
            data.dims[place].attach_scale(file[name])
    return path


def converted(path: Path, cube, driver: str, **options) -> Path:
    """The cube as GDAL's driver writes it."""
    source = write_tiff(path.with_name("source.tif"), cube, crs="EPSG:32632", transform=UTM32)
    gdal_copy(source, path, driver=driver, **options)
    if driver != "VRT":
        source.unlink()
    return path


def write_alpha(path: Path, cube, hole) -> Path:
    """The cube and an alpha band."""
    alpha = np.where(hole, 0, np.iinfo(cube.dtype).max)[None].astype(cube.dtype)
    write_tiff(path, np.concatenate([cube, alpha]), photometric="MINISBLACK")
    with rasterio.open(path, "r+") as raster:
        raster.colorinterp = [ColorInterp.gray] * len(cube) + [ColorInterp.alpha]
    return path


def write_masked(path: Path, cube, hole, internal: bool) -> Path:
    """The cube with a mask of GDAL's, in the file or in a .msk beside it."""
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal):
        return write_tiff(path, cube, lambda raster: raster.write_mask(~hole))


def gcps(height: int, width: int, count: int = 2) -> list[GroundControlPoint]:
    return [
        GroundControlPoint(row, column, 7 + column / 1000, 45 - row / 1000, 0.0)
        for row in np.linspace(0, height, count)
        for column in np.linspace(0, width, count)
    ]


def rpcs(height: int, width: int) -> RPC:
    one = [1.0] + [0.0] * 19
    down, right = [0, 0, 1.0] + [0.0] * 17, [0, 1.0] + [0.0] * 18
    return RPC(
        height_off=0, height_scale=500, lat_off=45, lat_scale=0.1, long_off=7, long_scale=0.1, line_off=height / 2,
        line_scale=height / 2, samp_off=width / 2, samp_scale=width / 2, line_num_coeff=down, line_den_coeff=one,
        samp_num_coeff=right, samp_den_coeff=one, err_bias=None, err_rand=None,
    )  # fmt: skip


def write_gcps(path: Path, cube, count: int = 2) -> Path:
    points = gcps(*cube.shape[1:], count)
    return write_tiff(path, cube, lambda raster: setattr(raster, "gcps", (points, CRS.from_epsg(4326))))


def write_rpcs(path: Path, cube) -> Path:
    return write_tiff(path, cube, lambda raster: setattr(raster, "rpcs", rpcs(*cube.shape[1:])))


def pages(path: Path, cube, **options) -> Path:
    tifffile.imwrite(path, cube, photometric="minisblack", **options)
    return path


WRITERS = {
    **FORMATS,
    "pages": lambda folder, cube: pages(folder / "a.tif", cube),
    "pages of ImageJ": lambda folder, cube: pages(folder / "a.tif", cube, imagej=True),
    "pages of OME": lambda folder, cube: pages(folder / "a.ome.tif", cube, metadata={"axes": "CYX"}),
    "planes": lambda folder, cube: pages(folder / "a.tif", cube, planarconfig="separate"),
    "vrt": lambda folder, cube: converted(folder / "a.vrt", cube, "VRT"),
    "erdas": lambda folder, cube: converted(folder / "a.img", cube, "HFA"),
    "pcidsk": lambda folder, cube: converted(folder / "a.pix", cube, "PCIDSK"),
    "esri bil": lambda folder, cube: converted(folder / "a.bil", cube, "EHdr"),
    "jpeg 2000": lambda folder, cube: converted(folder / "a.jp2", cube, "JP2OpenJPEG", REVERSIBLE="YES", QUALITY="100"),
    "netcdf 3": lambda folder, cube: write_netcdf3(folder / "a.nc", cube),
    "netcdf 4": lambda folder, cube: write_hdf5(folder / "a.nc", cube),
    "hdf5, bands last": lambda folder, cube: write_hdf5(folder / "a.h5", cube, "HWB"),
    "hdf5, bands between": lambda folder, cube: write_hdf5(
        folder / "a.h5", cube, "HBW", ("bands", "downtrack", "crosstrack")
    ),
}
