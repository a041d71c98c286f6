"""How long work will take, told from a small piece of it."""

import time
from collections.abc import Callable

import torch
from torch import nn

from lkca.sharpening.feature_maps import Rows, middle
from lkca.training.evaluation import predict

SIDE = {2: 32, 4: 32, 8: 16}  # LR pixels of the piece: so few that its enlarged image takes little memory
WORTH = 4  # pieces: a smaller scene is done about as soon as it is estimated


def upscaling_seconds(model: nn.Module, lr: Rows, scale: int) -> float | None:
    """Seconds that sharpening will take about, from the scene's middle; None where that is soon done."""
    _, height, width = lr.shape
    side = SIDE[scale]
    if min(height, width) < side or height * width < WORTH * side**2:
        return None
    piece = middle(lr, side)
    return height * width / side**2 * _shortest(lambda: predict(model, piece))


def training_seconds(step: Callable[[], object], steps: int) -> float:
    """Seconds that so many steps of training will take about."""
    return steps * _shortest(step)


def in_words(seconds: float) -> str:
    """12 s, 3 min, 1.5 h."""
    if seconds < 100:
        return f"{max(1, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _shortest(do: Callable[[], object]) -> float:
    """Seconds that it takes the second time: the first one prepares memory and kernels."""
    do()
    _wait()
    start = time.perf_counter()
    do()
    _wait()
    return time.perf_counter() - start


def _wait() -> None:
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
