"""What the numbers of a file mean: one divisor for all bands, or a gain and an offset for each."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def units(path: Path, gains: Sequence[float], offsets: Sequence[float]) -> dict[str, object]:
    """`scale_factor`, `gains` and `offsets` of a `Scene` whose values are gain * number + offset.

    Gains that are the same for all bands, without offsets, become a `scale_factor`, which divides. Gains or offsets
    that cannot be (0, NaN) are left out with a warning.
    """
    gains, offsets = np.asarray(gains, np.float64), np.asarray(offsets, np.float64)
    if not (np.isfinite(gains).all() and np.isfinite(offsets).all() and gains.all()):
        warnings.warn(f"{path}: its gains or offsets hold 0 or no number; they are left out", stacklevel=2)
        return {}
    if not offsets.any() and np.ptp(gains) <= 1e-9 * abs(gains[0]):
        return {"scale_factor": 1.0 if gains[0] == 1 else float(1 / gains[0])}
    return {"scale_factor": 1.0, "gains": gains, "offsets": offsets}
