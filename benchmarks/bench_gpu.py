"""One pass of each network in every way that a GPU has: float32, TF32, bfloat16, channels last, compiled.

    python benchmarks/bench_gpu.py --csv results/bench_gpu.csv                 # on a GPU
    python benchmarks/bench_gpu.py --device cpu --size 8 --eager               # to try it: no TF32 there

The ways take turns; a time is the median, a ratio is to float32 in the layout that it comes in. `torch.compile` is one
more way, so that the table says whether it pays. The rates of matrix products in each precision stand beside. A GPU's
own clock is read, so launching counts only where the GPU waits for it. Needs no data.
"""

import argparse
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import torch
from torch import nn

import lkca
from lkca.models.folding import folded
from lkca.models.precision import computing_in
from lkca.paths import write_text
from lkca.studies.turns import take_turns
from lkca.training.provenance import provenance
from lkca.training.train import find_device

BANDS, SCALE = 128, 4
MODELS = ("lkca", "lkca-lr", "lkca-any", "essaformer", "back-projection")
PRODUCT = 4096
TRACE = ("device", "cpu", "gpu", "threads", "torch", "commit", "started")


@contextmanager
def multiplying_in(precision: str, device: torch.device) -> Iterator[None]:
    """float32 as it is, "TF32" for its products and convolutions, or bfloat16 by autocast."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "TF32"
    try:
        with computing_in("bfloat16" if precision == "bfloat16" else "float32", device):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def ways(model: nn.Module, x: torch.Tensor, compiled: bool) -> dict[tuple[str, str], Callable[[], object]]:
    """(precision, layout) -> pass."""
    device = x.device
    layouts = {"as it comes": (model, x)}
    last = torch.channels_last
    layouts["channels last"] = (folded(model).to(memory_format=last), x.contiguous(memory_format=last))
    if compiled:
        layouts["channels last, compiled"] = (torch.compile(layouts["channels last"][0]), layouts["channels last"][1])

    def once(network: nn.Module, image: torch.Tensor, precision: str) -> Callable[[], object]:
        def run() -> object:
            with multiplying_in(precision, device):
                return network(image)

        return run

    precisions = ("float32", "TF32", "bfloat16") if device.type == "cuda" else ("float32", "bfloat16")
    return {
        (precision, layout): once(network, image, precision)
        for layout, (network, image) in layouts.items()
        for precision in precisions
    }


@torch.inference_mode()
def measure(names: list[str], device: torch.device, batch: int, size: int, turns: int, compiled: bool) -> pd.DataFrame:
    """A row for each network and way, and for the matrix product in each precision."""
    rows = []
    matrix = torch.rand(PRODUCT if device.type == "cuda" else 1024, PRODUCT if device.type == "cuda" else 1024).to(
        device
    )
    x = torch.rand(batch, BANDS, size, size, device=device)
    for name in names:
        with torch.inference_mode(False):
            torch.manual_seed(0)
            plain = lkca.build_model(name, BANDS, SCALE).eval()
            macs = batch * lkca.cost(plain, BANDS, size).macs
            model = folded(plain).to(device)
        passes, failed = {}, {}
        for way, run in ways(model, x, compiled).items():
            try:
                run()  # compiles; what cannot be compiled says so
                passes[way] = run
            except Exception as error:  # noqa: BLE001 - the compiler's own types
                failed[way] = f"{type(error).__name__}: {str(error).splitlines()[0][:80] if str(error) else ''}"
        medians = [statistics.median(taken) for taken in take_turns(list(passes.values()), device, turns)]
        seconds = dict(zip(passes, medians, strict=True))
        first = seconds["float32", "as it comes"]
        for way in (*passes, *failed):
            row = {
                "model": name,
                "precision": way[0],
                "layout": way[1],
                "batch": batch,
                "size": size,
                "GMACs": macs / 1e9,
            }
            taken = seconds.get(way)
            row |= {"milliseconds": 1e3 * taken, "times as fast": first / taken} if taken else {"note": failed[way]}
            rows.append(row)
    for precision in ("float32", "TF32", "bfloat16"):

        def product(precision: str = precision) -> object:
            with multiplying_in(precision, device):
                return matrix @ matrix

        taken = statistics.median(take_turns([product], device, turns)[0])
        row = {"model": "matrix product", "precision": precision, "GMACs": len(matrix) ** 3 / 1e9}
        rows.append(row | {"milliseconds": 1e3 * taken})
    table = pd.DataFrame(rows)
    table["GMAC/s"] = 1e3 * table["GMACs"] / table["milliseconds"]
    rate = table[table["model"] == "matrix product"].set_index("precision")["GMAC/s"]
    table["of the matrix rate"] = table["GMAC/s"] / table["precision"].map(rate)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--size", type=int, default=32, help="LR pixels on a side")
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--eager", action="store_true", help="compile nothing, which takes minutes")
    parser.add_argument("--csv", type=Path, help="also write the table there")
    given = parser.parse_args()
    device = find_device(given.device)
    trace = {name: value for name, value in provenance(device).items() if name in TRACE}
    table = measure(given.models, device, given.batch, given.size, given.turns, not given.eager)
    print(table.round(3).to_string(index=False, na_rep=""))
    if given.csv:
        write_text(given.csv, table.round(4).assign(**trace).to_csv(index=False))


if __name__ == "__main__":
    main()
