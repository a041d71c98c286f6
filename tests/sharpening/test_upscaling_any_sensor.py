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
        whole = any_sensor(4, directions=4)(torch.from_numpy(cube)[None])[0]
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


def test_symmetries_and_directions_are_options(tmp_path: Path) -> None:
    cube = noise(3, 9, 7)
    np.save(tmp_path / "cube.npy", cube.transpose(1, 2, 0))
    files = [str(tmp_path / name) for name in ("cube.npy", "mean.tif")]
    assert main(["upscale", *files, "--no-quicklook", "--symmetries", "--directions", "2"]) == 0
    numbers = lkca.open_scene(tmp_path / "mean.tif").read(slice(None), slice(None), slice(None))
    with torch.inference_mode():
        whole = any_sensor(4, directions=2, symmetries=True)(torch.from_numpy(cube)[None])[0]
    expected = bounded(whole, torch.from_numpy(cube))[0].numpy()
    assert np.abs(numbers - expected).max() < 1e-4 * np.abs(expected).max()
    with pytest.raises(ValueError, match="only lkca-any has symmetries and directions"):
        upscale(tmp_path / "cube.npy", tmp_path / "out.tif", "bicubic", log=lambda line: None, symmetries=True)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(100, 900, shape).astype(np.float32)


def almost_empty() -> np.ndarray:
    cube = np.full((6, 9, 8), np.nan, np.float32)
    cube[:, 4, 3:5] = noise(6, 2)
    return cube


def with_dead_bands() -> np.ndarray:
    cube = noise(400, 4, 5)
    cube[[0, 7, 399]] = np.nan
    cube[200:220] = 300
    return cube


@pytest.mark.parametrize(
    "cube",
    [noise(1, 9, 8), 7 + 0 * noise(5, 8, 8), noise(40, 2, 3), noise(4, 2, 2), almost_empty(), with_dead_bands()],
    ids=["one band", "constant", "fewer pixels than directions", "2x2", "almost no data", "400 bands, some dead"],
)  # fmt: skip
def test_poor_scenes_are_sharpened_all_the_same(cube: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "cube.npy", cube.transpose(1, 2, 0))
    written = upscale(tmp_path / "cube.npy", tmp_path / "out.tif", log=lambda line: None).open()
    numbers = written.read(slice(None), slice(None), slice(None))
    dead = np.isnan(cube).all(axis=(1, 2))
    missing = np.isnan(cube[~dead]).any(axis=0).repeat(4, 0).repeat(4, 1)
    assert numbers.shape == (len(cube), *missing.shape)
    assert np.isnan(numbers[dead]).all() and np.isnan(numbers[:, missing]).all()
    there = numbers[~dead][:, ~missing]
    assert np.isfinite(there).all()
    # Bounds: nothing leaves the range of a band's own pixels by more than a share of that range.
    lowest, highest = (limit(cube[~dead].reshape(len(there), -1), axis=1) for limit in (np.nanmin, np.nanmax))
    room = 0.5 * (highest - lowest) + 1e-3
    assert (there >= (lowest - room)[:, None]).all() and (there <= (highest + room)[:, None]).all()


def test_weights_of_another_scale_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "cube.npy", noise(9, 8, 3))
    with pytest.raises(ValueError, match=r"x2-made.safetensors enlarges 2 times, but scale 4 is asked for"):
        upscale(tmp_path / "cube.npy", tmp_path / "out.tif", box_weights(2), 4, log=lambda line: None)
    with pytest.raises(ValueError, match="are for scale 2"):
        lkca.sharpen(noise(3, 9, 8), 4, box_weights(2))
    assert not (tmp_path / "out.tif").exists()


def test_what_is_not_in_the_box_is_named() -> None:
    with pytest.raises(ValueError, match="no weights in the box for scale 3"):
        box_weights(3)
    with pytest.raises(ValueError, match="trained on 'mars'"):
        any_sensor(4, "mars")
    with pytest.raises(ValueError, match="directions must be a whole number"):
        any_sensor(4, directions=0)
