"""Evaluation: whole test images, one by one."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lkca.metrics import METRICS, quality
from lkca.patches import Area
from lkca.resize import crop_to_multiple, resize
from lkca.splits import Split


def low_resolution(area: Area, scale: int) -> tuple[Tensor, Tensor]:
    """The pair (LR, HR) of a test image: HR cropped to a multiple of the scale at bottom and right, LR made from it.

    Shapes (B, H/r, W/r) and (B, H, W).

    Raises
    ------
    ValueError
        If the image is smaller than 7x7 pixels or than the scale.
    """
    truth = crop_to_multiple(torch.from_numpy(area.cube), scale)
    if min(truth.shape[1:]) < max(7, scale):
        raise ValueError(
            f"test image {area.name!r} has {area.cube.shape[1]}x{area.cube.shape[2]} pixels: "
            f"too small to be measured at x{scale}"
        )
    return resize(truth, 1 / scale), truth


@torch.inference_mode()
def predict(model: nn.Module, lr: Tensor) -> Tensor:
    """One LR image (B, h, w) through the model, back on the CPU: (B, r·h, r·w)."""
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    training = model.training
    prediction = model.eval()(lr[None].to(device))[0].float().cpu()
    model.train(training)
    return prediction


def evaluate(model: nn.Module, split: Split, scale: int) -> dict[str, dict[str, float]]:
    """The six metrics of every test image, by the image's name."""
    images = {}
    for area in split.test:
        lr, truth = low_resolution(area, scale)
        images[area.name] = quality(predict(model, lr), truth, scale)
    return images


def mean_quality(images: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Mean of each metric over the test images."""
    return {metric: float(np.mean([image[metric] for image in images.values()])) for metric in METRICS}


def spectral_error(prediction: NDArray, truth: NDArray) -> NDArray:
    """Root of the mean squared error of each band: (B,)."""
    return np.sqrt(np.square(prediction - truth).mean(axis=(1, 2)))
