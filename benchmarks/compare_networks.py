"""Compare weights of sharpen's network on synthetic scenes that neither trained nor validated any of them.

    python benchmarks/compare_networks.py NAME WEIGHTS.safetensors WEIGHTS.safetensors ... --sides 24 64

Prints, and writes to results/any_sensor/NAME.csv, the gain in MPSNR over the Wiener estimate and the difference to the
first file, paired by scene: means over four degradations, each with half its 95 % interval over scenes. Weights are
named by their folder.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lkca.files import results_folder, write_text
from lkca.paper.evidence import difference
from lkca.provenance import provenance
from sharpen.image.model import load_network
from sharpen.study.training import VALIDATION_DEGRADATIONS, Validation

SEEDS = range(7_000_000, 7_000_016)


def main() -> None:
    """Compare the weights named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="of the table")
    parser.add_argument("weights", type=Path, nargs="+", help="files, all of one scale")
    parser.add_argument("--sides", type=int, nargs="+", default=[64], help="LR pixels on a side of the scenes")
    options = parser.parse_args()
    networks = {path.parent.name: load_network(path)[0] for path in options.weights}
    scale, rows = next(iter(networks.values())).scale, []
    for side in options.sides:
        validation, first = Validation(scale, SEEDS, side * scale), None
        for name, network in networks.items():
            gains = np.reshape(validation.gains(network), (-1, len(VALIDATION_DEGRADATIONS))).mean(axis=1)
            first = gains if first is None else first
            gain, against = difference(gains, "scenes"), difference(gains - first, "scenes")
            row = {"weights": name, "scale": scale, "blocks": len(network.body), "radius": network.radius}
            row |= {"lr_pixels": side, "scenes": gain.n}
            row |= {"gain_dB": gain.mean, "half_width": (gain.high - gain.low) / 2, "to_first_dB": against.mean}
            row |= {"to_first_half_width": (against.high - against.low) / 2}
            rows.append(row | provenance(torch.device("cpu")))
            print(f"{name}, {side} LR pixels: {gain} dB, to the first {against} dB", flush=True)
    table = pd.DataFrame(rows).to_csv(index=False, float_format="%.5g")
    write_text(results_folder() / "any_sensor" / f"{options.name}.csv", table)


if __name__ == "__main__":
    main()
