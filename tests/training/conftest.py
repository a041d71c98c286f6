"""A tiny split and a log for every test of training."""

import pytest

from lkca.data.loaders import load_dataset
from lkca.data.split import Split


@pytest.fixture(scope="session")
def split() -> Split:
    """Return two synthetic scenes of 48x48 pixels and 8 bands to train on, and one to test on."""
    return load_dataset("synthetic", "tiny")


@pytest.fixture
def log() -> list[str]:
    """Return a list to collect lines in."""
    return []
