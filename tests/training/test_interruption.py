"""Training that is stopped at any moment, or asked for twice, ends with the same bits."""

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lkca.checkpoints import load_result
from lkca.data.datasets import load_dataset
from lkca.data.split import Split
from lkca.run import Distillation, Run
from lkca.train import train
from tests.training.tiny import FILES, STREAM, STUDENT, TINY, TRAIN, Stop, files, move_runs, outcome, quiet, stop_after

STREAM_STUDENT = dataclasses.replace(STREAM, model="lkca-kd", distillation=Distillation(teacher_blocks=2))


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TRAIN, "STREAM_STEPS", 3)


@pytest.mark.parametrize(
    ("run", "epoch"),
    [(TINY, 2), (TINY, 4), (STUDENT, 2), (STUDENT, 4), (STREAM, 2), (STREAM_STUDENT, 2)],
    ids=["2", "4", "student 2", "student 4", "stream 2", "student of a stream 2"],
)
def test_interrupted_between_epochs(run: Run, epoch: int, log: list[str], tmp_path: Path, monkeypatch) -> None:
    split = load_dataset(run.dataset, run.variant)
    train(run, "cpu", quiet, split)
    expected = outcome(run)
    move_runs(monkeypatch, tmp_path)
    with pytest.raises(Stop):
        train(run, "cpu", stop_after(epoch, run), split)
    assert "metrics.json" not in files(run.folder)
    with pytest.raises(FileNotFoundError, match="metrics.json"):
        load_result(run)
    torch.rand(7)  # moves the global random state on
    train(run, "cpu", log.append, split)
    assert outcome(run) == expected
    assert len([line for line in log if "validation" in line]) == run.epochs - epoch  # no epoch is trained twice


def test_interrupted_teacher(split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(STUDENT, "cpu", quiet, split)
    expected = outcome(STUDENT), outcome(STUDENT.teacher())
    move_runs(monkeypatch, tmp_path)
    with pytest.raises(Stop):
        train(STUDENT, "cpu", stop_after(2, STUDENT.teacher()), split)
    train(STUDENT, "cpu", quiet, split)
    assert (outcome(STUDENT), outcome(STUDENT.teacher())) == expected


@pytest.mark.parametrize("write", range(2, 11))
def test_stopped_between_any_two_writes(write: int, split: Split, tmp_path: Path, monkeypatch) -> None:
    """Settings and provenance; weights, state and history of two epochs; provenance, checksums and metrics."""
    run = dataclasses.replace(TINY, epochs=2)
    train(run, "cpu", quiet, split)
    expected = outcome(run)
    move_runs(monkeypatch, tmp_path)
    replace, count = Path.replace, 0

    def stop(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == write:
            raise Stop
        return replace(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", stop)
        with pytest.raises(Stop):
            train(run, "cpu", quiet, split)
    train(run, "cpu", quiet, split)
    assert outcome(run) == expected and files(run.folder) == FILES


PROCESS = """
import json, os, signal, sys
import torch
from lkca.run import Run
from lkca.train import train
torch.set_num_threads(1)
name, epoch = sys.argv[2:]

def log(line):
    print(line, flush=True)
    if line.startswith(name) and f"epoch {epoch}/" in line:
        os.kill(os.getpid(), signal.SIGKILL)

train(Run(**json.loads(sys.argv[1])), "cpu", log)
"""


def start(run: Run, kill_after: int = 0) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, run.to_json(), run.name, str(kill_after)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_killed_process(split: Split, log: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(STUDENT, "cpu", quiet, split)
    expected = outcome(STUDENT)
    move_runs(monkeypatch, tmp_path)
    killed = start(STUDENT, kill_after=2)
    _, errors = killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL, errors
    train(STUDENT, "cpu", log.append, split)
    assert outcome(STUDENT) == expected and len([line for line in log if "validation" in line]) == 2


def test_two_processes_train_a_run_once(split: Split, log: list[str]) -> None:
    run = dataclasses.replace(TINY, epochs=25)
    first = start(run)
    assert "epoch 1/25" in first.stdout.readline()
    result = train(run, "cpu", log.append, split)
    _, errors = first.communicate(timeout=60)
    assert first.returncode == 0, errors
    assert not any("epoch" in line for line in log) and len(result.history) == 25
