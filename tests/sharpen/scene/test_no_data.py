"""Pixels without data, by declaration, mask, fill value; which bands are used, and what single bands cost."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from scipy.ndimage import gaussian_filter

from lkca.data.synthetic.scenes import synthetic_scene
from sharpen.scene.io import SceneWriter, doubt_axes, missing_by_band, numbers_in, open_scene, read_block, usable_bands
from tests.data.scene_files import braces, write_envi, write_npy, write_npz, write_tiff, write_v5
from tests.sharpen.scene.files import write_alpha, write_masked

B, H, W = 4, 12, 11
HOLE = np.zeros((H, W), bool)
HOLE[:, :3] = True


@pytest.fixture
def cube() -> np.ndarray:
    return np.random.default_rng(0).integers(100, 9000, (B, H, W)).astype(np.uint16)


MASKS = {
    "internal": lambda path, cube: write_masked(path, cube, HOLE, True),
    "msk": lambda path, cube: write_masked(path, cube, HOLE, False),
    "alpha": lambda path, cube: write_alpha(path, cube, HOLE),
}


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("out", ["out.tif", "out.img"])
def test_masks_of_gdal_are_no_data_and_come_back(kind: str, out: str, tmp_path: Path, cube: np.ndarray) -> None:
    cube[:, HOLE] = 0
    scene = open_scene(MASKS[kind](tmp_path / "a.tif", cube))
    values, missing = read_block(scene)
    np.testing.assert_array_equal(values, cube)  # alpha is no spectral band
    np.testing.assert_array_equal(missing, HOLE)
    np.testing.assert_array_equal(read_block(scene, slice(2, 5), slice(1, 6))[1], HOLE[2:5, 1:6])
    assert usable_bands(scene) == ([0, 1, 2, 3], "") and not missing_by_band(scene).any()
    with SceneWriter(tmp_path / out, scene, 2) as writer:
        writer.write(values.repeat(2, 1).repeat(2, 2), missing.repeat(2, 0).repeat(2, 1))
    found, holes = read_block(open_scene(tmp_path / out))
    np.testing.assert_array_equal(holes, HOLE.repeat(2, 0).repeat(2, 1))
    np.testing.assert_array_equal(found[:, ~holes], cube.repeat(2, 1).repeat(2, 2)[:, ~holes])


def test_a_mask_and_a_no_data_value(tmp_path: Path, cube: np.ndarray) -> None:
    cube[1, 7, 7] = 5
    path = write_masked(tmp_path / "a.tif", cube, HOLE, False)
    import rasterio

    with rasterio.open(path, "r+") as raster:
        raster.nodata = 5
    wanted = HOLE.copy()
    wanted[7, 7] = True
    np.testing.assert_array_equal(read_block(open_scene(path))[1], wanted)


def test_no_data_values_that_differ_by_band(tmp_path: Path, cube: np.ndarray) -> None:
    """GeoTIFF holds one value for all bands, a .vrt one for each."""
    cube[:, 0, 0], cube[2, 1, 1], cube[0, 2, 2] = (1, 2, 3, 4), 3, 3
    write_tiff(tmp_path / "a.tif", cube)
    bands = "".join(
        f'<VRTRasterBand dataType="UInt16" band="{i}"><NoDataValue>{i}</NoDataValue><SimpleSource><SourceFilename '
        f'relativeToVRT="1">a.tif</SourceFilename><SourceBand>{i}</SourceBand></SimpleSource></VRTRasterBand>'
        for i in range(1, B + 1)
    )
    vrt = tmp_path / "a.vrt"
    vrt.write_text(f'<VRTDataset rasterXSize="{W}" rasterYSize="{H}">{bands}</VRTDataset>')
    scene = open_scene(vrt)
    wanted = np.zeros((H, W), bool)
    wanted[0, 0] = wanted[1, 1] = True
    np.testing.assert_array_equal(read_block(scene)[1], wanted)
    np.testing.assert_array_equal(missing_by_band(scene), [1, 1, 2, 1])
    np.testing.assert_array_equal(read_block(scene, bands=[2])[1], wanted)
    with SceneWriter(tmp_path / "out.tif", scene, holes=True) as writer:
        writer.write(scene.values, wanted)
    np.testing.assert_array_equal(read_block(open_scene(tmp_path / "out.tif"))[1], wanted)


@pytest.mark.parametrize(
    ("dtype", "no_data", "value"),
    [
        ("int16", "3", 3), ("float32", "-9999.9", -9999.9), ("float32", "-3.4e+38", -3.4e38), ("float32", None, np.nan),
        ("float32", None, -np.inf), ("float32", "nan", np.nan), ("int16", None, -9999), ("int16", None, -32768),
        ("int32", None, -99999), ("float64", None, -1.7e308), ("float32", None, 1e20), ("float32", None, -9999),
    ],
)  # fmt: skip
def test_values_without_data(dtype: str, no_data: str | None, value: float, tmp_path: Path, cube: np.ndarray) -> None:
    cube = cube.astype(dtype)
    cube[1, 4, 5] = value
    scene = open_scene(write_envi(tmp_path / "a.img", cube, **{"data ignore value": no_data}))
    missing = read_block(scene)[1]
    assert missing.sum() == 1 and missing[4, 5] and missing_by_band(scene).tolist() == [0, 1, 0, 0]
    assert not read_block(scene, bands=[0, 2, 3])[1].any()
    if no_data is None and np.isfinite(value):
        with pytest.warns(UserWarning, match="a.img.*1 of 132|1 of 132.*"):
            assert usable_bands(scene)[0] == [0, 1, 2, 3]


@pytest.mark.parametrize("no_data", ["3.5", "1e9", "nan", "-3.4e+38", "three"])
def test_a_no_data_value_that_the_type_cannot_hold(no_data: str, tmp_path: Path, recwarn) -> None:
    cube = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    scene = open_scene(write_envi(tmp_path / "a.img", cube, **{"data ignore value": no_data}))
    assert not read_block(scene)[1].any() and scene.rio.nodata is None


@pytest.mark.parametrize(("dtype", "value"), [("uint16", 65535), ("uint8", 0), ("int16", 32767), ("float32", -1e9)])
def test_what_can_be_data_stays(dtype: str, value: float, tmp_path: Path) -> None:
    cube = np.ones((2, 3, 4), dtype)
    cube[0, 0, 0] = value
    assert not read_block(open_scene(write_tiff(tmp_path / "a.tif", cube)))[1].any()


@pytest.mark.parametrize("value", [65535, -99990, 1e6])
def test_values_far_from_all_others(value: float, tmp_path: Path) -> None:
    """They are known once the scene has been looked at; then every window leaves them out."""
    cube = np.random.default_rng(0).uniform(0.01, 1, (5, 40, 30)).astype(np.float32)
    cube[:2, 7, 8] = cube[1, 9, 9] = value
    scene = open_scene(write_npy(tmp_path / "s.npy", cube))
    with pytest.warns(UserWarning, match="s.npy: 2 pixels"):
        assert usable_bands(scene)[0] == [0, 1, 2, 3, 4]
    missing = read_block(scene, slice(5, 20))[1]
    assert missing.sum() == 2 and missing[2, 8] and missing[4, 9]
    np.testing.assert_array_equal(scene.isel(y=slice(5, 20)).attrs["fills"], [value])


@pytest.mark.parametrize("value", [1.7, 30, 1000])
def test_bright_pixels_stay(value: float, tmp_path: Path, recwarn) -> None:
    cube = np.random.default_rng(0).uniform(0.01, 1, (5, 40, 30)).astype(np.float32)
    cube[0, 0, 0] = value
    scene = open_scene(write_npy(tmp_path / "s.npy", cube))
    assert usable_bands(scene) == ([0, 1, 2, 3, 4], "") and not read_block(scene)[1].any()
    assert not [warning for warning in recwarn if "s.npy" in str(warning.message)]


# --- bands


def test_bad_dead_and_costly_bands(tmp_path: Path, cube: np.ndarray) -> None:
    cube = cube.astype(np.int16)
    cube[:, 0] = -1  # a border that all bands lack
    cube[2] = -1
    cube[3, :5] = -1
    path = write_envi(tmp_path / "a.img", cube, **{"data ignore value": -1, "bbl": "{1, 0, 1, 1}"})
    bands, line = usable_bands(open_scene(path))
    assert bands == [0, 3]
    for said in ("2 of 4 bands", "2 (marked as bad)", "3 (no data anywhere)"):
        assert said in line
    bands, line = usable_bands(open_scene(path), "1-2,4")
    assert bands == [0, 1, 3] and "3 (not asked for)" in line
    assert "4 (41.7%)" in line and "--bands 1-2 " in line  # what band 4 alone costs, and how to go without
    scene = open_scene(path)
    assert read_block(scene, bands=[0, 1])[1].sum() == W and read_block(scene, bands=[0, 1, 3])[1].sum() == 5 * W
    with pytest.raises(ValueError, match="a.hdr"):
        usable_bands(scene, "3")


def test_a_band_with_one_number_is_not_dead(tmp_path: Path) -> None:
    cube = np.full((3, 50, 6), np.nan, np.float32)
    cube[0], cube[2, 49, 5] = 1, 0
    bands, line = usable_bands(open_scene(write_envi(tmp_path / "s.img", cube)))
    assert bands == [0, 2] and "2 (no data anywhere)" in line


def test_lists_of_bands() -> None:
    assert numbers_in("1-3, 7,9 - 10", 10, "bands") == [0, 1, 2, 6, 8, 9]
    for text in ("0", "11", "3-2", "1-", "a", "", "1,,2", "-3", "1-4,4"):
        with pytest.raises(ValueError, match="bands"):
            numbers_in(text, 10, "bands")


def test_a_list_of_bad_bands_that_does_not_fit(tmp_path: Path, cube: np.ndarray) -> None:
    with pytest.warns(UserWarning, match="a.hdr.*bbl"):
        scene = open_scene(write_envi(tmp_path / "a.img", cube, bbl=braces([0, 1])))
    with pytest.raises(FileNotFoundError):
        open_scene(tmp_path / "none.img")
    assert scene.good_band.all()


# --- axes, and memory


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.mat", "a.h5"])
@pytest.mark.parametrize("smooth", [0, 4])
def test_axes_in_another_order_are_suspected(name: str, smooth: float, tmp_path: Path, recwarn) -> None:
    cube = gaussian_filter(synthetic_scene(60, 50, 40, seed=2).cube, (0, smooth, smooth)).astype(np.float32)
    usual = "BHW" if name == "a.h5" else "HWB"
    for layout in ("HWB", "HBW", "BHW"):
        array = cube.transpose(["BHW".index(axis) for axis in layout])
        path = tmp_path / name
        if name == "a.h5":
            with h5py.File(path, "w") as file:
                file["cube"] = array
        elif name == "a.mat":
            scipy.io.savemat(path, {"cube": array})
        else:
            (np.save if name == "a.npy" else np.savez)(path, array)
        doubt = doubt_axes(open_scene(path))
        assert doubt == "" if layout == usual else f"{path.name}" in doubt and f" {layout} (--layout" in doubt
        assert doubt_axes(open_scene(path, layout=layout)) == ""


def test_what_any_reading_unpacks_is_known_before(tmp_path: Path) -> None:
    cube = np.zeros((40, 200, 150))
    for writer, name in ((write_npz, "a.npz"), (write_v5, "a.mat")):
        assert open_scene(writer(tmp_path / name, cube)).attrs["read_at_once"] >= cube.nbytes
    path = write_tiff(tmp_path / "a.tif", cube, blockysize=200, compress="deflate")
    assert open_scene(path).attrs["read_at_once"] >= cube.nbytes
    assert "read_at_once" not in open_scene(write_npy(tmp_path / "a.npy", cube)).attrs
