"""Measure a network on test images, each as a whole, and on validation patches."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from lkca.data.patches import Patches
from lkca.data.split import Area, Split
from lkca.degradation import Degradation, back_project
from lkca.fast import predict
from lkca.metrics import METRICS, SSIM_WINDOW, quality
from lkca.resize import crop_to_multiple

MIN_SQUARED_ERROR = 1e-12  # keeps the PSNR of a perfect band finite
T = TypeVar("T")

Images = dict[str, dict[str, float]]  # the metrics of each test image, by its name


def evaluate(
    model: nn.Module, split: Split, scale: int, steps: Sequence[int] = (0,), psf: str = "bicubic"
) -> dict[int, Images]:
    """Return the six metrics of every test image, for each number of back-projection iterations.

    steps : numbers of iterations; 0 is the network's own output.
    psf : of the LR images; back-projection uses the same.
    """
    images: dict[int, Images] = {step: {} for step in steps}
    for area in split.test:
        lr, truth = low_resolution(area, scale, psf)
        prediction = predict(model, lr)
        for step in steps:
            images[step][area.name] = quality(back_project(prediction, lr, step, psf), truth, scale)
    return images


def mean_quality(images: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each metric over the test images."""
    return {metric: float(np.mean([image[metric] for image in images.values()])) for metric in METRICS}


def low_resolution(area: Area, scale: int, psf: str = "bicubic") -> tuple[Tensor, Tensor]:
    """Return the LR image (B, H/r, W/r) of a test image, and the HR image (B, H, W) that it was made from.

    A test image whose sides are no multiples of the scale is cropped at the bottom and the right, with a warning.

    Raises
    ------
    ValueError
        If the image is too small.
    """
    check_size(area, scale)
    truth = crop_to_multiple(torch.from_numpy(area.cube), scale)
    if truth.shape != area.cube.shape:
        before, after = (f"{shape[1]}x{shape[2]}" for shape in (area.cube.shape, truth.shape))
        warnings.warn(
            f"test image {area.name!r}: cropped from {before} to {after} pixels at the bottom and on the right, "
            f"a multiple of the scale {scale}",
            stacklevel=2,
        )
    return Degradation(psf).downsample(truth, scale), truth


def check_size(area: Area, scale: int) -> None:
    """Raise ValueError if a test image, cropped to a multiple of the scale, has a side below `SSIM_WINDOW` pixels."""
    height, width = area.cube.shape[1:]
    if min(height, width) // scale * scale < SSIM_WINDOW:
        raise ValueError(f"test image {area.name!r} has {height}x{width} pixels: too small to be measured at x{scale}")


@torch.inference_mode()
def patch_mpsnr(
    model: nn.Module,
    patches: Patches,
    scale: int,
    batch: int,
    device: torch.device | str = "cpu",
    psf: str = "bicubic",
) -> float:
    """Return the mean PSNR over bands and patches in dB, by which the best weights are chosen.

    batch : patches per forward pass; fewer if the GPU's memory is too small.
    """
    degradation = Degradation(psf)

    def measure(count: int) -> float:
        values = []
        for start in range(0, len(patches), count):
            hr = patches.cut(range(start, min(start + count, len(patches)))).to(device)
            output = model(degradation.downsample(hr, scale)).float()
            mse = (output - hr).square().mean(dim=(2, 3)).clamp_min(MIN_SQUARED_ERROR)  # (n, B)
            values.append((-10 * mse.log10()).mean(dim=1))
        return torch.cat(values).mean().item()

    model.eval()
    return within_memory(measure, batch)[0]


def within_memory(work: Callable[[int], T], count: int) -> tuple[T, int]:
    """Return work(count) and the count; halve the count, with a warning, each time the GPU runs out of memory.

    Raises
    ------
    ValueError
        If not even one patch fits.
    """
    while True:
        try:
            return work(count), count
        except torch.OutOfMemoryError as error:
            reason = str(error).split(". ")[0]
        # Outside the except block: the error keeps references to the tensors that filled the memory.
        if count == 1:
            raise ValueError(
                f"not even one patch fits into the GPU's memory ({reason}): use a smaller patch, precision bfloat16, "
                "a narrower network, or device cpu"
            )
        torch.cuda.empty_cache()
        warnings.warn(
            f"{count} patches at once are too many for the GPU's memory ({reason}): from here on at most "
            f"{-(-count // 2)} go through the network at once, with the same result",
            stacklevel=3,
        )
        count = -(-count // 2)
