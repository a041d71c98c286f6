"""`upscale` without weights of one's own: the network in the box sharpens whatever scene it is given."""

from pathlib import Path

import numpy as np
import pytest
import torch

import lkca
from lkca.__main__ import main
from lkca.box import box_weights
from lkca.data.example_scene import write_made_scene
from lkca.data.made_scenes import made_cube
from lkca.sharpening.any_sensor import any_sensor
from lkca.sharpening.bounds import bounded
from lkca.sharpening.upscale import upscale


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_made_scene(tmp_path / "scene.hdr")


def test_a_scene_is_sharpened_without_training(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["upscale", str(scene), str(tmp_path / "sharp.tif")]) == 0
    assert main(["upscale", str(scene), str(tmp_path / "plain.tif"), "--weights", "back-projection"]) == 0
    assert "values clipped" in capsys.readouterr().out
    sharp, plain = (lkca.open_scene(tmp_path / f"{name}.tif") for name in ("sharp", "plain"))
    assert sharp.shape == plain.shape == (24, 384, 512)
    assert np.allclose(sharp.wavelengths, lkca.open_scene(scene).wavelengths)
    numbers = [each.read(slice(None), slice(None), slice(None)).astype(float) for each in (sharp, plain)]
    assert ((numbers[0] == -1) == (numbers[1] == -1)).all()  # no data stays where it is
    change = np.abs(numbers[0] - numbers[1])[numbers[1] != -1]
    assert 2 < change.mean() < 500  # of 10,000: the network does something, and not too much


def test_in_a_file_as_in_memory(tmp_path: Path) -> None:
    cube = (1000 * made_cube(11, 32, 9)).astype(np.float32)
    np.save(tmp_path / "cube.npy", cube.transpose(1, 2, 0))
    written = upscale(tmp_path / "cube.npy", tmp_path / "out.tif", log=lambda line: None).open()
    numbers = written.read(slice(None), slice(None), slice(None))
    with torch.inference_mode():
        whole = any_sensor(4)(torch.from_numpy(cube)[None])[0]
    expected = bounded(whole, torch.from_numpy(cube))[0].numpy()
    assert np.abs(numbers - expected).max() < 1e-4 * np.abs(expected).max()


def test_it_gains_over_back_projection_on_scenes_that_never_trained() -> None:
    gains = []
    for seed in (2_000_000, 2_000_003):
        hr = torch.from_numpy(made_cube(seed, 96))
        lr = lkca.resize(hr, 1 / 4)
        base = lkca.back_project(lkca.resize(lr, 4), lr)
        with torch.inference_mode():
            errors = [(image - hr).square().mean(dim=(1, 2)) for image in (base, any_sensor(4)(lr[None])[0])]
        gains.append(float((10 * (errors[0] / errors[1]).log10()).mean()))
    assert min(gains) > 0.1


def test_what_is_not_in_the_box_is_named() -> None:
    with pytest.raises(ValueError, match="no weights in the box for scale 3"):
        box_weights(3)
    with pytest.raises(ValueError, match="trained on 'mars'"):
        any_sensor(4, "mars")
    with pytest.raises(ValueError, match="directions must be a whole number"):
        any_sensor(4, directions=0)
