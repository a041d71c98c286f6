"""What a batch plans, and what it says is done."""

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest

from lkca.files import project_root
from lkca.run import RECIPE
from lkca.studies import studies, study_runs
from lkca.studies.batch import train_runs
from lkca.studies.plan import Plan, has_other_recipe, make_plan
from tests.training.tiny import TINY


def test_a_plan_has_every_teacher_once_and_first() -> None:
    plan = make_plan("distillation", "quick")
    students = [run for run in study_runs("distillation", "quick") if run.distillation]
    assert next(iter(plan.runs)) == students[0].teacher().name
    assert set(plan.runs) == {run.name for run in (students[0].teacher(), *study_runs("distillation", "quick"))}


def test_all_has_every_study_that_the_profile_has() -> None:
    plan = make_plan("all", "quick")
    assert set(plan.tables) == {name for name in studies() if study_runs(name, "quick")}
    summarising = [study.notebook for study in studies().values() if study.reads == ("*",)]
    assert all(set(plan.notebooks[name]) == set(plan.tables) for name in summarising if name in plan.notebooks)


def test_every_notebook_belongs_to_a_study() -> None:
    declared = {study.notebook for study in studies().values()}
    assert {path.stem for path in (project_root() / "notebooks").glob("*.ipynb")} <= declared


def test_a_study_without_runs_brings_what_it_reads() -> None:
    assert list(make_plan("visual", "quick").tables) == ["benchmark"]
    assert set(make_plan("upsamplers", "quick").tables) == {"upsamplers", "upsamplers_elsewhere"}


def test_unfinished_runs_share_processes_with_students_after_their_teachers() -> None:
    plan = make_plan("distillation", "quick")
    groups = plan.shared_jobs(runs_per_job=4, workers=2)
    assert sorted(run.name for group in groups for run in group) == sorted(plan.runs)
    assert max(map(len, groups)) <= 4
    first_student = next(number for number, group in enumerate(groups) if group[0].distillation)
    teachers = {run.teacher() for group in groups for run in group if run.distillation}
    assert teachers <= {run for group in groups[:first_student] for run in group}
    finished = next(iter(plan.runs.values()))
    finished.folder.mkdir(parents=True)
    (finished.folder / "metrics.json").write_text("{}")
    assert finished not in [run for group in plan.shared_jobs(100, 1) for run in group]


def test_the_summary_says_what_is_missing_and_why() -> None:
    plan = make_plan("block_count", "quick")
    runs = plan.tables["block_count"]
    text, done = plan.summary()
    assert not done and f"0 of {len(runs)} runs, 0 of 1 tables" in text and f"run {runs[0].name}: not started" in text
    for run in runs:
        run.folder.mkdir(parents=True)
        (run.folder / "metrics.json").write_text("{}")
        (run.folder / "provenance.json").write_text(json.dumps({"recipe": RECIPE}))
    (runs[0].folder / "log.txt").write_text("epoch 1\nerror: scene.mat is missing\n\n")
    (runs[0].folder / "metrics.json").unlink()
    (runs[1].folder / "provenance.json").write_text(json.dumps({"recipe": RECIPE - 1}))
    assert [has_other_recipe(run) for run in runs[:3]] == [False, True, False]
    pd.DataFrame({"run": [run.name for run in runs]}).to_csv(_made(plan.folder / "block_count.csv"), index=False)
    _made(plan.folder / "logs" / "block_count.log").write_text("Executing\nNameError: name 'profil' is not defined\n")
    text, done = plan.summary()
    assert f"{len(runs) - 1} of {len(runs)} runs, 1 of 1 tables" in text and not done
    assert f"run {runs[0].name}: error: scene.mat is missing" in text
    assert f"run {runs[1].name}: made by another recipe" in text
    assert "notebook block_count: NameError: name 'profil' is not defined" in text


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize(("study", "profile"), [("distil", "quick"), ("scenes", "converged")])
def test_impossible_plans_are_refused(study: str, profile: str) -> None:
    with pytest.raises(ValueError, match=study):
        make_plan(study, profile)


def test_runs_in_one_process_go_on_after_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    runs = [dataclasses.replace(TINY, model="bicubic", options={}), dataclasses.replace(TINY, patch=64, epochs=1)]
    assert not train_runs([runs[1], runs[0]], "cpu")
    printed = capsys.readouterr().out.splitlines()
    assert "error: " in printed[0] and runs[0].name in printed[1]
    assert (runs[0].folder / "metrics.json").is_file() and not (runs[1].folder / "metrics.json").exists()
    assert "error: " in (runs[1].folder / "log.txt").read_text()
    assert train_runs(runs[:1], "cpu") and capsys.readouterr().out == ""
    assert Plan("quick", {}, {run.name: run for run in runs}, {}, ()).find(runs[0].name) == runs[0]
