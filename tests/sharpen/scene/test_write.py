"""What is written comes back through `open_scene`, and rasterio and spectral see the same corners and bands."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import spectral.io.envi
import xarray as xr
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.rpc import RPC
from rasterio.transform import GCPTransformer, RPCTransformer
from rasterio.warp import transform as transform_points

from lkca.files import data_folder
from sharpen.scene.georeference import Georeference, georeference_of, place
from sharpen.scene.io import SceneWriter, gains_and_offsets, open_scene, read_block, upsampled, write_scene
from tests.data.scene_files import braces, write_envi, write_npy, write_tiff
from tests.sharpen.scene.files import write_gcps, write_rpcs

B, H, W = 5, 9, 7
UTM32, DEGREES = CRS.from_epsg(32632), CRS.from_epsg(4326)
PLACED = Affine(0.7, 0, 669639.6, 0, -0.7, 5328106.0)
C, S = 0.7 * np.cos(np.pi / 6), 0.7 * np.sin(np.pi / 6)
TURNED = Affine(C, S, 669639.6, S, -C, 5328106.0)  # by 30 degrees, counter-clockwise
SHEARED = Affine(0.7, 0.2, 669639.6, 0, -0.7, 5328106.0)
NM = np.linspace(400.123, 2500.0, B)
NAMES = ("a.bsq", "a.bil", "a.bip", "a.img", "a.hdr", "a.dat.hdr", "a.tif")
METADATA = {
    "interleave": "bip", "file type": "ENVI Standard", "data type": "4", "wavelength units": "Micrometers",
    "wavelength": "{9}", "band names": "{x}", "data ignore value": "7", "reflectance scale factor": "3",
    "default stretch": "0.0 1000.0 linear", "x start": "17", "y start": "4", "class names": "{a}",
    "pixel size": "{7.0e-001, 7.0e-001, units=Meters}", "description": "made {by}\n a test",
    "map info": "{UTM, 1, 1, 5, 5, 9, 9, 31, North, WGS-84}", "AREA_OR_POINT": "Point", "sensor type": "HySpex }{",
}  # fmt: skip


@pytest.fixture
def cube() -> np.ndarray:
    return np.random.default_rng(0).integers(-300, 8000, (B, H, W)).astype(np.int16)


def described(cube: np.ndarray, crs=UTM32, transform=PLACED, **attrs) -> xr.DataArray:
    """A scene with everything that a scene can have."""
    scene = xr.DataArray(cube, dims=("band", "y", "x"), attrs={"scale_factor": 1e-4, "metadata": METADATA, **attrs})
    names = ("blue, deep", "green {2}", "Rot ü", "", "; far\nred")
    scene = scene.assign_coords(
        wavelength=("band", NM),
        fwhm=("band", np.full(B, 4.87)),
        band_name=("band", list(names)),
        good_band=("band", [True, True, False, True, True]),
    )
    return place(scene.rio.write_nodata(-9999), Georeference(crs, transform))


def blocks(cube: np.ndarray, scale: int) -> np.ndarray:
    return cube.repeat(scale, axis=1).repeat(scale, axis=2)


def write(path: Path, cube: np.ndarray, like: xr.DataArray, scale: int = 1, step: int = 4, **options) -> xr.DataArray:
    with SceneWriter(path, like, scale, **options) as writer:
        for row in range(0, cube.shape[1], step):
            writer.write(cube[:, row : row + step])
    return open_scene(path)


def corners(transform: Affine, width: int, height: int) -> np.ndarray:
    """(4, 2): upper left, lower left, upper right, lower right."""
    outer = np.array([[0, 0, width, width], [0, height, 0, height], [1, 1, 1, 1]])
    return (np.array(transform[:6]).reshape(2, 3) @ outer).T


def seen_by_rasterio(path: Path) -> np.ndarray:
    with rasterio.open(path) as raster:
        return corners(raster.transform, raster.width, raster.height)


def seen_by_spectral(header: Path) -> np.ndarray:
    """By the arithmetic of ENVI's map info; rotation is about the reference pixel."""
    image = spectral.io.envi.open(header)
    items = image.metadata["map info"]
    x, y, east, north, width, height = (float(item) for item in items[1:7])
    turn = next((float(item.split("=")[1]) for item in items if item.startswith("rotation")), 0.0)
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    places = np.array([[0, 0], [0, image.nrows], [image.ncols, 0], [image.ncols, image.nrows]]) + 1
    right, up = ((places - (x, y)) * (width, -height)).T
    return np.stack([east + cosine * right - sine * up, north + sine * right + cosine * up], axis=1)


@pytest.mark.parametrize("name", NAMES)
def test_everything_comes_back(name: str, tmp_path: Path, cube: np.ndarray) -> None:
    found = write(tmp_path / name, blocks(cube, 2), described(cube), 2)
    np.testing.assert_array_equal(found, blocks(cube, 2))
    np.testing.assert_allclose(found.wavelength, NM, rtol=1e-11)
    np.testing.assert_allclose(found.fwhm, 4.87, rtol=1e-11)
    assert found.good_band.values.tolist() == [True, True, False, True, True]
    assert found.rio.nodata == -9999 and found.rio.crs == UTM32 and found.dtype == np.int16
    assert found.attrs["scale_factor"] == pytest.approx(1e-4)
    np.testing.assert_allclose(found.rio.transform()[:6], (0.35, 0, 669639.6, 0, -0.35, 5328106), atol=1e-8)
    metadata = found.attrs["metadata"]
    assert metadata["default stretch"] == "0.0 1000.0 linear" and metadata["sensor type"] == "HySpex )("
    assert not {"x start", "y start", "class names", "pixel size"} & metadata.keys()
    with rasterio.open(next(path for path in tmp_path.iterdir() if path.suffix != ".hdr")) as raster:
        assert raster.nodata == -9999 and raster.scales == pytest.approx((1e-4,) * B) and raster.crs == UTM32
        assert float(raster.tags(2)["wavelength"]) == pytest.approx(NM[1] / (1 if name == "a.tif" else 1000))
    if name == "a.tif":
        assert tuple(found.band_name.values) == ("blue, deep", "green {2}", "Rot ü", "", "; far\nred")
        return
    assert tuple(found.band_name.values) == ("blue; deep", "green (2)", "Rot ü", "", "; far red")
    assert metadata["interleave"] == (name[2:] if name[2:] in ("bsq", "bil") else "bip")
    assert metadata["description"] == "made (by) a test" and metadata["wavelength units"] == "Micrometers"
    image = spectral.io.envi.open(next(tmp_path.glob("*.hdr")), next(p for p in tmp_path.glob("a.*[!r]")))
    np.testing.assert_allclose(image.bands.centers, NM / 1000)
    np.testing.assert_array_equal(image.open_memmap(interleave="bip").transpose(2, 0, 1), blocks(cube, 2))
    data = "a.img" if name == "a.hdr" else name.removesuffix(".hdr")
    assert {path.name for path in tmp_path.iterdir()} == {data, "a.dat.hdr" if "dat" in name else "a.hdr"}


@pytest.mark.parametrize("name", ["a.bsq", "a.bil", "a.bip", "a.tif"])
@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "f4", "f8", "u2", "u4", "i8", "u8"])
def test_every_type(name: str, kind: str, tmp_path: Path) -> None:
    dtype = np.dtype(kind)
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    cube = np.linspace(1, 100, B * H * W).reshape(B, H, W).astype(dtype)
    cube[0, 0, :2] = limits.min, limits.max
    like = xr.DataArray(cube, dims=("band", "y", "x"))
    found = write(tmp_path / name, cube, like)
    assert found.dtype == dtype and found.rio.nodata is None and found.rio.crs is None
    assert not {"wavelength", "band_name", "x"} & set(found.coords)
    np.testing.assert_array_equal(found, cube)


@pytest.mark.parametrize("name", ["a.img", "a.tif"])
@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        (UTM32, PLACED),
        (CRS.from_epsg(32756), Affine(10, 0, 4e5, 0, -20, 6.1e6)),
        (CRS.from_epsg(3035), Affine(10, 0, 4321000.25, 0, -10, 3210000.75)),
        (DEGREES, Affine(1 / 3600, 0, 11.123456789012, 0, -1 / 3600, 48.1234567890123)),
        (UTM32, TURNED),
        (None, PLACED),
    ],
)
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut out"])
def test_corners_stay(name: str, crs, transform, cut: bool, tmp_path: Path, cube: np.ndarray) -> None:
    scene = described(cube, crs, transform)
    if cut:
        scene, transform = scene.isel(y=slice(2, 8), x=slice(1, 5)), transform @ Affine.translation(1, 2)
    scene.attrs["metadata"] = {"AREA_OR_POINT": "Area"}
    _, height, width = scene.shape
    found = write(tmp_path / name, blocks(scene.values, 4), scene, 4)
    assert found.rio.crs == crs
    wanted = corners(transform, width, height)
    near = {"rtol": 0, "atol": 1e-4 * abs(transform.determinant) ** 0.5}
    np.testing.assert_allclose(corners(georeference_of(found).transform, 4 * width, 4 * height), wanted, **near)
    np.testing.assert_allclose(seen_by_rasterio(tmp_path / name), wanted, **near)
    if name == "a.img":
        np.testing.assert_allclose(seen_by_spectral(tmp_path / "a.hdr"), wanted, **near)
    result = georeference_of(upsampled(scene, blocks(scene.values, 4), 4))
    np.testing.assert_allclose(corners(result.transform, 4 * width, 4 * height), wanted, **near)


@pytest.mark.parametrize("name", ["b.img", "b.tif"])
@pytest.mark.parametrize(
    ("map_info", "transform"),
    [
        ("{UTM, 3, 2.5, 669641.0, 5328104.95, 0.7, 0.7, 32, North, WGS-84, units=Meters}", PLACED),
        ("{UTM, 1, 1, 669639.6, 5328106, 0.7, 0.7, 32, North, WGS-84, units=Meters, rotation=30}", TURNED),
        ("{Geographic Lat/Lon, 2, 2, 11.5, 48.5, 0.001, 0.002, WGS-84, units=Degrees}",
            Affine(0.001, 0, 11.499, 0, -0.002, 48.502)),
        ("{Arbitrary, 1, 1, 100, 200, 2, 2, 0, North}", Affine(2, 0, 100, 0, -2, 200)),
    ],
)  # fmt: skip
def test_corners_from_map_info(name: str, map_info: str, transform, tmp_path: Path, cube: np.ndarray) -> None:
    source = open_scene(write_envi(tmp_path / "a.img", cube, **{"map info": map_info}))
    found = write(tmp_path / name, blocks(cube, 2), source, 2)
    assert found.rio.crs == source.rio.crs and (found.rio.crs is None) == ("Arbitrary" in map_info)
    wanted, near = corners(transform, W, H), {"rtol": 0, "atol": 1e-4 * abs(transform.determinant) ** 0.5}
    np.testing.assert_allclose(corners(georeference_of(found).transform, 2 * W, 2 * H), wanted, **near)
    np.testing.assert_allclose(seen_by_rasterio(tmp_path / name), wanted, **near)


def test_a_sheared_scene_needs_a_geotiff(tmp_path: Path, cube: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a.img.*a.tif"):
        write(tmp_path / "a.img", cube, described(cube, transform=SHEARED))
    assert not list(tmp_path.iterdir())
    found = write(tmp_path / "a.tif", cube, described(cube, transform=SHEARED))
    np.testing.assert_allclose(georeference_of(found).transform[:6], SHEARED[:6])


@pytest.mark.parametrize("name", ["b.tif", "b.img"])
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut out"])
def test_control_points(name: str, count: int, cut: bool, tmp_path: Path, cube: np.ndarray) -> None:
    source = open_scene(write_gcps(tmp_path / "a.tif", cube, count))
    assert len(source.rio.get_gcps()) == count**2 and source.rio.crs == DEGREES
    before = GCPTransformer(source.rio.get_gcps())
    rows, columns = (slice(2, 8), slice(1, 5)) if cut else (slice(None), slice(None))
    scene = source.isel(y=rows, x=columns)
    found = write(tmp_path / name, blocks(scene.values, 4), scene, 4)
    assert found.rio.crs == DEGREES and len(found.rio.get_gcps()) == count**2
    if not cut:
        pairs = zip(source.rio.get_gcps(), found.rio.get_gcps(), strict=True)
        assert all((old.row * 4, old.col * 4, old.x) == pytest.approx((new.row, new.col, new.x)) for old, new in pairs)
    with rasterio.open(tmp_path / name) as raster, GCPTransformer(raster.gcps[0]) as after, before:
        wanted = before.xy([3, 5], [2, 4], offset="ul")
        there = after.xy([4 * (3 - 2 * cut), 4 * (5 - 2 * cut)], [4 * (2 - cut), 4 * (4 - cut)], offset="ul")
        np.testing.assert_allclose(there, wanted, atol=1e-9)


def test_control_points_in_another_crs_become_degrees_in_envi(tmp_path: Path, cube: np.ndarray) -> None:
    points = [GroundControlPoint(row, column, 5e5 + 30 * column, 5e6 - 30 * row) for row in (0, H) for column in (0, W)]
    like = place(xr.DataArray(cube, dims=("band", "y", "x")), Georeference(UTM32, None, tuple(points)))
    with pytest.warns(UserWarning, match="a.img"):
        found = georeference_of(write(tmp_path / "a.img", cube, like))
    x, y = transform_points(found.crs, UTM32, [point.x for point in found.gcps], [point.y for point in found.gcps])
    np.testing.assert_allclose((x, y), ([point.x for point in points], [point.y for point in points]), atol=1e-3)


@pytest.mark.parametrize("name", ["b.tif", "b.img"])
def test_rational_polynomials(name: str, tmp_path: Path, cube: np.ndarray) -> None:
    """The same place of the ground is at the same place of the image; RPCs count from the middle of the first pixel."""
    source = open_scene(write_rpcs(tmp_path / "a.tif", cube))
    write(tmp_path / name, blocks(cube, 4), source, 4)
    found = open_scene(tmp_path / name).attrs["rpcs"]
    assert isinstance(found, RPC) and found.line_scale == 4 * source.attrs["rpcs"].line_scale
    with RPCTransformer(source.attrs["rpcs"]) as before, RPCTransformer(found) as after:
        longitudes, latitudes = [7.01, 6.95, 7.06], [45.02, 44.93, 45.0]
        old, new = (each.rowcol(longitudes, latitudes, zs=[0, 0, 0], op=lambda x: x) for each in (before, after))
        np.testing.assert_allclose(np.array(new), 4 * np.array(old), atol=1e-4)
    with rasterio.open(tmp_path / name) as raster:
        assert raster.rpcs.line_off == pytest.approx(found.line_off)


def test_gains_and_offsets_go_round(tmp_path: Path, cube: np.ndarray) -> None:
    gains, offsets = [0.5, 0.25, 2.0, 1.0, 3.0], [0.0, -1.0, 10.0, 0.0, 0.5]
    fields = {"data gain values": braces(gains), "data offset values": braces(offsets)}
    scene = open_scene(write_envi(tmp_path / "s.img", cube, **fields))
    for name in ("a.tif", "b.hdr", "c.tif"):  # ENVI -> TIFF -> ENVI -> TIFF
        scene = write(tmp_path / name, cube, scene)
        np.testing.assert_allclose(gains_and_offsets(scene), (gains, offsets))
        with rasterio.open(tmp_path / name.replace("hdr", "img")) as raster:
            np.testing.assert_allclose((raster.scales, raster.offsets), (gains, offsets))


def test_wavelengths_without_a_unit_of_length_stay_as_they_are(tmp_path: Path, cube: np.ndarray) -> None:
    own = {"wavelength units": "Wavenumber", "wavelength": "{5, 4, 3, 2, 1}"}
    with pytest.warns(UserWarning, match="(?i)wavenumber"):
        found = write(tmp_path / "a.img", cube, xr.DataArray(cube, dims=("band", "y", "x"), attrs={"metadata": own}))
    assert "wavelength" not in found.coords and own.items() <= found.attrs["metadata"].items()


def test_gdal_reads_long_lists(tmp_path: Path) -> None:
    count = 426
    cube = np.ones((count, 2, 3), np.uint8)
    scene = xr.DataArray(cube, dims=("band", "y", "x"), attrs={"metadata": {"note": "long " * 2000, "after": "1"}})
    names, waves = [f"band {i} {'x' * 60}" for i in range(count)], np.linspace(380.123456, 2500, count)
    scene = scene.assign_coords(band_name=("band", names), wavelength=("band", waves))
    with pytest.warns(UserWarning, match="note"):
        found = write(tmp_path / "a.img", cube, scene)
    assert found.band_name.values.tolist() == names and found.attrs["metadata"]["after"] == "1"
    with rasterio.open(tmp_path / "a.img") as raster:
        assert raster.descriptions[1].startswith(names[1])
        assert float(raster.tags(count)["wavelength"]) == 2500


@pytest.mark.parametrize("name", ["a.img", "a.tif"])
def test_real_hysu_four_times_larger(name: str, tmp_path: Path) -> None:
    if not (data_folder() / "hysu_full.hdr").is_file():
        pytest.skip(f"hysu_full.hdr is not in {data_folder()}")
    source = open_scene(data_folder() / "hysu_full.hdr")
    found = write(tmp_path / name, blocks(source.values, 4), source, 4, step=64)
    np.testing.assert_array_equal(found[:, ::4, 3::4], source)
    np.testing.assert_allclose(found.wavelength, source.wavelength, rtol=1e-11)
    assert found.rio.nodata == 15000 and found.rio.crs == UTM32
    wanted = [[669639.6, 5328106.0], [669639.6, 5328045.8], [669725.7, 5328106.0], [669725.7, 5328045.8]]
    np.testing.assert_allclose(seen_by_rasterio(tmp_path / name), wanted, rtol=0, atol=1e-6)
    if name == "a.img":
        np.testing.assert_allclose(seen_by_spectral(tmp_path / "a.hdr"), wanted, rtol=0, atol=1e-6)


# --- numbers


def test_floats_become_whole_numbers(tmp_path: Path, cube: np.ndarray) -> None:
    """Rounded, clipped and counted; what equals the no-data value moves by one; holes get it."""
    like = described(cube)
    values = cube.astype(np.float32) + 0.3
    values[0, 0, :4] = 40000, -40000, -9999.2, 0.5
    missing = np.zeros((H, W), bool)
    missing[3:5, 2] = True
    values[:, missing] = np.nan
    with SceneWriter(tmp_path / "a.tif", like) as writer:
        for row in range(0, H, 2):
            writer.write(values[:, row : row + 2], missing[row : row + 2])
    found, holes = read_block(open_scene(tmp_path / "a.tif"))
    assert writer.clipped == 2 and found[0, 0, :4].tolist() == [32767, -32768, -9998, 0]
    np.testing.assert_array_equal(holes, missing | (found == -32768).any(axis=0))
    assert (found[:, missing] == -9999).all()
    np.testing.assert_array_equal(found[1:][:, ~missing], cube[1:][:, ~missing])


@pytest.mark.parametrize("name", ["a.img", "a.tif"])
@pytest.mark.parametrize(("dtype", "hole"), [("uint8", 255), ("int16", -32768), ("float32", np.nan)])
def test_bands_that_are_left_out_come_back_as_no_data(name: str, dtype: str, hole: float, tmp_path: Path) -> None:
    cube = np.random.default_rng(0).integers(0, 200, (B, H, W)).astype(dtype)
    cube[0, 0, 0] = 200 if np.isnan(hole) else hole
    like = xr.DataArray(cube, dims=("band", "y", "x"))
    with SceneWriter(tmp_path / name, like, bands=[0, 3]) as writer:
        writer.write(cube[[0, 3]].astype(np.float32))
    found = open_scene(tmp_path / name)
    assert found.good_band.values.tolist() == [True, False, False, True, False]
    np.testing.assert_array_equal(found[[1, 2, 4]], np.full((3, H, W), hole, dtype))
    values, missing = read_block(found, bands=[0, 3])
    assert not missing.any()  # a value that equals the new no-data value has moved by one
    np.testing.assert_allclose(values, cube[[0, 3]], atol=1)


def test_holes_need_a_value(tmp_path: Path) -> None:
    like = xr.DataArray(np.ones((B, H, W), np.uint16), dims=("band", "y", "x"))
    hole = np.ones((H, W), bool)
    with pytest.raises(ValueError, match="a.tif"), SceneWriter(tmp_path / "a.tif", like) as writer:
        writer.write(like.values, hole)
    with SceneWriter(tmp_path / "a.tif", like, holes=True) as writer:
        writer.write(like.values, hole)
    assert open_scene(tmp_path / "a.tif").rio.nodata == 65535


def test_numbers_that_are_none(tmp_path: Path, cube: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a.tif"):
        write(tmp_path / "a.tif", np.full((B, H, W), np.nan, np.float32), described(cube))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("compress", ["deflate", "lzw", "zstd"])
@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_compressed(compress: str, dtype: str, tmp_path: Path) -> None:
    cube = np.zeros((B, 50, 40), dtype)
    cube[0, 7] = np.arange(40)
    found = write(tmp_path / "a.tif", cube, xr.DataArray(cube, dims=("band", "y", "x")), compress=compress, step=7)
    np.testing.assert_array_equal(found, cube)
    assert (tmp_path / "a.tif").stat().st_size < cube.nbytes
    with rasterio.open(tmp_path / "a.tif") as raster:
        assert raster.compression.name.lower() == compress


def test_any_data_array_is_written(tmp_path: Path, cube: np.ndarray) -> None:
    """One of rioxarray's own, and one without anything."""
    import rioxarray

    path = write_tiff(tmp_path / "a.tif", cube, crs=UTM32, transform=PLACED, nodata=-300)
    own = rioxarray.open_rasterio(path)
    assert write_scene(tmp_path / "b.tif", own) == 0
    assert georeference_of(open_scene(tmp_path / "b.tif")).transform.almost_equals(PLACED)
    assert open_scene(tmp_path / "b.tif").rio.nodata == -300
    write_scene(tmp_path / "c.img", own.isel(y=slice(2, 6), x=slice(1, 4)))
    np.testing.assert_allclose(seen_by_rasterio(tmp_path / "c.img")[0], PLACED @ (1, 2))
    write_scene(tmp_path / "d.img", xr.DataArray(cube, dims=("band", "y", "x")))
    np.testing.assert_array_equal(open_scene(tmp_path / "d.img"), cube)
    write_scene(tmp_path / "f.tif", xr.DataArray(cube.astype(np.float16), dims=("band", "y", "x")))
    assert open_scene(tmp_path / "f.tif").dtype == np.float32
    scene = open_scene(write_npy(tmp_path / "e.npy", cube))
    assert upsampled(scene, blocks(cube, 2), 2).shape == (B, 2 * H, 2 * W)
