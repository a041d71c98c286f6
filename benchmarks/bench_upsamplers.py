"""Upsamplers against the paper's grouped one, the same cost or less: time of a forward pass, by turns.

    python benchmarks/bench_upsamplers.py                        # the paper's sizes: 128 bands, 128 channels, x4
    python benchmarks/bench_upsamplers.py --bands 205 --csv results/bench_upsamplers.csv

Needs the package installed, no data.
"""

import argparse

import torch

from lkca.models.upsamplers import KINDS
from lkca.paths import write_text
from lkca.studies.upsamplers.measured import measured_times
from lkca.training.provenance import provenance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bands", type=int, default=128)
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--csv", help="also write the table there")
    given = parser.parse_args()
    table = measured_times(given.bands, given.scale, given.channels, KINDS)
    sizes = f"{given.bands} bands, {given.channels} channels, x{given.scale}, {torch.get_num_threads()} threads"
    print(f"{sizes}; ratio: to grouped, the median over rounds\n{table.round(2).to_string(index=False)}")
    if given.csv:
        about = provenance(torch.device("cpu"))
        table = table.assign(**vars(given), threads=torch.get_num_threads(), cpu=about["cpu"], torch=about["torch"])
        write_text(given.csv, table.drop(columns="csv").to_csv(index=False, float_format="%.4g"))


if __name__ == "__main__":
    main()
