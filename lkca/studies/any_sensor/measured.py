"""Measures LKCA-Any with given weights on whole scenes: a row for each scene, scale, optics and method.

Nothing is trained. A row is measured anew only where the table has none of the same data and weights.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lkca.data.datasets import DATASETS
from lkca.data.files import missing_files
from lkca.data.loaders import MADE_TESTS, load_dataset, sensor_scenes, whole_scene
from lkca.data.made_scenes import made_cube
from lkca.data.normalising import hot_pixel_limit, normalise, without_no_data
from lkca.data.patches import Area
from lkca.data.split import Dataset
from lkca.measures.metrics import mpsnr, quality, sam
from lkca.measures.optics import OPTICS, PROTOCOL, pair_seen_through
from lkca.models import SCALES, build_model
from lkca.models.any_sensor import AnySensor
from lkca.paths import Log, results_folder, write_text
from lkca.scenes.wavelengths import rgb_bands
from lkca.studies.any_sensor.training_sets import (
    COUNTS,
    MADE,
    MADE_SENSOR,
    OTHER_SENSORS,
    REAL,
    SCALE,
    SETS,
    weights_of,
)
from lkca.training.evaluation import predict
from lkca.training.provenance import provenance
from lkca.training.weights import load_weights

WHOLE, QUARTER = "whole", "far quarter"
BICUBIC, BACK_PROJECTION = "bicubic", "back-projection"
METHODS = (BICUBIC, BACK_PROJECTION, MADE, REAL)
USUAL, OTHERS = 8, (1, 2, 4, 16)  # spectral directions that are sharpened
MADE_SIDE, MADE_SEEDS = 128, MADE_TESTS[:3]  # made scenes that test: their pixels on a side, and which
KEY = ("scene", "part", "scale", "optics", "method", "directions", "data_checksum", "weights")
TRACE = ("commit", "torch", "device", "threads", "started")
TYPES = {"place": str, "directions": "Int64", "weights": str, "data_checksum": str, "commit": str}


@dataclass(frozen=True)
class Ground:
    """A scene, or the far quarter of one, that is measured on.

    scene : its name. sensor, place : what took it, and where; "made" and "" of a made scene. part : WHOLE or QUARTER.
    area : in [0, 1]. checksum : SHA-256 of its files, or of the made cube. wavelengths : (B,) in nm, or None.
    rgb : bands to show.
    """

    scene: str
    sensor: str
    place: str
    part: str
    area: Area
    checksum: str
    wavelengths: NDArray[np.float64] | None = None
    rgb: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True)
class Case:
    """One image that is made and measured, but for the ground."""

    scale: int
    optics: str
    method: str
    directions: int | None
    weights: Path | None

    def build(self) -> nn.Module:
        if self.weights is None:
            return build_model(self.method, 1, self.scale)
        model = _loaded(self.weights)
        model.directions = self.directions
        return model

    def metrics(self, prediction: Tensor, truth: Tensor) -> dict[str, float]:
        """All six of the main question; two, which take a quarter of the time, where something is varied."""
        if self.optics == PROTOCOL and self.directions in (None, USUAL) and self.method in METHODS:
            return quality(prediction, truth, self.scale)
        arrays = prediction.numpy(), truth.numpy()
        return {"MPSNR": mpsnr(*arrays), "SAM": sam(*arrays)}


def measured(profile: str, log: Log = print, anew: bool = False) -> pd.DataFrame:
    """The table of the study, results/`profile`/any_sensor.csv: read, and what it lacks measured and added.

    A table with real scenes that are not in place is left as it is, and so are rows of runs that are not here; rows of
    made scenes that test no longer go.
    anew : measure every row again. Columns: scene, sensor,
    place, bands, height, width, part, scale, optics, method, directions, the six metrics, and what they are traced by;
    LR images are made of the scene by `optics`.
    """
    path = results_folder() / profile / "any_sensor.csv"
    frame = pd.read_csv(path, dtype=TYPES).fillna({"place": ""}) if path.is_file() and not anew else pd.DataFrame()
    real = set(frame.loc[frame["sensor"] != MADE_SENSOR, "scene"]) if len(frame) else set()
    if absent := real - {ground.scene for ground in grounds(profile)}:
        log(f"{path.name} is taken as it is: {', '.join(sorted(absent))} not in place")
        return frame
    known = {_key(row): row for row in frame.to_dict("records")}
    trace, rows = provenance(torch.device("cpu")), []
    elsewhere = [row for row in known.values() if _of_a_run_elsewhere(row, profile)]
    for ground, cases in _planned(profile):
        wanted = [_identity(ground, case) for case in cases]
        lacking = sum(_key(row) not in known for row in wanted)
        if lacking:
            log(f"{ground.scene}, {ground.part}: {lacking} images to measure")
        made_of, lr, truth = None, None, None
        for row, case in zip(wanted, cases, strict=True):
            if _key(row) not in known:
                if made_of != (case.scale, case.optics):
                    made_of = (case.scale, case.optics)
                    lr, truth = pair_seen_through(torch.from_numpy(ground.area.cube), *made_of)
                prediction = predict(case.build(), lr)
                known[_key(row)] = row | case.metrics(prediction, truth) | {name: trace[name] for name in TRACE}
            rows.append(known[_key(row)])
        if lacking:  # what is measured is not lost where the rest is stopped
            _write(path, list(known.values()))
    data = {(row["scene"], row["part"], row["data_checksum"]) for row in rows}
    rows += [row for row in elsewhere if (row["scene"], row["part"], row["data_checksum"]) in data]
    return _write(path, rows) if len(rows) != len(frame) or len(known) != len(frame) else frame


def _of_a_run_elsewhere(row: dict[str, object], profile: str) -> bool:
    """Whether a row's weights may be a run's that is not here; those that saw real scenes test on real ones alone."""
    method, sensor = row["method"], row["sensor"]
    of_a_run = method in COUNTS or (method in (REAL, OTHER_SENSORS) and sensor != MADE_SENSOR)
    return of_a_run and weights_of(method, row["scale"], sensor, profile) is None


def _write(path: Path, rows: list[dict[str, object]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    frame["directions"] = frame["directions"].astype("Int64")
    write_text(path, frame.to_csv(index=False))
    return frame


def _key(row: dict[str, object]) -> tuple[object, ...]:
    return tuple(None if pd.isna(row[name]) else row[name] for name in KEY)


def _identity(ground: Ground, case: Case) -> dict[str, object]:
    bands, height, width = ground.area.cube.shape
    return {
        "scene": ground.scene,
        "sensor": ground.sensor,
        "place": ground.place,
        "bands": bands,
        "height": height,
        "width": width,
        "part": ground.part,
        "scale": case.scale,
        "optics": case.optics,
        "method": case.method,
        "directions": case.directions,
        "weights": None if case.weights is None else file_checksum(case.weights)[:16],
        "data_checksum": ground.checksum[:16],
    }


def _planned(profile: str) -> Iterator[tuple[Ground, list[Case]]]:
    """Every ground and what is to be measured on it, LR image by LR image."""
    for number, ground in enumerate(grounds(profile)):
        through = list(OPTICS) if profile != "quick" or number in (0, 1) else [PROTOCOL]
        cases = [case for scale in SCALES for case in _cases(ground, scale, PROTOCOL, profile)]
        cases += [case for optics in through if optics != PROTOCOL for case in _cases(ground, SCALE, optics, profile)]
        yield ground, cases + list(_varied(ground, profile))
        if ground.sensor != MADE_SENSOR:
            far = far_quarter(ground.scene)
            yield far, list(_cases(far, SCALE, PROTOCOL, profile))


def _cases(ground: Ground, scale: int, optics: str, profile: str) -> Iterator[Case]:
    for method in (BICUBIC, BACK_PROJECTION):
        yield Case(scale, optics, method, None, None)
    for method in (MADE, REAL):
        if (weights := weights_of(method, scale, ground.sensor, profile)) is not None:
            yield Case(scale, optics, method, USUAL, weights)


def _varied(ground: Ground, profile: str) -> Iterator[Case]:
    """Other numbers of directions, and weights trained on other sets of scenes."""
    for method, numbers in ((MADE, OTHERS), *((method, (USUAL,)) for method in SETS)):
        if (weights := weights_of(method, SCALE, ground.sensor, profile)) is not None:
            for directions in numbers:
                yield Case(SCALE, PROTOCOL, method, directions, weights)


def sensors_in_place(profile: str) -> list[str]:
    """The sensors of the scenes that a profile measures on."""
    return list(dict.fromkeys(ground.sensor for ground in grounds(profile)))


def grounds(profile: str) -> tuple[Ground, ...]:
    """What a profile measures on: every real scene in place, at `quick` those that need no file.

    Where that is a single scene, made ones that never trained come with it.
    """
    scenes = tuple(real_ground(dataset.name) for dataset in _in_place(profile))
    return scenes if len(scenes) > 1 else scenes + tuple(made_ground(seed) for seed in MADE_SEEDS)


def _in_place(profile: str) -> list[Dataset]:
    return [
        dataset for dataset in sensor_scenes() if not missing_files(dataset) and (profile != "quick" or dataset.package)
    ]


@cache
def real_ground(name: str) -> Ground:
    """A real scene whole, normalised by itself alone."""
    area, wavelengths, checksum = whole_scene(name)
    normalise(area.cube, hot_pixel_limit([area]))
    dataset = DATASETS[name]
    rgb = dataset.rgb or rgb_bands(len(area.cube), wavelengths)
    return Ground(name, dataset.sensor, dataset.place, WHOLE, without_no_data(area), checksum, wavelengths, rgb)


@cache
def far_quarter(name: str) -> Ground:
    """The quarter of a real scene that the other three did not see, normalised by those."""
    split, dataset = load_dataset(name), DATASETS[name]
    return Ground(name, dataset.sensor, dataset.place, QUARTER, split.test[0], split.checksum)


@cache
def made_ground(seed: int) -> Ground:
    cube = made_cube(seed, MADE_SIDE)
    normalise(cube, hot_pixel_limit([Area("", cube)]))
    name, checksum = f"made {seed % 1000 + 1}", hashlib.sha256(cube.tobytes()).hexdigest()
    return Ground(name, "made", "", WHOLE, Area(name, cube), checksum, None, rgb_bands(len(cube), None))


@cache
def _loaded(weights: Path) -> AnySensor:
    return load_weights(weights)[0]


@cache
def file_checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
