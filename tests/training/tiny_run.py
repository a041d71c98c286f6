"""Runs that take a moment, and what is asked of their folders."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from lkca.training.run import Distillation, Run

TINY = Run(
    reading="tiny",
    options={"blocks": 1, "channels": 16},
    epochs=4,
    batch=8,
    learning_rate=3e-3,
    stride=8,
)
STUDENT = dataclasses.replace(TINY, model="lkca-kd", distillation=Distillation(weight=1.0, teacher_blocks=2))
KEPT = {
    "settings.json",
    "provenance.json",
    "history.csv",
    "weights.safetensors",
    "resume.pt",
    "checksums.json",
    "metrics.json",
}


def outcome(run: Run) -> tuple[bytes, bytes, bytes]:
    """What must not depend on interruptions: weights and metrics to the bit, history without the seconds."""
    history = pd.read_csv(run.folder / "history.csv").drop(columns="seconds")
    files = ((run.folder / name).read_bytes() for name in ("weights.safetensors", "metrics.json"))
    return *files, history.to_csv().encode()


def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LKCA_RUNS", str(tmp_path / "other runs"))


class Stop(Exception):
    """An interruption."""


def interrupted_after(epoch: int, model: str):
    def log(line: str) -> None:
        if line.startswith(f"{model} ") and f"epoch {epoch}/" in line:
            raise Stop

    return log


def files(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir() if p.name != ".lock"}
