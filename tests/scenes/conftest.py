"""A small cube for every test of reading."""

import numpy as np
import pytest

from tests.scenes.scene_files import B, H, W


@pytest.fixture
def cube() -> np.ndarray:
    return np.random.default_rng(0).integers(-300, 8000, (B, H, W)).astype(np.int16)
