"""A cube written in strips and opened again."""

from pathlib import Path

import numpy as np

from lkca.scenes import open_scene
from lkca.scenes.scene import Scene
from lkca.scenes.writing import SceneWriter


def write(path: Path, cube: np.ndarray, step: int = 4, **said) -> Scene:
    """The rows last to first, as views of which no axis is in one piece."""
    spread = np.zeros((*cube.shape, 2), cube.dtype)
    spread[..., 0] = cube
    with SceneWriter(path, cube.shape, cube.dtype, **said) as writer:
        for row in reversed(range(0, cube.shape[1], step)):
            writer.write(row, spread[:, row : row + step, :, 0])
    return open_scene(path)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
