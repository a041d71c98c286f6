"""Time and peak memory of `upscale` and of a training step against pixels, bands and scale, a process for each point.

    python benchmarks/bench_growth.py --csv results/speed/growth.csv          # a few minutes; notebook `speed` draws it

Needs no data.
"""

import argparse
from pathlib import Path

import torch

from lkca.paths import write_text
from lkca.studies.growth import measure_growth, slopes
from lkca.training.provenance import provenance

TRACE = ("device", "cpu", "threads", "torch", "commit", "started")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--csv", type=Path, help="also write the table there")
    given = parser.parse_args()
    trace = {name: value for name, value in provenance(torch.device("cpu")).items() if name in TRACE}
    table = measure_growth()
    print(f"\nslopes at the large end, 1 is proportional\n{slopes(table).round(2).to_string(index=False)}")
    if given.csv:
        write_text(given.csv, table.round(4).assign(**trace).to_csv(index=False))


if __name__ == "__main__":
    main()
