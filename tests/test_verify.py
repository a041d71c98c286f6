"""Verify: committed runs are trained again, and a table says which metrics came out as committed."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from lkca.files import results_folder
from lkca.provenance import cpu
from lkca.run import Distillation, Run
from lkca.train import train
from lkca.verify import choose_runs, verify
from tests.training.tiny import TINY, quiet

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


def change(path: Path, run: Run, metric: str, by: float) -> None:
    table = pd.read_csv(path).set_index("run")
    table.loc[run.name, metric] += by
    table.reset_index().to_csv(path, index=False)


def test_runs_that_come_out_as_committed_are_equal(committed: Path) -> None:
    table = verify("profile", 3, "cpu", quiet)
    assert set(table["run"]) == {run.name for run in RUNS} and (table["verdict"] == "equal").all()
    assert (table["MPSNR_committed"] == table["MPSNR_new"]).all()
    written = pd.read_csv(results_folder() / "verify" / "profile.csv")
    assert written["run"].tolist() == table["run"].tolist()


@pytest.mark.parametrize(
    ("metric", "by", "differs"), [("SAM", 2e-4, True), ("RMSE_bp", 2e-4, True), ("SAM", 1e-9, False)]
)
def test_differences_at_the_printed_digits_are_named(metric: str, by: float, differs: bool, committed: Path) -> None:
    change(committed, RUNS[1], metric, by)
    verdicts = verify("profile", 3, "cpu", quiet).set_index("run")["verdict"]
    assert (verdicts[RUNS[1].name] != "equal") == differs and (metric in verdicts[RUNS[1].name]) == differs
    assert verdicts[RUNS[0].name] == verdicts[RUNS[2].name] == "equal"


def test_an_interrupted_verification_goes_on_and_a_complete_one_starts_again(committed: Path, monkeypatch) -> None:
    trained: list[str] = []

    def counting(run: Run, *others: object):
        if len(trained) == 2 and trained[-1] != "stop":
            trained.append("stop")
            raise KeyboardInterrupt
        trained.append(run.name)
        return train(run, *others)

    monkeypatch.setattr("lkca.verify.train", counting)
    with pytest.raises(KeyboardInterrupt):
        verify("profile", 3, "cpu", quiet)
    assert len(pd.read_csv(results_folder() / "verify" / "profile.csv")) == 2
    assert len(verify("profile", 3, "cpu", quiet)) == 3 and len(trained) == 4
    verify("profile", 3, "cpu", quiet)
    assert len(trained) == 7


def test_the_runs_folder_of_the_user_stays_as_it_is(committed: Path, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LKCA_RUNS", str(tmp_path / "mine"))
    verify("profile", 1, "cpu", quiet)
    assert not (tmp_path / "mine").exists()


def test_a_profile_without_tables_is_refused() -> None:
    with pytest.raises(FileNotFoundError, match="nosuch|quick"):
        verify("quick", 1, "cpu", quiet)


def test_the_cheapest_of_each_network_and_kind_of_dataset_are_chosen() -> None:
    student = dataclasses.replace(SHORT, model="lkca-kd", distillation=Distillation(teacher_blocks=2))
    other_student = dataclasses.replace(student, distillation=Distillation(teacher_blocks=3))
    runs = {
        SHORT: 5.0,
        dataclasses.replace(SHORT, seed=1): 4.0,
        dataclasses.replace(SHORT, seed=2): 6.0,
        dataclasses.replace(SHORT, model="vdsr", options={}): 50.0,
        Run(dataset="la_aviris"): 100.0,
        Run(dataset="la_aviris", model="vdsr"): 90.0,
        student: 10.0,
        other_student: 11.0,
        student.teacher(): 30.0,  # makes the first student the dearer one
        other_student.teacher(): 20.0,
    }
    frame = pd.DataFrame({"seconds": [*runs.values()], "cpu": cpu()}, index=[run.name for run in runs])
    by_name = {run.name: run for run in runs}
    chosen = [by_name[name] for name in choose_runs(frame, by_name, 1)]
    assert [(run.model, run.dataset, runs[run]) for run in chosen] == [
        ("lkca-lr", "synthetic", 4.0),
        ("lkca", "synthetic", 20.0),
        ("lkca-kd", "synthetic", 11.0),
        ("vdsr", "synthetic", 50.0),
        ("vdsr", "la_aviris", 90.0),
    ]
    assert len(choose_runs(frame, by_name, 8)) == 8 and len(choose_runs(frame, by_name, 99)) == len(runs)


def test_runs_of_this_model_of_cpu_come_first() -> None:
    runs = [Run(variant="tiny", seed=seed) for seed in range(3)]
    machines = {"seconds": [1.0, 2.0, 3.0], "cpu": ["another", cpu(), cpu()]}
    frame = pd.DataFrame(machines, index=[run.name for run in runs])
    assert choose_runs(frame, {run.name: run for run in runs}, 2) == [runs[1].name, runs[2].name]
