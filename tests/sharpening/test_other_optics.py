"""The gain through other optics: noise is amplified by what undoes a blur, and bicubic is what all are held against."""

import pytest

from lkca.data.made_scenes import made_cube
from lkca.data.patches import Area
from lkca.models import build_model
from lkca.sharpening.other_optics import through_optics


def test_gains_are_against_bicubic_of_the_same_image_and_noise_takes_them_away() -> None:
    models = {name: build_model(name, 24, 4) for name in ("bicubic", "back-projection")}
    table = through_optics(models, Area("made", made_cube(2_000_000, 64)), 4, ("bicubic", "bicubic, 30 dB"))
    by_row = table.set_index(["optics", "model"])
    assert by_row.loc[("bicubic", "bicubic"), ["gain", "angle"]].tolist() == [0, 0]
    assert not by_row.loc[("bicubic", "bicubic"), "worse"]
    clear, noisy = (by_row.loc[(optics, "back-projection")] for optics in ("bicubic", "bicubic, 30 dB"))
    assert clear["gain"] > noisy["gain"] and noisy["angle"] > clear["angle"] + 0.1
    assert (table["worse"] == ((table["gain"] < 0) | (table["angle"] > 0))).all()


def test_areas_that_cannot_be_measured_are_refused() -> None:
    with pytest.raises(ValueError, match="too small to be measured"):
        through_optics({}, Area("tiny", made_cube(0, 16)[:, :6, :6]), 4)
