"""Figures show the numbers that they are given; diagrams those of the live network."""

from collections.abc import Iterator

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from lkca import build_model, cost
from lkca.figures import diagrams, evidence
from lkca.figures import studies as study_plots
from lkca.measures.metrics import METRICS
from lkca.paper.tables import paper_table
from lkca.studies import upsampler_svd as svd
from lkca.studies.distillation import PLAIN, QUESTIONS, TEACHER, mean_differences, paired_differences, paper_rows
from lkca.studies.scenes import over_places

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def test_look_at_sees_shapes_and_costs() -> None:
    model = build_model("lkca-lr", 12, 4, blocks=2, channels=32)
    before = torch.random.get_rng_state()
    seen = diagrams.look_at(model, 12, size=8)
    assert seen["head"].takes == (12, 8, 8) and seen["head"].gives == (32, 8, 8)
    assert seen["upsampler.0"].gives == (12 * 16, 8, 8)
    assert seen[""].gives == (12, 32, 32)
    whole = cost(model, 12, 8)
    assert (seen[""].params, seen[""].macs) == (whole.params, whole.macs)
    assert seen["head"].macs == 12 * 32 * 9 * 64
    assert torch.equal(before, torch.random.get_rng_state())
    assert not any(module._forward_hooks for module in model.modules())


def test_diagrams_follow_the_network() -> None:
    text = words(diagrams.network(build_model("lkca", 128, 4), 128, "paper"))
    for part in ("block 16", "3x3 128 → 2048", "2.36 M params", "in all 3.71 M params, 867 M MACs"):
        assert part in text
    other = build_model("lkca", 10, 2, blocks=3, channels=16)
    text = words(diagrams.network(other, 10, "other"))
    assert "block 3" in text and "3x3 16 → 40" in text and "bicubic x2" in text
    other.body[0].attention.distant.dilation = (2, 2)
    other.body[0].attention.distant.padding = (6, 6)
    text = words(diagrams.block(other, 10, "block"))
    assert "7x7, dilation 2\ndepthwise" in text and "48 → 3 → 48" in text


def test_a_box_that_does_not_fit_is_refused() -> None:
    model = build_model("lkca", 10, 2, blocks=1, channels=16)
    seen = diagrams.look_at(model, 10)
    _, axis = plt.subplots()
    flow = diagrams._Flow(axis, "LR", (10, 16, 16))
    with pytest.raises(ValueError, match="takes \\(16, 16, 16\\), but \\(10, 16, 16\\)"):
        flow.box("block", seen["body.0"], "block")


def test_matrices_and_distillation_are_drawn_from_the_networks() -> None:
    full, grouped = (build_model(name, 8, 4, blocks=1, channels=32) for name in ("lkca", "lkca-lr"))
    figure = diagrams.upsamplers(full, grouped, 8, "matrices")
    shares = [np.asarray(axis.images[0].get_array()).mean() for axis in figure.axes]
    assert shares == [1, 1 / 8]
    text = words(diagrams.distillation(build_model("lkca", 8, 4, blocks=5, channels=32), grouped, 8, "KD"))
    assert "5 blocks" in text and "1 blocks" in text and "8 groups" in text


def kd_frame(seeds: int) -> pd.DataFrame:
    values = {TEACHER: 41.0, PLAIN: 40.0, "decay 1": 40.1, "decay 0.66": 40.3}
    rows = [
        {"setting": setting, "seed": seed, **dict.fromkeys(METRICS, value + 0.01 * seed * (setting != PLAIN))}
        for setting, value in values.items()
        for seed in range(1 if setting == TEACHER else seeds)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("seeds", [1, 3])
def test_distillation_gain_shows_the_differences(seeds: int) -> None:
    frame = kd_frame(seeds)
    means = mean_differences(paired_differences(frame))
    figure = study_plots.distillation_gain(frame, means, paper_rows(QUESTIONS[0]), 45.678, "title")
    assert "45.678 dB" in figure.legends[0].get_texts()[-1].get_text()
    assert figure.axes[0].get_xlim()[1] < 45  # far off, it squeezes nothing
    figure.draw_without_rendering()
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    points = figure.axes[1].containers[0].lines[0].get_xydata()
    shown = {labels[int(y)]: x for x, y in points}
    assert shown == pytest.approx({"decay 1": 0.1 + 0.005 * (seeds - 1), "decay 0.66": 0.3 + 0.005 * (seeds - 1)})
    paper = figure.axes[3].lines[0].get_xydata()
    assert {labels[int(y)]: round(x, 4) for x, y in paper} == {"decay 1": 0.0029, "decay 0.66": 0.066}


@pytest.mark.parametrize("papers_setting", [True, False])
def test_the_papers_curve_shares_panels_only_in_its_setting(papers_setting: bool) -> None:
    paper = paper_table("table1_blocks")
    ours = paper.assign(MPSNR=paper.MPSNR - 1)
    lines = {"bicubic": 38.0, "back-projection": 38.3}
    frame = pd.DataFrame({"model": [*lines, "lkca"], "MPSNR": [*lines.values(), 39.0], "SAM": 2.0})
    figure = study_plots.against_blocks(ours, frame, paper, papers_setting, "title")
    assert len(figure.axes) == (3 if papers_setting else 6)
    curves = [container.lines[0].get_ydata() for container in figure.axes[0].containers]
    assert len(curves) == (2 if papers_setting else 1)
    assert np.allclose(curves[0], ours.MPSNR)
    across = {line.get_label(): line.get_ydata()[0] for line in figure.axes[0].lines if line.get_linestyle() == "--"}
    assert across == {"bicubic": 38.0, "bicubic + back-projection": 38.3}


def test_spectra_mark_the_rank_and_the_blocks() -> None:
    ordered = {"trained": [4.0, 3, 2, 1], "untrained": [1.0] * 4, "random": [1.0] * 4,
               "grouped": [2.0, 2, 1, 1], "blocks": [3.0, 2, 1, 1]}  # fmt: skip
    values = pd.concat(
        pd.DataFrame({"dataset": "chikusei", "kind": kind, "rows": 8, "columns": 4, "value": v})
        for kind, v in ordered.items()
    )
    figure = study_plots.spectra_of_matrices(values, 2, "title")
    assert "as many\nweights as rank 1" in words(figure) and "paper, trained (about)" in words(figure)
    cross = next(line for line in figure.axes[2].lines if line.get_marker() == "X").get_xydata()[0]
    assert cross == pytest.approx([1, np.sqrt(1 - 15 / 30)])
    (row,) = svd.equal_size_table(values, 2).itertuples(index=False)
    assert (row.dataset, row.rank) == ("chikusei", 1)
    assert (row.error_low_rank, row.error_blocks) == pytest.approx((np.sqrt(14 / 30), np.sqrt(15 / 30)))


def test_a_scene_far_from_all_others_stands_as_a_number() -> None:
    values = [0.4, 0.5, 0.45, 0.55, 0.5, 0.6, 0.48, -9.04]
    rows = [("vdsr - bicubic", f"scene {n}", f"place {n}", metric, value)
            for n, value in enumerate(values) for metric in ("MPSNR", "SAM")]  # fmt: skip
    gains = pd.DataFrame(rows, columns=["setting", "scene", "place", "metric", "difference"])
    figure = evidence.gains_by_scene(gains, over_places(gains), "bicubic", "title")
    quality = figure.axes[0]
    low, high = quality.get_xlim()
    assert sum(low <= value <= high for value in values) == 7 and "◂ -9.0" in words(figure)
    without = gains[gains["difference"] > 0]
    assert "◂" not in words(evidence.gains_by_scene(without, over_places(without), "bicubic", "title"))
