"""What looks wrong in a file's numbers is said; a good scene raises no suspicion."""

import numpy as np
import pytest

from lkca.data.suspicions import band_axis, doubtful_axes, suspicions
from lkca.data.synthetic.scenes import synthetic_scene

NONE = np.zeros((40, 48), bool)
UINT16 = np.dtype("uint16")


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray]:
    made = synthetic_scene(40, 48, 32, seed=1)
    return made.cube * 8000, made.wavelengths


def test_a_good_scene_is_not_suspected(scene: tuple[np.ndarray, np.ndarray]) -> None:
    cube, wavelengths = scene
    assert not list(suspicions(cube, NONE, wavelengths, UINT16)) and not list(suspicions(cube, NONE, None, UINT16))
    assert doubtful_axes(cube) == ""


def test_each_fault_is_named(scene: tuple[np.ndarray, np.ndarray]) -> None:
    cube, wavelengths = scene
    shuffled = np.random.default_rng(0).permutation(len(cube))
    damaged, negative, hole = cube.copy(), cube.copy(), NONE.copy()
    damaged[20] = np.random.default_rng(0).normal(1000, 100, damaged[20].shape)
    negative[3, 4, 5], hole[1, 2] = -7, True
    for arguments, word in (
        ((cube[::-1], NONE, wavelengths[::-1], UINT16), "reverse"),
        ((cube[shuffled], NONE, wavelengths[shuffled], UINT16), "another order"),
        ((cube[shuffled], NONE, None, UINT16), "another order"),
        ((damaged, NONE, None, UINT16), "20|21"),
        ((negative, NONE, wavelengths, UINT16), "-7"),
        ((cube / 8000, NONE, wavelengths, np.dtype("f4")), "normalised"),
        ((cube, hole, wavelengths, UINT16), "1 of 1920 pixels"),
    ):
        found = list(suspicions(*arguments))
        assert len(found) == 1 and word in found[0], word


@pytest.mark.parametrize(("layout", "axis"), [("BHW", 1), ("HBW", 2)])
def test_bands_on_another_axis_are_found(scene: tuple, layout: str, axis: int) -> None:
    in_file = scene[0].transpose(["BHW".index(letter) for letter in layout])
    read_as_hwb = in_file.transpose(2, 0, 1)
    assert band_axis(read_as_hwb) == axis
    assert f"axis of length {len(scene[0])} " in doubtful_axes(read_as_hwb) and doubtful_axes(read_as_hwb).endswith(
        layout
    )
