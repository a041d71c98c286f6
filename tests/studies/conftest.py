"""Profiles that a test makes up."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from lkca.studies import profile as profiles
from lkca.studies.profile import load_profile

TINY = {
    "data": "tiny",
    "sizes": "meaningless numbers",
    "settings": {"dataset": "synthetic", "variant": "tiny", "epochs": 1, "batch": 4, "stride": 16},
    "lkca": {"blocks": 1, "channels": 16},
    "teacher_blocks": 2,
}


@pytest.fixture
def make_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Return a function that adds a profile of runs that take a moment, and returns its name.

    Arguments are keys of its file, `studies` first of all.
    """
    folder = tmp_path / "profiles"
    folder.mkdir()
    monkeypatch.setattr(profiles, "PROFILES", folder)
    load_profile.cache_clear()

    def make(**content: object) -> str:
        (folder / "tiny.yaml").write_text(yaml.safe_dump({**TINY, **content}))
        load_profile.cache_clear()
        return "tiny"

    yield make
    load_profile.cache_clear()
