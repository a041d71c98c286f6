"""Training that is stopped at any moment, or asked for twice, ends with the same bits."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lkca.checkpoints import load_result
from lkca.data.loaders import load_dataset
from lkca.data.split import Split
from lkca.run import Distillation, Run
from lkca.train import train
from tests.training.tiny import BEGUN, STREAM, STUDENT, TINY, TRAIN, Stop, files, move_runs, outcome, quiet, stop_after

STREAM_STUDENT = dataclasses.replace(STREAM, model="lkca-kd", distillation=Distillation(teacher_blocks=2))


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TRAIN, "STREAM_STEPS", 3)


@pytest.mark.parametrize(
    ("run", "stopped", "epoch"),
    [
        (TINY, TINY, 2),
        (TINY, TINY, 4),
        (STUDENT, STUDENT, 2),
        (STUDENT, STUDENT.teacher(), 2),
        (STREAM, STREAM, 2),
        (STREAM_STUDENT, STREAM_STUDENT, 2),
        (BEGUN, BEGUN, 1),
    ],
    ids=["2", "4", "student", "teacher", "stream", "student of a stream", "begun with weights"],
)
def test_interrupted_between_epochs(run: Run, stopped: Run, epoch: int, log: list, tmp_path: Path, monkeypatch) -> None:
    split = load_dataset(run.dataset, run.variant)
    train(run, "cpu", quiet, split)
    expected = outcome(run)
    move_runs(monkeypatch, tmp_path)
    with pytest.raises(Stop):
        train(run, "cpu", stop_after(epoch, stopped), split)
    assert "metrics.json" not in files(stopped.folder)
    with pytest.raises(FileNotFoundError, match="metrics.json"):
        load_result(run)
    torch.rand(7)  # moves the global random state on
    train(run, "cpu", log.append, split)
    assert outcome(run) == expected
    again = [line for line in log if "validation" in line and line.startswith(stopped.name)]
    assert len(again) == stopped.epochs - epoch  # no epoch is trained twice


PROCESS = """
import json, sys
from lkca.run import Run
from lkca.train import train
train(Run(**json.loads(sys.argv[1])), "cpu", lambda line: print(line, flush=True))
"""


def test_two_processes_train_a_run_once(split: Split, log: list[str]) -> None:
    run = dataclasses.replace(TINY, epochs=25)
    first = subprocess.Popen(
        [sys.executable, "-c", PROCESS, run.to_json()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert "epoch 1/25" in first.stdout.readline()
    result = train(run, "cpu", log.append, split)
    _, errors = first.communicate(timeout=60)
    assert first.returncode == 0, errors
    assert not any("epoch" in line for line in log) and len(result.history) == 25
