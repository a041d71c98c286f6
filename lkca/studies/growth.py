"""How time and memory grow: a scene sharpened from file to file, and a step of training, of ever larger images.

Each point is measured in a process of its own, because only a fresh one knows its own peak of memory. Three things
grow, one at a time: the image's LR pixels, its bands, and the HR pixels that one LR pixel becomes (scale²). What is
proportional to the result's values has the slope 1 on logarithmic axes.
"""

import multiprocessing
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import torch

import lkca
from lkca.scenes.writing import SceneWriter
from lkca.studies.turns import take_turns
from lkca.training.losses import supervised_loss
from lkca.training.weights import Passport, save_weights

SIDES, BANDS, SCALES = (32, 64, 128, 256), (16, 50, 100, 200, 400), (2, 4, 8)
BASE_SIDE, BASE_BANDS, BASE_SCALE = 64, 64, 4  # of an image where another of the three grows
STEP_SIDES, BASE_STEP_SIDE = (8, 16, 32, 64), 16  # of a step of training: the paper's patches have 16 LR pixels
ANY, LR, STEP = "upscale, LKCA-Any", "upscale, LKCA-LR", "training step, LKCA-LR"
PEAK = 10_000  # of the scenes' int16 numbers


@dataclass(frozen=True)
class Point:
    """What is done, what grows, and the size of the image: LR pixels on a side, bands, scale."""

    what: str
    grows: str
    side: int
    bands: int
    scale: int

    @property
    def size(self) -> int:
        """What the axis shows: LR pixels, bands, or HR pixels of one LR pixel."""
        return {"pixels": self.side**2, "bands": self.bands, "scale": self.scale**2}[self.grows]


def points() -> Iterator[Point]:
    """All that is measured; small ones first."""
    for what in (ANY, LR, STEP):
        sides, base = (STEP_SIDES, BASE_STEP_SIDE) if what == STEP else (SIDES, BASE_SIDE)
        for side in sides:
            yield Point(what, "pixels", side, BASE_BANDS, BASE_SCALE)
        for bands in BANDS:
            yield Point(what, "bands", base, bands, BASE_SCALE)
        for scale in SCALES:
            yield Point(what, "scale", base, BASE_BANDS, scale)


def measure_growth(asked: Iterator[Point] | None = None, log: Callable[[str], None] = print) -> pd.DataFrame:
    """A row for each point: what, grows, size, side, bands, scale, seconds, peak_mb.

    peak_mb : by how much the work raised the largest resident size of a process that had imported everything before.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # torch is imported once, and a fresh process costs little
    rows = []
    for point in asked or points():
        with ProcessPoolExecutor(1, mp_context=context) as fresh:
            seconds, peak = fresh.submit(measured, point, torch.get_num_threads()).result()
        names = ("what", "grows", "side", "bands", "scale")
        row = dict(zip(names, astuple(point), strict=True)) | {"size": point.size}
        rows.append(row | {"seconds": seconds, "peak_mb": peak / 1e6})
        log(f"{point.what}, {point.grows} {point.size}: {seconds:.2f} s, {peak / 1e6:.0f} MB")
    return pd.DataFrame(rows)


def measured(point: Point, threads: int) -> tuple[float, int]:
    """Seconds and bytes of one point, in the process that calls it."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as name:
        work = training_step(point) if point.what == STEP else upscaling(point, Path(name))
        before = psutil.Process().memory_info().rss
        seconds = take_turns([work], torch.device("cpu"), most=1)[0]
    unit = 1 if sys.platform == "darwin" else 1024
    return min(seconds), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before


def upscaling(point: Point, folder: Path) -> Callable[[], object]:
    """A scene written into the folder, and what sharpens it from there to there."""
    write_scene(folder / "scene.img", point)
    weights = None
    if point.what == LR:
        weights = folder / "weights.safetensors"
        model = lkca.build_model("lkca-lr", point.bands, point.scale)
        save_weights(weights, model, Passport("lkca-lr", point.bands, point.scale, peak=float(PEAK)))
    options = {"scale": point.scale, "overwrite": True, "log": lambda line: None}
    return lambda: lkca.upscale(folder / "scene.img", folder / "sharp.img", weights, **options)


def write_scene(path: Path, point: Point) -> None:
    """int16 noise over a ramp, row by row."""
    generator = np.random.default_rng(0)
    with SceneWriter(path, (point.bands, point.side, point.side), np.dtype(np.int16)) as writer:
        for row in range(point.side):
            noise = generator.integers(0, PEAK // 5, (point.bands, 1, point.side), dtype=np.int16)
            writer.write(row, noise + np.int16(0.6 * PEAK * row / point.side))


def training_step(point: Point) -> Callable[[], object]:
    """One step of LKCA-LR at full width on one patch."""
    model = lkca.build_model("lkca-lr", point.bands, point.scale).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(model.parameters())
    hr = torch.rand(1, point.bands, point.scale * point.side, point.scale * point.side)

    def step() -> None:
        supervised_loss(model(lkca.resize(hr, 1 / point.scale)), hr).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def slopes(frame: pd.DataFrame) -> pd.DataFrame:
    """How fast each grows towards the large end: the slope of the last two points on logarithmic axes, 1 where it is
    proportional. Columns what, grows, from, to (sizes), seconds, peak_mb.
    """
    rows = []
    for (what, grows), points in frame.groupby(["what", "grows"], sort=False):
        low, high = points.sort_values("size").iloc[-2:].to_dict("records")
        rise = np.log(high["size"] / low["size"])
        row = {"what": what, "grows": grows, "from": low["size"], "to": high["size"]}
        rows.append(row | {c: np.log(high[c] / low[c]) / rise for c in ("seconds", "peak_mb")})
    return pd.DataFrame(rows)
