"""Ways through LKCA-LR on a CPU, side by side, and a whole scene from file to file by LKCA-LR and by LKCA-Any.

    python benchmarks/bench_inference.py                       # one image of 32x32 LR pixels, then a scene of 576x512
    python benchmarks/bench_inference.py --no-scene --csv results/bench_inference.csv

Every way computes the same (checked to 1e-4, in bfloat16 to a share of the residual).
They take turns of a few passes: whatever else the machine does slows
all of them alike. The scene and everything written lie in a temporary folder. Needs no data; ONNX Runtime and OpenVINO
only where the packages of lkca[onnx] are installed.
"""

import argparse
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

import lkca
from lkca.models.folding import folded
from lkca.models.lkca import DilatedDepthwise, LKCANet
from lkca.models.precision import computing_in
from lkca.paths import write_text
from lkca.studies.turns import take_turns
from lkca.training.provenance import provenance
from lkca.training.weights import Passport, save_weights

BANDS, SCALE = 128, 4
TOLERANCE = 1e-4
COARSE = 0.2  # of the residual's standard deviation, at most, in bfloat16
PRODUCT = 1024  # side of the matrices whose product is the machine's own rate
PASSES = 5  # of a way in a turn
SCENE_WAYS = {"LKCA-LR": None, "LKCA-Any": None, "LKCA-Any, 8 directions": 8}  # spectral directions
TRACE = ("device", "cpu", "threads", "torch", "commit", "started")


def plain(model: LKCANet) -> Callable[[Tensor], Tensor]:
    """LKCA-LR as its definition reads: torch's own convolutions, the memory layout left as it comes."""

    def forward(x: Tensor) -> Tensor:
        with patch.object(DilatedDepthwise, "forward", nn.Conv2d.forward):
            return model.upsampler(model.body(model.head(x))) + lkca.resize(x, model.scale)

    return forward


def ways(model: LKCANet, weights: Path, x: Tensor) -> dict[str, Callable[[], Tensor]]:
    """Name -> forward pass of `x`."""
    compact = folded(model)
    reads_plainly = plain(model)
    found = {
        "LKCA-LR, torch's own convolutions": lambda: reads_plainly(x),
        "LKCA-LR": lambda: model(x),
        "LKCA-LR, folded": lambda: compact(x),
        "LKCA-LR, folded, bfloat16": lambda: in_bfloat16(compact, x),
    }
    try:
        import onnxruntime

        from lkca.sharpening.onnx_export import OnnxNetwork, export_onnx

        onnx = weights.with_suffix(".onnx")
        export_onnx(weights, onnx)
    except ImportError as error:
        print(f"left out: ONNX Runtime, OpenVINO ({error})")
        return found
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    openvino, coarser = OnnxNetwork(onnx), OnnxNetwork(onnx, precision="bfloat16")
    found["LKCA-LR, ONNX Runtime"] = lambda: torch.from_numpy(session.run(None, {"lr": x.numpy()})[0])
    found["LKCA-LR, OpenVINO"] = lambda: torch.from_numpy(openvino(x.numpy()))
    found["LKCA-LR, OpenVINO, bfloat16"] = lambda: torch.from_numpy(coarser(x.numpy()))
    return found


def in_bfloat16(model: nn.Module, x: Tensor) -> Tensor:
    with computing_in("bfloat16"):
        return model(x)


@torch.inference_mode()
def forward_times(turns: int, size: int) -> pd.DataFrame:
    """Median milliseconds of every way, and of ESSAformer, for one image of `size` x `size` LR pixels."""
    torch.manual_seed(0)
    model = lkca.build_model("lkca-lr", BANDS, SCALE).eval()
    for parameter in model.upsampler.parameters():
        parameter.add_(0.01 * torch.randn_like(parameter))  # or every way would agree because it starts at bicubic
    x = torch.rand(1, BANDS, size, size)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.safetensors"
        save_weights(weights, model, Passport("lkca-lr", BANDS, SCALE))
        passes = ways(model, weights, x)
        truth = passes["LKCA-LR"]()
        for name, forward in passes.items():
            allowed = COARSE * (truth - lkca.resize(x, SCALE)).std() if "bfloat16" in name else TOLERANCE
            assert (forward() - truth).abs().max() < allowed, f"{name} computes something else"
        others = {name: lkca.build_model(name, BANDS, SCALE).eval() for name in ("lkca", "essaformer")}
        passes["LKCA-Net"] = lambda: others["lkca"](x)
        passes["ESSAformer"] = lambda: others["essaformer"](x)
        matrix = torch.rand(PRODUCT, PRODUCT)
        coarse = matrix.bfloat16()
        passes["matrix product"] = lambda: matrix @ matrix
        passes["matrix product, bfloat16"] = lambda: coarse @ coarse
        in_a_row = [1 if name == "ESSAformer" else PASSES for name in passes]
        times = take_turns(list(passes.values()), torch.device("cpu"), turns, in_a_row=in_a_row)
    table = pd.DataFrame({"way": list(passes), "milliseconds": [1000 * statistics.median(t) for t in times]})
    by_way = table.set_index("way").milliseconds
    table["faster than torch's own"] = by_way["LKCA-LR, torch's own convolutions"] / table.milliseconds
    table["faster than ESSAformer"] = by_way["ESSAformer"] / table.milliseconds
    with torch.inference_mode(False):  # a copy made in inference has no weights to count
        macs = {
            label: lkca.cost(lkca.build_model(name, BANDS, SCALE), BANDS, size).macs
            for name, label in (("lkca-lr", "LKCA-LR"), ("lkca", "LKCA-Net"), ("essaformer", "ESSAformer"))
        }
    rate = PRODUCT**3 / by_way["matrix product"]
    counted = table.way.str.partition(",")[0].map(macs | {"matrix product": PRODUCT**3})
    table["of the matrix rate"] = counted / table.milliseconds / rate
    return table.assign(size=size)


def scene_rows(height: int, width: int, memory: float, turns: int) -> list[dict[str, object]]:
    """One scene through `lkca.upscale`, LKCA-LR and LKCA-Any in turns, each in a process of its own.

    Median of the seconds, and the highest peak of the resident memory.
    """
    given = (height, width, memory, torch.get_num_threads())
    done: dict[str, list[dict[str, object]]] = {way: [] for way in SCENE_WAYS}
    for _ in range(turns):
        for way, rows in done.items():
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                rows.append(pool.apply(_scene, (way, *given)))
    medians = {way: statistics.median(row["seconds"] for row in rows) for way, rows in done.items()}
    return [
        {"way": way}
        | rows[0]
        | {
            "seconds": medians[way],
            "peak_GB": max(row["peak_GB"] for row in rows),
            "times LKCA-LR": medians[way] / medians["LKCA-LR"],
        }
        for way, rows in done.items()
    ]


def _scene(way: str, height: int, width: int, memory: float, threads: int) -> dict[str, object]:
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = None  # those in the box
        if way == "LKCA-LR":  # untrained ones take as long
            torch.manual_seed(0)
            weights = folder / "weights.safetensors"
            passport = Passport("lkca-lr", BANDS, SCALE, peak=10000.0, patch=16)
            save_weights(weights, lkca.build_model("lkca-lr", BANDS, SCALE), passport)
        _write_scene(folder / "scene.img", height, width)
        start = time.perf_counter()
        result = lkca.upscale(
            folder / "scene.img", folder / "sharp.img", weights, SCALE, memory, log=lambda line: None,
            directions=SCENE_WAYS[way],
        )  # fmt: skip
        seconds = time.perf_counter() - start
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "scene": f"{height}x{width}x{BANDS}",
        "result": "x".join(map(str, (*result.shape[1:], result.shape[0]))),
        "seconds": seconds,
        "memory_GB": memory / 1e9,
        "peak_GB": peak / 1e9,
    }


def _write_scene(path: Path, height: int, width: int) -> None:
    """int16 noise over a ramp, as ENVI (bil), row by row."""
    header = (
        f"ENVI\nsamples = {width}\nlines = {height}\nbands = {BANDS}\ndata type = 2\ninterleave = bil\nbyte order = 0\n"
    )
    path.with_suffix(".hdr").write_text(header)
    generator = np.random.default_rng(0)
    with path.open("wb") as file:
        for row in range(height):
            noise = generator.integers(0, 2000, (BANDS, width), dtype=np.int16)
            file.write((noise + np.int16(6000 * row // height)).tobytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=32, help="LR pixels on a side")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--scene", type=int, nargs=2, default=(576, 512), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--scene-turns", type=int, default=3)
    parser.add_argument("--no-scene", action="store_true")
    parser.add_argument("--memory", type=float, nargs="+", default=[2e9], help="bytes for the scene, one run for each")
    parser.add_argument("--csv", type=Path, help="also write NAME.csv, and NAME_scene.csv for the scene")
    given = parser.parse_args()
    trace = provenance(torch.device("cpu"))
    trace = {name: trace[name] for name in TRACE if name in trace}
    scene = []
    if not given.no_scene:
        scene = [row for memory in given.memory for row in scene_rows(*given.scene, memory, given.scene_turns)]
        print(pd.DataFrame(scene).round(2).to_string(index=False), end="\n\n")
    table = forward_times(given.turns, given.size)
    print(table.round(2).to_string(index=False))
    if given.csv:
        write_text(given.csv, table.round(3).assign(**trace).to_csv(index=False))
        if scene:
            path = given.csv.with_name(f"{given.csv.stem}_scene.csv")
            write_text(path, pd.DataFrame(scene).round(3).assign(**trace).to_csv(index=False))


if __name__ == "__main__":
    main()
