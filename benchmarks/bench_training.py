"""Time of a training step: plain and accelerated modules, float32 and bfloat16; share of it spent waiting for data.

    python benchmarks/bench_training.py [--device cpu|cuda] [--csv results/bench_training.csv]

LKCA-Net and LKCA-LR at the sizes of the profile `cpu`, and with twice the channels, four times the blocks and twice the
batch; patches of 64x64 HR pixels, 128 bands, x4, from a synthetic scene. All ways take turns, step by step. Needs no
data.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from timing import medians, show, take_turns
from torch import Tensor, nn

from lkca.data.patches import Area, Patches, split_patches
from lkca.data.synthetic.scenes import synthetic_scene
from lkca.fast import accelerate, computing_in
from lkca.losses import supervised_loss
from lkca.models import MODELS, build_model
from lkca.provenance import find_device
from lkca.resize import resize

BANDS, SCALE, PATCH = 128, 4, 64
NAMES = ("lkca", "lkca-lr")
SIZES = ({"channels": 64, "blocks": 2, "batch": 2}, {"channels": 128, "blocks": 8, "batch": 4})
TINY = ({"channels": 16, "blocks": 1, "batch": 2},)
WAYS = {"plain": "float32", "float32": "float32", "bfloat16": "bfloat16"}  # precision; "plain" is not accelerated


def training_step(model: nn.Module, precision: str, device: torch.device) -> Callable[[Tensor], None]:
    """Return a function that trains on a batch (n, B, H, W) of HR patches."""
    model = model.to(device).train()
    if all(parameter.ndim <= 4 for parameter in model.parameters()):
        model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def step(hr: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        with computing_in(precision, device):
            output = model(resize(hr, 1 / SCALE))
        supervised_loss(output.float(), hr).backward()
        optimizer.step()

    return step


def synthetic_patches(side: int = 256) -> Patches:
    scene = synthetic_scene(side, side, BANDS, 0)
    return split_patches([Area("synthetic", scene.cube)], size=PATCH, stride=8)[0]


def batches_without_end(patches: Patches, batch: int, device: torch.device) -> Iterator[Tensor]:
    for epoch in count():
        yield from patches.epoch(batch, np.random.default_rng(epoch), device)


def share_of_waiting(step: Callable[[Tensor], None], batches: Iterator[Tensor], device: torch.device, n: int) -> float:
    """Return the share of n steps that passes until the next batch is on the device."""
    step(next(batches))
    waited, begin = 0.0, time.perf_counter()
    for _ in range(n):
        start = time.perf_counter()
        hr = next(batches)
        _wait(device)
        waited += time.perf_counter() - start
        step(hr)
        _wait(device)
    return waited / (time.perf_counter() - begin)


def measure(name: str, size: dict[str, int], patches: Patches, device: torch.device, rounds: int) -> dict[str, object]:
    options = {option: value for option, value in size.items() if option != "batch"}
    steps = {}
    for way, precision in WAYS.items():
        torch.manual_seed(0)
        model = build_model(name, BANDS, SCALE, **options)
        steps[way] = training_step(model if way == "plain" else accelerate(model), precision, device)
    batches = batches_without_end(patches, size["batch"], device)
    hr = next(batches)
    median = medians(take_turns({way: lambda s=step: s(hr) for way, step in steps.items()}, device, rounds))
    return {
        "model": MODELS[name].label,
        **size,
        **{f"{way} ms": 1e3 * seconds for way, seconds in median.items()},
        "plain / float32": median["plain"] / median["float32"],
        "float32 / bfloat16": median["float32"] / median["bfloat16"],
        "steps a second": 1 / median["float32"],
        "share of waiting": share_of_waiting(steps["float32"], batches, device, rounds),
    }


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--small", action="store_true", help="narrow networks, to try the script")
    parser.add_argument("--csv", type=Path, help="also write the table there")
    arguments = parser.parse_args()
    device = find_device(arguments.device)
    patches = synthetic_patches()
    sizes = TINY if arguments.small else SIZES
    rows = [measure(name, size, patches, device, arguments.rounds) for size in sizes for name in NAMES]
    show(pd.DataFrame(rows), arguments.csv, device)


if __name__ == "__main__":
    main()
