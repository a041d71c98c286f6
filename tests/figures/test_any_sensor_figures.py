"""Figures of the study `any_sensor`: what is drawn where, and that missing methods leave no hole."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from lkca.figures import any_sensor as drawn

METHODS = ("back-projection", "lkca-any, made")


@pytest.fixture(autouse=True)
def closed() -> None:
    yield
    plt.close("all")


def table(**columns: object) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_scenes_are_sorted_by_the_network_and_every_method_has_its_dot() -> None:
    gains = table(
        scene=["one", "one", "two", "two"], sensor=["A", "A", "B", "B"], method=METHODS * 2, MPSNR=[0.5, 1.0, 0.6, -0.2]
    )
    axis = drawn.gain_per_scene(gains, "title").axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["two  (B)", "one  (A)"]
    assert axis.get_yticklabels()[0].get_color() != axis.get_yticklabels()[1].get_color()
    network = next(line for line in axis.lines if line.get_label() == drawn.LABEL["lkca-any, made"])
    assert dict(zip(network.get_ydata(), network.get_xdata(), strict=True)) == {1: 1.0, 0: -0.2}


def test_where_there_are_no_weights_back_projection_stands_alone() -> None:
    gains = table(scene=["one"], sensor=["A"], method=["back-projection"], MPSNR=[0.5])
    assert len(drawn.gain_per_scene(gains, "title").axes[0].get_yticklabels()) == 1


def test_the_curve_over_scenes_ends_with_those_without_end() -> None:
    means = table(
        metric=["MPSNR", "MPSNR", "SAM", "SAM"], made_scenes=[1, np.inf] * 2, mean=[0.2, 0.9, 0, -0.1], half_width=0.1
    )
    lines = table(metric=["MPSNR", "SAM"] * 2, method=np.repeat(METHODS, 2), mean=[0.5, 0.1, 1.0, -0.2])
    for others in (None, {"MPSNR": 0.8, "SAM": -0.1}):
        figure = drawn.against_scenes(means, lines, others, "title")
        axis = figure.axes[0]
        assert [label.get_text() for label in axis.get_xticklabels()] == ["1", "no end"]
        assert ("real scenes of other sensors as well" in axis.get_legend_handles_labels()[1]) is (others is not None)


def test_the_heat_map_says_on_how_many_scenes_it_is_worse() -> None:
    rows = [
        (metric, optics, method) for metric in ("MPSNR", "SAM") for optics in ("bicubic", "fog") for method in METHODS
    ]
    metrics, optics, methods = zip(*rows, strict=True)
    means = table(
        metric=metrics, optics=optics, method=methods, mean=np.arange(8.0) - 4, scenes=5, better=[5, 5, 5, 2] * 2
    )
    axis = drawn.optics_map(means, "title").axes[0]
    assert [text.get_text() for text in axis.texts] == ["-4.00", "-3.00", "-2.00", "-1.00 (3)"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["bicubic", "fog"]


def test_least_gain_is_drawn_by_band_and_by_pixel() -> None:
    figure = drawn.where_it_fails(
        {"one": (None, np.array([0.5, -0.5])), "two": (np.array([400.0, 500.0]), np.ones(2))}, ""
    )
    assert [axis.get_xlabel() for axis in figure.axes] == ["band", "wavelength (nm)"]
    assert "worse in 50% of 2 bands" in figure.axes[0].get_title()
    truth, near, far = np.zeros((2, 8, 8)), np.full((2, 8, 8), 0.1), np.full((2, 8, 8), 0.2)
    figure = drawn.better_and_worse({"one": (truth, far, near)}, "")
    assert (
        figure.axes[0].get_title() == "one: better at 100% of pixels"
        and (figure.axes[0].images[0].get_array() < 0).all()
    )
