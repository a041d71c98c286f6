"""Growth: what is measured where, in a process of its own, and how steep a line ends."""

import pandas as pd
import pytest
import torch

from lkca.figures import growth as growth_plots
from lkca.studies import growth
from lkca.studies.growth import LR, STEP, Point


def test_one_thing_grows_at_a_time() -> None:
    for (_, grows), points in pd.DataFrame(growth.points()).groupby(["what", "grows"]):
        others = {"pixels": "side", "bands": "bands", "scale": "scale"}
        assert points[others.pop(grows)].is_monotonic_increasing and len(points) >= 3
        assert (points[list(others.values())].nunique() == 1).all()
    sides = [point.size for point in growth.points() if point.grows == "pixels" and point.what == LR]
    assert sides[-1] == 64 * sides[0]


@pytest.mark.parametrize("what", [LR, growth.ANY, STEP])
def test_the_work_can_be_done_again_and_again(what: str, tmp_path) -> None:  # noqa: ANN001
    point = Point(what, "pixels", 16, 6, 4)
    work = growth.training_step(point) if what == STEP else growth.upscaling(point, tmp_path)
    for _ in range(2):
        work()
    assert what == STEP or {path.name for path in tmp_path.glob("sharp.*")} == {"sharp.img", "sharp.hdr"}


def test_a_point_is_measured_in_a_process_of_its_own() -> None:
    """What this process holds does not count; the image's own size does."""
    held = torch.zeros(60_000_000)  # 240 MB
    frame = growth.measure_growth(iter([Point(STEP, "pixels", 8, 6, 4)]), log=lambda line: None)
    assert held.sum() == 0 and 0 < frame["seconds"].item() < 60
    assert frame["size"].item() == 64 and 1 < frame["peak_mb"].item() < 240


def made() -> pd.DataFrame:
    rows = [
        {"what": what, "grows": grows, "size": size, "seconds": 0.1 * size, "peak_mb": 10 * size**2}
        for what in growth_plots.MODELS
        for grows in growth_plots.AXES
        for size in (4, 2, 1)
    ]
    return pd.DataFrame(rows)


def test_slopes_are_of_the_large_end() -> None:
    frame = made()
    frame.loc[frame["size"] == 1, "seconds"] = 100.0  # what is constant at the small end says nothing
    slopes = growth.slopes(frame)
    assert len(slopes) == 9 and set(slopes["from"]) == {2} and set(slopes["to"]) == {4}
    assert slopes["seconds"].to_numpy() == pytest.approx(1) and slopes["peak_mb"].to_numpy() == pytest.approx(2)


def test_the_figure_draws_every_point_beside_slope_1() -> None:
    figure = growth_plots.growth(made(), "title")
    assert len(figure.axes) == 6 and all(axis.get_xscale() == axis.get_yscale() == "log" for axis in figure.axes)
    lines = {line.get_label(): line.get_xydata() for line in figure.axes[3].lines}
    assert lines["upscale, LKCA-LR"].tolist() == [[1, 10], [2, 40], [4, 160]]
    (x0, y0), (x1, y1) = lines["slope 1"]
    assert y1 / y0 == pytest.approx(x1 / x0)
    assert set(growth_plots.MODELS) == {point.what for point in growth.points()}
