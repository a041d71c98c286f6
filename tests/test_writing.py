"""Writing scenes: what comes back through `open_scene`, where GDAL and spectral see the corners, and full disks."""

import errno
import json
import shutil
import subprocess
import threading
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import rasterio
import spectral.io.envi
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import RasterioIOError

from lkca.scenes import open_scene, row_files
from lkca.scenes.scene import Scene
from lkca.scenes.writing import SceneWriter, enlarged

B, H, W = 5, 9, 7
UTM32, DEGREES = CRS.from_epsg(32632), CRS.from_epsg(4326)
PLACED = Affine(0.7, 0, 669639.6, 0, -0.7, 5328106.0)
C, S = 0.7 * np.cos(np.pi / 6), 0.7 * np.sin(np.pi / 6)
TURNED = Affine(C, S, 669639.6, S, -C, 5328106.0)  # by 30 degrees, counter-clockwise
SHEARED = Affine(0.7, 0.2, 669639.6, 0, -0.7, 5328106.0)
NAMES = ("a.bsq", "a.bil", "a.bip", "a.img", "a.hdr", "a.dat.hdr", "a.tif")
Usage = namedtuple("Usage", "total used free")


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


def write(path: Path, cube: np.ndarray, step: int = 4, **said) -> Scene:
    """The rows last to first, as views of which no axis is in one piece."""
    spread = np.zeros((*cube.shape, 2), cube.dtype)
    spread[..., 0] = cube
    with SceneWriter(path, cube.shape, cube.dtype, **said) as writer:
        for row in reversed(range(0, cube.shape[1], step)):
            writer.write(row, spread[:, row : row + step, :, 0])
    return open_scene(path)


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


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


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


# --- whole or not at all


@pytest.mark.parametrize("name", ["a.bsq", "a.bip", "a.tif"])
@pytest.mark.parametrize("existing", [False, True])
def test_nothing_is_left_of_a_write_that_fails(name: str, existing: bool, tmp_path: Path, cube, monkeypatch) -> None:
    path = tmp_path / name
    if existing:
        write(path, cube)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    new = cube + 1

    def unchanged() -> bool:
        return before == {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    for error in (RuntimeError("stop"), KeyboardInterrupt(), FileNotFoundError("the input")):
        with (
            pytest.raises(type(error)) as caught,
            SceneWriter(path, new.shape, new.dtype, overwrite=existing) as writer,
        ):
            writer.write(0, new[:, :5])
            assert (open_scene(path).cube == cube).all() if existing else not path.exists()
            raise error
        assert caught.value is error and unchanged()
    with (
        pytest.raises(ValueError, match=r"3 of 9 rows were not written, the first of them row 5"),
        SceneWriter(path, new.shape, new.dtype, overwrite=existing) as writer,
    ):
        writer.write(8, new[:, 8:])
        writer.write(0, new[:, :5])
    assert unchanged()

    with pytest.raises(ValueError, match="with block"):
        writer.write(0, new)


@pytest.mark.parametrize(
    "name, method, error",
    [
        ("a.bsq", "RawFile._put", OSError(errno.ENOSPC, "No space left on device")),
        ("a.bip", "RawFile._put", OSError(errno.ENOSPC, "No space left on device")),
        ("a.tif", "TiffFile.write", RasterioIOError("Write failed.")),  # GDAL does not say why
        ("a.tif", "TiffFile.finish", OSError(errno.EIO, "not what was written")),
    ],
)
@pytest.mark.parametrize("existing", [False, True])
def test_a_disk_that_fills_up(name, method, error, existing, tmp_path: Path, cube, monkeypatch) -> None:
    if existing:
        write(tmp_path / name, cube)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    owner, function = getattr(row_files, method.split(".")[0]), method.split(".")[1]
    usual, calls = getattr(owner, function), []

    def full(*given) -> None:
        calls.append(given)
        if len(calls) > 1 or function == "finish":
            monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10, 10, 0))
            raise error
        usual(*given)

    monkeypatch.setattr(owner, function, full)
    with pytest.raises(OSError, match=rf"could not write .*{name}: .*0 bytes are free.*untouched") as caught:
        write(tmp_path / name, cube + 1, overwrite=existing)
    assert caught.value.errno == (errno.ENOSPC if function != "finish" else errno.EIO)
    assert before == {file.name: file.read_bytes() for file in tmp_path.iterdir()}


@pytest.mark.parametrize("name", ["a.bil", "a.tif"])
def test_too_little_space_is_found_before_anything_is_written(name: str, tmp_path: Path, monkeypatch) -> None:
    shape = (128, 2304, 2048)
    needed = 2 * 128 * 2304 * 2048
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(needed, 1, needed))
    message = rf"needs 12\d{{8}} bytes \(1.21 GB\), but only {needed} \(1.21 GB\) are free"
    with pytest.raises(OSError, match=message) as caught:
        SceneWriter(tmp_path / name, shape, np.int16)
    assert caught.value.errno == errno.ENOSPC and not files(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(needed, 1, needed + 10**7))
    SceneWriter(tmp_path / name, shape, np.int16)


def test_a_tiff_that_gdal_did_not_write_whole_is_found(tmp_path: Path, cube, monkeypatch) -> None:
    """GDAL closes a file on a full disk without an error."""
    monkeypatch.setattr(row_files, "_bands_first", np.zeros_like)  # a block that never got to the disk reads as 0
    with pytest.raises(OSError, match="a.tif: the file does not hold what was written to it"):
        write(tmp_path / "a.tif", cube)
    assert not files(tmp_path)


@pytest.mark.parametrize("name", ["a.bsq", "a.hdr", "a.tif"])
def test_overwriting(name: str, tmp_path: Path, cube) -> None:
    write(tmp_path / name, cube)
    data = next(path for path in tmp_path.iterdir() if path.suffix != ".hdr")
    stale = [Path(f"{data}{end}") for end in (".aux.xml", ".ovr", *([] if name == "a.tif" else [".hdr"]))]
    for path in stale:
        path.write_text("of the old one")
    kept = files(tmp_path)
    with pytest.raises(FileExistsError, match=rf"{data.name}: exists.*--overwrite"):
        SceneWriter(tmp_path / name, cube.shape, cube.dtype)
    new = cube[:3, :, :5].astype(np.float32)
    with SceneWriter(tmp_path / name, new.shape, new.dtype, overwrite=True) as writer:
        assert set(kept) < set(files(tmp_path))
        writer.write(0, new)
    np.testing.assert_array_equal(open_scene(tmp_path / name).cube, new)
    assert files(tmp_path) == [path for path in kept if tmp_path / path not in stale]
    data.unlink()
    data.mkdir()
    with pytest.raises(IsADirectoryError, match=rf"{data.name}: a folder of that name"):
        SceneWriter(tmp_path / name, cube.shape, cube.dtype, overwrite=True)


@pytest.mark.parametrize(
    "there, name, error, message",
    [
        ([], "a.png", ValueError, r"GeoTIFF \(.tif, .tiff\) or ENVI \(.hdr, .img, .dat.*'.png' says neither"),
        ([], "a", ValueError, "suffix '' says neither"),
        ([], "no/folder/a.tif", FileNotFoundError, r"no folder .*no/folder; make it"),
        (["a.hdr"], "a.img", FileExistsError, "a.hdr: exists"),
        (["a.dat"], "a.img", FileExistsError, "a.dat: would share the header a.hdr with a.img"),
        (["a"], "a.hdr", FileExistsError, "a: would share the header a.hdr with a.img"),
    ],
)
def test_names_that_cannot_be_written(there, name, error, message, tmp_path: Path) -> None:
    for other in there:
        (tmp_path / other).write_text("")
    with pytest.raises(error, match=message):
        SceneWriter(tmp_path / name, (B, H, W), np.int16)
    assert files(tmp_path) == there


def test_a_tiff_beside_a_header(tmp_path: Path, cube) -> None:
    write(tmp_path / "a.img", cube, scale_factor=7)
    assert write(tmp_path / "a.tif", cube + 1).scale_factor == 1  # the header has data of its own
    assert open_scene(tmp_path / "a.hdr").scale_factor == 7
    (tmp_path / "a.img").unlink()
    with pytest.raises(FileExistsError, match="a.hdr: an ENVI header that would be taken for that of a.tif"):
        SceneWriter(tmp_path / "a.tif", cube.shape, cube.dtype, overwrite=True)


@pytest.mark.parametrize(
    "said, message",
    [
        ({"interleave": "bip"}, "interleave is 'bip', but the name says bil"),
        ({"interleave": "tif"}, "interleave is 'tif', expected one of bsq, bil, bip"),
        ({"no_data": 40000}, "no-data value 40000 does not fit int16"),
        ({"no_data": np.nan}, "no-data value nan does not fit int16"),
        ({"scale_factor": 0}, "scale factor is 0"),
        ({"wavelengths": np.ones(4)}, "4 wavelengths for 5 bands"),
        ({"band_names": ["a"]}, "1 band_names for 5 bands"),
        ({"shape": (5, 0, 7)}, r"shape is \(5, 0, 7\)"),
        ({"shape": (5, 7)}, r"shape is \(5, 7\)"),
    ],
)
def test_bad_descriptions(said: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        SceneWriter(tmp_path / "a.bil", **{"shape": (B, H, W), "dtype": np.int16, **said})
    assert not files(tmp_path)


def test_nan_as_no_data(tmp_path: Path) -> None:
    for name in ("a.img", "b.tif"):
        assert np.isnan(write(tmp_path / name, np.ones((B, H, W), np.float32), no_data=np.nan).no_data)


@pytest.mark.parametrize("name", ["a.bsq", "a.tif"])
def test_bad_strips(name: str, tmp_path: Path, cube) -> None:
    with SceneWriter(tmp_path / name, cube.shape, cube.dtype) as writer:
        for row, strip, message in [
            (0, cube[:4], r"a strip of shape \(4, 9, 7\) and type int16, expected \(5, rows, 7\) and int16"),
            (0, cube.astype(np.float32), "type float32, expected"),
            (6, cube[:, :4], "rows 6 to 9 are not in the scene, whose rows are 0 to 8"),
            (-1, cube[:, :1], "rows -1 to -1 are not"),
        ]:
            with pytest.raises(ValueError, match=message):
                writer.write(row, strip)
        writer.write(3, cube[:, 3:])
        with pytest.raises(ValueError, match="row 3 has been written already"):
            writer.write(2, cube[:, 2:4])
        thread = threading.Thread(target=writer.write, args=(0, cube[:, :3]))
        thread.start()
        thread.join()
    np.testing.assert_array_equal(open_scene(tmp_path / name).cube, cube)
