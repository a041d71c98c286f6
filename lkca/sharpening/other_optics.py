"""How a scene's gain depends on the optics that made it: nobody knows those of a real one exactly.

The numbers of the study are of images that were shrunk by bicubic. Softer optics leave less to win; what is sharper, or
has noise, can be made worse: back-projection amplifies both.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from torch import nn

from lkca.data.patches import Area
from lkca.measures.metrics import mpsnr, sam
from lkca.measures.optics import pair_seen_through
from lkca.measures.resize import resize
from lkca.training.evaluation import check_size, predict

SHOWN = ("bicubic", "Gaussian 0.3", "Gaussian 0.5", "Gaussian 0.8", "bicubic, 40 dB", "bicubic, 30 dB")


def through_optics(
    models: Mapping[str, nn.Module], area: Area, scale: int, optics: Sequence[str] = SHOWN
) -> pd.DataFrame:
    """What each model gains over bicubic where the area is shrunk by other optics, or has noise.

    Columns: optics, model, gain (MPSNR, dB), angle (SAM, degrees; less is better), worse (either measure says so).

    Raises
    ------
    ValueError
        If the area is too small, or there are no such optics.
    """
    check_size(area, scale)
    rows = []
    for name in optics:
        lr, truth = pair_seen_through(torch.from_numpy(area.cube), scale, name)
        base = _quality(resize(lr, scale), truth)
        for label, model in models.items():
            quality, angle = _quality(predict(model, lr), truth)
            gain, more = quality - base[0], angle - base[1]
            rows.append({"optics": name, "model": label, "gain": gain, "angle": more, "worse": gain < 0 or more > 0})
    return pd.DataFrame(rows)


def _quality(image: torch.Tensor, truth: torch.Tensor) -> tuple[float, float]:
    return mpsnr(image.numpy(), truth.numpy()), sam(image.numpy(), truth.numpy())
