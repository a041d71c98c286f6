"""Reading scenes: small fakes in the real formats, the real ones where `LKCA_DATA` has them."""

import warnings
from pathlib import Path

import numpy as np
import psutil
import pytest
import rasterio
import scipy.io

from lkca.data.reading import array_files
from lkca.data.reading.read import open_scene_file, read_cube
from lkca.data.wavelengths import in_nanometres, rgb_bands
from tests.data.scene_files import (
    FORMATS,
    B,
    H,
    W,
    coded,
    write_envi,
    write_npy,
    write_npz,
    write_tiff,
    write_v5,
    write_v73,
)

PARTS = [
    (slice(None), slice(None), slice(None)),
    (slice(2, 69), slice(1, 4), slice(1, 5, 2)),
    (slice(67, None), slice(0, 1), [3, 0, 3]),
]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_numbers(kind: str, tmp_path: Path, cube: np.ndarray, monkeypatch) -> None:
    monkeypatch.setattr(array_files, "BLOCK_BYTES", 600)  # several blocks
    path = FORMATS[kind](tmp_path, cube)
    scene = open_scene_file(path)
    assert scene.shape == cube.shape
    for part in PARTS:
        found, right = scene.read(*part), cube[:, part[0], part[1]][part[2]]
        assert found.dtype == np.int16 and found.dtype.isnative and found.flags.writeable
        np.testing.assert_array_equal(found, right)
        as_float, no_data = read_cube(scene, *part)
        assert as_float.dtype == np.float32 and not no_data.any()
        np.testing.assert_array_equal(as_float, right)


@pytest.mark.parametrize("layout", ["BHW", "HBW", "WHB", "BWH"])
@pytest.mark.parametrize(
    ("write", "suffix"), [(write_v5, ".mat"), (write_v73, ".mat"), (write_npy, ".npy"), (write_npz, ".npz")]
)
def test_layouts(write, suffix: str, layout: str, tmp_path: Path, cube: np.ndarray) -> None:
    """HBW for instance: the writers, who expect (B, H, W), get a cube that they will store as (H, B, W)."""
    stored = cube.transpose(["BHW".index(axis) for axis in layout])
    path = write(tmp_path / f"a{suffix}", stored.transpose(2, 0, 1))
    assert open_scene_file(path, layout=layout).shape == cube.shape
    part = open_scene_file(path, layout=layout).read(slice(3, 9), slice(2, 4), [1, 4])
    np.testing.assert_array_equal(part, cube[[1, 4], 3:9, 2:4])
    with pytest.raises(ValueError, match="'CHW' is unknown"):
        open_scene_file(path, layout="CHW")


def test_doubles_that_matlab_stored_as_small_integers_come_back_as_doubles(tmp_path: Path, cube: np.ndarray) -> None:
    values = open_scene_file(write_v5(tmp_path / "a.mat", cube.astype(np.float64))).read(bands=[0])
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, cube[:1])


def test_key_chooses_among_variables(tmp_path: Path, cube: np.ndarray) -> None:
    other = np.zeros((3, 4, 2), np.float32)
    for path in (
        write_v5(tmp_path / "five.mat", cube, other=other),
        write_v73(tmp_path / "seven.mat", cube, key="data", other=other),
    ):
        with pytest.raises(ValueError, match=r"several 3-D arrays, .*data.*other"):
            open_scene_file(path)
        assert open_scene_file(path, key="other").shape == (2, 3, 4)
        np.testing.assert_array_equal(open_scene_file(path, key="data").read(), cube)
        with pytest.raises(ValueError, match=r"no variable 'dta'. Did you mean 'data'\? It holds: .*other \(3, 4, 2\)"):
            open_scene_file(path, key="dta")


@pytest.mark.parametrize(("write", "suffix"), [(write_v5, ".mat"), (write_v73, ".mat"), (write_npz, ".npz")])
def test_wavelengths_beside_the_cube(write, suffix: str, tmp_path: Path, cube: np.ndarray) -> None:
    nm = np.linspace(400.0, 900.0, B)[None]
    path = write(tmp_path / f"a{suffix}", cube, wavelength=nm, map=np.zeros((H, W)))
    np.testing.assert_array_equal(open_scene_file(path).wavelengths, nm[0])


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_geotiff_tags(tmp_path: Path, cube: np.ndarray) -> None:
    path = write_tiff(tmp_path / "a.tif", cube, nodata=-300)
    with rasterio.open(path, "r+") as raster:
        for index in raster.indexes:
            raster.update_tags(
                index, wavelength=0.4 + index / 10, wavelength_units="um", fwhm=0.01, bbl=int(index != 2)
            )
        raster.update_tags(sensor="HySpex")
    found = open_scene_file(path)
    np.testing.assert_allclose(found.wavelengths, [500, 600, 700, 800, 900])
    np.testing.assert_allclose(found.bands.fwhm, 10)
    np.testing.assert_array_equal(read_cube(found)[1], (cube == -300).any(axis=0))
    assert found.metadata["sensor"] == "HySpex" and found.bands.good.tolist() == [True, False, True, True, True]
    plain = open_scene_file(write_tiff(tmp_path / "plain.tif", cube))
    assert plain.wavelengths is plain.bands.fwhm is None


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_gains_and_offsets_of_single_bands_are_applied_to_cubes(tmp_path: Path) -> None:
    cube, gains, offsets = coded(3, 4, 5).astype(np.int16), np.array([0.5, 0.25, 2.0]), np.array([0.0, -1.0, 10.0])
    fields = {"data gain values": "{0.5, 0.25, 2}", "data offset values": "{0, -1, 10}"}
    header = write_envi(tmp_path / "s.img", cube, **fields)
    tiff = write_tiff(tmp_path / "t.tif", cube)
    with rasterio.open(tiff, "r+") as raster:
        raster.scales, raster.offsets = gains, offsets
    for path in (header, tiff):
        np.testing.assert_allclose(
            read_cube(open_scene_file(path))[0], cube * gains[:, None, None] + offsets[:, None, None]
        )
        np.testing.assert_array_equal(open_scene_file(path).read(), cube)
    alike = write_envi(tmp_path / "u.img", cube, **{"data gain values": "{1e-4, 1e-4, 1e-4}"})
    np.testing.assert_array_equal(read_cube(open_scene_file(alike))[0], cube)  # one factor: normalising takes it out


@pytest.mark.parametrize(
    ("values", "unit", "nm"),
    [
        ([0.4, 2.5], None, [400, 2500]),
        ([0.4, 2.5], "Unknown", [400, 2500]),
        ([400, 2500], "", [400, 2500]),
        ([4000, 25000], "Angstroms", [400, 2500]),
        ([8.0, 20.0], "Micrometers", [8000, 20000]),
        ([0.4, 2500], "unknown", None),
        ([20, 30], None, None),
        ([400.0] * 3, None, None),
        ([400.0, np.nan], None, None),
        ([400.0, "b"], None, None),
        ([0.0, 500.0], None, None),
        ([4000.0, 750.0], "cm-1", None),
        ([4000.0, 750.0], "Wavenumber", None),
        ([1, 2], "Index", None),
    ],
)
def test_wavelengths_in_nanometres(values: list, unit: str | None, nm: list[float] | None) -> None:
    """Without a unit the values tell it; what cannot be is left out with a warning."""
    if nm is None:
        with pytest.warns(UserWarning, match="a.hdr: .*wavelengths.*left out"):
            assert in_nanometres("a.hdr", 2, values, ["0.01", "0.02"], unit) == (None, None)
        return
    found, fwhm = in_nanometres("a.hdr", 2, values, ["0.01", "0.02"], unit)
    np.testing.assert_allclose(found, nm)
    np.testing.assert_allclose(fwhm, np.array([0.01, 0.02]) * nm[0] / values[0])


def test_rgb_bands() -> None:
    assert rgb_bands(B, np.array([440, 500, 560, 630, 900.0])) == (3, 2, 0)
    assert rgb_bands(B, np.linspace(1000, 2500, B)) == rgb_bands(B, None) == (4, 2, 0)
    assert rgb_bands(1, None) == (0, 0, 0)


def test_more_than_the_memory(tmp_path: Path, cube: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = open_scene_file(write_npy(tmp_path / "scene.npy", cube))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 100}))
    with pytest.raises(ValueError, match="scene.npy: .* GB are free"):
        read_cube(scene)


@pytest.mark.parametrize("name", ["hysu_full.hdr", "hysu_full.tif"])
def test_real_hysu(name: str, real_scenes) -> None:
    """Its no-data value is 15000; its unit is "Unknown" and its wavelengths 0.417 to 0.903: micrometres."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = open_scene_file(real_scenes("hysu_full.hdr", "hysu_full.tif") / name)
    assert found.read().shape == (135, 86, 123) and found.read().dtype == np.int16
    assert (found.read().min(), found.read().max()) == (93, 8141) and not read_cube(found)[1].any()
    np.testing.assert_allclose(found.wavelengths[[0, -1]], [417.4, 902.79])
    assert np.all((found.bands.fwhm > 4.5) & (found.bands.fwhm < 5)) and found.metadata["data ignore value"] == "15000"


def test_header_of_another_image_beside_a_tiff_is_ignored(tmp_path: Path, cube: np.ndarray) -> None:
    write_envi(tmp_path / "scene.img", cube)
    write_tiff(tmp_path / "scene.tif", cube[:2, :9])
    assert open_scene_file(tmp_path / "scene.tif").shape == (2, 9, 6)
    assert open_scene_file(tmp_path / "scene.hdr").shape == cube.shape


def test_numbers_of_good_bands_are_not_marks(tmp_path: Path) -> None:
    cube = np.random.default_rng(0).random((12, 9, 6))
    scipy.io.savemat(tmp_path / "scene.mat", {"data": cube, "good_bands": [[1], [2], [4], [6]]})
    scene = open_scene_file(tmp_path / "scene.mat")
    assert scene.bands.good.tolist() == [True, True, False, True, False, True]
