"""Speed of what training and inference spend their time on, as ratios measured side by side in one run.

    python benchmarks/bench_training.py [--device cpu|cuda] [--csv results/bench_training.csv]

1. Forward time of LKCA-Net and LKCA-LR against this machine's own rate of large float32 matrix products.
2. Share of a training step spent waiting for data (patches cut, turned and sent; target: below 5 %).
3. Peak memory of preparing and iterating a large scene, as a multiple of the scene (target: below 1.3).
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import lkca
import lkca.data.synthetic
from lkca.data.normalising import normalise
from lkca.data.patches import Area, split_patches
from lkca.paths import write_text
from lkca.scenes.cube import read_cube
from lkca.studies.turns import take_turns
from lkca.training.machine import find_device
from lkca.training.provenance import provenance

BANDS, SCALE = 128, 4
REPEATS = 9
COLUMNS = 2048  # of the scene whose preparation is measured; with 2304 rows it is Chikusei's size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--size", type=int, default=64, help="LR pixels on a side, for the forward pass")
    parser.add_argument("--batch", type=int, default=8, help="patches a training step")
    parser.add_argument("--scene-rows", type=int, default=2304, help="of the scene whose preparation is measured")
    parser.add_argument("--csv", type=Path, help="also write the numbers there, with their provenance")
    given = parser.parse_args()
    device = find_device(given.device)
    record = provenance(device)
    print(", ".join(f"{key} {record[key]}" for key in ("device", "threads", "torch", "commit")), "\n")
    rows = [*forward(device, given.size), *waiting(device, given.batch), memory(given.scene_rows)]
    table = pd.DataFrame(rows)
    print(table.to_markdown(index=False, floatfmt=".3g"))
    if given.csv:
        table = table.assign(**{key: str(value) for key, value in record.items()})
        write_text(given.csv, table.to_csv(index=False))


def forward(device: torch.device, size: int) -> list[dict[str, object]]:
    """Forward passes at (1, 128, size, size) against the rate of a 2048x2048 float32 product."""
    matrix = torch.randn(2048, 2048, device=device)
    product_rate = 2048**3 / _median_seconds(lambda: matrix @ matrix, device)
    rows = [{"what": "matrix product 2048x2048", "seconds": 2048**3 / product_rate, "GMAC/s": product_rate / 1e9}]
    x = torch.rand(1, BANDS, size, size, device=device).contiguous(memory_format=torch.channels_last)
    for name in ("lkca", "lkca-lr"):
        model = lkca.build_model(name, BANDS, SCALE).to(device, memory_format=torch.channels_last).eval()
        macs = lkca.cost(model, BANDS, size).macs
        with torch.inference_mode():
            seconds = _median_seconds(lambda model=model: model(x), device)
        rate = macs / seconds
        what = f"{name} forward, LR {size}x{size}"
        rows.append(
            {"what": what, "seconds": seconds, "GMAC/s": rate / 1e9, "ratio": rate / product_rate, "of": "product rate"}
        )
    return rows


def waiting(device: torch.device, batch: int, steps: int = 6) -> list[dict[str, object]]:
    """Training steps of LKCA-LR at full width on 64x64 patches of a scene of 128 bands."""
    scene = lkca.data.synthetic.synthetic_scene(256, 256, BANDS)
    patches, _ = split_patches([Area("bench", scene.cube)], size=64, stride=8)
    model = lkca.build_model("lkca-lr", BANDS, SCALE).to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(model.parameters())
    batches = patches.epoch(batch, np.random.default_rng(0), device)
    waited = total = 0.0
    for step in range(steps):
        start = time.perf_counter()
        hr = next(batches)
        _wait(device)
        got = time.perf_counter()
        lkca.supervised_loss(model(lkca.resize(hr, 1 / SCALE)), hr).backward()
        optimizer.step()
        optimizer.zero_grad()
        _wait(device)
        if step >= 2:  # the first steps warm up
            waited, total = waited + got - start, total + time.perf_counter() - start
    what = f"waiting for data in a step of {batch} patches"
    return [{"what": what, "seconds": waited / (steps - 2), "ratio": waited / total, "of": "training step"}]


def memory(rows: int) -> dict[str, object]:
    """A child process reads a scene file, normalises it and cuts batches; its peak above what it had before."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.npy"
        cube = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, COLUMNS, BANDS))
        for row in cube:
            row[:] = np.random.default_rng(0).random(row.shape, np.float32)
        cube.flush()
        scene_bytes = cube.nbytes
        del cube
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            peak, seconds = pool.apply(_prepare, (str(path),))
    what = f"peak memory of preparing {rows}x{COLUMNS}x{BANDS} float32"
    return {"what": what, "seconds": seconds, "ratio": peak / scene_bytes, "of": "the scene's size"}


def _prepare(path: str) -> tuple[int, float]:
    before = _peak()
    start = time.perf_counter()
    cube, no_data = read_cube(lkca.open_scene(path))
    normalise(cube, float(cube.max()))
    patches, _ = split_patches([Area("scene", cube, no_data)], size=64, stride=32)
    for number, hr in enumerate(patches.epoch(8, np.random.default_rng(0), torch.device("cpu"))):
        lkca.resize(hr, 1 / SCALE)
        if number == 20:
            break
    return _peak() - before, time.perf_counter() - start


def _peak() -> int:
    """Bytes of memory that this process has had at most; getrusage would start at the parent process's."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _median_seconds(work: Callable[[], object], device: torch.device) -> float:
    return float(np.median(take_turns([work], device, REPEATS)))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
