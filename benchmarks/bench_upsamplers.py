"""Time of each upsampler's forward pass on a CPU, at the cost of the paper's grouped one or less.

    python benchmarks/bench_upsamplers.py                                       # 128 bands, 128 channels, x4
    python benchmarks/bench_upsamplers.py --bands 205 --csv results/bench_upsamplers.csv

"full" is LKCA-Net's. All take turns on 32x32 LR pixels; the ratio is the median over rounds. Needs no data.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from timing import show, take_turns

from lkca.fast import fold
from lkca.models import build_model
from lkca.models.upsamplers import KINDS

SIZE = 32  # LR pixels on a side
CPU = torch.device("cpu")


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bands", type=int, default=128)
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--csv", type=Path, help="also write the table there")
    arguments = parser.parse_args()
    size = {"bands": arguments.bands, "scale": arguments.scale, "channels": arguments.channels}
    x = torch.rand(1, arguments.channels, SIZE, SIZE)
    passes = {}
    for name in ("full", *KINDS):
        kind = {"groups": 1} if name == "full" else {"upsampler": name}
        model = build_model("lkca-lr", **size, blocks=1, **kind)
        passes[name] = partial(fold(model.upsampler), x)
    times = pd.DataFrame(take_turns(passes, CPU, arguments.rounds))
    ratios = times.div(times["grouped"], axis=0).median()
    table = {"upsampler": times.columns, "milliseconds": 1e3 * np.median(times, axis=0), "ratio": ratios.to_numpy()}
    show(pd.DataFrame(table).assign(**size), arguments.csv, CPU)


if __name__ == "__main__":
    main()
