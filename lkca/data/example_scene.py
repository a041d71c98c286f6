"""A small scene as a user's would be, for the notebooks and tests that need a file."""

from pathlib import Path

import numpy as np

from lkca.data.synthetic import synthetic_scene


def write_made_scene(path: str | Path) -> Path:
    """Write a small synthetic scene as a user's would be: ENVI, int16, UTM, with a corner without data; its path."""
    from affine import Affine
    from rasterio.crs import CRS

    from lkca.scenes.writing import SceneWriter

    made = synthetic_scene(96, 128, 24, seed=5)
    numbers = (10_000 * made.cube).round().astype(np.int16)
    rows, columns = np.indices(numbers.shape[1:])
    numbers[:, rows + columns < 12] = -1
    with SceneWriter(
        path, numbers.shape, numbers.dtype, wavelengths=made.wavelengths, no_data=-1, scale_factor=10_000,
        crs=CRS.from_epsg(32632), transform=Affine(4, 0, 669_640, 0, -4, 5_328_106), overwrite=True,
    ) as writer:  # fmt: skip
        writer.write(0, numbers)
    return Path(path)
