"""Networks of equal cost: the widths follow the rule, and the table says who is best at each budget."""

import numpy as np
import pandas as pd
import pytest

from lkca.figures.evidence import FAR_BELOW, quality_against_macs
from lkca.studies.catalogue import study_runs
from lkca.studies.equal_cost import best_at, by_budget
from lkca.studies.sizes import ENDLESS_WIDTHS, FAMILIES, FARTHEST, LA_WIDTHS, MADE_WIDTHS, macs, nearest_width


@pytest.mark.parametrize("model", FAMILIES)
def test_declared_widths_are_the_nearest(model: str) -> None:
    family = FAMILIES[model]
    for budget, widths in LA_WIDTHS.items():
        least = macs(model, family.least, 205) / budget / 1e9
        if model not in widths:
            assert least > FARTHEST
            continue
        width = widths[model]
        near = [width, *(other for other in (width - family.step, width + family.step) if other >= family.least)]
        far = {found: abs(np.log(macs(model, found, 205) / budget / 1e9)) for found in near}
        assert min(far, key=far.get) == width and far[width] < np.log(FARTHEST)


@pytest.mark.parametrize(("model", "budget", "width"), [("vdsr", 0.1, 12), ("lkca", 0.3, 32), ("sspsr", 0.1, None)])
def test_nearest_width_finds_them(model: str, budget: float, width: int | None) -> None:
    assert nearest_width(model, 205, budget) == width


@pytest.mark.parametrize("declared", [MADE_WIDTHS, ENDLESS_WIDTHS])
def test_widths_for_made_scenes(declared: dict[float, dict[str, int]]) -> None:
    found = {
        budget: {model: nearest_width(model, 48, budget) for model in widths} for budget, widths in declared.items()
    }
    assert found == declared


def test_dear_budgets_are_run_once() -> None:
    runs = [run for run in study_runs("equal_cost", "converged") if run.model == "lkca"]
    assert sorted((run.options["channels"], run.seed) for run in runs) == [(48, 0), (48, 1), (48, 2), (144, 0)]


def test_runs_are_of_those_widths() -> None:
    runs = study_runs("equal_cost", "cpu")
    assert study_runs("equal_cost", "small") == []
    found = {(run.model, run.options["channels"]) for run in runs if run.options.get("channels")}
    assert found == {pair for widths in LA_WIDTHS.values() for pair in widths.items()}
    assert [run.model for run in runs[:2]] == ["bicubic", "back-projection"]


def test_tables_and_figure() -> None:
    rows = [("bicubic", None, 0, 39.0), ("back-projection", None, 0, 39.4)]
    rows += [("vdsr", 12, seed, 39.3 + seed / 10) for seed in range(3)]
    rows += [("lkca", 16, 0, 39.5), ("lkca", 48, 0, 39.6)]
    frame = pd.DataFrame(rows, columns=["model", "channels", "seed", "MPSNR"])
    cost = frame["channels"].map({12: 0.1, 16: 0.12, 48: 0.31})
    frame = frame.assign(macs_G=cost, params_M=cost, seconds=10, MPSNR_bp=frame.MPSNR + 0.2, SAM=1, SAM_bp=1)
    table = by_budget(frame)
    assert table["model"].tolist() == ["vdsr", "lkca", "lkca"] and table["seeds"].tolist() == [3, 1, 1]
    assert table["MPSNR"].tolist() == pytest.approx([39.4, 39.5, 39.6])
    assert table["MPSNR_sd"].iloc[0] == pytest.approx(0.1)
    best = best_at(table.assign(MPSNR=[39.35, 39.5, 39.6]), frame, (0.1, 0.3, 0.9))
    assert best.values.tolist() == [[0.1, "lkca", 39.5, 2, 1, 2], [0.3, "lkca", 39.6, 1, 1, 1]]
    figure = quality_against_macs(table, frame, "title")
    figure.draw_without_rendering()
    assert len(figure.axes) == 3


def test_networks_far_below_bicubic_stand_as_numbers_and_the_least_seconds_count() -> None:
    rows = [("bicubic", None, 0, 39.0, 0), ("back-projection", None, 0, 39.4, 0)]
    rows += [("vdsr", 12, seed, 39.3, 40 - seed) for seed in range(3)] + [("essaformer", 8, 0, 34.26, 50)]
    frame = pd.DataFrame(rows, columns=["model", "channels", "seed", "MPSNR", "seconds"])
    frame = frame.assign(macs_G=0.1, params_M=0.1, MPSNR_bp=frame.MPSNR, SAM=1, SAM_bp=1)
    table = by_budget(frame)
    assert table["seconds"].tolist() == [38, 50]
    quality = quality_against_macs(table, frame, "title").axes[0]
    assert quality.get_ylim()[0] == pytest.approx(39 - FAR_BELOW)
    assert [text.get_text() for text in quality.texts] == ["34.3 ▾"]
