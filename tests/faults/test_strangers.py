"""Files of strangers, of the kinds that were once read wrongly in silence; others than those of tests/sharpen/scene."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import tifffile
from rasterio.enums import ColorInterp
from rasterio.shutil import copy as gdal_copy

from lkca.data.reading.read import open_scene_file
from sharpen.scene.io import open_scene, read_block, write_scene
from tests.data.scene_files import braces, write_envi, write_tiff
from tests.sharpen.scene.files import NM, converted, rpcs, write_masked

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
CUBE = np.random.default_rng(1).integers(300, 8000, (5, 14, 11)).astype(np.uint16)
HOLE = np.zeros((14, 11), bool)
HOLE[3:6, 2:9] = True


def band_of_vrt(kind: str, name: str, band: int) -> str:
    source = f'<SourceFilename relativeToVRT="1">{name}</SourceFilename><SourceBand>{band}</SourceBand>'
    return f'<VRTRasterBand dataType="{kind}" band="{band}"><SimpleSource>{source}</SimpleSource></VRTRasterBand>'


def mask_of_vrt(path: Path) -> Path:
    write_tiff(path.with_name("s.tif"), np.where(HOLE, 0, CUBE))
    write_tiff(path.with_name("m.tif"), np.where(HOLE, 0, 255)[None].astype(np.uint8))
    bands = "".join(band_of_vrt("UInt16", "s.tif", band) for band in range(1, 6))
    mask = f"<MaskBand>{band_of_vrt('Byte', 'm.tif', 1)}</MaskBand>"
    path.with_suffix(".vrt").write_text(f'<VRTDataset rasterXSize="11" rasterYSize="14">{bands}{mask}</VRTDataset>')
    return path.with_suffix(".vrt")


def mask_of_cog(path: Path) -> Path:
    gdal_copy(write_masked(path.with_name("s.tif"), np.where(HOLE, 0, CUBE), HOLE, True), path, driver="COG")
    return path


def alpha_first(path: Path) -> Path:
    alpha = np.where(HOLE, 0, 65535)[None].astype(np.uint16)
    write_tiff(path, np.concatenate([alpha, np.where(HOLE, 0, CUBE)]), photometric="MINISBLACK")
    with rasterio.open(path, "r+") as raster:
        raster.colorinterp = [ColorInterp.alpha] + [ColorInterp.gray] * 5
    return path


@pytest.mark.parametrize("write", [mask_of_vrt, mask_of_cog, alpha_first])
def test_masks(write: Callable[[Path], Path], tmp_path: Path) -> None:
    values, missing = read_block(open_scene(write(tmp_path / "a.tif")))
    np.testing.assert_array_equal(values, np.where(HOLE, 0, CUBE))
    np.testing.assert_array_equal(missing, HOLE)


@pytest.mark.parametrize("options", [{"compression": "zlib", "tile": (16, 16)}, {"byteorder": ">"}, {"bigtiff": True}])
def test_pages(options: dict, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", CUBE.astype(np.float32), photometric="minisblack", **options)
    np.testing.assert_array_equal(open_scene(tmp_path / "a.tif"), CUBE)


def test_rpcs_in_a_text_file_beside(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", CUBE)
    lines = []
    for name, value in rpcs(14, 11).to_dict().items():
        plain = {"lat_off": "LAT_OFF", "long_off": "LONG_OFF"}.get(name, name.upper())
        if isinstance(value, list):
            lines += [f"{plain}_{number}: {each}" for number, each in enumerate(value, 1)]
        elif value is not None:
            lines.append(f"{plain}: {value}")
    path.with_name("a_RPC.TXT").write_text("\n".join(lines))
    write_scene(tmp_path / "out.tif", open_scene(path).values.repeat(2, 1).repeat(2, 2), open_scene(path), 2)
    with rasterio.open(tmp_path / "out.tif") as raster:
        assert (raster.rpcs.line_off, raster.rpcs.samp_scale) == (14.5, 11)  # counted from the middle of a pixel


@pytest.mark.parametrize("space", [None, "ENVI"])
def test_lists_of_wavelengths_in_a_geotiff(space: str | None, tmp_path: Path) -> None:
    tags = {"wavelength": braces(NM), "wavelength_units": "Nanometers", "bbl": "{1, 1, 0, 1, 1}"}
    path = write_tiff(tmp_path / "a.tif", CUBE, lambda raster: raster.update_tags(ns=space, **tags))
    found = open_scene_file(path)
    assert found.wavelengths.tolist() == open_scene(path).wavelength.values.tolist() == NM
    assert found.metadata["bbl"] == tags["bbl"]


@pytest.mark.parametrize("read", [open_scene_file, open_scene])
def test_a_classification_that_does_not_say_so(read: Callable, tmp_path: Path) -> None:
    write_envi(tmp_path / "a.img", CUBE[:1], **{"class names": "{roof, grass}"})
    with pytest.raises(ValueError, match="a.hdr.*classes"):
        read(tmp_path / "a.img")


def test_a_header_of_another_file_of_that_name(tmp_path: Path) -> None:
    """scene.hdr belongs to scene.img; scene.jp2 says itself what it holds."""
    write_envi(tmp_path / "a.img", CUBE[:2, :9])
    path = converted(tmp_path / "a.jp2", CUBE, "JP2OpenJPEG", REVERSIBLE="YES", QUALITY="100")
    np.testing.assert_array_equal(open_scene(path), CUBE)
    np.testing.assert_array_equal(open_scene(tmp_path / "a.hdr"), CUBE[:2, :9])


@pytest.mark.parametrize("read", [open_scene_file, open_scene])
def test_what_is_not_in_the_file_or_not_read_of_it(read: Callable, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file.create_dataset("cube", CUBE.shape, "u2", chunks=(1, 7, 11))[:4] = CUBE[:4]
    with pytest.warns(UserWarning, match=r"a.mat: 2 of 10 chunks"):
        read(tmp_path / "a.mat")
    np.save(tmp_path / "a.npy", CUBE)
    with (tmp_path / "a.npy").open("ab") as stream:
        stream.write(b"more")
    with pytest.warns(UserWarning, match=r"a.npy: 4 bytes more"):
        read(tmp_path / "a.npy")
