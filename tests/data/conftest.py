"""Fixtures for tests of files: a small cube, and an empty data folder."""

from pathlib import Path

import numpy as np
import pytest

from tests.data.scene_files import B, H, W


@pytest.fixture
def cube() -> np.ndarray:
    return np.random.default_rng(0).integers(-300, 8000, (B, H, W)).astype(np.int16)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that `LKCA_DATA` names."""
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    monkeypatch.setenv("LKCA_DATA", str(scenes))
    return scenes
