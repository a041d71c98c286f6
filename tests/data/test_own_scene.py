"""A scene of one's own: its far quarter tests, pixels without data are left out."""

from pathlib import Path

import numpy as np
import pytest

from lkca.data.loaders import find_dataset, load_dataset
from lkca.data.synthetic import synthetic_scene
from lkca.training.evaluation import low_resolution
from tests.data.scene_files import coded
from tests.scenes.scene_files import write_envi


def save(folder: Path, cube: np.ndarray) -> str:
    """(B, H, W) as .npy in the field's order (H, W, B)."""
    np.save(folder / "mine.npy", cube.transpose(1, 2, 0))
    return str(folder / "mine.npy")


@pytest.mark.parametrize(("height", "width"), [(40, 24), (24, 40), (20, 20), (41, 13)])
def test_own_scene_far_quarter_tests(tmp_path: Path, height: int, width: int) -> None:
    cube = coded(4, height, width).transpose(2, 0, 1)
    split = load_dataset(save(tmp_path, cube))
    axis = 0 if height >= width else 1
    line = 3 * max(height, width) // 4
    rest, far = (cube[:, :line], cube[:, line:]) if axis == 0 else (cube[:, :, :line], cube[:, :, line:])
    assert split.peak == pytest.approx(np.percentile(rest.astype(float), 99.99), rel=1e-6)
    assert split.train[0].cube == pytest.approx(np.clip(rest / split.peak, 0, 1), abs=1e-6)
    assert split.test[0].cube == pytest.approx(np.clip(far / split.peak, 0, 1), abs=1e-6)
    assert split.reading == "far-quarter" and split.train[0].no_data.sum() == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_own_scene_leaves_no_data_out(tmp_path: Path, bad: float) -> None:
    cube = np.random.default_rng(0).random((3, 40, 20)).astype(np.float32)
    cube[1, 5, 5] = cube[2, 33, 2] = cube[:, 37, 19] = bad
    split = load_dataset(save(tmp_path, cube))
    assert np.argwhere(split.train[0].no_data).tolist() == [[5, 5]]
    assert np.array_equal(split.train[0].cube[:, 5, 5], [0, 0, 0])
    # columns 3 to 18 of the ten test rows are the largest rectangle without rows 33 at 2 and 37 at 19
    assert split.test[0].no_data is None
    assert split.test[0].cube == pytest.approx(np.clip(cube[:, 30:40, 3:19] / split.peak, 0, 1), abs=1e-6)
    assert all(np.isfinite(a.cube).all() for a in split.train + split.test)


def test_own_scene_without_any_data(tmp_path: Path) -> None:
    cube = np.ones((3, 40, 20), np.float32)
    cube[0, 20:], cube[1, :20] = np.nan, np.nan
    with pytest.raises(ValueError, match="mine.npy: not one of its 800 pixels has data"):
        load_dataset(save(tmp_path, cube))
    cube = np.random.default_rng(0).random((3, 40, 20)).astype(np.float32)
    cube[0, :30] = np.nan
    with pytest.raises(ValueError, match="mine.npy: no pixel with data is left to train on"):
        load_dataset(save(tmp_path, cube))
    cube = np.random.default_rng(0).random((3, 40, 20)).astype(np.float32)
    cube[0, 30:] = np.nan
    with pytest.raises(ValueError, match="every pixel of the area is no-data"):
        load_dataset(save(tmp_path, cube))


@pytest.mark.parametrize("value", [0, -3])
@pytest.mark.filterwarnings("ignore:mine.npy. one value everywhere")
def test_own_scene_without_light(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="maximum is -?[03].0: nothing to normalise by"):
        load_dataset(save(tmp_path, np.full((3, 40, 20), value, np.float32)))


@pytest.mark.parametrize("cube", [np.ones((20, 20)), np.ones((3, 20, 20), complex)])
def test_own_scene_that_is_none(tmp_path: Path, cube: np.ndarray) -> None:
    np.save(tmp_path / "mine.npy", cube)
    with pytest.raises(ValueError, match="mine.npy"):
        load_dataset(str(tmp_path / "mine.npy"))


def test_own_scene_real(real_scenes) -> None:
    """hysu_full: 86x123 pixels, int16, a no-data value; an odd size, cropped when measured."""
    split = load_dataset(str(real_scenes("hysu_full.hdr", "hysu_full.tif") / "hysu_full.hdr"))
    assert split.train[0].cube.shape == (135, 86, 92) and split.test[0].cube.shape == (135, 86, 31)
    lr, hr = low_resolution(split.test[0], 4)
    assert lr.shape == (135, 21, 7) and hr.shape == (135, 84, 28)


def test_a_path_needs_no_declaration(tmp_path: Path) -> None:
    dataset = find_dataset(str(tmp_path / "my.scene.hdr"))
    assert dataset.patch.keys() == {2, 4, 8} and list(dataset.readings) == ["far-quarter"]


def test_checksum_covers_header_and_data(tmp_path: Path) -> None:
    """Else a result of other data of the same size would be taken for this one's."""
    header = write_envi(tmp_path / "s.img", synthetic_scene(48, 40, 4, seed=1).cube)
    data, text = header.with_suffix(".img").read_bytes(), header.read_text()
    before = load_dataset(str(header)).checksum
    header.with_suffix(".img").write_bytes(data.replace(b"\x3e", b"\x3d"))
    assert load_dataset(str(header)).checksum != before
    header.with_suffix(".img").write_bytes(data)
    assert load_dataset(str(header)).checksum == before
    header.write_text(text + "wavelength = {450, 550, 650, 750}\n")
    assert load_dataset(str(header)).checksum != before
