"""A small scene and weights for it, on disk."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lkca.measures.resize import resize
from tests.sharpening.small_scene import B, H, W, write_scene, write_weights


@pytest.fixture
def cube() -> np.ndarray:
    """Smooth in space, as a scene is, so that bicubic does not leave the range by much."""
    coarse = torch.from_numpy(np.random.default_rng(0).uniform(200, 800, (B, 3, 4)))
    return resize(coarse, 4).numpy()[:, :H, :W].round().astype(np.int16)


@pytest.fixture
def scene(tmp_path: Path, cube: np.ndarray) -> Path:
    return write_scene(tmp_path / "scene.hdr", cube)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_weights(tmp_path / "weights.safetensors")
