"""Verify: committed runs are trained again, and a table says which metrics came out as committed."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from lkca.files import results_folder, runs_folder
from lkca.provenance import cpu
from lkca.run import Distillation, Run
from lkca.train import train
from lkca.verify import choose_runs, verify
from tests.training.tiny import TINY, Stop, quiet, stop_after

SHORT = dataclasses.replace(TINY, epochs=1, stride=16)
RUNS = [dataclasses.replace(SHORT, model="bicubic", options={}), SHORT, dataclasses.replace(SHORT, seed=1)]


@pytest.fixture
def committed(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of a study's table of three runs."""
    for module in ("lkca.verify", "lkca.studies.tables"):
        monkeypatch.setattr(f"{module}.study_names", lambda: ("toy", "empty"))
    monkeypatch.setattr("lkca.verify.study_runs", lambda study, profile: RUNS if study == "toy" else [])
    results = [train(run, "cpu", quiet) for run in RUNS]
    rows = [
        {"run": r.run.name, "seconds": seconds, "cpu": cpu(), "threads": 1, **r.metrics}
        | {f"{metric}_bp": value for metric, value in r.back_projected.items()}
        for seconds, r in zip((0.0, 2.0, 1.0), results, strict=True)
    ]
    path = results_folder() / "profile" / "toy.csv"
    path.parent.mkdir()
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def test_runs_that_come_out_as_committed_are_equal_and_leave_no_folder(committed: Path) -> None:
    before = set(runs_folder().iterdir())
    table = verify("profile", 3, "cpu", quiet)
    assert set(table["run"]) == {run.name for run in RUNS} and (table["verdict"] == "equal").all()
    assert (table["MPSNR_committed"] == table["MPSNR_new"]).all()
    written = pd.read_csv(results_folder() / "verify" / "profile.csv")
    assert written["run"].tolist() == table["run"].tolist()
    assert set(runs_folder().iterdir()) == before


@pytest.mark.parametrize(
    ("metric", "by", "differs"), [("SAM", 2e-4, True), ("RMSE_bp", 2e-4, True), ("SAM", 1e-9, False)]
)
def test_differences_at_the_printed_digits_are_named(metric: str, by: float, differs: bool, committed: Path) -> None:
    table = pd.read_csv(committed).set_index("run")
    table.loc[RUNS[1].name, metric] += by
    table.reset_index().to_csv(committed, index=False)
    verdicts = verify("profile", 3, "cpu", quiet).set_index("run")["verdict"]
    assert (verdicts[RUNS[1].name] != "equal") == differs and (metric in verdicts[RUNS[1].name]) == differs
    assert verdicts[RUNS[0].name] == verdicts[RUNS[2].name] == "equal"


def test_an_interrupted_verification_goes_on_and_a_complete_one_starts_again(committed: Path) -> None:
    with pytest.raises(Stop):
        verify("profile", 3, "cpu", stop_after(1, RUNS[1]))  # the last of three
    for trained in ([], [RUNS[2].name, RUNS[1].name]):
        log = []
        assert (verify("profile", 3, "cpu", log.append)["verdict"] == "equal").all()
        assert [line.split()[0] for line in log if "epoch 1/1" in line] == trained


def test_a_profile_without_tables_is_refused() -> None:
    with pytest.raises(FileNotFoundError, match="quick"):
        verify("quick", 1, "cpu", quiet)


def test_the_cheapest_of_each_network_and_kind_of_dataset_are_chosen_and_this_model_of_cpu_comes_first() -> None:
    student = dataclasses.replace(SHORT, model="lkca-kd", distillation=Distillation(teacher_blocks=2))
    other_student = dataclasses.replace(student, distillation=Distillation(teacher_blocks=3))
    seconds = {
        SHORT: 5.0,
        dataclasses.replace(SHORT, seed=1): 4.0,
        dataclasses.replace(SHORT, seed=2): 1.0,  # on another machine
        dataclasses.replace(SHORT, model="vdsr", options={}): 50.0,
        Run(dataset="la_aviris"): 100.0,
        Run(dataset="la_aviris", model="vdsr"): 90.0,
        student: 10.0,
        other_student: 11.0,
        student.teacher(): 30.0,  # makes the first student the dearer one
        other_student.teacher(): 20.0,
    }
    by_name = {run.name: run for run in seconds}
    frame = pd.DataFrame({"seconds": [*seconds.values()], "cpu": cpu()}, index=[*by_name])
    frame.iloc[2, 1] = "another"
    chosen = [by_name[name] for name in choose_runs(frame, by_name, 1)]
    assert [(run.model, run.dataset, seconds[run]) for run in chosen] == [
        ("lkca-lr", "synthetic", 4.0),
        ("lkca", "synthetic", 20.0),
        ("lkca-kd", "synthetic", 11.0),
        ("vdsr", "synthetic", 50.0),
        ("vdsr", "la_aviris", 90.0),
    ]
    assert len(choose_runs(frame, by_name, 8)) == 8 and len(choose_runs(frame, by_name, 99)) == len(seconds)
