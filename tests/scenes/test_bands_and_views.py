"""Which bands are used, and scenes cut to rows, columns and bands."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from scipy.ndimage import gaussian_filter

from lkca.data.synthetic import synthetic_scene
from lkca.scenes import open_scene
from lkca.scenes.axes import band_axis
from lkca.scenes.bands import in_ranges, numbers_in, usable_bands
from lkca.scenes.view import SceneView, part
from tests.scenes.enmap_tile import BANDS, FLAGGED, NOISY, SILENT, write_tile
from tests.scenes.scene_files import UTM32, write_envi, write_npy, write_npz, write_tiff, write_v5, write_v73


@pytest.fixture(scope="module")
def tile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tile(tmp_path_factory.mktemp("tile") / "tile.img")


def test_lists_of_bands() -> None:
    assert numbers_in("1-3, 7,9 - 10", 10, "bands") == [0, 1, 2, 6, 8, 9]
    assert in_ranges([0, 1, 2, 6, 8, 9]) == "1-3, 7, 9-10"
    for text in ("0", "11", "3-2", "1-", "a", "", "1,,2", "-3"):
        with pytest.raises(ValueError, match="bands: .* is not a number between 1 and 10, or a range such as 1-129"):
            numbers_in(text, 10, "bands")
    with pytest.raises(ValueError, match="names a number twice"):
        numbers_in("1-4,4", 10, "bands")


def test_dead_and_flagged_bands_are_left_out(tile: Path) -> None:
    bands, line = usable_bands(open_scene(tile))
    assert set(range(BANDS)) - set(bands) == {*FLAGGED, *SILENT, *NOISY}
    assert "216 of 224 bands are used" in line and "130-135, 201 (marked as bad, bbl)" in line
    assert "61 (no data anywhere)" in line


def test_bands_that_are_asked_for(tile: Path) -> None:
    bands, line = usable_bands(open_scene(tile), "55-70,201")
    assert bands == [*range(54, 60), *range(61, 70), 200]  # asked for by name, also the flagged one; not the silent one
    assert "71-200, 202-224 (not asked for)" in line and "61 (no data anywhere)" in line
    with pytest.raises(ValueError, match="0 of 224 bands are used.*Nothing is left"):
        usable_bands(open_scene(tile), "130-135")


def test_a_band_with_one_number_is_not_dead(tmp_path: Path) -> None:
    cube = np.full((3, 50, 6), np.nan, np.float32)
    cube[0], cube[2, 49, 5] = 1, 0
    bands, line = usable_bands(open_scene(write_envi(tmp_path / "s.img", cube)))
    assert bands == [0, 2] and "2 (no data anywhere)" in line


def test_whole_numbers_without_a_no_data_value_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = open_scene(write_envi(tmp_path / "s.img", np.zeros((3, 5, 6), np.int16)))
    monkeypatch.setattr(type(scene), "read", None)
    assert usable_bands(scene) == ([0, 1, 2], "")


def test_a_part_is_the_part_and_knows_its_place(tile: Path) -> None:
    whole = open_scene(tile)
    view = SceneView(rows="11-30", columns="5-12", bands="3,1")
    scene = view.open(tile)
    assert scene.shape == (BANDS, 20, 8)
    assert np.array_equal(scene.cube, whole.cube[:, 10:30, 4:12])
    assert np.array_equal(scene.read(slice(2, 9, 3), slice(1, 3), [5, 2]), whole.cube[[5, 2]][:, 12:19:3, 5:7])
    assert scene.transform @ (0, 0) == pytest.approx(whole.transform @ (4, 10))
    used, bands, _ = view.open_usable(tile)
    assert bands == [2, 0] and np.array_equal(used.cube, whole.cube[[2, 0], 10:30, 4:12])
    assert np.array_equal(used.wavelengths, whole.wavelengths[[2, 0]])
    assert view.options() == ["--bands", "3,1", "--rows", "11-30", "--columns", "5-12"]


def test_a_part_of_a_file_that_is_read_whole(tmp_path: Path) -> None:
    cube = np.arange(5 * 6 * 7.0).reshape(5, 6, 7)
    np.savez(tmp_path / "s.npz", cube)
    scene = part(open_scene(tmp_path / "s.npz"), rows=slice(1, 4), bands=[6, 0])
    assert np.array_equal(scene.cube, cube.transpose(2, 0, 1)[[6, 0], 1:4])


def test_views_that_cannot_be(tile: Path) -> None:
    for view, message in (
        (SceneView(rows="1-49"), "rows: '1-49' .* between 1 and 48"),
        (SceneView(columns="1-5,7-9"), "columns: '1-5,7-9' is not one range such as 101-356"),
        (SceneView(key="x"), "key 'x' was given"),
        (SceneView(layout="BHW"), "layout 'BHW' was given"),
    ):
        with pytest.raises(ValueError, match=message):
            view.open(tile)


def test_wavelengths_from_a_file(tmp_path: Path) -> None:
    header = write_envi(tmp_path / "s.img", np.zeros((3, 5, 6), np.int16))
    (tmp_path / "waves.txt").write_text("0.45, 0.55\n0.65\n")
    scene = SceneView(wavelengths=str(tmp_path / "waves.txt")).open(header)
    assert np.allclose(scene.wavelengths, (450, 550, 650))
    for text, message in (("1 2", "holds 2 wavelengths, but .* has 3"), ("a b c", "numbers alone"), ("200 2 3", "nm")):
        (tmp_path / "waves.txt").write_text(text)
        with pytest.raises(ValueError, match=message):
            SceneView(wavelengths=str(tmp_path / "waves.txt")).open(header)
    with pytest.raises(FileNotFoundError, match="none.txt: no such file of wavelengths"):
        SceneView(wavelengths=str(tmp_path / "none.txt")).open(header)


def test_a_virtual_raster_joins_tiles(tmp_path: Path) -> None:
    cube = np.arange(2 * 4 * 6, dtype=np.int16).reshape(2, 4, 6)
    for name, columns in (("west", slice(0, 3)), ("east", slice(3, 6))):
        corner = UTM32 @ UTM32.translation(columns.start, 0)
        write_tiff(tmp_path / f"{name}.tif", cube[:, :, columns], transform=corner, crs=rasterio.CRS.from_epsg(32632))
    bands = "".join(
        f'<VRTRasterBand dataType="Int16" band="{band}"><NoDataValue>-1</NoDataValue>'
        + "".join(
            f'<SimpleSource><SourceFilename relativeToVRT="1">{name}.tif</SourceFilename>'
            f'<SourceBand>{band}</SourceBand><SrcRect xOff="0" yOff="0" xSize="3" ySize="4"/>'
            f'<DstRect xOff="{place}" yOff="0" xSize="3" ySize="4"/></SimpleSource>'
            for name, place in (("west", 0), ("east", 3))
        )
        + "</VRTRasterBand>"
        for band in (1, 2)
    )
    numbers = ", ".join(map(str, UTM32.to_gdal()))
    vrt = tmp_path / "joined.vrt"
    vrt.write_text(
        f'<VRTDataset rasterXSize="6" rasterYSize="4"><SRS>EPSG:32632</SRS>'
        f"<GeoTransform>{numbers}</GeoTransform>{bands}</VRTDataset>"
    )
    scene = open_scene(vrt)
    assert (scene.format, scene.shape, scene.no_data) == ("vrt", (2, 4, 6), -1)
    assert np.array_equal(scene.cube, cube) and scene.transform == UTM32
    (tmp_path / "east.tif").unlink()
    with pytest.raises(FileNotFoundError, match="joined.vrt: names .*east.tif as a source, which is no file here"):
        open_scene(vrt)
    vrt.write_text("<VRTDataset")
    with pytest.raises(ValueError, match="joined.vrt: cannot be read"):
        open_scene(vrt)


@pytest.mark.parametrize("write", [write_npy, write_npz, write_v5, write_v73], ids=["npy", "npz", "v5", "v7.3"])
@pytest.mark.parametrize("smooth", [0, 4])
def test_axes_in_another_order_are_suspected(
    write: Callable, smooth: float, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    cube = gaussian_filter(synthetic_scene(60, 50, 40, seed=2).cube, (0, smooth, smooth))
    suffix = ".npz" if write is write_npz else ".npy" if write is write_npy else ".mat"
    for layout, axes in (("HWB", (0, 1, 2)), ("HBW", (2, 1, 0)), ("BHW", (2, 0, 1))):
        path = write(tmp_path / f"{layout}{suffix}", cube.transpose(axes))
        view, said = SceneView(), SceneView(layout=layout)
        if layout == "HWB":
            assert "(height, width, bands)" in view.describe(view.open(path)) and not recwarn.list
            continue
        with pytest.warns(UserWarning, match=f"axis of length 40 looks much more like bands.* --layout {layout} reads"):
            scene = view.open(path)
            view.describe(scene)
        assert "cube" not in scene.__dict__
        recwarn.clear()
        assert said.open(path).shape[0] == 40
        said.describe(said.open(path))
        assert not recwarn.list


def test_axes_of_what_does_not_fit_into_the_memory_are_not_looked_at(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "s.npz", synthetic_scene(60, 50, 40, seed=2).cube.transpose(1, 2, 0))
    view = SceneView()
    scene = view.open(path)
    scene.reader = None
    assert "axes read as" in view.describe(scene, memory=1000)


def test_axes_of_real_scenes(real_scenes: Callable) -> None:
    folder = real_scenes("samson.mat", "muufl_crop.mat", "abu-beach-1.mat")
    for name in ("samson", "muufl_crop", "abu-beach-1"):
        cube = open_scene(folder / f"{name}.mat", key="data").cube
        orders = list(itertools.permutations(range(3)))
        assert [order[band_axis(cube.transpose(order))] for order in orders] == [0] * 6
