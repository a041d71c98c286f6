"""Every format gives the same numbers, read by windows; what the file says of its bands and units is right."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import spectral.io.envi
from affine import Affine
from rasterio.crs import CRS

from lkca.files import data_folder
from sharpen.scene.io import gains_and_offsets, open_scene, read_block
from tests.data.scene_files import (
    B,
    H,
    W,
    braces,
    write_envi,
    write_npy,
    write_npz,
    write_tiff,
    write_tiff_pair,
    write_v5,
)
from tests.sharpen.scene.files import MAP_INFO, NM, UTM32, WRITERS, converted, pages, write_hdf5


@pytest.fixture
def cube() -> np.ndarray:
    return np.random.default_rng(0).integers(-300, 8000, (B, H, W)).astype(np.int16)


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_gives_the_same_numbers_by_windows(kind: str, tmp_path: Path, cube: np.ndarray) -> None:
    cube = cube.astype(np.uint16) if "ImageJ" in kind or kind == "jpeg 2000" else cube
    scene = open_scene(WRITERS[kind](tmp_path, cube))
    assert scene.dims == ("band", "y", "x") and scene.shape == cube.shape
    assert scene.dtype == cube.dtype and scene.dtype.isnative
    for rows, columns, bands in [
        (slice(2, 69), slice(1, 4), [1, 3]),
        (slice(-3, None), slice(None, None, -2), [3, 0, 3]),
        (slice(5, 5), slice(None), [0, 1]),
        (slice(None), slice(None), None),
    ]:
        values, missing = read_block(scene, rows, columns, bands)
        wanted = cube[:, rows, columns]
        np.testing.assert_array_equal(values, wanted if bands is None else wanted[bands])
        assert values.dtype == cube.dtype and missing.shape == values.shape[1:] and not missing.any()
    np.testing.assert_array_equal(scene[2, 7], cube[2, 7])
    np.testing.assert_array_equal(scene.isel(y=slice(10, 60)).isel(band=[4, 1], x=3), cube[[4, 1], 10:60, 3])
    assert all(Path(file).is_file() for file in scene.attrs["files"])


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (lambda path: write_envi(path / "a.img", np.zeros((1, 1, 1), np.uint16), "bip"), "a.hdr"),
        (None, "a.npy"),
        (None, "a.tif"),
    ],
)
def test_a_scene_of_640_gigabytes_opens_and_gives_a_window(write, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "a.hdr":
        text = (
            write(tmp_path).read_text().replace("samples = 1", "samples = 40000").replace("lines = 1", "lines = 40000")
        )
        path.write_text(text.replace("bands = 1\n", "bands = 200\n"))
        with (tmp_path / "a.img").open("r+b") as stream:
            stream.truncate(40000 * 40000 * 200 * 2)
    elif name == "a.npy":
        with path.open("wb") as stream:
            header = {"descr": "<u2", "fortran_order": False, "shape": (40000, 40000, 200)}
            np.lib.format.write_array_header_1_0(stream, header)
            stream.truncate(stream.tell() + 40000 * 40000 * 200 * 2)
    else:
        size = {"count": 200, "height": 40000, "width": 40000, "dtype": "uint16", "tiled": True}
        with rasterio.open(path, "w", driver="GTiff", sparse_ok=True, bigtiff=True, interleave="band", **size):
            pass
    scene = open_scene(path)
    assert scene.shape == (200, 40000, 40000)
    assert not scene.isel(band=[0, 199], y=slice(39998, None), x=slice(20000, 20003)).values.any()


@pytest.mark.parametrize(("writer", "name"), [(write_v5, "a.mat"), (write_npy, "a.npy"), (write_npz, "a.npz")])
def test_layouts_of_files_without_axes(writer, name: str, tmp_path: Path, cube: np.ndarray) -> None:
    """`writer` stores (2, 0, 1) of what it gets as (H, W, B)."""
    np.testing.assert_array_equal(open_scene(writer(tmp_path / name, cube.transpose(2, 0, 1)), layout="BHW"), cube)
    np.testing.assert_array_equal(open_scene(writer(tmp_path / name, cube.transpose(2, 1, 0)), layout="HBW"), cube)


def test_mat_files_of_other_programs(tmp_path: Path, cube: np.ndarray) -> None:
    """MATLAB stores the last axis first; a program that writes HDF5 as it is in C stores (H, W, B)."""
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file["data"] = cube.transpose(1, 2, 0)
    np.testing.assert_array_equal(open_scene(tmp_path / "a.mat", layout="BWH"), cube)


def test_keys_and_wavelengths_beside_the_cube(tmp_path: Path, cube: np.ndarray) -> None:
    path = write_npz(tmp_path / "a.npz", cube, other=np.zeros((3, 4, 2)), wavelengths=np.array(NM))
    with pytest.raises(ValueError, match="a.npz.*scene, other"):
        open_scene(path)
    assert open_scene(path, key="other").shape == (2, 3, 4)
    assert open_scene(path, key="scene").wavelength.values.tolist() == NM


def test_hdf5_where_nothing_tells_the_axes(tmp_path: Path, cube: np.ndarray) -> None:
    path = write_hdf5(tmp_path / "a.h5", cube, "HWB", ("three", "one", "two"))
    with pytest.warns(UserWarning, match="a.h5"):
        assert open_scene(path).shape == cube.transpose(1, 2, 0).shape
    np.testing.assert_array_equal(open_scene(path, layout="HWB"), cube)
    by_number = write_hdf5(tmp_path / "b.h5", cube, "HBW", ("wavelengths", "one", "two"), wavelengths=NM)
    scene = open_scene(by_number)
    np.testing.assert_array_equal(scene, cube)
    assert scene.wavelength.values.tolist() == NM
    np.testing.assert_array_equal(open_scene(f'HDF5:"{by_number}"://reflectance'), cube)
    np.testing.assert_array_equal(open_scene(f"NETCDF:{by_number}:reflectance"), cube)


def test_netcdf_by_the_conventions(tmp_path: Path, cube: np.ndarray) -> None:
    """Coordinates are the middles of pixels, here from south to north; scale, offset and fill value are CF's."""
    path = write_hdf5(tmp_path / "a.nc", cube, "HWB")
    with h5py.File(path, "r+") as file:
        file["y"][:], file["x"][:] = 5000015 + 30 * np.arange(H), 600015 + 30 * np.arange(W)
        file["wavelength"].attrs["units"] = np.bytes_("um")
        file["wavelength"][:] = np.array(NM) / 1000
        file["crs"] = 0
        file["crs"].attrs["crs_wkt"] = CRS.from_epsg(32632).to_wkt()
        file["fwhm"], file["other"] = np.full(B, 0.01), np.zeros((2, 3, 4))
        file["reflectance"].attrs.update(
            grid_mapping=np.bytes_("crs"), scale_factor=1e-4, add_offset=0.5, _FillValue=np.int16(-1)
        )
    with pytest.raises(ValueError, match="a.nc.*/reflectance.*key"):
        open_scene(path)
    with pytest.raises(ValueError, match="a.nc.*'none'"):
        open_scene(path, key="none")
    scene = open_scene(path, key="reflectance")
    np.testing.assert_array_equal(scene, cube)
    assert scene.wavelength.values.tolist() == NM and scene.fwhm.values.tolist() == [10.0] * B
    assert scene.rio.crs.to_epsg() == 32632 and scene.rio.nodata == -1
    assert scene.rio.transform().almost_equals(Affine(30, 0, 600000, 0, 30, 5000000))
    np.testing.assert_allclose(gains_and_offsets(scene), ([1e-4] * B, [0.5] * B))


def test_bands_of_other_hands(tmp_path: Path, cube: np.ndarray) -> None:
    path = tmp_path / "a.nc"
    converted(path, cube, "netCDF")
    with pytest.raises(ValueError, match="a.nc"):  # GDAL writes a variable a band
        open_scene(path)
    np.testing.assert_array_equal(open_scene(f"GTIFF_DIR:3:{pages(tmp_path / 'p.tif', cube)}"), cube[2:3])
    mixed = tmp_path / "m.tif"
    pages(mixed, cube)
    pages(mixed, cube[:, :9], append=True)
    with pytest.raises(ValueError, match="m.tif.*10 pages"):
        open_scene(mixed)


# --- what a file says of its bands

LIST = braces(NM)
ONE_BAD = {"bbl": "{1, 1, 0, 1, 1}"}


def _each(raster, space=None, **tags) -> None:
    for band in raster.indexes:
        raster.update_tags(band, ns=space, **{name: values[band - 1] for name, values in tags.items()})


SPELLINGS = {
    "dataset": lambda r: r.update_tags(wavelength=LIST, wavelength_units="Nanometers", **ONE_BAD),
    "envi domain": lambda r: r.update_tags(ns="ENVI", wavelength=LIST, wavelength_units="nanometers", **ONE_BAD),
    "micrometres": lambda r: r.update_tags(wavelength=braces(v / 1e3 for v in NM), Wavelength_Unit="um", **ONE_BAD),
    "no unit": lambda r: r.update_tags(Wavelengths=LIST.replace("}", ",}"), bbl="{1,1,0,1,1,}"),
    "blanks": lambda r: r.update_tags(wavelength=" ".join(map(str, NM)), bbl="1 1 0 1 1"),
    "bands": lambda r: _each(r, wavelength=NM, wavelength_units=["nm"] * B, bbl=[1, 1, 0, 1, 1]),
    "bands, upper case": lambda r: _each(r, WAVELENGTH=NM, WAVELENGTH_UNITS=["nm"] * B, BBL=[1, 1, 0, 1, 1]),
    "bands, envi domain": lambda r: _each(r, "ENVI", wavelength=NM, wavelength_units=["nm"] * B, bbl=[1, 1, 0, 1, 1]),
    "imagery": lambda r: _each(r, "IMAGERY", CENTRAL_WAVELENGTH_UM=[v / 1e3 for v in NM]),
    "names": lambda r: setattr(r, "descriptions", [f"band {i} ({v:.6f} Nanometers)" for i, v in enumerate(NM)]),
    "short names": lambda r: setattr(r, "descriptions", [f"{v / 1e3} um" for v in NM]),
}


@pytest.mark.parametrize("kind", SPELLINGS)
@pytest.mark.parametrize("beside", [False, True], ids=["inside", "aux.xml"])
def test_wavelengths_and_bad_bands_in_every_spelling(kind: str, beside: bool, tmp_path: Path, cube: np.ndarray) -> None:
    path = tmp_path / "a.tif"
    if beside:  # GDAL writes what a file opened for reading is told beside it
        write_tiff(path, cube)
        with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as raster:
            SPELLINGS[kind](raster)
    else:
        write_tiff(path, cube, SPELLINGS[kind])
    scene = open_scene(path)
    np.testing.assert_allclose(scene.wavelength, NM)
    says_bad = kind not in ("imagery", "names", "short names")
    assert scene.good_band.values.tolist() == [True, True, not says_bad, True, True]


@pytest.mark.parametrize(
    ("values", "unit", "expected"),
    [
        ([0.4, 0.5, 0.6, 0.7, 2.5], "Unknown", NM),
        ([4000, 5000, 6000, 7000, 25000], "Angstroms", NM),
        ([4000, 3500, 2500, 1500, 750], "cm-1", None),
        ([400, 500, 600], "nm", None),
    ],
)
@pytest.mark.parametrize("name", ["a.img", "a.tif"])
def test_units_of_wavelengths(name: str, values, unit, expected, tmp_path: Path, cube, recwarn) -> None:
    path = tmp_path / name
    if name == "a.img":
        write_envi(path, cube, wavelength=braces(values), fwhm=braces(values), **{"wavelength units": unit})
    else:
        tags = {"wavelength": braces(values), "fwhm": braces(values), **({"wavelength_units": unit} if unit else {})}
        write_tiff(path, cube, lambda raster: raster.update_tags(**tags))
    scene = open_scene(path)
    if expected is None:
        assert "wavelength" not in scene.coords and "fwhm" not in scene.coords
        assert unit is None or any(name[:2] in str(warning.message) for warning in recwarn)
    else:
        np.testing.assert_allclose(scene.wavelength, expected)
        np.testing.assert_allclose(scene.fwhm, expected)


@pytest.mark.parametrize("given", ["header", "data"])
def test_fields_of_an_envi_header(given: str, tmp_path: Path, cube: np.ndarray) -> None:
    header = write_envi(
        tmp_path / "scene.dat", cube, "bil",
        **{
            "wavelength units": "Micrometers", "wavelength": "{0.45, 0.55, 0.65,\n 0.75, 2.5}",
            "fwhm": "{0.01, 0.01, 0.01, 0.01, 0.02}", "Band Names": "{blue, green, red, edge, far}",
            "data ignore value": -300, "reflectance scale factor": 10000.0, "map info": MAP_INFO,
            "sensor type": "HySpex", "description": "{a test}",
        },
    )  # fmt: skip
    scene = open_scene(header if given == "header" else tmp_path / "scene.dat")
    np.testing.assert_allclose(scene.wavelength, [450, 550, 650, 750, 2500])
    np.testing.assert_allclose(scene.fwhm, [10, 10, 10, 10, 20])
    assert scene.band_name.values.tolist() == ["blue", "green", "red", "edge", "far"]
    assert scene.rio.nodata == -300 and scene.attrs["scale_factor"] == pytest.approx(1e-4)
    assert scene.rio.crs.to_epsg() == 32632 and scene.rio.transform().almost_equals(UTM32)
    assert scene.attrs["metadata"]["sensor type"] == "HySpex"
    np.testing.assert_array_equal(scene, cube)  # as stored: not scaled
    opened = spectral.io.envi.open(header)
    np.testing.assert_allclose(np.array(opened.bands.centers) * 1e3, scene.wavelength)


@pytest.mark.parametrize("tiff", [{}, {"crs": "EPSG:32632", "transform": UTM32, "nodata": -1}])
def test_a_tiff_with_an_envi_header(tiff: dict, tmp_path: Path, cube: np.ndarray) -> None:
    """The TIFF's own place wins; the header says the rest. A header of another image is left alone."""
    place = MAP_INFO.replace("669639.600", "1.0") if tiff else MAP_INFO
    header = write_tiff_pair(tmp_path / "a.tif", cube, tiff, wavelength=LIST, **{"map info": place})
    for path in (header, tmp_path / "a.tif"):
        scene = open_scene(path)
        assert scene.rio.crs.to_epsg() == 32632 and scene.rio.transform().almost_equals(UTM32)
        assert scene.rio.nodata == tiff.get("nodata") and scene.wavelength.values.tolist() == NM
    write_envi(tmp_path / "b.img", cube)
    write_tiff(tmp_path / "b.tif", cube[:2, :9])
    assert open_scene(tmp_path / "b.tif").shape == (2, 9, W) and open_scene(tmp_path / "b.hdr").shape == (B, H, W)
    write_tiff(tmp_path / "a.tif", cube[:3])
    with pytest.raises(ValueError, match="a.hdr.*a.tif"):
        open_scene(header)


# --- the unit of the numbers

GAINS, OFFSETS = [0.5, 0.25, 2.0, 1.0, 3.0], [0.0, -1.0, 10.0, 0.0, 0.5]


@pytest.mark.parametrize(
    ("fields", "gains", "offsets"),
    [
        ({}, [1.0] * B, [0.0] * B),
        ({"reflectance scale factor": 10000}, [1e-4] * B, [0.0] * B),
        ({"data gain values": braces([1e-4] * B)}, [1e-4] * B, [0.0] * B),
        ({"data gain values": braces([1] * B), "reflectance scale factor": 10000}, [1e-4] * B, [0.0] * B),
        ({"data gain values": braces(GAINS), "data offset values": braces(OFFSETS)}, GAINS, OFFSETS),
        ({"data offset values": braces(OFFSETS)}, [1.0] * B, OFFSETS),
    ],
)
def test_gains_and_offsets_of_an_envi_header(fields: dict, gains, offsets, tmp_path: Path, cube: np.ndarray) -> None:
    scene = open_scene(write_envi(tmp_path / "a.img", cube, **fields))
    np.testing.assert_allclose(gains_and_offsets(scene), (gains, offsets))
    np.testing.assert_allclose(gains_and_offsets(scene.isel(band=[4, 1])), np.array([gains, offsets])[:, [4, 1]])


@pytest.mark.parametrize(
    "fields",
    [
        {"data gain values": "{0.1, 0.1}"},
        {"data gain values": "{0.1, x, 0.1, 0.1, 0.1}"},
        {"data gain values": "{0.1, 0, 0.1, 0.1, 0.1}"},
        {"data gain values": braces([1e-3] * B), "reflectance scale factor": 10000},
    ],
)
def test_gains_that_cannot_be(fields: dict, tmp_path: Path, cube: np.ndarray) -> None:
    with pytest.warns(UserWarning, match="a.(img|hdr).*(left out|disagree)"):
        scene = open_scene(write_envi(tmp_path / "a.img", cube, **fields))
    assert scene.attrs["scale_factor"] == pytest.approx(1e-3 if len(fields) == 2 else 1)


def test_scales_and_offsets_of_a_geotiff(tmp_path: Path, cube: np.ndarray) -> None:
    def scale(raster) -> None:
        raster.scales, raster.offsets = GAINS, OFFSETS

    np.testing.assert_allclose(
        gains_and_offsets(open_scene(write_tiff(tmp_path / "a.tif", cube, scale))), (GAINS, OFFSETS)
    )


@pytest.mark.parametrize("name", ["hysu_full.hdr", "hysu_full.tif"])
def test_real_hysu(name: str) -> None:
    if not (data_folder() / name).is_file():
        pytest.skip(f"{name} is not in {data_folder()}")
    scene = open_scene(data_folder() / name)
    assert scene.shape == (135, 86, 123) and scene.dtype == np.int16
    assert scene.rio.nodata == 15000 and scene.attrs["scale_factor"] == pytest.approx(1e-4)
    assert scene.rio.crs.to_epsg() == 32632 and scene.rio.transform().almost_equals(UTM32)
    np.testing.assert_allclose(
        scene.wavelength[[0, -1]], [417.4, 902.79]
    )  # its unit is "Unknown", its values 0.4 to 0.9
    assert ((scene.fwhm > 4.5) & (scene.fwhm < 5)).all() and len(scene.band_name) == 135
    values, missing = read_block(scene)
    assert values.min() == 93 and values.max() == 8141 and not missing.any()
