"""Runs that take a moment, and what tests ask of their folders."""

import dataclasses
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

from lkca.checkpoints import CHECKSUMS, RECORDED
from lkca.run import Distillation, Run

TRAIN = import_module("lkca.train")  # the module, for patches: `lkca.train` is the function
TINY = Run(
    variant="tiny",
    options={"blocks": 1, "channels": 16},
    epochs=4,
    batch=8,
    learning_rate=3e-3,
    stride=8,
)
STUDENT = dataclasses.replace(TINY, model="lkca-kd", distillation=Distillation(weight=1.0, teacher_blocks=2))
BEGUN = dataclasses.replace(TINY, epochs=2, start_from={"epochs": 1, "learning_rate": 1e-3})
STREAM = Run(dataset="synthetic_stream", variant="tiny", options=TINY.options, epochs=3, batch=4)
FILES = {*RECORDED, CHECKSUMS, "resume.pt"}


def quiet(line: str) -> None:
    """Log nothing."""


def outcome(run: Run) -> tuple[bytes, bytes, str]:
    """Return what must not depend on interruptions: weights and metrics to the bit, history without the seconds."""
    history = pd.read_csv(run.folder / "history.csv").drop(columns="seconds")
    weights, metrics = ((run.folder / name).read_bytes() for name in ("weights.safetensors", "metrics.json"))
    return weights, metrics, history.to_csv()


def move_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let later runs go to another, empty folder."""
    monkeypatch.setenv("LKCA_RUNS", str(tmp_path / "other runs"))


class Stop(Exception):
    """An interruption."""


def stop_after(epoch: int, run: Run) -> Callable[[str], None]:
    """Return a log that interrupts this run after an epoch."""

    def log(line: str) -> None:
        if line.startswith(run.name) and f"epoch {epoch}/" in line:
            raise Stop

    return log


def files(folder: Path) -> set[str]:
    """Return the names of a run's files."""
    return {path.name for path in folder.iterdir() if path.name != ".lock"}
