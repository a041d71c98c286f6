"""Curves of training, and the share of runs that were stopped while rising."""

import numpy as np
import pandas as pd
import pytest

from lkca.figures import evidence
from lkca.models import MODELS
from lkca.paths import results_folder
from lkca.studies.catalogue import study_runs
from lkca.studies.convergence import curves, stopped_while_rising, write_curves
from lkca.studies.verdicts import MATTERS
from lkca.training import fresh_trainer
from lkca.training.run import Run
from lkca.training.train import train
from tests.training.tiny_run import TINY


def test_curves_are_those_of_the_runs() -> None:
    result = train(TINY, "cpu", log=lambda line: None)
    bicubic = Run(model="bicubic", reading="tiny")
    train(bicubic, "cpu", log=lambda line: None)
    write_curves([bicubic, TINY], "block_count", "quick")
    found = curves("quick")
    assert set(found["study"]) == {"block_count"} and set(found["run"]) == {TINY.name}
    assert found["epoch"].tolist() == [1, 2, 3, 4]
    assert np.allclose(found["validation"], result.history["validation"], atol=1e-4)
    assert len(evidence.training_curves(found, "").axes) == 1


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_share_of_runs_that_were_stopped_while_rising(share: float) -> None:
    rises = np.where(np.arange(4) < 4 * share, 2 * MATTERS, 0.5 * MATTERS)
    folder = results_folder() / "quick"
    folder.mkdir(parents=True)
    frame = pd.DataFrame({"late_rise_dB": [np.nan, *rises], "epochs": [1, 5, 5, 5, 7]})
    frame.to_csv(folder / "scenes.csv", index=False)
    (row,) = stopped_while_rising("quick").itertuples()
    assert (row.study, row.runs, row.epochs, row.still_rising) == ("scenes", 4, 7, share)


def test_nothing_recorded_is_not_nothing_rising() -> None:
    folder = results_folder() / "quick"
    folder.mkdir(parents=True)
    pd.DataFrame({"model": ["lkca"]}).to_csv(folder / "regions.csv", index=False)
    (row,) = stopped_while_rising("quick").itertuples()
    assert row.runs == 0 and pd.isna(row.still_rising)
    assert curves("quick").empty


def test_at_converged_depths_end_by_the_rule_and_all_else_has_equal_steps() -> None:
    def trained(study: str) -> list[Run]:
        return [run for run in study_runs(study, "converged") if MODELS[run.model].learned]

    least = 2 * fresh_trainer.PATIENCE  # epochs in which the rule may end a run
    assert {run.epochs for run in trained("block_count")} == {300}
    assert least < fresh_trainer.LATEST[0] * 300
    for study in ("upsamplers", "upsamplers_elsewhere", "distillation", "equal_cost"):
        assert {run.epochs for run in trained(study)} == {50}
    rates = {(run.model, run.learning_rate) for run in trained("equal_cost")}
    assert {("lkca", 4e-3), ("lkca-best", 4e-3), ("vdsr", 2e-3), ("essaformer", 1e-3)} <= rates
    assert len(rates) == len({model for model, _ in rates})  # one rate a family


def test_terms_of_the_distillation_at_converged_are_left_out_one_by_one() -> None:
    terms = {
        tuple(value > 0 for value in (kd.l1, kd.gradient, kd.cosine))
        for kd in (run.distillation for run in study_runs("distillation", "converged"))
        if kd
    }
    assert terms == {(True, True, True), (False, True, True), (True, False, True), (True, True, False)}


def test_figure_of_validation_has_a_line_a_run_and_a_name_a_model() -> None:
    rows = [(f"{model}-{seed}", model, epoch, 30 - epoch % 2 + 0.1 * epoch)
            for model in ("lkca", "vdsr") for seed in range(2) for epoch in range(1, 6)]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["run", "model", "epoch", "validation"])
    (axis,) = evidence.validation_by_epoch(frame, 50, "title").axes
    names = [text.get_text() for text in axis.get_legend().get_texts()]
    assert names == ["LKCA-Net", "VDSR", "equal steps: 50 epochs"]
    lines = [line.get_ydata() for line in axis.get_lines() if len(line.get_ydata()) == 5]
    assert len(lines) == 4 and all((np.diff(line) >= 0).all() for line in lines)  # the best so far
