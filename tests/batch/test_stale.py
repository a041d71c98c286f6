"""Runs that other code made: told by `status`, forgotten by `--fresh`, marked in tables."""

import dataclasses
import json

import pandas as pd
import pytest

from lkca.batch.plan import Plan
from lkca.batch.state import stale_runs, summary
from lkca.studies.results import stale_rows
from lkca.training.fingerprint import fingerprint
from lkca.training.run import Run
from lkca.training.run_folder import forget


def finished(run: Run, code: str | None) -> Run:
    """As if the run were finished; only what is looked at here."""
    run.folder.mkdir(parents=True)
    (run.folder / "metrics.json").write_text("{}")
    (run.folder / "provenance.json").write_text(json.dumps({"code": code} if code else {}))
    return run


@pytest.fixture
def runs() -> list[Run]:
    first = Run(model="bicubic")
    finished(first, fingerprint(first))
    others = [dataclasses.replace(first, scale=scale) for scale in (2, 8)]
    return [first, finished(others[0], "abc123-def456"), finished(others[1], None)]


def test_status_tells_them(runs: list[Run]) -> None:
    plan = Plan("quick", (), {run.name: run for run in runs}, ())
    assert stale_runs(plan) == runs[1:]
    text, done = summary(plan)
    assert done and text.startswith("profile quick: 3 of 3 runs")
    assert f"{runs[1].name}: stale, made by other code (abc123-def456, now {fingerprint(runs[1])})" in text
    assert f"{runs[2].name}: stale, made by other code (unrecorded" in text and runs[0].name not in text


def test_forgotten_runs_are_no_longer_finished(runs: list[Run]) -> None:
    forget(runs[1])
    assert not list(runs[1].folder.iterdir()) and (runs[0].folder / "metrics.json").is_file()


def test_rows_of_other_code(runs: list[Run]) -> None:
    codes = [fingerprint(runs[0]), "abc123-def456", None]
    frame = pd.DataFrame({"run": [run.name for run in runs], "code": codes})
    assert stale_rows(frame, runs).tolist() == [False, True, True]
    assert stale_rows(frame[["run"]], runs).all()  # a table from before fingerprints
