"""A tile as a satellite's processor writes it goes through `upscale` as it is."""

from pathlib import Path

import numpy as np
import pytest

from lkca.__main__ import main
from lkca.scenes import open_scene
from lkca.scenes.bands import usable_bands
from lkca.sharpening.upscale import upscale
from tests.scenes.enmap_tile import BANDS, FLAGGED, NO_DATA, NOISY, SILENT, write_tile
from tests.sharpening.small_scene import write_weights

LEFT_OUT = sorted({*FLAGGED, *SILENT, *NOISY})


@pytest.fixture
def tile(tmp_path: Path) -> Path:
    return write_tile(tmp_path / "tile.img", 20, 16)


@pytest.mark.parametrize("name", ["out.tif", "out.hdr"])
def test_all_bands_come_back_the_bad_ones_as_no_data(
    tile: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / name
    assert main(["upscale", str(tile), str(target), "--weights", "bicubic", "--scale", "2"]) == 0
    printed = capsys.readouterr().out
    assert "224 bands of 20 x 16 pixels, int16" in printed
    assert "216 of 224 bands are used; left out: 130-135, 201 (marked as bad, bbl); 61 (no data anywhere)" in printed
    before, after = open_scene(tile), open_scene(target)
    assert after.shape == (BANDS, 40, 32) and after.no_data == NO_DATA
    assert after.scale_factor == pytest.approx(10_000)
    assert (after.cube[LEFT_OUT] == NO_DATA).all()
    good, _ = usable_bands(after)
    assert good == usable_bands(before)[0]
    corner = (before.cube[good] == NO_DATA).all(axis=0).repeat(2, 0).repeat(2, 1)
    assert np.array_equal((after.cube[good] == NO_DATA).any(axis=0), corner) and 0 < corner.sum() < 200
    assert after.transform @ (0, 0) == before.transform @ (0, 0)
    assert np.allclose(after.wavelengths, before.wavelengths)


def test_the_network_in_the_box_takes_it_as_it_is(
    tile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["upscale", str(tile), str(tmp_path / "out.tif"), "--precision", "bfloat16"]) == 0
    printed = capsys.readouterr().out
    assert "216 of 224 bands are used" in printed
    assert "lkca-any always computes in float32: --precision bfloat16 changes nothing" in printed
    options = ["--weights", "back-projection", "--scale", "4"]
    assert main(["upscale", str(tile), str(tmp_path / "plain.tif"), *options]) == 0
    before, after, plain = open_scene(tile), open_scene(tmp_path / "out.tif"), open_scene(tmp_path / "plain.tif")
    assert after.shape == (BANDS, 80, 64) and after.scale_factor == pytest.approx(10_000)
    assert after.transform.a == pytest.approx(before.transform.a / 4) and after.crs == before.crs
    assert (after.cube[LEFT_OUT] == NO_DATA).all()
    good = [band for band in range(BANDS) if band not in LEFT_OUT]
    holes = (before.cube[good] == NO_DATA).all(axis=0).repeat(4, 0).repeat(4, 1)
    assert np.array_equal((after.cube[good] == NO_DATA).any(axis=0), holes)
    change = np.abs(after.cube[good].astype(float) - plain.cube[good])[:, ~holes]
    assert 1 < change.mean() < 500  # of 8000: it is the network's, and not too much


def test_another_tile_with_other_dead_bands_names_the_option(tile: Path, tmp_path: Path) -> None:
    waves = open_scene(tile).wavelengths
    good = [band for band in range(BANDS) if band not in LEFT_OUT]
    fewer, more = good[:-1], sorted([*good, SILENT[0]])
    for bands, what in (
        (fewer, r"--bands 1-60,62-129,136-200,202-223$"),
        (more, r"needs the bands 61 as well.*--bands"),
    ):
        weights = write_weights(tmp_path / "w.safetensors", len(bands), wavelengths=list(waves[bands]))
        with pytest.raises(ValueError, match=f"has 216 usable bands, but .* was trained on {len(bands)} .*{what}"):
            upscale(tile, tmp_path / "out.tif", weights, log=str)
    weights = write_weights(tmp_path / "w.safetensors", 9, wavelengths=None)
    with pytest.raises(ValueError, match="was trained on 9 .*give the bands that it was trained on with --bands"):
        upscale(tile, tmp_path / "out.tif", weights, log=str)


def test_a_part_of_it(tile: Path, tmp_path: Path) -> None:
    options = ["--bands", "1-3,130", "--rows", "9-20", "--columns", "5-14", "--weights", "bicubic", "--scale", "2"]
    assert main(["upscale", str(tile), str(tmp_path / "out.hdr"), *options]) == 0
    before, after = open_scene(tile), open_scene(tmp_path / "out.hdr")
    assert after.shape == (BANDS, 24, 20) and usable_bands(after)[0] == [0, 1, 2]
    assert after.transform @ (0, 0) == pytest.approx(before.transform @ (4, 8))
    assert (after.cube[:3] != NO_DATA).all() and (after.cube[3:] == NO_DATA).all()


def test_whole_numbers_without_a_no_data_value_get_one(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3))
    options = ["--bands", "1,3", "--weights", "bicubic", "--scale", "2"]
    assert main(["upscale", str(tmp_path / "s.npz"), str(tmp_path / "out.tif"), *options]) == 0
    after = open_scene(tmp_path / "out.tif")
    assert after.no_data == 255 and (after.cube[1] == 255).all() and (after.cube[[0, 2]] < 255).all()
    assert usable_bands(after)[0] == [0, 2]
