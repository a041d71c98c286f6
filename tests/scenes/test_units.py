"""Gains and offsets: read from ENVI and GeoTIFF, applied alike, written back."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import rasterio

from lkca.measures.resize import resize
from lkca.scenes import open_scene
from lkca.scenes.cube import read_cube
from lkca.scenes.writing import SceneWriter, enlarged
from lkca.sharpening.scene_rows import SceneRows, SourceFiles
from lkca.sharpening.upscale import upscale
from tests.scenes.scene_files import write_envi

CUBE = np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5)
GAINS, OFFSETS = np.array([0.5, 0.25, 2.0]), np.array([0.0, -1.0, 10.0])


def _list(values) -> str:
    return "{" + ", ".join(map(str, values)) + "}"


def test_one_gain_for_all_is_a_scale_factor(tmp_path: Path) -> None:
    scene = open_scene(write_envi(tmp_path / "s.img", CUBE, **{"data gain values": _list([1e-4] * 3)}))
    assert scene.scale_factor == pytest.approx(10_000) and scene.gains is None


def test_gains_of_one_say_nothing(tmp_path: Path) -> None:
    fields = {"data gain values": _list([1, 1, 1]), "reflectance scale factor": 10_000}
    assert open_scene(write_envi(tmp_path / "s.img", CUBE, **fields)).scale_factor == 10_000


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data gain values": "{0.1, 0.1}"}, "data gain values is not a number for each of 3 bands"),
        ({"data gain values": "{0.1, x, 0.1}"}, "data gain values is not a number for each of 3 bands"),
        ({"data gain values": "{0.1, 0, 0.1}"}, "gains or offsets hold 0"),
        ({"data gain values": "{1e-3, 1e-3, 1e-3}", "reflectance scale factor": 10_000}, "disagree"),
    ],
)
def test_gains_that_cannot_be(tmp_path: Path, fields: dict, message: str) -> None:
    with pytest.warns(UserWarning, match=message):
        scene = open_scene(write_envi(tmp_path / "s.img", CUBE, **fields))
    assert scene.scale_factor == (pytest.approx(1000) if "disagree" in message else 1) and scene.gains is None


def test_gains_and_offsets_go_round_both_formats(tmp_path: Path) -> None:
    fields = {"data gain values": _list(GAINS), "data offset values": _list(OFFSETS)}
    source = open_scene(write_envi(tmp_path / "s.img", CUBE, **fields))
    wanted = CUBE * GAINS[:, None, None] + OFFSETS[:, None, None]
    for name in ("s.hdr", "a.tif", "b.hdr", "c.tif"):  # ENVI -> TIFF -> ENVI -> TIFF
        scene = open_scene(tmp_path / name)
        assert scene.scale_factor == 1 and np.allclose(scene.gains, GAINS) and np.allclose(scene.offsets, OFFSETS)
        assert np.allclose(read_cube(scene)[0], wanted)
        following = {"s.hdr": "a.tif", "a.tif": "b.hdr", "b.hdr": "c.tif"}.get(name)
        if following:
            with SceneWriter(tmp_path / following, scene.shape, scene.dtype, **enlarged(scene, 1)) as writer:
                writer.write(0, scene.cube)
    assert source.metadata["data gain values"]
    with rasterio.open(tmp_path / "c.tif") as raster:
        assert raster.scales == tuple(GAINS) and raster.offsets == tuple(OFFSETS)


def test_one_gain_is_written_as_it_was_said(tmp_path: Path) -> None:
    scene = open_scene(write_envi(tmp_path / "s.img", CUBE, **{"data gain values": _list([1e-4] * 3)}))
    for name in ("out.hdr", "out2.tif"):
        with SceneWriter(tmp_path / name, scene.shape, scene.dtype, **enlarged(scene, 1)) as writer:
            writer.write(0, scene.cube)
        assert open_scene(tmp_path / name).scale_factor == pytest.approx(10_000)
    with rasterio.open(tmp_path / "out.img") as raster:
        assert raster.scales == pytest.approx((1e-4,) * 3)  # GDAL sees it, too


def test_wavelengths_are_shown_by_plain_gdalinfo(tmp_path: Path) -> None:
    waves = np.array([450.0, 550.5, 650.0])
    with SceneWriter(tmp_path / "s.tif", CUBE.shape, CUBE.dtype, wavelengths=waves, fwhm=waves / 100) as writer:
        writer.write(0, CUBE)
    with rasterio.open(tmp_path / "s.tif") as raster:
        assert raster.tags(2)["wavelength"] == "550.5" and raster.tags(2)["wavelength_units"] == "Nanometers"
    scene = open_scene(tmp_path / "s.tif")
    assert np.allclose(scene.wavelengths, waves) and np.allclose(scene.fwhm, waves / 100)


def test_upscale_computes_with_gains_and_writes_the_files_own_numbers(tmp_path: Path) -> None:
    fields = {"data gain values": _list(GAINS), "data offset values": _list(OFFSETS)}
    header = write_envi(tmp_path / "s.img", CUBE, **fields)
    scene = open_scene(header)
    with closing(SceneRows(scene, SourceFiles(scene), 1.0, 2e9, tmp_path)) as lr:
        assert np.allclose(lr.rows(0, 4), CUBE * GAINS[:, None, None] + OFFSETS[:, None, None])
    done = upscale(header, tmp_path / "out.hdr", "bicubic", 2, log=str).open()
    assert np.abs(done.cube - resize(CUBE.astype(np.float32), 2)).max() <= 0.5 + 1e-3
    assert np.allclose(done.gains, GAINS) and np.allclose(done.offsets, OFFSETS)
