"""The aims of speed against what `make benchmark` measured just before: met or missed, and what bounds the missed ones.

python benchmarks/targets.py            # reads results/bench_inference.csv, bench_layers.csv and bench_precision.csv
"""

import argparse
from pathlib import Path

import pandas as pd

from lkca.paths import results_folder, write_text

FASTER = (
    ("ESSAformer", 120),
    ("LKCA-LR", 3),
)  # times that the fastest way through LKCA-LR is to be faster, eager float32
RATES = (("LKCA-Net", 0.6), ("LKCA-LR", 0.4))  # of the rate of matrix products, in eager float32
STEPS = 1.6  # times as many steps of training in bfloat16
SHOWN = 3  # layers that bound a network, in words


def inference(ways: pd.DataFrame, layers: pd.DataFrame) -> list[dict[str, object]]:
    """Rows target, aim, measured, bounded by."""
    times = ways.set_index("way")["milliseconds"]
    ours = times[times.index.str.startswith("LKCA-LR")]
    best, name = ours.min(), ours.idxmin()
    products = times["matrix product"] / times["matrix product, bfloat16"]
    macs = ways.set_index("way")["of the matrix rate"]
    rows = []
    for other, aim in FASTER:
        reached = times[other] / best
        share = macs[name] / products * aim / reached  # of the bfloat16 rate, that the aim would need
        why = (
            f"{name} runs at {macs[name] / products:.2f} of the rate of bfloat16 products ({products:.1f} times "
            f"float32's); the aim needs {share:.2f}, depthwise convolutions and float32 bicubic included"
        )
        target = f"LKCA-LR, the fastest way ({name}), times faster than {other} in eager float32"
        rows.append({"target": target, "aim": aim, "measured": reached, "bounded by": why})
    for label, aim in RATES:
        rows.append({"target": f"{label}, eager float32, of the rate of matrix products", "aim": aim})
        rows[-1] |= {"measured": macs[label], "bounded by": worst_layers(layers[layers["model"] == label])}
    return rows


def worst_layers(layers: pd.DataFrame) -> str:
    """The layers that lose most time over what their MACs and bytes allow."""
    alone = layers[layers["layer"].ne("sum of the layers") & layers["layer"].ne("whole network")]
    lost = (alone["milliseconds"] - alone["least milliseconds"]).nlargest(SHOWN)
    whole = layers.loc[layers["layer"] == "whole network", "milliseconds"].iloc[0]
    said = [
        f"{alone['layer'][i]} ({alone['milliseconds'][i]:.1f} ms, {alone['least milliseconds'][i]:.1f} at the bound of "
        f"{alone['bound'][i]})"
        for i in lost.index
    ]
    return f"of {whole:.1f} ms: {', '.join(said)}"


def training(steps: pd.DataFrame) -> list[dict[str, object]]:
    """Rows as of `inference`, one for each network and size."""
    return [
        {
            "target": f"training {row.model}, {row.channels} channels, {row.blocks} blocks, batch {row.batch}: "
            "steps in bfloat16 over those in float32",
            "aim": STEPS,
            "measured": row.times,
            "bounded by": f"bicubic, the sum and the losses stay in float32: {row.share:.0%} of a step in bfloat16",
        }
        for row in steps.rename(columns={"times as many steps": "times", "float32 share": "share"}).itertuples()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=results_folder(), help="where the CSVs are, and the table goes")
    folder = parser.parse_args().folder
    ways, layers, steps = (pd.read_csv(folder / f"bench_{name}.csv") for name in ("inference", "layers", "precision"))
    table = pd.DataFrame(inference(ways, layers) + training(steps))
    table.insert(3, "", ["met" if row.measured >= row.aim else "missed" for row in table.itertuples()])
    for row in table.round(2).to_dict("records"):
        print(f"{row['target']}: {row['measured']}, aim {row['aim']}, {row['']}")
        if row[""] == "missed":
            print(f"    bounded by: {row['bounded by']}")
    table["bounded by"] = table["bounded by"].where(table[""] == "missed", "")
    table = table.rename(columns={"": "reached"}).round(3).assign(**ways[["cpu", "threads"]].iloc[0])
    write_text(folder / "bench_targets.csv", table.to_csv(index=False))


if __name__ == "__main__":
    main()
