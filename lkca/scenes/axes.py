"""Which axis of an array is the bands, told from its numbers.

Spectra of a scene are mixtures of a few: of all pixels' spectra, five directions hold nearly everything. Its rows and
columns are not, unless it is very smooth, and even then they are less so. So the share of the energy that five
directions leave out is least along the axis of the bands.
"""

import numpy as np
import psutil

from lkca.scenes.scene import Scene
from lkca.scenes.variables import BANDS_FIRST

SEEN = 48  # numbers to each side of the middle of each axis that are looked at
DIRECTIONS = 5
SURE = 3.0  # times as much has to be left out along the axis that is taken for the bands: in real scenes it is least
LEAST = 1e-10  # of the energy: less is rounding
FEWEST = 8  # numbers along each axis: less says nothing
SHORTEST = 16  # numbers along the other axis: five directions leave little out of fewer, whatever they are
LOOSE_FORMATS = ("matlab", "matlab v7.3", "numpy")  # which do not say what their axes are


def axes_in_doubt(scene: Scene, layout: str, memory: float) -> str:
    """A sentence where another axis than the one read as bands is likelier to be them; else "".

    layout : how the scene was read. memory : bytes that the process may hold; a file that cannot be read in parts, and
        does not fit, is not looked at.
    """
    if scene.format not in LOOSE_FORMATS or min(scene.shape) < FEWEST:
        return ""
    if not scene.reads_parts:
        free = min(memory - psutil.Process().memory_info().rss, psutil.virtual_memory().available)
        if 1.5 * scene.at_once > free:
            return ""
    middle = (slice(max(0, length // 2 - SEEN), length // 2 + SEEN) for length in scene.shape)
    bands, rows, columns = middle
    cube = scene.read(rows, columns, bands)
    scene.__dict__.pop("cube", None)  # of a file that can only be read whole
    axis = band_axis(cube)
    if axis == 0:
        return ""
    place = BANDS_FIRST[layout][axis]
    likelier = next(name for name, axes in BANDS_FIRST.items() if axes[0] == place)
    return (
        f"{scene.path}: read as {scene.shape[0]} bands, but its axis of length {scene.shape[axis]} looks much more "
        f"like bands: are the axes in the right order? --layout {likelier} reads it so"
    )


def band_axis(cube: np.ndarray) -> int:
    """The axis (0, 1 or 2) that looks like bands; 0 unless another is clearly likelier."""
    cube = np.nan_to_num(cube.astype(np.float64), posinf=0, neginf=0)
    count = max(1, min(DIRECTIONS, min(cube.shape) // 4))
    left = [_left_out(cube, axis, count) for axis in range(3)]
    best = int(np.argmin(left))
    sure = cube.shape[best] >= SHORTEST and left[0] > max(LEAST, SURE * left[best])
    return best if sure else 0


def _left_out(cube: np.ndarray, axis: int, count: int) -> float:
    """The share of the energy outside of the leading `count` directions of the vectors along an axis."""
    vectors = np.moveaxis(cube, axis, 0).reshape(cube.shape[axis], -1)
    energies = np.linalg.eigvalsh(vectors @ vectors.T).clip(0)  # ascending
    total = energies.sum()
    return float(energies[:-count].sum() / total) if total else 0.0
