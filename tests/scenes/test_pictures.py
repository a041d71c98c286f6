"""A scene as a picture."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from lkca.data.synthetic import synthetic_scene
from lkca.scenes import open_scene
from lkca.scenes.picture import NO_DATA, picture
from tests.scenes.scene_files import write_envi


@pytest.fixture
def cube() -> np.ndarray:
    cube = (1000 * synthetic_scene(40, 60, 12, seed=2).cube).astype(np.int16)
    cube[:, :5, :7] = -1
    cube[4] = -1  # a dead band
    return cube


def test_by_wavelengths_by_choice_and_by_components(tmp_path: Path, cube: np.ndarray) -> None:
    waves = "{" + ", ".join(map(str, np.linspace(430, 900, 12))) + "}"
    known = open_scene(write_envi(tmp_path / "k.img", cube, wavelength=waves, **{"data ignore value": -1}))
    silent = open_scene(write_envi(tmp_path / "s.img", cube, **{"data ignore value": -1}))
    pictures = [picture(known), picture(silent, (9, 5, 1)), picture(silent)]
    for shown in pictures:
        assert shown.shape == (40, 60, 3) and shown.min() >= 0 and shown.max() <= 1
        assert (shown[:5, :7] == NO_DATA).all() and np.ptp(shown[5:, 7:]) > 0.5
    assert not np.array_equal(pictures[1], pictures[2])
    assert np.array_equal(pictures[0], picture(silent, known.rgb_bands()))
    tint = np.ptp(pictures[2], axis=2)
    assert 0 < tint.mean() < 0.3  # a picture, not a carnival


def test_a_large_scene_is_thinned_and_a_strange_one_shown(tmp_path: Path) -> None:
    scene = open_scene(write_envi(tmp_path / "s.img", np.zeros((2, 50, 30), np.int16)))
    assert picture(scene, most=20).shape == (17, 10, 3)
    nothing = open_scene(write_envi(tmp_path / "n.img", np.full((5, 6, 7), np.nan, np.float32)))
    assert (picture(nothing) == NO_DATA).all()


def test_plot(tmp_path: Path, cube: np.ndarray) -> None:
    axes = open_scene(write_envi(tmp_path / "s.img", cube)).plot()
    assert axes.images[0].get_array().shape == (40, 60, 3) and "12 bands" in axes.get_title()
    plt.close(axes.figure)
