"""Training that is stopped at any moment, or asked for twice, ends the same to the bit. On tiny settings."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from lkca.data.split import Split
from lkca.training.run import Run
from lkca.training.run_folder import load_result
from lkca.training.train import train
from tests.training.tiny_run import KEPT, STUDENT, TINY, Stop, elsewhere, files, interrupted_after, outcome


@pytest.mark.parametrize("run", [TINY, STUDENT], ids=["supervised", "distilled"])
@pytest.mark.parametrize("epoch", [2, 4])
def test_interrupted_between_epochs(
    run: Run, epoch: int, split: Split, log: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(run, "cpu", str, split)
    wanted = outcome(run)
    elsewhere(monkeypatch, tmp_path)
    with pytest.raises(Stop):
        train(run, "cpu", interrupted_after(epoch, run.model), split)
    assert "metrics.json" not in files(run.folder)
    with pytest.raises(FileNotFoundError, match="is not finished"):
        load_result(run)
    torch.rand(7)  # the random state of the world has moved on
    train(run, "cpu", log.append, split)
    assert outcome(run) == wanted
    done = [line for line in log if "validation" in line]
    assert len(done) == run.epochs - epoch  # what was done is not done again, the teacher included


def test_interrupted_teacher(split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(STUDENT, "cpu", str, split)
    wanted = outcome(STUDENT), outcome(STUDENT.teacher())
    elsewhere(monkeypatch, tmp_path)
    with pytest.raises(Stop):
        train(STUDENT, "cpu", interrupted_after(2, "lkca"), split)
    train(STUDENT, "cpu", str, split)
    assert (outcome(STUDENT), outcome(STUDENT.teacher())) == wanted


@pytest.mark.parametrize("call", range(1, 6))
def test_killed_between_any_two_writes(
    call: int, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An epoch writes weights, resume.pt and history.csv: stopped at each of the first writes in turn."""
    run = dataclasses.replace(TINY, epochs=3)
    train(run, "cpu", str, split)
    wanted = outcome(run)
    elsewhere(monkeypatch, tmp_path)
    real, count = Path.replace, 0

    def replace(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == call + 1:  # settings.json comes first
            raise Stop
        return real(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", replace)
        with pytest.raises(Stop):
            train(run, "cpu", str, split)
    train(run, "cpu", str, split)
    assert outcome(run) == wanted and files(run.folder) == KEPT


PROCESS = """
import json, os, signal, sys
import torch
from lkca import Run, train
from lkca.training.run import Distillation
torch.set_num_threads(1)
kill_after = int(sys.argv[2])

def log(line):
    print(line, flush=True)
    if f"epoch {kill_after}/" in line and line.startswith(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

settings = json.loads(sys.argv[1])
teaching = settings.pop("distillation")
train(Run(**settings, distillation=teaching and Distillation(**teaching)), "cpu", log)
"""


def start(run: Run, kill_after: int = 0, model: str = "-") -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, run.to_json(), str(kill_after), model],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_killed_process_resumes_to_the_same_bits(
    split: Split, log: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(STUDENT, "cpu", str, split)
    wanted = outcome(STUDENT)
    elsewhere(monkeypatch, tmp_path)
    killed = start(STUDENT, 2, "lkca-kd ")
    _, errors = killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL, errors
    train(STUDENT, "cpu", log.append, split)
    assert outcome(STUDENT) == wanted
    assert f"{STUDENT.name}: going on after epoch 2" in log


def test_two_processes(split: Split, log: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first holds the run until it has finished; the second says that it waits, then loads."""
    run = dataclasses.replace(TINY, epochs=25)
    first = start(run)
    assert "epoch 1/25" in first.stdout.readline()
    result = train(run, "cpu", log.append, split)
    _, errors = first.communicate(timeout=60)
    assert first.returncode == 0, errors
    assert log == [f"{run.name}: another process is at it; waiting for it"] and len(result.history) == 25
    wanted = outcome(run)
    elsewhere(monkeypatch, tmp_path)
    train(run, "cpu", str, split)
    assert outcome(run) == wanted


def test_asked_at_the_same_instant(split: Split, log: list[str]) -> None:
    together = threading.Barrier(4)

    def ask(_: int) -> dict[str, float]:
        together.wait(timeout=30)
        return train(TINY, "cpu", log.append, split).metrics

    with ThreadPoolExecutor(4) as pool:
        metrics = list(pool.map(ask, range(4)))
    assert len([line for line in log if "epoch " in line]) == 4  # trained once
    assert all(m == metrics[0] for m in metrics)
