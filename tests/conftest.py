"""Fixtures of all tests: one thread, folders of their own, golden vectors, real scenes where there are any."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lkca.files import data_folder

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Compute in one thread, whatever the test before did: the bits of a sum depend on their number."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send the runs and results of each test to a folder of its own. LKCA_DATA stays the caller's."""
    monkeypatch.setenv("LKCA_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("LKCA_OUTPUT", str(tmp_path / "output"))
    monkeypatch.setenv("LKCA_COMMIT", "test")  # spares a call of git for every run


@pytest.fixture
def golden() -> Callable[[str], dict[str, np.ndarray]]:
    """Return a function: the arrays of a golden file by its name."""

    def load(name: str) -> dict[str, np.ndarray]:
        with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as file:
            return dict(file)

    return load


@pytest.fixture(scope="session")
def expected() -> dict[str, dict[str, float]]:
    """Return golden metrics and losses."""
    return json.loads((GOLDEN / "expected.json").read_text())


@pytest.fixture
def real_scenes() -> Callable[..., Path]:
    """Return a function: the folder that holds the named files, or a skipped test."""

    def folder(*names: str) -> Path:
        missing = [name for name in names if not (data_folder() / name).is_file()]
        if missing:
            pytest.skip(f"LKCA_DATA ({data_folder()}) has no {', '.join(missing)}")
        return data_folder()

    return folder
