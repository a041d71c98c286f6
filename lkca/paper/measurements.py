"""Measure bicubic on the test images of protocol variants; variants that share an image share its measurement."""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lkca.paper.metric_variants import Values, angles, band_sums, metrics_of_sums, normalised, similarities
from lkca.paper.protocols import SCALES, Setting, TestImage
from lkca.resize import resize

AS_IT_IS, CLIPPED = "as it is", "clipped to 0-1"


class Measurements:
    """Metrics of bicubic on the test images of one cube (B, H, W), in the file's numbers."""

    def __init__(self, cube: NDArray[np.float32]) -> None:
        self.cube = cube
        # Caches of this instance: each setting and image is measured once.
        self.screened, self.exact, self._sums = cache(self._screened), cache(self._exact), cache(self._band_sums)

    def _band_sums(self, image: TestImage, scale: int) -> NDArray[np.float64]:
        return band_sums(*_bicubic_and_truth(self.cube, image, scale))

    def _screened(self, setting: Setting, scale: int) -> Values:
        """Return MPSNR, CC, RMSE and ERGAS of a setting: the metrics that follow from sums over each band."""
        images = []
        for image in setting.images:
            sums = self._sums(image, scale)
            sums = normalised(sums, image.pixels, *_normalisation(setting, sums[-1].max()))
            images.append(metrics_of_sums(sums, image.pixels, scale))
        return _mean(images)

    def _exact(self, setting: Setting) -> dict[str, dict[int, Values]]:
        """Return all six metrics by scale, of bicubic unclipped, and clipped to [0, 1] where that differs."""
        found: dict[str, dict[int, Values]] = {AS_IT_IS: {}, CLIPPED: {}}
        differs = False
        for scale in SCALES:
            plain, clipped = [], []
            for image in setting.images:
                p, t = _bicubic_and_truth(self.cube, image, scale)
                offset, divisor = (torch.tensor(x, dtype=torch.float32) for x in _normalisation(setting, t.max()))
                p, t = ((x - offset[:, None, None]).div_(divisor[:, None, None]) for x in (p, t))
                plain.append(_all_six(p, t, scale))
                same = bool(p.min() >= 0 and p.max() <= 1)
                clipped.append(plain[-1] if same else _all_six(p.clamp(0, 1), t, scale))
                differs |= not same
            found[AS_IT_IS][scale], found[CLIPPED][scale] = _mean(plain), _mean(clipped)
        return found if differs else {f"{AS_IT_IS} | {CLIPPED}": found[AS_IT_IS]}


def _all_six(prediction: Tensor, truth: Tensor, scale: int) -> Values:
    sums = metrics_of_sums(band_sums(prediction, truth), truth[0].numel(), scale)
    return sums | angles(prediction, truth) | similarities(prediction, truth)


def _bicubic_and_truth(cube: NDArray[np.float32], image: TestImage, scale: int) -> tuple[Tensor, Tensor]:
    """Return the bicubic image and the truth of a test image, (B, H, W) each, in the file's numbers."""
    top, bottom, left, right = image.box
    t0, b0, l0, r0 = image.context
    inside = slice(top - t0, bottom - t0), slice(left - l0, right - l0)
    context = torch.from_numpy(np.ascontiguousarray(cube[:, t0:b0, l0:r0])).clamp(*image.limits)
    truth = context[:, *inside].contiguous()
    lr = resize(context, 1 / scale)
    if image.cut_last:
        return resize(lr, scale)[:, *inside].contiguous(), truth
    return resize(lr[:, *(slice(side.start // scale, side.stop // scale) for side in inside)], scale), truth


def _normalisation(setting: Setting, image_maximum: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return offset and divisor of each band. image_maximum : the test image's, for settings that divide by it."""
    own = np.full(len(setting.offset), max(float(image_maximum), 1e-12))
    return np.array(setting.offset), own if setting.divisor is None else np.array(setting.divisor)


def _mean(images: list[Values]) -> Values:
    return {key: float(np.mean([image[key] for image in images])) for key in images[0]}
