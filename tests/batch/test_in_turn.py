"""Short runs that share a process: the same results as alone, and each run's trouble is its own."""

import dataclasses
import json
from pathlib import Path

import pytest
from filelock import FileLock

from lkca.batch.in_turn import do_in_turn
from lkca.training.run import Run
from lkca.training.train import train

TINY = Run(
    dataset="synthetic", reading="tiny", model="lkca-lr", epochs=2, batch=4, options={"blocks": 1, "channels": 16}
)
ABSENT = Run(dataset="pavia_centre", model="bicubic")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    monkeypatch.setenv("LKCA_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("LKCA_DATA", str(tmp_path / "no data"))
    return [dataclasses.replace(TINY, seed=seed) for seed in (0, 1)]


def test_the_same_bits_as_alone(runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert do_in_turn(runs, "cpu")
    together = [(run.folder / "weights.safetensors").read_bytes() for run in runs]
    monkeypatch.setenv("LKCA_RUNS", str(tmp_path / "alone"))
    for run in reversed(runs):
        train(run, "cpu", lambda _: None)
    assert [(run.folder / "weights.safetensors").read_bytes() for run in runs] == together
    assert together[0] != together[1]


def test_each_says_what_it_says_to_its_own_log(runs: list[Run], capsys: pytest.CaptureFixture[str]) -> None:
    do_in_turn(runs, "cpu")
    for run in runs:
        said = (run.folder / "log.txt").read_text()
        assert f"seed {run.seed}  epoch 2/2" in said
        assert f"seed {1 - run.seed}" not in said
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [f"run {n} of 2, {run.name}" for n, run in enumerate(runs, 1)]


def test_what_fails_stops_no_other(runs: list[Run]) -> None:
    assert not do_in_turn([ABSENT, runs[0]], "cpu")
    assert "error: " in (ABSENT.folder / "log.txt").read_text()
    assert "Pavia.mat" in (ABSENT.folder / "log.txt").read_text()
    assert json.loads((runs[0].folder / "metrics.json").read_text())["run"] == runs[0].name


def test_what_is_finished_or_another_is_at_is_passed_over(runs: list[Run], capsys: pytest.CaptureFixture[str]) -> None:
    assert do_in_turn(runs[:1], "cpu")
    before = (runs[0].folder / "metrics.json").stat().st_mtime_ns
    capsys.readouterr()
    runs[1].folder.mkdir(parents=True)
    with FileLock(runs[1].folder / ".turn"):
        assert do_in_turn(runs, "cpu")
    assert capsys.readouterr().out == ""
    assert (runs[0].folder / "metrics.json").stat().st_mtime_ns == before
    assert not (runs[1].folder / "metrics.json").exists()
