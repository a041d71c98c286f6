"""Tell from the numbers which axis of an array holds the bands, where its file does not say it.

Spectra of a scene are mixtures of a few: five principal components hold nearly all of their energy. Rows and columns
are not, or less so, unless the scene is very smooth. So what five components leave out is least along the bands.
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

COMPONENTS = 5
RADIUS = 48  # numbers to each side of the middle of each axis that are looked at
MIN_RATIO = 3.0  # between the shares along the axis read as bands and another one, for a doubt
MIN_SHARE = 1e-10  # of the energy: less is rounding
MIN_LENGTH = 8  # of each axis: less says nothing
MIN_BANDS = 16  # of the other axis: five components leave little of fewer, whatever they are


def doubt_axes(scene: xr.DataArray) -> str:
    """Return a sentence where another axis than the one read as bands is likelier to be them; else "".

    Only for a file whose axes nothing names, read in the usual order; see `sharpen.io.open_scene`.
    """
    layout = scene.attrs.get("assumed_layout")
    if layout is None or min(scene.shape) < MIN_LENGTH:
        return ""
    middle = (slice(max(0, size // 2 - RADIUS), size // 2 + RADIUS) for size in scene.shape)
    axis = band_axis(scene[tuple(middle)].values)
    if axis == 0:
        return ""
    likelier = ("BHW", "HBW", "HWB")[layout.index("BHW"[axis])]
    return (
        f"{scene.attrs['source']}: read as {scene.shape[0]} bands, but its axis of length {scene.shape[axis]} looks "
        f"much more like bands: are the axes in the right order? --layout {likelier} reads it so"
    )


def band_axis(cube: NDArray) -> int:
    """Return the axis (0, 1 or 2) that looks like bands; 0 unless another is clearly likelier."""
    cube = np.nan_to_num(cube.astype(np.float64), posinf=0, neginf=0)
    shares = [_share_beyond(cube, axis, max(1, min(COMPONENTS, min(cube.shape) // 4))) for axis in range(3)]
    best = int(np.argmin(shares))
    return best if cube.shape[best] >= MIN_BANDS and shares[0] > max(MIN_SHARE, MIN_RATIO * shares[best]) else 0


def _share_beyond(cube: NDArray, axis: int, count: int) -> float:
    """Return the share of energy outside the leading `count` components of the vectors along an axis."""
    vectors = np.moveaxis(cube, axis, 0).reshape(cube.shape[axis], -1)
    energies = np.linalg.eigvalsh(vectors @ vectors.T).clip(0)  # ascending
    return float(energies[:-count].sum() / energies.sum()) if energies.any() else 0.0
