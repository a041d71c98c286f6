"""Reading scenes: small fakes written in the real formats, the real ones where `LKCA_DATA` has them."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
import scipy.io
import spectral.io.envi

from lkca.paths import data_folder
from lkca.scenes import check_cube, open_scene
from lkca.scenes.wavelengths import in_nanometres
from tests.scenes.scene_files import (
    MAP_INFO,
    UTM32,
    WRITERS,
    B,
    H,
    W,
    write_envi,
    write_npy,
    write_npz,
    write_tiff,
    write_tiff_pair,
    write_v5,
    write_v73,
)

# --- what is read


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_gives_the_same_numbers(kind, tmp_path, cube, monkeypatch):
    monkeypatch.setattr("lkca.scenes.scene.BLOCK_BYTES", 600)  # several blocks
    scene = open_scene(WRITERS[kind](tmp_path, cube))
    assert kind.startswith(scene.format)
    assert scene.shape == cube.shape and scene.dtype == np.int16 and scene.dtype.isnative
    for rows, columns, bands in [
        (slice(2, 69), slice(1, 4), slice(1, 5, 2)),
        (slice(-3, None), slice(None, None, -2), [3, 0, 3, -1]),
        (slice(60, 3, -7), slice(0, 1), [2]),
        (slice(5, 5), slice(None), [0, 1]),
    ]:
        part = scene.read(rows, columns, bands)
        assert part.dtype == np.int16
        np.testing.assert_array_equal(part, cube[:, rows, columns][bands])
    assert ("cube" in scene.__dict__) == (not scene.reads_parts)
    np.testing.assert_array_equal(scene.cube, cube)
    assert scene.cube is scene.cube and scene.cube.flags.c_contiguous and scene.cube.flags.writeable
    part = scene.read()
    part[:] = 0  # a copy
    np.testing.assert_array_equal(scene.read(), cube)
    with pytest.raises(ValueError, match="no band 5; it has 5, numbered 0 to 4"):
        scene.read(bands=[5])


@pytest.mark.parametrize(
    "write, suffix", [(write_v5, ".mat"), (write_v73, ".mat"), (write_npy, ".npy"), (write_npz, ".npz")]
)
def test_layout_bands_first(write, suffix, tmp_path, cube):
    bands_last = cube.transpose(2, 0, 1)  # what `write` stores as (H, W, B) is then `cube` itself
    scene = open_scene(write(tmp_path / f"a{suffix}", bands_last), layout="BHW")
    assert scene.shape == cube.shape
    np.testing.assert_array_equal(scene.read(slice(3, 9), slice(2, 4), [1, 4]), cube[[1, 4], 3:9, 2:4])
    np.testing.assert_array_equal(scene.cube, cube)
    between = open_scene(write(tmp_path / f"b{suffix}", cube.transpose(2, 1, 0)), layout="HBW")
    np.testing.assert_array_equal(between.cube, cube)
    with pytest.raises(ValueError, match="'CHW' is unknown: choose 'HWB'"):
        open_scene(scene.path, layout="CHW")


def test_doubles_that_matlab_stored_as_small_integers_come_back_as_doubles(tmp_path, cube):
    raw = tmp_path / "a.mat"
    write_v5(raw, cube.astype(np.float64))
    scene = open_scene(raw)
    assert scene.dtype == scene.read(bands=[0]).dtype == scene.cube.dtype == np.float64
    np.testing.assert_array_equal(scene.cube, cube)


def test_key_chooses_among_variables(tmp_path, cube):
    other = np.zeros((3, 4, 2), np.float32)
    for path in (
        write_v5(tmp_path / "five.mat", cube, other=other),
        write_v73(tmp_path / "seven.mat", cube, key="data", other=other),
    ):
        with pytest.raises(ValueError, match="several 3-D arrays, say which by key=.*data.*other"):
            open_scene(path)
        assert open_scene(path, key="other").shape == (2, 3, 4)
        np.testing.assert_array_equal(open_scene(path, key="data").cube, cube)
        with pytest.raises(ValueError, match=r"no variable 'dta'. Did you mean 'data'\? It holds: .*other \(3, 4, 2\)"):
            open_scene(path, key="dta")


@pytest.mark.parametrize("write, suffix", [(write_v5, ".mat"), (write_v73, ".mat"), (write_npz, ".npz")])
def test_wavelengths_beside_the_cube(write, suffix, tmp_path, cube):
    nm = np.linspace(400.0, 900.0, B)[None]
    scene = open_scene(write(tmp_path / f"a{suffix}", cube, wavelength=nm, map=np.zeros((H, W))))
    np.testing.assert_array_equal(scene.wavelengths, nm[0])


@pytest.mark.parametrize("given", ["header", "data"])
def test_envi_header_fields(given, tmp_path, cube):
    header = write_envi(
        tmp_path / "scene.dat",
        cube,
        "bil",
        **{
            "wavelength units": "Micrometers",
            "wavelength": "{0.45, 0.55, 0.65,\n 0.75, 2.5}",
            "fwhm": "{0.01, 0.01, 0.01, 0.01, 0.02}",
            "Band Names": "{blue, green, red, edge, far}",
            "data ignore value": -300,
            "reflectance scale factor": 10000.0,
            "map info": MAP_INFO,
            "sensor type": "HySpex",
        },
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scene = open_scene(header if given == "header" else tmp_path / "scene.dat")
    assert scene.path == (header if given == "header" else tmp_path / "scene.dat")
    np.testing.assert_allclose(scene.wavelengths, [450, 550, 650, 750, 2500])
    np.testing.assert_allclose(scene.fwhm, [10, 10, 10, 10, 20])
    assert scene.band_names == ("blue", "green", "red", "edge", "far")
    assert scene.no_data == -300 and scene.scale_factor == 10000
    assert scene.crs.to_epsg() == 32632 and scene.transform.almost_equals(UTM32)
    assert scene.metadata["sensor type"] == "HySpex" and scene.metadata["description"] == "made by a test"
    assert scene.rgb_bands() == (2, 1, 0)
    np.testing.assert_array_equal(scene.cube, cube)  # as stored: not divided by the scale factor

    # What spectral writes from `metadata` means the same again.
    spectral.io.envi.save_image(
        str(tmp_path / "again.hdr"), scene.cube.transpose(1, 2, 0), metadata=scene.metadata, ext="img"
    )
    again = open_scene(tmp_path / "again.hdr")
    np.testing.assert_allclose(again.wavelengths, scene.wavelengths)
    assert again.transform == scene.transform and again.crs == scene.crs and again.band_names == scene.band_names


def test_envi_latin1_header_and_the_right_one_of_several_files(tmp_path, cube):
    header = write_envi(tmp_path / "scene.X17", cube, **{"band names": "{grün, b, c, d, e}"})
    header.write_bytes(b"\n".join(header.read_text().encode("latin-1").splitlines()))
    for other in ("scene.txt", "scene.png", "scene.dat", "scene2.img"):
        (tmp_path / other).write_bytes(b"a note")
    scene = open_scene(header)
    assert scene.band_names[0] == "grün"
    np.testing.assert_array_equal(scene.cube, cube)
    assert open_scene(tmp_path / "scene.X17").band_names == scene.band_names


def test_header_of_another_image_beside_a_tiff_is_left_alone(tmp_path, cube):
    write_envi(tmp_path / "scene.img", cube)
    write_tiff(tmp_path / "scene.tif", cube[:2, :9])
    assert open_scene(tmp_path / "scene.tif").format == "geotiff"
    assert open_scene(tmp_path / "scene.hdr").format == "envi"


@pytest.mark.parametrize("tiff", [{}, {"crs": "EPSG:32632", "transform": UTM32, "nodata": -1}])
def test_georeference_of_a_tiff_pair_comes_from_the_tiff_else_from_the_header(tiff, tmp_path, cube):
    wrong = MAP_INFO.replace("669639.600", "1.0") if tiff else MAP_INFO
    scene = open_scene(write_tiff_pair(tmp_path / "a.tif", cube, tiff, **{"map info": wrong}))
    assert scene.format == "envi+geotiff"
    assert scene.crs.to_epsg() == 32632 and scene.transform.almost_equals(UTM32)
    assert scene.no_data == tiff.get("nodata")


def test_geotiff_tags(tmp_path, cube):
    path = write_tiff(tmp_path / "a.tif", cube, crs="EPSG:32632", transform=UTM32, nodata=-300)
    with rasterio.open(path, "r+") as raster:
        raster.scales = [0.0001] * B
        for index in raster.indexes:
            raster.update_tags(index, wavelength=0.4 + index / 10, wavelength_units="um", fwhm=0.01)
            raster.set_band_description(index, f"band {index}")
        raster.update_tags(sensor="HySpex")
    scene = open_scene(path)
    np.testing.assert_allclose(scene.wavelengths, [500, 600, 700, 800, 900])
    np.testing.assert_allclose(scene.fwhm, 10)
    assert scene.scale_factor == pytest.approx(10000) and scene.no_data == -300
    assert scene.crs.to_epsg() == 32632 and scene.transform.almost_equals(UTM32)
    assert scene.band_names[4] == "band 5" and scene.metadata["sensor"] == "HySpex"
    np.testing.assert_array_equal(scene.mask, (cube == -300).any(axis=0))
    plain = open_scene(write_tiff(tmp_path / "plain.tif", cube))
    assert plain.crs is plain.transform is plain.wavelengths is plain.band_names is plain.no_data is None
    assert plain.scale_factor == 1.0


@pytest.mark.parametrize(
    "values, unit, expected",
    [
        ([0.4, 2.5], None, [400, 2500]),
        ([0.4, 2.5], "Unknown", [400, 2500]),
        ([400, 2500], "", [400, 2500]),
        ([4000, 25000], "Angstroms", [400, 2500]),
        ([8.0, 20.0], "Micrometers", [8000, 20000]),
        ([0.4, 2500], "unknown", None),
        ([1, 2], "Index", None),
        ([20, 30], None, None),
    ],
)
def test_wavelengths_in_nanometres(values, unit, expected):
    found, fwhm = in_nanometres(Path("a.hdr"), 2, values, ["0.01", "0.02"], unit)
    if expected is None:
        assert found is fwhm is None
    else:
        np.testing.assert_allclose(found, expected)
        np.testing.assert_allclose(fwhm, np.array([0.01, 0.02]) * expected[0] / values[0])


@pytest.mark.parametrize("values", [[400.0] * 3, [400.0, np.nan], [400.0, "b"], [0.0, 500.0]])
def test_wavelengths_that_do_not_fit_are_left_out_with_a_warning(values):
    with pytest.warns(UserWarning, match="a.hdr: .*wavelengths.*left out"):
        assert in_nanometres(Path("a.hdr"), 2, values) == (None, None)


def test_rgb_bands(tmp_path, cube):
    scene = open_scene(write_npz(tmp_path / "a.npz", cube, wavelengths=np.array([440, 500, 560, 630, 900.0])))
    assert scene.rgb_bands() == (3, 2, 0)
    infrared = open_scene(write_npz(tmp_path / "b.npz", cube, wavelengths=np.linspace(1000, 2500, B)))
    assert infrared.rgb_bands() == (4, 2, 0)
    assert open_scene(write_npz(tmp_path / "c.npz", cube[:1])).rgb_bands() == (0, 0, 0)


# --- pixels without data, and bands that carry nothing


def test_mask_of_no_data_nan_and_infinity(tmp_path):
    cube = np.ones((3, 4, 5), np.float32)
    cube[0, 0, 0], cube[1, 1, 1], cube[2, 2, 2] = np.nan, -np.inf, np.float32(-9999.9)
    expected = np.zeros((4, 5), bool)
    expected[[0, 1, 2], [0, 1, 2]] = True
    scene = open_scene(write_envi(tmp_path / "a.img", cube, **{"data ignore value": "-9999.9"}))
    np.testing.assert_array_equal(scene.mask, expected)


@pytest.mark.parametrize("no_data, masked", [("3", 1), ("3.5", 0), ("1e9", 0), ("nan", 0), ("-3.4e+38", 0)])
def test_mask_of_whole_numbers(no_data, masked, tmp_path):
    cube = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    scene = open_scene(write_envi(tmp_path / "a.img", cube, **{"data ignore value": no_data}))
    assert scene.mask.sum() == masked


def test_check_cube_names_constant_bands(cube):
    mask = np.zeros((H, W), bool)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_cube(cube, mask, "a.mat")
    cube[1], cube[4] = 7, 0
    cube[4, 0, 0], mask[0, 0] = 9, True  # the pixel that differs has no data
    with pytest.warns(UserWarning, match=r"a.mat: .* 2 of 5 bands, counted from 1: 2 \(index 1\), 5 \(index 4\)"):
        check_cube(cube, mask, "a.mat")
    with pytest.raises(ValueError, match="a.mat: not one of its 420 pixels has data"):
        check_cube(cube, ~mask | mask, "a.mat")


# --- the real ones


def real(name: str) -> Path:
    path = data_folder() / name
    if not path.is_file():
        pytest.skip(f"{name} is not in {data_folder()}; set LKCA_DATA to the folder that has it")
    return path


@pytest.mark.parametrize("name", ["hysu_full.hdr", "hysu_full.tif"])
def test_real_hysu(name):
    scene = open_scene(real(name))
    assert scene.format == "envi+geotiff" and scene.shape == (135, 86, 123) and scene.dtype == np.int16
    assert scene.no_data == 15000 and scene.scale_factor == 10000
    assert scene.crs.to_epsg() == 32632 and scene.transform.almost_equals(UTM32)
    # Its unit is "Unknown" and its values 0.417 to 0.903: micrometres.
    np.testing.assert_allclose(scene.wavelengths[[0, -1]], [417.4, 902.79])
    assert (np.diff(scene.wavelengths) > 3).all() and np.all((scene.fwhm > 4.5) & (scene.fwhm < 5))
    assert len(scene.band_names) == 135 and scene.rgb_bands() == (64, 37, 9)
    assert scene.cube.min() == 93 and scene.cube.max() == 8141 and not scene.mask.any()
    np.testing.assert_array_equal(scene.read(slice(10, 20), slice(5, 9), [134]), scene.cube[[134], 10:20, 5:9])


@pytest.mark.parametrize("name", ["airport-1", "airport-2", "airport-3", "urban-4", "urban-5"])
def test_real_abu(name):
    scene = open_scene(real(f"abu-{name}.mat"))  # beside `data` there is a 2-D `map`
    assert scene.format == "matlab" and scene.shape == scene.cube.shape == (205, 100, 100)
    assert scene.cube.dtype == scene.dtype and not scene.mask.any()
    stored = scipy.io.loadmat(scene.path)["data"]
    np.testing.assert_array_equal(scene.cube[146], stored[:, :, 146])
