"""Writing scenes: what comes back through `open_scene`, and where GDAL and spectral see the corners."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio
import spectral.io.envi
from affine import Affine
from rasterio.crs import CRS

from lkca.scenes import open_scene
from lkca.scenes.scene import Scene
from lkca.scenes.writing import SceneWriter, enlarged
from tests.scenes.rewriting import files, write

B, H, W = 5, 9, 7
UTM32, DEGREES = CRS.from_epsg(32632), CRS.from_epsg(4326)
PLACED = Affine(0.7, 0, 669639.6, 0, -0.7, 5328106.0)
C, S = 0.7 * np.cos(np.pi / 6), 0.7 * np.sin(np.pi / 6)
TURNED = Affine(C, S, 669639.6, S, -C, 5328106.0)  # by 30 degrees, counter-clockwise
SHEARED = Affine(0.7, 0.2, 669639.6, 0, -0.7, 5328106.0)
NAMES = ("a.bsq", "a.bil", "a.bip", "a.img", "a.hdr", "a.dat.hdr", "a.tif")


@pytest.fixture
def cube() -> np.ndarray:
    return np.random.default_rng(0).integers(-300, 8000, (B, H, W)).astype(np.int16)


@pytest.fixture
def scene(cube: np.ndarray) -> Scene:
    """As opened from an ENVI file."""
    return Scene(
        Path("in.img"),
        "envi",
        cube.shape,
        cube.dtype,
        reader=lambda rows, columns, bands: cube[bands, rows, columns],
        wavelengths=np.linspace(400.123, 2500.0, B),
        fwhm=np.full(B, 4.87),
        band_names=("blue, deep", "green {2}", "Rot ü", "", "; far\nred"),
        no_data=-9999.0,
        scale_factor=10000.0,
        crs=UTM32,
        transform=PLACED,
        metadata={
            "samples": "7", "Interleave": "bip", "interleave": "BIP", "file type": "ENVI Standard", "data type": "4",
            "wavelength units": "Micrometers", "wavelength": "{9}", "bbl": "{1, 1, 0, 1, 1}", "band names": "{x}",
            "data ignore value": "7", "reflectance scale factor": "3", "default stretch": "0.0 1000.0 linear",
            "x start": "17", "y start": "4", "geo points": "{1, 1, 48, 11}", "rpc info": "{1}", "class names": "{a}",
            "pixel size": "{7.0e-001, 7.0e-001, units=Meters}", "description": "made {by}\n a test",
            "map info": "{UTM, 2.5, 3, 669640.65, 5328104.6, 7.0e-001, 0.7, 32, North, WGS-84, units=Meters}",
            "AREA_OR_POINT": "Point", "sensor type": "HySpex }{",
        },
    )  # fmt: skip


def blocks(cube: np.ndarray, scale: int) -> np.ndarray:
    return cube.repeat(scale, axis=1).repeat(scale, axis=2)


def corners(transform: Affine, width: int, height: int) -> np.ndarray:
    """(4, 2): upper left, lower left, upper right, lower right."""
    outer = np.array([[0, 0, width, width], [0, height, 0, height], [1, 1, 1, 1]])
    return (np.array(tuple(transform)[:6]).reshape(2, 3) @ outer).T


def spectral_corners(header: Path) -> np.ndarray:
    """By the arithmetic of ENVI's map info, which spectral hands on as it is; rotation is about the reference pixel."""
    image = spectral.io.envi.open(header)
    items = image.metadata["map info"]
    x, y, east, north, width, height = (float(item) for item in items[1:7])
    turn = next((float(item.split("=")[1]) for item in items if item.startswith("rotation")), 0.0)
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    rows = np.array([[0, 0], [0, image.nrows], [image.ncols, 0], [image.ncols, image.nrows]]) + 1
    right, up = ((rows - (x, y)) * (width, -height)).T
    return np.stack([east + cosine * right - sine * up, north + sine * right + cosine * up], axis=1)


def gdalinfo_corners(path: Path) -> np.ndarray:
    """By the program, which is not the GDAL inside rasterio."""
    if shutil.which("gdalinfo") is None:
        pytest.skip("no program gdalinfo (Debian: gdal-bin)")
    done = subprocess.run(["gdalinfo", "-json", path], capture_output=True, text=True, check=True)
    assert "Maximum number of characters" not in done.stderr
    found = json.loads(done.stdout)["cornerCoordinates"]
    return np.array([found[name] for name in ("upperLeft", "lowerLeft", "upperRight", "lowerRight")])


# --- what comes back


@pytest.mark.parametrize("name", NAMES)
def test_everything_comes_back(name: str, tmp_path: Path, cube, scene) -> None:
    found = write(tmp_path / name, blocks(cube, 2), **enlarged(scene, 2))
    np.testing.assert_array_equal(found.cube, blocks(cube, 2))
    np.testing.assert_allclose(found.wavelengths, scene.wavelengths, rtol=1e-11)
    np.testing.assert_allclose(found.fwhm, scene.fwhm, rtol=1e-11)
    assert (found.no_data, found.scale_factor, found.crs, found.dtype) == (-9999.0, 10000.0, UTM32, np.int16)
    np.testing.assert_allclose(tuple(found.transform)[:6], (0.35, 0, 669639.6, 0, -0.35, 5328106), atol=1e-9)
    kept = {"bbl": "{1, 1, 0, 1, 1}", "default stretch": "0.0 1000.0 linear", "sensor type": "HySpex )("}
    kept |= {"pixel size": "{0.35, 0.35, units=Meters}", "description": "made (by) a test"}
    assert kept.items() <= found.metadata.items()
    assert not {"x start", "y start", "geo points", "rpc info", "class names"} & found.metadata.keys()
    if name == "a.tif":
        assert found.band_names == scene.band_names
        assert not {"samples", "wavelength", "map info", "band names"} & found.metadata.keys()
        with rasterio.open(tmp_path / name) as raster:
            assert raster.interleaving.name == "pixel" and raster.compression is None
    else:
        assert found.band_names == ("blue; deep", "green (2)", "Rot ü", "", "; far red")
        assert found.metadata["interleave"] == (name[2:] if name[2:] in ("bsq", "bil") else "bip")
        moved = "{UTM, 4, 5, 669640.65, 5328104.6, 0.35, 0.35, 32, North, WGS-84, units=Meters}"
        assert found.metadata["map info"] == moved
        assert found.metadata["wavelength units"] == "Micrometers"
        image = spectral.io.envi.open(next(tmp_path.glob("*.hdr")), next(p for p in tmp_path.glob("a.*[!r]")))
        np.testing.assert_allclose(image.bands.centers, scene.wavelengths / 1000)
        np.testing.assert_array_equal(image.open_memmap(interleave="bip").transpose(2, 0, 1), blocks(cube, 2))
    assert files(tmp_path) == sorted(
        {"a.hdr": ["a.hdr", "a.img"], "a.dat.hdr": ["a.dat", "a.dat.hdr"], "a.tif": ["a.tif"]}.get(
            name, [name, "a.hdr"]
        )
    )


@pytest.mark.parametrize("name", ["a.bsq", "a.bil", "a.bip", "a.tif"])
@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "f4", "f8", "u2", "u4", "i8", "u8"])
def test_every_type(name: str, kind: str, tmp_path: Path) -> None:
    dtype = np.dtype(kind)
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    cube = np.linspace(0, 100, B * H * W).reshape(B, H, W).astype(dtype)
    cube[0, 0, :2] = limits.min, limits.max
    lowest = -3.4e38 if dtype.kind == "f" else 0 if dtype.kind == "u" else int(max(limits.min, -(2**53)))
    found = write(tmp_path / name, cube, no_data=lowest)
    assert (found.dtype, found.scale_factor) == (dtype, 1.0) and found.no_data == pytest.approx(lowest, rel=1e-7)
    assert found.wavelengths is found.fwhm is found.band_names is found.crs is found.transform is None
    np.testing.assert_array_equal(found.cube, cube)
    assert spectral.io.envi.open(tmp_path / "a.hdr").dtype == dtype if name != "a.tif" else True


@pytest.mark.parametrize(
    "kind, name", [("i1", "a.img"), ("f2", "a.img"), ("f2", "a.tif"), ("c8", "a.tif"), ("?", "a.img")]
)
def test_types_that_the_format_does_not_hold(kind: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"holds no {np.dtype(kind).name}, only float32.*Write (float32|int16|uint8)"):
        SceneWriter(tmp_path / name, (B, H, W), kind)
    assert write(tmp_path / "b.tif", np.full((B, H, W), -7, np.int8)).cube[0, 0, 0] == -7


def test_wavelengths_without_a_usable_unit_stay_as_they_are(tmp_path: Path, cube) -> None:
    own = {"wavelength units": "Wavenumber", "wavelength": "{5, 4, 3, 2, 1}"}
    found = write(tmp_path / "a.img", cube, metadata=own)
    assert found.wavelengths is None and own.items() <= found.metadata.items()


def test_gdal_reads_long_lists_of_names(tmp_path: Path, cube) -> None:
    names = [f"band {number} {'x' * 3000}" for number in range(B)]
    metadata = {"note": "long " * 2000, "after": "1"}
    with pytest.warns(UserWarning, match="left out of its header, too long for GDAL to read: note"):
        found = write(tmp_path / "a.img", cube, band_names=names, metadata=metadata, no_data=3)
    assert found.band_names == tuple(names) and found.metadata["after"] == "1"
    with rasterio.open(tmp_path / "a.img") as raster:
        assert raster.descriptions == tuple(names) and raster.nodata == 3


# --- the corners


@pytest.mark.parametrize("name", ["a.img", "a.tif"])
@pytest.mark.parametrize(
    "crs, transform",
    [
        (UTM32, PLACED),
        (CRS.from_epsg(32756), Affine(10, 0, 4e5, 0, -20, 6.1e6)),
        (CRS.from_epsg(3035), Affine(10, 0, 4321000.25, 0, -10, 3210000.75)),
        (DEGREES, Affine(1 / 3600, 0, 11.123456789012, 0, -1 / 3600, 48.1234567890123)),
        (UTM32, TURNED),
        (None, PLACED),
    ],
)
def test_corners_from_a_transform(name: str, crs, transform, tmp_path: Path, cube, scene) -> None:
    """GeoTIFF in: there is no map info."""
    scene.crs, scene.transform, scene.metadata = crs, transform, {"AREA_OR_POINT": "Area"}
    found = write(tmp_path / name, blocks(cube, 4), **enlarged(scene, 4))
    assert found.crs == crs
    wanted = corners(transform, W, H)
    near = {"rtol": 0, "atol": 1e-4 * abs(transform.determinant) ** 0.5}
    np.testing.assert_allclose(corners(found.transform, 4 * W, 4 * H), wanted, **near)
    if name == "a.img":
        np.testing.assert_allclose(spectral_corners(tmp_path / "a.hdr"), wanted, **near)
    digits = 1e-6 if crs == DEGREES else 1e-3
    np.testing.assert_allclose(gdalinfo_corners(tmp_path / name), wanted, rtol=0, atol=digits)


@pytest.mark.parametrize("name", ["b.img", "b.tif"])
@pytest.mark.parametrize(
    "map_info, transform",
    [
        ("{UTM, 3, 2.5, 669641.0, 5328104.95, 0.7, 0.7, 32, North, WGS-84, units=Meters}", PLACED),
        ("{UTM, 1, 1, 669639.6, 5328106, 0.7, 0.7, 32, North, WGS-84, units=Meters, rotation=30}", TURNED),
        ("{Geographic Lat/Lon, 2, 2, 11.5, 48.5, 0.001, 0.002, WGS-84, units=Degrees}",
            Affine(0.001, 0, 11.499, 0, -0.002, 48.502)),
        ("{Arbitrary, 1, 1, 100, 200, 2, 2, 0, North}", Affine(2, 0, 100, 0, -2, 200)),
    ],
)  # fmt: skip
def test_corners_from_map_info(name: str, map_info: str, transform, tmp_path: Path, cube) -> None:
    """ENVI in: its trailing fields survive, and a GeoTIFF made of it lies in the same place."""
    source = write(tmp_path / "a.img", cube, metadata={"map info": map_info})
    np.testing.assert_allclose(tuple(source.transform)[:6], tuple(transform)[:6], atol=1e-9)
    found = write(tmp_path / name, blocks(cube, 2), **enlarged(source, 2))
    assert found.crs == source.crs and (found.crs is None) == ("Arbitrary" in map_info)
    wanted = corners(transform, W, H)
    near = {"rtol": 0, "atol": 1e-4 * abs(transform.determinant) ** 0.5}
    np.testing.assert_allclose(corners(found.transform, 2 * W, 2 * H), wanted, **near)
    if name == "b.img":
        np.testing.assert_allclose(spectral_corners(tmp_path / "b.hdr"), wanted, **near)
        assert found.metadata["map info"].split(", ")[7:] == map_info.split(", ")[7:]
    np.testing.assert_allclose(gdalinfo_corners(tmp_path / name), wanted, rtol=0, atol=1e-3)


def test_a_map_info_that_contradicts_the_transform_is_made_anew(tmp_path: Path, cube) -> None:
    other = {"map info": "{UTM, 1, 1, 5, 5, 9, 9, 31, North, WGS-84}", "coordinate system string": "{GEOGCS[]}"}
    found = write(tmp_path / "a.img", cube, crs=UTM32, transform=PLACED, metadata=other)
    assert found.crs == UTM32
    np.testing.assert_allclose(tuple(found.transform)[:6], tuple(PLACED)[:6])


def test_a_sheared_scene_needs_a_geotiff(tmp_path: Path, cube) -> None:
    with pytest.raises(ValueError, match=r"a.img: an ENVI header cannot hold .*sheared.* Write a GeoTIFF: a.tif"):
        SceneWriter(tmp_path / "a.img", cube.shape, cube.dtype, crs=UTM32, transform=SHEARED)
    found = write(tmp_path / "a.tif", cube, crs=UTM32, transform=SHEARED)
    np.testing.assert_allclose(tuple(found.transform)[:6], tuple(SHEARED)[:6])
    np.testing.assert_allclose(gdalinfo_corners(tmp_path / "a.tif"), corners(SHEARED, W, H), rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["a.img", "a.tif"])
def test_real_hysu_four_times_larger(name: str, tmp_path: Path, real_scenes) -> None:
    folder = real_scenes("hysu_full.hdr", "hysu_full.tif")
    source = open_scene(folder / "hysu_full.hdr")
    found = write(tmp_path / name, blocks(source.cube, 4), step=64, **enlarged(source, 4))
    np.testing.assert_array_equal(found.cube[:, ::4, 3::4], source.cube)
    np.testing.assert_allclose(found.wavelengths, source.wavelengths, rtol=1e-11)
    np.testing.assert_allclose(found.fwhm, source.fwhm, rtol=1e-11)
    for field in ("no_data", "scale_factor", "crs", "band_names"):
        assert getattr(found, field) == getattr(source, field)
    wanted = gdalinfo_corners(folder / "hysu_full.tif")
    np.testing.assert_allclose(wanted[[0, 3]], [[669639.6, 5328106.0], [669725.7, 5328045.8]], rtol=0, atol=1e-6)
    np.testing.assert_allclose(gdalinfo_corners(tmp_path / name), wanted, rtol=0, atol=1e-6)
    with rasterio.open(tmp_path / name) as raster:
        np.testing.assert_allclose(corners(raster.transform, raster.width, raster.height), wanted, rtol=0, atol=1e-6)
        assert raster.nodata == 15000 and raster.crs == UTM32
        assert raster.descriptions[134].startswith(source.band_names[134])
    if name == "a.img":
        np.testing.assert_allclose(spectral_corners(tmp_path / "a.hdr"), wanted, rtol=0, atol=1e-6)
        assert found.metadata["map info"].endswith("0.175, 0.175, 32, North, WGS-84, units=Meters}")


# --- enlarging


def test_enlarged_leaves_out_what_nobody_can_scale(scene) -> None:
    scene.metadata = {"map info": "{UTM, one}", "pixel size": "large", "X Start": "3", "sensor type": "a"}
    scene.no_data, scene.transform = 1e9, SHEARED
    said = enlarged(scene, 4)
    assert said["metadata"] == {"sensor type": "a"} and said["no_data"] is None
    np.testing.assert_allclose(tuple(said["transform"])[:6], (0.175, 0.05, 669639.6, 0, -0.175, 5328106))
    with pytest.raises(ValueError, match="scale is 0"):
        enlarged(scene, 0)
