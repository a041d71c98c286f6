"""A data folder of each test's own."""

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "scenes"
    folder.mkdir()
    monkeypatch.setenv("LKCA_DATA", str(folder))
    return folder
