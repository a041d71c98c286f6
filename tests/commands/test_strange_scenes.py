"""Scenes that the project has never seen, through the commands as they are."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from lkca.__main__ import main
from lkca.data.synthetic import synthetic_scene
from lkca.scenes import open_scene
from lkca.scenes.bands import usable_bands
from tests.scenes.enmap_tile import write_tile

TINY = ["--model", "lkca-lr", "--epochs", "1", "--stride", "8", "--options", "blocks=1", "channels=16"]


@pytest.mark.filterwarnings("ignore")
def test_a_satellite_tile_is_trained_on_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tile = write_tile(tmp_path / "tile.img", 60, 40)
    view = ["--bands", "55-70,201-204", "--rows", "9-60"]
    assert main(["train-on", str(tile), "--scale", "2", "--blur", "mean", *view, *TINY]) == 0
    printed = capsys.readouterr().out
    assert "224 bands of 52 x 40 pixels, int16" in printed
    assert "| mean" in printed and "| bicubic" in printed and "bands that got worse" in printed
    command = printed.split("python -m lkca ")[1].split("\n")[0].replace("OUT.tif", str(tmp_path / "out.tif")).split()
    assert command[-4:] == view
    assert main(command) == 0
    after = open_scene(tmp_path / "out.tif")
    assert after.shape == (224, 104, 80)
    assert usable_bands(after)[0] == [*range(54, 60), *range(61, 70), *range(200, 204)]
    picture = matplotlib.image.imread(tmp_path / "out-quicklook.png")
    assert picture.shape[:2] == (104, 80) and np.ptp(picture[..., :3]) > 0.3


@pytest.mark.filterwarnings("ignore")
def test_a_scene_of_40_pixels_gets_a_patch_that_fits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "s.npy", synthetic_scene(40, 40, 4, seed=1).cube.transpose(1, 2, 0))
    assert main(["train-on", str(tmp_path / "s.npy"), *TINY]) == 0
    printed = capsys.readouterr().out
    assert "too small a scene for patches of the usual size: --patch 20" in printed
    assert "axes read as (height, width, bands)" in printed
    assert main(["train-on", str(tmp_path / "s.npy"), *TINY, "--patch", "36"]) == 1
    assert "choose a smaller patch (--patch, now 36)" in capsys.readouterr().err


def test_colours_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "s.npy", np.ones((9, 8, 3), np.float32))
    basic = ["upscale", str(tmp_path / "s.npy"), str(tmp_path / "o.tif"), "--weights", "bicubic", "--scale", "2"]
    assert main([*basic, "--rgb", "1,2"]) == 1
    assert "--rgb names three bands" in capsys.readouterr().err
    assert main([*basic, "--overwrite", "--no-quicklook"]) == 0
    assert not (tmp_path / "o-quicklook.png").exists()


def test_the_right_cube_of_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "s.npz", one=np.zeros((4, 5, 6)), two=np.ones((7, 8, 9)))
    basic = ["upscale", str(tmp_path / "s.npz"), str(tmp_path / "o.tif"), "--weights", "bicubic", "--scale", "2"]
    assert main(basic) == 1 and "--key" in capsys.readouterr().err
    assert main([*basic, "--key", "two", "--layout", "BHW"]) == 0
    assert open_scene(tmp_path / "o.tif").shape == (7, 16, 18)
    assert "axes read as (bands, height, width)" in capsys.readouterr().out


def test_a_folder_for_runs_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LKCA_RUNS", str(tmp_path / "file"))
    assert main(["train", "synthetic", "--reading", "tiny", "--model", "bicubic"]) == 1
    assert "set LKCA_RUNS to a folder of yours" in capsys.readouterr().err


def test_a_warning_is_said_once_and_the_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.startswith("lkca ")
