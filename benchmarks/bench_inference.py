"""Time of a forward pass of every network on a CPU: plain torch, accelerated torch, OpenVINO.

    python benchmarks/bench_inference.py                                        # about half an hour
    python benchmarks/bench_inference.py --sizes 16 --threads 2 --rounds 3      # a minute

The networks have the paper's sizes: 128 bands, x4. At each size and number of threads all of them take turns. Every way
is first compared with plain torch. "plain" is the network as its file has it, "fast" is folded and accelerated (see
`lkca.fast`), "bfloat16" the same in bfloat16. Needs no data; OpenVINO needs the packages of lkca[onnx].
"""

import argparse
import copy
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from timing import matrix_product, medians, show, take_turns
from torch import Tensor, nn

from lkca.checkpoints import Metadata
from lkca.cost import cost
from lkca.export import export_module
from lkca.fast import accelerate, computing_in, fold, native_bfloat16
from lkca.models import MODELS, build_model
from lkca.models.lkca import LKCANet

BANDS, SCALE = 128, 4
NAMES = tuple(name for name, model in MODELS.items() if model.learned and name != "lkca-kd")  # KD is LR's network
TOLERANCE = 1e-4  # largest difference from plain torch, as a share of the largest output value
COARSE = 0.02  # the same in bfloat16
CPU = torch.device("cpu")


def build(name: str, small: bool) -> nn.Module:
    torch.manual_seed(0)
    model = build_model(name, BANDS, SCALE, **(MODELS[name].small if small else {})).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))  # else LKCA-Net and VDSR start at bicubic
    return model.requires_grad_(False)


def find_ways(name: str, model: nn.Module, folder: Path, size: int, threads: int) -> Iterator[tuple[str, Callable]]:
    """Yield the ways through a network: name, and a function of (n, B, h, w)."""
    fast = accelerate(fold(copy.deepcopy(model)))
    yield "plain", model
    yield "fast", fast
    if isinstance(model, LKCANet) and native_bfloat16():
        yield "fast, bfloat16", partial(_in_bfloat16, fast)
    onnx = folder / f"{name}.onnx"
    if not onnx.is_file():
        export_module(model, onnx, torch.rand(2, BANDS, 5, 6), Metadata(name, BANDS, SCALE))
    yield "OpenVINO", _openvino(onnx, size, threads)


def measure(models: dict[str, nn.Module], folder: Path, size: int, threads: int, rounds: int) -> pd.DataFrame:
    """Return a row for each network and way: median milliseconds, times as long as LKCA-LR in the same way."""
    torch.set_num_threads(threads)
    x = torch.rand(1, BANDS, size, size, generator=torch.Generator().manual_seed(0))
    product, product_macs = matrix_product(CPU)
    passes: dict[object, Callable[[], object]] = {"product": product}
    for name, model in models.items():
        expected = model(x)
        for way, forward in find_ways(name, model, folder, size, threads):
            difference = (forward(x) - expected).abs().max() / expected.abs().max()
            if difference > (COARSE if "bfloat16" in way else TOLERANCE):
                raise ValueError(f"{name}, {way}: differs from plain torch by {difference:.1e} of the largest value")
            passes[name, way] = partial(forward, x)
    times = take_turns(passes, CPU, rounds)
    median = medians(times)
    rows = []
    for name, way in list(passes)[1:]:
        seconds, macs = median[name, way], cost(models[name], BANDS, size).macs
        row = {"model": name, "way": way, "size": size, "threads": threads, "rounds": len(times[name, way])}
        row |= {"milliseconds": 1e3 * seconds, "fastest": 1e3 * min(times[name, way]), "macs_G": macs / 1e9}
        row["times LKCA-LR"] = seconds / median["lkca-lr", way]
        row["of the matrix rate"] = macs / seconds / (product_macs / median["product"])
        rows.append(row)
    return pd.DataFrame(rows)


def _in_bfloat16(model: nn.Module, x: Tensor) -> Tensor:
    with computing_in("bfloat16"):
        return model(x)


def _openvino(onnx: Path, size: int, threads: int) -> Callable[[Tensor], Tensor]:
    import openvino

    core = openvino.Core()
    network = core.read_model(onnx)
    network.reshape([1, BANDS, size, size])  # a network of a fixed size is faster
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    compiled = core.compile_model(network, "CPU", hints)
    return lambda x: torch.from_numpy(compiled(x.numpy())[0])


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 32, 64], help="LR pixels on a side")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--models", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--small", action="store_true", help="narrow networks, to try the script")
    parser.add_argument("--csv", type=Path, help="write the table there, again after every setting")
    arguments = parser.parse_args()
    models = {name: build(name, arguments.small) for name in dict.fromkeys(("lkca-lr", *arguments.models))}
    table = pd.DataFrame()
    with tempfile.TemporaryDirectory() as folder:
        for threads in arguments.threads:
            for size in arguments.sizes:
                rows = measure(models, Path(folder), size, threads, arguments.rounds)
                table = pd.concat([table, rows], ignore_index=True)
                show(table, arguments.csv, CPU)


if __name__ == "__main__":
    main()
