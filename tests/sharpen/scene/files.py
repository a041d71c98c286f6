"""Writers of small scenes in every format that is read."""

import warnings
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
from rasterio.errors import NotGeoreferencedWarning
from rasterio.rpc import RPC
from rasterio.shutil import copy as gdal_copy

B, H, W = 5, 70, 6
UTM32 = Affine(0.7, 0, 669639.6, 0, -0.7, 5328106.0)
MAP_INFO = "{UTM, 1.000, 1.000, 669639.600, 5328106.000, 0.7, 0.7, 32, North, WGS-84, units=Meters}"
NM = [400.0, 500.0, 600.0, 700.0, 2500.0]
AXES = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (1, 2, 0)}
TYPES = {"uint8": 1, "int16": 2, "int32": 3, "float32": 4, "float64": 5, "complex64": 6, "uint16": 12}


def braces(values) -> str:
    return "{" + ", ".join(map(str, values)) + "}"


def write_envi(path: Path, cube, interleave="bsq", big_endian=False, offset=0, head="ENVI", **fields) -> Path:
    """Write `path` (the data) and its header, which is returned; a field that is None is left out."""
    stored = np.ascontiguousarray(cube.transpose(AXES.get(interleave, (0, 1, 2))))
    path.write_bytes(b"x" * offset + stored.astype(cube.dtype.newbyteorder(">" if big_endian else "<")).tobytes())
    basic = {
        "samples": cube.shape[2], "lines": cube.shape[1], "bands": cube.shape[0], "header offset": offset,
        "data type": TYPES[cube.dtype.name], "interleave": interleave, "byte order": int(big_endian),
    }  # fmt: skip
    lines = [f"{name} = {value}" for name, value in {**basic, **fields}.items() if value is not None]
    header = path.with_suffix(".hdr")
    header.write_text("\n".join([head, *lines, ""]))
    return header


def write_tiff(path: Path, cube, describe=lambda raster: None, **profile) -> Path:
    count, height, width = cube.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        size = {"count": count, "height": height, "width": width, "dtype": cube.dtype.name}
        with rasterio.open(path, "w", **{"driver": "GTiff", **size, **profile}) as raster:
            raster.write(cube)
            describe(raster)
    return path


def write_tiff_pair(path: Path, cube, tiff=None, **fields) -> Path:
    path.unlink(missing_ok=True)
    header = write_envi(path.with_suffix(".raw"), cube, **{"file type": "TIFF", **fields})
    path.with_suffix(".raw").unlink()
    write_tiff(path, cube, **(tiff or {}))
    return header


def write_mat(path: Path, cube, **others) -> Path:
    scipy.io.savemat(path, {"data": cube.transpose(1, 2, 0), **others}, do_compression=True)
    return path


def write_mat73(path: Path, cube, chunks=None) -> Path:
    """As MATLAB saves -v7.3: a block of text before the HDF5, axes reversed."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("data", data=cube.transpose(1, 2, 0).T, chunks=chunks)
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .")
    return path


def write_npz(path: Path, cube, **others) -> Path:
    np.savez_compressed(path, scene=cube.transpose(1, 2, 0), **others)
    return path


def write_npy(path: Path, cube, order="C") -> Path:
    np.save(path, np.asarray(cube.transpose(1, 2, 0), order=order))
    return path


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
    "matlab": lambda folder, cube: write_mat(folder / "a.mat", cube),
    "matlab 7.3": lambda folder, cube: write_mat73(folder / "a.mat", cube),
    "matlab 7.3 chunked": lambda folder, cube: write_mat73(folder / "a.mat", cube, (2, 4, 16)),
    "npy": lambda folder, cube: write_npy(folder / "a.npy", cube),
    "npy fortran": lambda folder, cube: write_npy(folder / "a.npy", cube, "F"),
    "npz": lambda folder, cube: write_npz(folder / "a.npz", cube),
    "envi bsq": lambda folder, cube: write_envi(folder / "a.img", cube),
    "envi bil": lambda folder, cube: write_envi(folder / "a.dat", cube, "bil", big_endian=True),
    "envi bip": lambda folder, cube: write_envi(folder / "a.pix", cube, "bip", offset=7),
    "envi no suffix": lambda folder, cube: write_envi(folder / "a", cube, "bip", big_endian=True, offset=128),
    "envi+tiff": lambda folder, cube: write_tiff_pair(folder / "a.tif", cube),
    "geotiff": lambda folder, cube: write_tiff(folder / "a.tif", cube, interleave="pixel", blockysize=16),
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
