"""Training in bfloat16 against float32 on the machine at hand: steps a second, and MPSNR after equally many steps.

    python benchmarks/bench_precision.py [--csv results/bench_precision.csv] [--seeds 0 1 2] [--steps 60]

Both precisions take turns, step by step, within one process, so that whatever else the machine does slows both alike;
a ratio is that of the median steps. Beside it stands the machine's own rate of large matrix products at that moment.
Quality: LKCA-LR on a made scene, every seed in both precisions, the same patches in the same order.
"""

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

import lkca
from lkca.data.patches import Area, split_patches
from lkca.data.synthetic import synthetic_scene
from lkca.models.precision import PRECISIONS
from lkca.paths import write_text
from lkca.studies.turns import take_turns
from lkca.training.evaluation import patch_mpsnr
from lkca.training.machine import find_device
from lkca.training.provenance import provenance

BANDS, SCALE, PATCH = 128, 4, 64
# The sizes of the profile `cpu`, and four times as many channels and blocks.
SIZES = ({"channels": 64, "blocks": 2, "batch": 2}, {"channels": 128, "blocks": 8, "batch": 4})
TRACE = ("device", "cpu", "gpu", "threads", "torch", "commit", "started")


def stepper(model: nn.Module, rate: float, precision: str) -> Callable[[torch.Tensor], None]:
    """One step of training, as `lkca.training.trainer` makes it."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)

    def step(hr: torch.Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        lr = lkca.resize(hr, 1 / SCALE)
        with torch.autocast(hr.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            output = model(lr)
        lkca.supervised_loss(output.float(), hr).backward()
        optimizer.step()

    return step


def network(name: str, device: torch.device, bands: int = BANDS, **sizes: int) -> nn.Module:
    torch.manual_seed(0)
    return lkca.build_model(name, bands, SCALE, **sizes).to(device, memory_format=torch.channels_last).train()


def step_rates(device: torch.device, turns: int) -> pd.DataFrame:
    """A row for each network and size: seconds of a step in both precisions, their ratio, the matrix rate beside it."""
    matrix = torch.randn(1024, 1024, device=device)
    rows = []
    for sizes in SIZES:
        size = {name: value for name, value in sizes.items() if name != "batch"}
        hr = torch.rand(sizes["batch"], BANDS, PATCH, PATCH, device=device)
        for name in ("lkca", "lkca-lr"):
            works = {p: stepper(network(name, device, **size), 1e-4, p) for p in PRECISIONS}
            works["product"] = lambda _: matrix @ matrix
            times = take_turns([partial(work, hr) for work in works.values()], device, turns)
            median = {what: statistics.median(taken) for what, taken in zip(works, times, strict=True)}
            rows.append(
                {"model": name, **sizes}
                | {f"{p} ms": 1e3 * median[p] for p in PRECISIONS}
                | {"times as many steps": median["float32"] / median["bfloat16"]}
                | {"GMAC/s of products": len(matrix) ** 3 / median["product"] / 1e9}
            )
    return pd.DataFrame(rows)


def quality(device: torch.device, seeds: list[int], steps: int) -> pd.DataFrame:
    """MPSNR on held-out patches after so many steps: a row for each seed."""
    bands, batch = 32, 4
    scene = synthetic_scene(160, 160, bands)
    trained, held_out = split_patches([Area("made", scene.cube)], size=PATCH, stride=8)
    rows = []
    for seed in seeds:
        row: dict[str, float] = {"seed": seed}
        for precision in PRECISIONS:
            torch.manual_seed(seed)
            model = lkca.build_model("lkca-lr", bands, SCALE, channels=64, blocks=2)
            model = model.to(device, memory_format=torch.channels_last).train()
            step, done = stepper(model, 2e-3, precision), 0
            generator = np.random.default_rng(seed)
            while done < steps:
                for hr in trained.epoch(batch, generator, device):
                    step(hr)
                    done += 1
                    if done == steps:
                        break
            row[precision] = patch_mpsnr(model, held_out, SCALE, batch, device)  # both measured in float32
        rows.append(row | {"difference": row["bfloat16"] - row["float32"]})
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--csv", type=Path, help="also write NAME.csv and NAME_quality.csv")
    given = parser.parse_args()
    device = find_device(given.device)
    trace = {name: value for name, value in provenance(device).items() if name in TRACE}
    rates = step_rates(device, given.turns)
    print(rates.round(2).to_string(index=False), flush=True)
    reached = quality(device, given.seeds, given.steps)
    if len(reached):
        print(f"\nMPSNR (dB) after {given.steps} steps\n{reached.round(3).to_string(index=False)}")
        spread = reached["float32"].std()
        print(f"mean difference {reached.difference.mean():+.3f} dB; seeds spread by {spread:.3f} dB in float32")
    if given.csv:
        write_text(given.csv, rates.round(3).assign(**trace).to_csv(index=False))
        path = given.csv.with_name(f"{given.csv.stem}_quality.csv")
        write_text(path, reached.round(4).assign(steps=given.steps, **trace).to_csv(index=False))


if __name__ == "__main__":
    main()
