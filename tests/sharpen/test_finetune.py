"""`sharpen finetune`: it measures, and recommends what it measured to be best."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lkca.data.split import Area
from lkca.data.synthetic.scenes import synthetic_scene
from sharpen import finetune as module
from sharpen.cli import main
from sharpen.compare import choose_best, compare
from sharpen.finetune import check_size, finetune, observe
from sharpen.image.model import load_network
from tests.sharpen.scenes import small_network, write_envi, write_network


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    cube = synthetic_scene(48, 140, 6, seed=3).cube
    return write_envi(tmp_path / "scene.hdr", (1000 * cube).astype(np.int16))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEPS", 2)
    monkeypatch.setattr(module, "BATCH", 2)


@pytest.mark.parametrize(
    ("measured", "best"),
    [
        ([(30, 3), (31, 2.9), (31.2, 2.8), (31.5, 2.7)], "pretrained"),
        ([(30, 3), (31, 2.9), (30.5, 2.9), (30.8, 2.7)], "back-projection"),
        ([(30, 3), (31, 2.9), (30.5, 2.9), (31.5, 3.0)], "back-projection"),
        ([(30, 3), (29, 3.5), (30.4, 2.9), (29.5, 3.2)], "wiener"),
        ([(30, 3), (29, 3.5), (29.9, 2.9), (29.5, 3.2)], "bicubic"),
        ([(30, 3), (30.005, 3), (30, 3), (30, 3)], "bicubic"),
        ([(30, 3), (31, 2.9), (31, 2.9), (31.5, 2.8), (31.4, 2.7)], "pretrained"),
    ],
)
def test_what_is_recommended_was_measured_to_be_best(measured: list[tuple[float, float]], best: str) -> None:
    """MPSNR and SAM of each method; no network worse than back-projection, nothing worse than bicubic."""
    names = ["bicubic", "back-projection", "wiener", "pretrained", "finetuned"][: len(measured)]
    assert choose_best(pd.DataFrame(measured, index=names, columns=["MPSNR", "SAM"])) == best


def test_held_out_pixels_alone_are_measured() -> None:
    cube = synthetic_scene(32, 96, 4, seed=1).cube
    candidates = {"bicubic": "bicubic", "back-projection": "back-projection"}
    area = Area("s", cube, np.zeros(cube.shape[1:], bool))
    table = compare(area, 1, 72, candidates, 2, "bicubic", math.inf)
    assert table.loc["bicubic", "gain"] == 0 and table.loc["back-projection", "gain"] > 0.1
    noisy = cube.copy()
    noisy[:, :, :60] = np.random.default_rng(0).random((4, 32, 60))  # far from what is measured
    other = compare(Area("s", noisy, area.no_data), 1, 72, candidates, 2, "bicubic", math.inf)
    assert np.allclose(other[["MPSNR", "SAM", "worse"]], table[["MPSNR", "SAM", "worse"]], atol=1e-3)


@pytest.mark.parametrize("psf", ["bicubic", "gaussian:0.5"])
def test_targets_are_what_the_network_has_to_add(psf: str) -> None:
    import torch

    cube = synthetic_scene(40, 40, 8, seed=2).cube
    seen = observe(Area("s", cube, np.zeros((40, 40), bool)), small_network(), psf)
    left = seen.error + torch.tensordot(seen.spectra, seen.targets[:, 0], 1)
    assert left.square().mean() < 0.5 * seen.error.square().mean()


def test_training_goes_on_from_given_weights_and_the_command_works(
    scene: Path, tmp_path: Path, short: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = write_network(tmp_path / "w.safetensors")
    monkeypatch.setattr(module, "MIN_GAIN", -100.0)
    done = finetune(scene, 2, "gaussian:0.4", weights=weights, epochs=2)
    assert list(done.table.index) == ["bicubic", "back-projection", "wiener", "pretrained", "finetuned"] and done.gained
    assert load_network(done.folder)[1].trained_on.endswith("scene.hdr") and done.best == choose_best(done.table)
    again = finetune(scene, 2, "gaussian:0.4", weights=weights, epochs=2)  # nothing is trained twice
    assert again.folder == done.folder and np.allclose(again.table, done.table)
    capsys.readouterr()
    words = done.command.replace("OUT.tif", str(tmp_path / "out.tif")).split()
    assert words[0] == "sharpen" and "--psf gaussian:0.4" in done.command
    assert main(words[1:]) == 0 and (tmp_path / "out.tif").is_file()


def test_weights_that_gain_too_little_are_not_kept(scene: Path, tmp_path: Path, short: None) -> None:
    weights = write_network(tmp_path / "w.safetensors")
    done = finetune(scene, 2, "bicubic", math.inf, weights, epochs=1)
    assert not done.gained and "finetuned" not in done.table.index


@pytest.mark.parametrize("size", [(7, 10), (16, 17), (40, 50), (20, 200)])
def test_a_small_scene_is_refused_before_training(size: tuple[int, int], tmp_path: Path) -> None:
    scene = write_envi(tmp_path / "s.hdr", synthetic_scene(48, 208, 6, seed=0).cube[:, : size[0], : size[1]])
    with pytest.raises(ValueError, match=f"{size[0]} x {size[1]} pixels are too few"):
        finetune(scene, 4, "bicubic")
    assert not list((tmp_path / "runs").glob("*"))
    check_size(Area("s", np.zeros((2, 86, 123)), None), 4)


def test_only_the_eigenimage_network_is_trained_further(scene: Path) -> None:
    with pytest.raises(ValueError, match="wiener"):
        finetune(scene, weights="wiener")
