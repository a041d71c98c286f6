"""A scene as a satellite's tiles come: 224 bands of which some hold nothing, UTM, gains, a border without data."""

from pathlib import Path

import numpy as np

from lkca.data.synthetic import synthetic_scene
from tests.scenes.scene_files import MAP_INFO, write_envi

BANDS, NO_DATA = 224, -32768
FLAGGED = (129, 130, 131, 132, 133, 134)  # from 0 on: bbl 0, no data everywhere
SILENT = (60,)  # no data everywhere, though bbl says nothing
NOISY = (200,)  # bbl 0, but with numbers: the largest of the file


def write_tile(path: Path, height: int = 48, width: int = 40) -> Path:
    """Writes `path` and its header, reflectance times 10000 by `data gain values`; returns the header."""
    made = synthetic_scene(height, width, 8, seed=4)
    waves = np.linspace(420, 2440, BANDS)
    cube = np.stack([np.interp(waves, np.linspace(420, 2440, 8), pixel) for pixel in made.cube.reshape(8, -1).T], 1)
    cube = (8000 * cube).round().astype(np.int16).reshape(BANDS, height, width)
    cube[:, np.add.outer(np.arange(height), np.arange(width)) < 6] = NO_DATA
    cube[list(FLAGGED + SILENT)] = NO_DATA
    cube[list(NOISY)] = 32000
    good = np.ones(BANDS, int)
    good[list(FLAGGED + NOISY)] = 0
    fields = {
        "wavelength units": "Nanometers", "wavelength": _list(waves), "bbl": _list(good),
        "data gain values": _list([1e-4] * BANDS), "data offset values": _list([0.0] * BANDS),
        "data ignore value": NO_DATA, "map info": MAP_INFO,
    }  # fmt: skip
    return write_envi(path, cube, "bil", **fields)


def _list(values) -> str:
    return "{" + ",\n ".join(map(str, values)) + "}"
