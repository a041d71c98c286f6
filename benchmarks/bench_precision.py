"""Training in bfloat16 against float32 on the machine at hand: steps a second, and MPSNR after equally many steps.

    python benchmarks/bench_precision.py [--csv results/bench_precision.csv]            # steps a second: a minute
    python benchmarks/bench_precision.py --quality [--csv results/bench_precision_quality.csv]      # five minutes

Both precisions take turns, step by step, within one process, so that whatever else the machine does slows both alike;
a ratio is that of the median steps. Beside it stands the machine's own rate of large matrix products at that moment.
Quality: LKCA-Net and LKCA-LR on a made scene, every seed in both precisions, the same patches in the same order.
"""

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from itertools import product
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

NETWORKS = ("lkca", "lkca-lr")
BANDS, SCALE, PATCH = 128, 4, 64
MADE_BANDS, MADE_BATCH = 32, 2  # of the scene that quality is measured on
RATE = 1e-3  # of learning, there
# The sizes of the profile `cpu`, and four times as many channels and blocks.
SIZES = ({"channels": 64, "blocks": 2, "batch": 2}, {"channels": 128, "blocks": 8, "batch": 4})
TRACE = ("device", "cpu", "gpu", "threads", "torch", "commit", "started")


def stepper(model: nn.Module, rate: float, precision: str, steps: int = 10**9) -> Callable[[torch.Tensor], None]:
    """One step of training, as `lkca.training.trainer` makes it; the rate falls to 0 in so many steps."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, steps)

    def step(hr: torch.Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        lr = lkca.resize(hr, 1 / SCALE)
        with torch.autocast(hr.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            output = model(lr)
        lkca.supervised_loss(output.float(), hr).backward()
        optimizer.step()
        schedule.step()

    return step


def float32_part(hr: torch.Tensor) -> None:
    """What a step computes in float32 in every precision: bicubic both ways, and the losses with their gradient."""
    output = lkca.resize(lkca.resize(hr, 1 / SCALE), SCALE).requires_grad_()
    lkca.supervised_loss(output, hr).backward()


def network(name: str, device: torch.device, bands: int = BANDS, seed: int = 0, **sizes: int) -> nn.Module:
    torch.manual_seed(seed)
    return lkca.build_model(name, bands, SCALE, **sizes).to(device, memory_format=torch.channels_last).train()


def step_rates(device: torch.device, turns: int) -> pd.DataFrame:
    """A row for each network and size: a step in both precisions, their ratio, what of it stays in float32 whatever the
    precision (bicubic both ways, the losses), and the matrix rate beside it.
    """
    matrix = torch.randn(1024, 1024, device=device)
    rows = []
    for sizes in SIZES:
        size = {name: value for name, value in sizes.items() if name != "batch"}
        hr = torch.rand(sizes["batch"], BANDS, PATCH, PATCH, device=device)
        for name in NETWORKS:
            works = {p: stepper(network(name, device, **size), 1e-4, p) for p in PRECISIONS}
            works["float32 part"] = float32_part
            works["matrices"] = lambda _: matrix @ matrix
            times = take_turns([partial(work, hr) for work in works.values()], device, turns)
            median = {what: statistics.median(taken) for what, taken in zip(works, times, strict=True)}
            rows.append(
                {"model": name, **sizes}
                | {f"{p} ms": 1e3 * median[p] for p in PRECISIONS}
                | {"times as many steps": median["float32"] / median["bfloat16"]}
                | {"float32 share": median["float32 part"] / median["bfloat16"]}
                | {"GMAC/s of products": len(matrix) ** 3 / median["matrices"] / 1e9}
            )
    return pd.DataFrame(rows)


def quality(device: torch.device, seeds: list[int], steps: int) -> pd.DataFrame:
    """MPSNR on held-out patches after so many steps: a row for each network and seed, bicubic's beside it."""
    scene = synthetic_scene(160, 160, MADE_BANDS)
    trained, held_out = split_patches([Area("made", scene.cube)], size=PATCH, stride=8)
    measured = partial(patch_mpsnr, patches=held_out, scale=SCALE, batch=MADE_BATCH, device=device)  # in float32
    bicubic = measured(lkca.build_model("bicubic", MADE_BANDS, SCALE).to(device))
    rows = []
    for name, seed in product(NETWORKS, seeds):
        row: dict[str, object] = {"model": name, "seed": seed, "steps": steps, "bicubic": bicubic}
        for precision in PRECISIONS:
            model = network(name, device, MADE_BANDS, seed, channels=64, blocks=2)
            step, done = stepper(model, RATE, precision, steps), 0
            generator = np.random.default_rng(seed)
            while done < steps:
                for hr in trained.epoch(MADE_BATCH, generator, device):
                    step(hr)
                    done += 1
                    if done == steps:
                        break
            row[precision] = measured(model.eval())
        rows.append(row | {"difference": row["bfloat16"] - row["float32"]})
        print(f"{name}, seed {seed}: {row['float32']:.3f} and {row['bfloat16']:.3f} dB", flush=True)
    return pd.DataFrame(rows)


def quality_in_words(reached: pd.DataFrame) -> list[str]:
    """A sentence for each network: the mean difference against what a seed changes."""
    return [
        f"{name}: bfloat16 differs by {rows.difference.mean():+.3f} dB on average, by "
        f"{rows.difference.abs().max():.3f} at most; the seeds spread by {rows.float32.std():.3f} dB in float32"
        for name, rows in reached.groupby("model", sort=False)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--quality", action="store_true", help="train in both precisions instead of timing steps")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--csv", type=Path, help="also write the table there")
    given = parser.parse_args()
    device = find_device(given.device)
    trace = {name: value for name, value in provenance(device).items() if name in TRACE}
    if given.quality:
        table = quality(device, given.seeds, given.steps)
        said = quality_in_words(table)
    else:
        table = step_rates(device, given.turns)
        said = []
    print(table.round(3).to_string(index=False))
    print("\n".join(said))
    if given.csv:
        write_text(given.csv, table.round(4).assign(**trace).to_csv(index=False))


if __name__ == "__main__":
    main()
