"""Time of `sharpen`, file to file, beside GDAL's interpolation, with the quality of each.

    python benchmarks/bench_sharpen.py                                          # about five minutes
    python benchmarks/bench_sharpen.py --rows 96 --columns 96 --rounds 1        # half a minute

A synthetic scene of 128 bands, int16 and georeferenced, is degraded by a Gaussian PSF of 0.5 LR pixels and noise
40 dB below the signal, and written as a GeoTIFF. Each way makes a GeoTIFF of four times as many rows and columns from
it, in a process of its own; all ways take turns. GDAL's ways are `rasterio.warp.reproject` with as many threads, which
is what `gdalwarp -r cubic` and `-r lanczos` call; their file is laid out as that of `sharpen`. Quality is measured on
smaller scenes, of which the large one is put together. A time is the shortest of all rounds; "until work" is the time
from the start of the process until the scene is read and its PSF, noise and statistics are known. The command
`gdalwarp` is timed too where it is installed. Needs no data.
"""

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.transform import from_origin
from timing import show

from lkca.data.synthetic.sensors import landscape_cube
from lkca.degradation import Degradation
from lkca.metrics import mpsnr, sam

SCALE, SIDE = 4, 96  # SIDE: LR pixels on a side of the scenes that quality is measured on
DEGRADATION = Degradation("gaussian:0.5", 40.0)
NUMBERS = 5000.0  # of the file, for a reflectance of 1
SEEDS = range(5_000_000, 5_000_004)  # of scenes that neither train nor validate the network
AT_WORK = "at work"  # in the line that says so
WHERE = {"crs": "EPSG:32632", "transform": from_origin(5e5, 5.4e6, 30, 30)}
GDAL = {"GDAL cubic": "cubic", "GDAL lanczos": "lanczos"}
GDALWARP = {f"gdalwarp -r {how}": how for how in ("cubic", "lanczos")}  # where that command is installed
OURS = {
    "sharpen, bicubic": ("--weights", "bicubic"),
    "sharpen, wiener": ("--weights", "wiener"),
    "sharpen, network": (),
}
BASE = "GDAL cubic"


WARP = """
import sys, rasterio, rasterio.warp
how, source, target, scale, threads = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
with rasterio.open(source) as lr:
    shape = {"count": lr.count, "height": scale * lr.height, "width": scale * lr.width, "dtype": lr.dtypes[0]}
    where = {"crs": lr.crs, "transform": lr.transform * lr.transform.scale(1 / scale)}
    layout = {"driver": "GTiff", "interleave": "band", "blockysize": 16, "bigtiff": "IF_NEEDED"}
    with rasterio.open(target, "w", **layout, **shape, **where) as hr:
        print("at work", flush=True)
        options = {"resampling": rasterio.warp.Resampling[how], "num_threads": threads, "warp_mem_limit": 512}
        rasterio.warp.reproject(rasterio.band(lr, lr.indexes), rasterio.band(hr, hr.indexes), **options)
"""

PROBE = """
import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
print("peak", usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def command(way: str, source: Path, target: Path, weights: str | None, threads: int) -> list[str]:
    """Return the command that sharpens a file."""
    if way in GDAL:
        return [sys.executable, "-c", WARP, GDAL[way], str(source), str(target), str(SCALE), str(threads)]
    if way in GDALWARP:
        with rasterio.open(source) as lr:
            size = SCALE * lr.width, SCALE * lr.height
        options = ["-q", "-multi", "-wo", f"NUM_THREADS={threads}", "-wm", "512", "-ts", *map(str, size)]
        return [shutil.which("gdalwarp"), "-r", GDALWARP[way], *options, str(source), str(target)]
    words = [sys.executable, "-u", "-m", "sharpen", str(source), str(target), "--overwrite", "--no-quicklook"]
    given = () if weights is None or OURS[way] else ("--weights", weights)
    return [*words, *OURS[way], *given]


def run(words: Sequence[str], threads: int) -> dict[str, float]:
    """Run a command; return its seconds, those until it is at work, and the most memory it held, in GB."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    words = [sys.executable, "-S", "-c", PROBE, *words]  # a small parent: a child's peak begins with that of its parent
    begin, until, lines = time.perf_counter(), np.nan, []
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as child:
        for line in child.stdout:
            lines.append(line)
            if AT_WORK in line and np.isnan(until):
                until = time.perf_counter() - begin
    seconds = time.perf_counter() - begin
    if child.returncode:
        raise RuntimeError(f"{' '.join(words[4:])} failed: {''.join(lines[-3:])}")
    return {"seconds": seconds, "until work": until, "GB": int(lines[-1].split()[1]) * 1024 / 1e9}


def make_scenes(bands: int, side: int) -> tuple[list[NDArray], list[NDArray]]:
    """Return HR scenes (B, 4·side, 4·side) in the numbers of the file, and their LR images as int16."""
    hr = [NUMBERS * torch.from_numpy(landscape_cube(seed, SCALE * side, bands)) for seed in SEEDS]
    lr = [DEGRADATION(image, SCALE, seed).round().clamp(-32000, 32000) for image, seed in zip(hr, SEEDS, strict=True)]
    return [image.numpy() for image in hr], [image.numpy().astype(np.int16) for image in lr]


def mosaic(parts: Sequence[NDArray], rows: int, columns: int) -> NDArray[np.int16]:
    """Put (B, n, n) together to (B, rows, columns), some of them mirrored."""
    side = parts[0].shape[1]
    image = np.empty((len(parts[0]), rows, columns), np.int16)
    for number, (row, column) in enumerate(itertools.product(range(0, rows, side), range(0, columns, side))):
        part = parts[number % len(parts)][:, :: (-1) ** (row // side), :: (-1) ** (column // side)]
        place = image[:, row : row + side, column : column + side]
        place[:] = part[:, : place.shape[1], : place.shape[2]]
    return image


def write(path: Path, image: NDArray[np.int16]) -> Path:
    shape = dict(zip(("count", "height", "width"), image.shape, strict=True))
    with rasterio.open(path, "w", driver="GTiff", **shape, dtype="int16", **WHERE) as raster:
        raster.write(image)
    return path


def main() -> None:
    here = [*GDAL, *(GDALWARP if shutil.which("gdalwarp") else ()), *OURS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=576, help="of the scene that is timed")
    parser.add_argument("--columns", type=int, default=512)
    parser.add_argument("--bands", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", default=here, choices=here)
    parser.add_argument("--weights", help="of the network, by default the pretrained ones")
    parser.add_argument("--csv", type=Path, help="write the table there")
    arguments = parser.parse_args()
    ways = list(dict.fromkeys((BASE, *arguments.ways)))
    found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "hr.tif"

        def sharpen(way: str, source: Path) -> dict[str, float]:
            target.unlink(missing_ok=True)
            return run(command(way, source, target, arguments.weights, arguments.threads), arguments.threads)

        hr, lr = make_scenes(arguments.bands, min(SIDE, arguments.rows, arguments.columns))
        quality: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
        for number, truth in enumerate(hr):
            source = write(Path(folder) / f"{number}.tif", lr[number])
            for way in ways:
                sharpen(way, source)
                with rasterio.open(target) as raster:
                    image = raster.read().astype(np.float32)
                peak = truth.max()
                quality[way].append({"MPSNR": mpsnr(image / peak, truth / peak), "SAM": sam(image, truth)})
        source = write(Path(folder) / "lr.tif", mosaic(lr, arguments.rows, arguments.columns))
        for _ in range(arguments.rounds):
            for way in ways:
                found[way].append(sharpen(way, source))
    rows = []
    for way in ways:
        fastest = pd.DataFrame(found[way]).min()
        row = {"way": way, "seconds": fastest["seconds"], "until work": fastest["until work"]}
        row["times cubic"] = fastest["seconds"] / min(each["seconds"] for each in found[BASE])
        row |= {"GB": pd.DataFrame(found[way])["GB"].max(), **pd.DataFrame(quality[way]).mean().to_dict()}
        rows.append(row | {"rows": arguments.rows, "columns": arguments.columns, "bands": arguments.bands})
    torch.set_num_threads(arguments.threads)  # for the record
    show(pd.DataFrame(rows), arguments.csv, torch.device("cpu"))


if __name__ == "__main__":
    main()
