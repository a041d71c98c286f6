"""Band groups all at once against one after the other: forward time of SSPSR and MSDformer, same weights, same output.

    python benchmarks/bench_groups.py                        # sizes that suit the device
    python benchmarks/bench_groups.py --batch 8 --size 16 --csv results/bench_groups.csv

The loops below are how the published networks go through their groups; they stand here and nowhere else. VDSR, 3DFCNN
and ESSAformer have no groups, so there is nothing to compare. Needs the package installed, no data.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from lkca import build_model, resize
from lkca.models.blocks import BandGroups
from lkca.models.msdformer import MSDformer
from lkca.models.sspsr import SSPSR
from lkca.paths import written_whole
from lkca.studies.turns import take_turns
from lkca.training.provenance import provenance

BANDS, SCALE = 128, 4
TOLERANCE = 2e-5  # largest difference between the two outputs, over the output's standard deviation
KEYS = ["model", "batch", "bands", "size", "channels", "scale", "device", "hardware"]  # a row exists once


def add_group(total: Tensor, groups: BandGroups, start: int, y: Tensor) -> None:
    total[:, start : start + groups.size] += y


def sspsr_loop(model: SSPSR, x: Tensor) -> Tensor:
    groups, half = model.groups, model.scale // 2
    total = x.new_zeros(x.shape[0], model.bands, half * x.shape[2], half * x.shape[3])
    for start in groups.starts:
        add_group(total, groups, start, model.branch(x[:, start : start + groups.size]))
    y = model.trunk(total / groups.writers)
    return model.last(y + model.skip(resize(x, model.scale)))


def msdformer_loop(model: MSDformer, x: Tensor) -> Tensor:
    head, groups = model.head, model.head.groups
    total = torch.zeros_like(x)
    for k, start in enumerate(groups.starts):
        bands = x[:, start : start + groups.size]
        y = head.residual(sum(head.activation(conv(bands)) for conv in head.dilated))
        add_group(total, groups, start, head.own_last[k](head.own[k](y)))
    first = head.merged(total / groups.writers)
    y = model.transformer[0](first)
    for block, conv in zip(model.transformer[1:], model.body[1:], strict=True):
        y = conv(block(y))
    return model.last(model.upsampling(first + y) + model.skip(resize(x, model.scale)))


LOOPS: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {"sspsr": sspsr_loop, "msdformer": msdformer_loop}


@torch.inference_mode()
def compare(name: str, batch: int, size: int, channels: int | None, device: torch.device, repeats: int) -> dict:
    """One row: both outputs compared, both times taken."""
    torch.manual_seed(0)
    options = {"channels": channels} if channels else {}
    model = build_model(name, BANDS, SCALE, **options).to(device).eval()
    x = torch.rand(batch, BANDS, size, size, device=device)
    together, looped = model(x), LOOPS[name](model, x)
    difference = ((together - looped).abs().max() / looped.std()).item()
    if not difference < TOLERANCE:
        raise SystemExit(f"{name}: the two outputs differ by {difference:.1e} of their standard deviation")
    times = take_turns([lambda: model(x), lambda: LOOPS[name](model, x)], device, repeats)
    ours, loop = (1e3 * statistics.median(taken) for taken in times)
    return {
        "model": name,
        "batch": batch,
        "bands": BANDS,
        "size": size,
        "channels": model.last.in_channels,
        "scale": SCALE,
        "loop_ms": round(loop, 2),
        "together_ms": round(ours, 2),
        "ratio": round(loop / ours, 2),
        "difference": float(f"{difference:.1e}"),
    }


def add_rows(path: Path, rows: pd.DataFrame) -> None:
    """Add rows to a CSV file; a row with the same settings on the same hardware is replaced."""
    if path.is_file():
        rows = pd.concat([pd.read_csv(path), rows], ignore_index=True).drop_duplicates(KEYS, keep="last")
    with written_whole(path) as temporary:
        rows.to_csv(temporary, index=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", nargs="+", choices=LOOPS, default=list(LOOPS))
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--size", type=int, help="LR pixels on a side (default 16; on a CPU 8 for batches over 1)")
    parser.add_argument("--channels", type=int, help="feature channels, instead of the published ones")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, help="timed forward passes (default 30; on a CPU 3)")
    parser.add_argument("--csv", type=Path, help="add the rows, with machine and versions, to this file")
    options = parser.parse_args()

    device = torch.device(options.device)
    on_cpu = device.type == "cpu"
    record = provenance(device)
    hardware = record.pop("cpu" if on_cpu else "gpu", device.type)
    print(f"{hardware}, torch {torch.__version__}, {torch.get_num_threads()} threads; float32, x{SCALE}, median")
    print("no groups of bands, nothing to compare: vdsr, 3dfcnn, essaformer")
    rows = []
    for name in options.model:
        for batch in options.batch:
            size = options.size or (8 if on_cpu and batch > 1 else 16)
            row = compare(name, batch, size, options.channels, device, options.repeats or (3 if on_cpu else 30))
            print(
                f"{name:10} ({batch}, {BANDS}, {size}, {size}), {row['channels']} channels: "
                f"loop {row['loop_ms']:9.2f} ms, together {row['together_ms']:9.2f} ms, ratio {row['ratio']:.2f} "
                f"(outputs differ by {row['difference']:.0e} of their standard deviation)",
                flush=True,
            )
            rows.append({**row, **record, "device": device.type, "hardware": hardware})
    if options.csv:
        add_rows(options.csv, pd.DataFrame(rows))
        print(f"written: {options.csv}")


if __name__ == "__main__":
    main()
