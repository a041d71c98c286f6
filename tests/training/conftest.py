"""A tiny split and a log, for every test of training."""

import pytest

from lkca.data.loaders import load_dataset
from lkca.data.split import Split


@pytest.fixture(scope="module")
def split() -> Split:
    return load_dataset("synthetic", "tiny")


@pytest.fixture
def log() -> list[str]:
    return []
