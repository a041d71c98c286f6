"""A made scene with a hidden reading, to show that `lkca.paper.check` finds it without any file."""

import numpy as np
import pandas as pd
import torch

from lkca.data.normalising import normalise
from lkca.data.patches import Area
from lkca.data.synthetic import synthetic_scene
from lkca.measures.metrics import quality
from lkca.measures.resize import resize
from lkca.paper.check import Check, check_protocol
from lkca.paper.measures import Measurements
from lkca.paper.readings import SCALES, Protocol
from lkca.training.evaluation import low_resolution, mean_quality

TITLE = "Planted synthetic scene (made, 8 bands)"
CROPS = {
    "rows 4-147, columns 6-149, counted from 1": (3, 147, 5, 149),
    "the same numbers counted from 0, last left out": (4, 147, 6, 149),
    "the same size, counted from 0": (4, 148, 6, 150),
    "no crop": (0, 160, 0, 160),
}
PROTOCOL = Protocol(CROPS, ((48, 3), (32, 4)), (8000.0,))
HIDDEN = "the same size, counted from 0; 3 of 48x48 along the top; divided by the maximum of the file"


def planted_check(seed: int = 0) -> Check:
    """Make a scene, measure it under `HIDDEN` as the study measures bicubic, and look for the reading."""
    cube = synthetic_scene(160, 160, 8, seed).cube * np.float32(9000) + np.float32(40)
    cube[3, 159, 159] = 12_000  # the brightest pixel lies outside the crops
    top, bottom, left, right = CROPS["the same size, counted from 0"]
    crop = normalise(cube[:, top:bottom, left:right].copy(), float(cube.max()))
    rows = []
    for scale in SCALES:
        images = {}
        for i in range(3):
            lr, truth = low_resolution(Area(f"test {i}", crop[:, :48, 48 * i : 48 * (i + 1)].copy()), scale)
            images[str(i)] = quality(resize(torch.as_tensor(lr), scale), truth, scale)
        rows.append({"scale": scale} | {metric: round(value, 4) for metric, value in mean_quality(images).items()})
    return check_protocol(Measurements(cube), PROTOCOL, pd.DataFrame(rows), TITLE)
