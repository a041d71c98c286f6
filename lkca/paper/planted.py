"""Show on a synthetic scene that `lkca.paper.check_data` finds a hidden protocol variant. No file is needed."""

import numpy as np
import pandas as pd
import torch

from lkca.data.synthetic.scenes import synthetic_scene
from lkca.metrics import METRICS, quality
from lkca.paper.check_data import Check, check_protocol
from lkca.paper.measurements import Measurements
from lkca.paper.protocols import SCALES, Protocol
from lkca.resize import resize

TITLE = "Planted synthetic scene (8 bands)"
CROPS = {
    "rows 4-147, columns 6-149, counted from 1": (3, 147, 5, 149),
    "the same numbers counted from 0, last left out": (4, 147, 6, 149),
    "the same size, counted from 0": (4, 148, 6, 150),
    "no crop": (0, 160, 0, 160),
}
PROTOCOL = Protocol(CROPS, ((48, 3), (32, 4)), (8000.0,))
HIDDEN = "the same size, counted from 0; 3 of 48x48 along the top; divided by the maximum of the file"


def planted_check(seed: int = 0) -> Check:
    """Generate a scene, measure bicubic on it under the variant `HIDDEN`, and look for that variant."""
    cube = synthetic_scene(160, 160, 8, seed).cube * np.float32(9000) + np.float32(40)
    cube[3, 159, 159] = 12_000  # the brightest pixel lies outside the crops
    top, bottom, left, right = CROPS["the same size, counted from 0"]
    crop = torch.from_numpy(cube[:, top:bottom, left:right] / cube.max())
    rows = []
    for scale in SCALES:
        truths = [crop[:, :48, 48 * i : 48 * (i + 1)].contiguous() for i in range(3)]
        images = [quality(resize(resize(truth, 1 / scale), scale), truth, scale) for truth in truths]
        rows.append({"scale": scale} | {metric: round(np.mean([i[metric] for i in images]), 4) for metric in METRICS})
    return check_protocol(Measurements(cube), PROTOCOL, pd.DataFrame(rows), TITLE)
