"""Evaluation: whole test images, one by one."""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from lkca.data.patches import Area, Patches
from lkca.data.split import Split
from lkca.measures.back_projection import back_project
from lkca.measures.blur import shrink
from lkca.measures.metrics import METRICS, quality
from lkca.measures.resize import crop_to_multiple
from lkca.models.precision import computing_in


def low_resolution(area: Area, scale: int, blur: str = "bicubic") -> tuple[Tensor, Tensor]:
    """The pair (LR, HR) of a test image: HR cropped to a multiple of the scale at bottom and right, LR made from it.

    Shapes (B, H/r, W/r) and (B, H, W). A crop is said in a warning.

    Raises
    ------
    ValueError
        If the image is smaller than 7x7 pixels or than the scale.
    """
    check_size(area, scale)
    truth = crop_to_multiple(torch.from_numpy(area.cube), scale)
    if truth.shape != area.cube.shape:
        sizes = [f"{shape[1]}x{shape[2]}" for shape in (area.cube.shape, truth.shape)]
        warnings.warn(
            f"test image {area.name!r}: {sizes[0]} pixels cropped to {sizes[1]} at the bottom and the right, "
            f"a multiple of the scale {scale}",
            stacklevel=2,
        )
    return shrink(truth, scale, blur), truth


def check_size(area: Area, scale: int) -> None:
    """ValueError if a test image, cropped to a multiple of the scale, is smaller than the SSIM window of 7x7 pixels."""
    height, width = area.cube.shape[1:]
    if min(height, width) // scale * scale < 7:
        raise ValueError(f"test image {area.name!r} has {height}x{width} pixels: too small to be measured at x{scale}")


@torch.inference_mode()
def predict(model: nn.Module, lr: Tensor, precision: str = "float32") -> Tensor:
    """One LR image (B, h, w) through the model, back on the CPU: (B, r·h, r·w), float32.

    precision : "float32", that of every number of the study, or "bfloat16".

    An image that the GPU's memory does not hold is done on the CPU, with a warning.

    Raises
    ------
    ValueError
        If the output is not all numbers.
    """
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    training = model.training
    model.eval()
    try:
        with computing_in(precision, device):
            prediction = model(lr[None].to(device))[0].float().cpu()
    except torch.OutOfMemoryError:
        prediction = None
    if prediction is None:  # out of the except block: the error holds on to the tensors that filled the memory
        torch.cuda.empty_cache()
        warnings.warn(
            f"an image of {lr.shape[1]}x{lr.shape[2]} LR pixels is too large for the GPU's memory: done on the CPU, "
            f"which is slower",
            stacklevel=2,
        )
        weights = {name: tensor.cpu() for name, tensor in (*model.named_parameters(), *model.named_buffers())}
        prediction = functional_call(model, weights, (lr[None],))[0].float()
    model.train(training)
    if not prediction.isfinite().all():
        raise ValueError(
            f"{type(model).__name__} made NaN or infinite values of an image of {lr.shape[1]}x{lr.shape[2]} LR pixels: "
            "its weights are of no use; train again"
        )
    return prediction


def evaluate(model: nn.Module, split: Split, scale: int, blur: str = "bicubic") -> dict[str, dict[str, float]]:
    """The six metrics of every test image, by the image's name."""
    return evaluate_corrected(model, split, scale, (0,), blur)[0]


def evaluate_corrected(
    model: nn.Module, split: Split, scale: int, steps: Sequence[int], blur: str = "bicubic"
) -> dict[int, dict[str, dict[str, float]]]:
    """The six metrics of every test image after each number of back-projections; after 0, the model's own output."""
    images: dict[int, dict[str, dict[str, float]]] = {step: {} for step in steps}
    for area in split.test:
        lr, truth = low_resolution(area, scale, blur)
        prediction = predict(model, lr)
        for step in steps:
            images[step][area.name] = quality(back_project(prediction, lr, step), truth, scale)
    return images


@torch.inference_mode()
def patch_mpsnr(
    model: nn.Module,
    patches: Patches,
    scale: int,
    batch: int,
    device: torch.device | str = "cpu",
    blur: str = "bicubic",
) -> float:
    """Mean PSNR over bands and patches, in dB: what the best weights are chosen by."""
    model.eval()
    values = []
    for start in range(0, len(patches), batch):
        hr = patches.cut(range(start, min(start + batch, len(patches)))).to(device)
        output = model(shrink(hr, scale, blur)).float()
        mse = (output - hr).square().mean(dim=(2, 3)).clamp_min(1e-12)  # (n, B)
        values.append((-10 * mse.log10()).mean(dim=1))
    return torch.cat(values).mean().item()


def mean_quality(images: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Mean of each metric over the test images."""
    return {metric: float(np.mean([image[metric] for image in images.values()])) for metric in METRICS}
