"""Which weights may be measured on which scenes: those in the box, and those of runs that saw other scenes.

What has LKCA-Any to have seen? More and more made scenes, or real ones of other sensors: each set of scenes trains for
the same number of epochs, fewer than the weights in the box had, so that a difference is of the scenes alone.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from lkca.box import box_file
from lkca.data.datasets import MADE_COUNTS
from lkca.models import SCALES
from lkca.paths import Log
from lkca.training.box_runs import box_run
from lkca.training.run import Run
from lkca.training.train import train

MADE, REAL = "lkca-any, made", "lkca-any, real"
SCALE = 4  # at which directions, optics, training sets and the far quarter are asked

EPOCHS = 20  # of every training set
ENDLESS, OTHER_SENSORS = "made scenes without end", "real scenes of other sensors"
COUNTS: dict[str, int | None] = {**{f"{n} made scenes": n for n in MADE_COUNTS}, ENDLESS: None}
SETS = (*COUNTS, OTHER_SENSORS)
FEW = tuple(COUNTS)[:2]  # at `quick`, where a small network sees them for one epoch: the way, not the answer
SMALL = {"blocks": 1, "channels": 16}
MADE_SENSOR = "made"  # of made scenes that test


def run_of(method: str, scale: int, sensor: str, profile: str) -> Run | None:
    """The run whose weights are measured as `method` on a sensor's scenes; None where it is no run's."""
    real = sensor != MADE_SENSOR
    if method == REAL and real:
        return box_run(scale, "real", left_out=sensor)
    if method == OTHER_SENSORS and real and profile != "quick":
        return box_run(scale, "real", left_out=sensor, epochs=EPOCHS)
    if method in COUNTS and profile != "quick":
        return box_run(scale, scenes=COUNTS[method], epochs=EPOCHS)
    if method in FEW:
        return dataclasses.replace(box_run(scale, scenes=COUNTS[method], epochs=1), options=SMALL)
    return None


def schedule(profile: str) -> str:
    """How the training sets were trained, in words."""
    return "a small network, one epoch" if profile == "quick" else f"{EPOCHS} epochs on each set of scenes"


def weights_of(method: str, scale: int, sensor: str, profile: str) -> Path | None:
    """The weights that are measured as `method` on a sensor's scenes, or None where there are none (yet).

    Those trained on real scenes as well are of the run that left the sensor out: of a made scene there is none.
    """
    if method == MADE:
        path = box_file(scale, "made")
        return path if path.is_file() else None
    run = run_of(method, scale, sensor, profile)
    return run.folder / "weights.safetensors" if run and (run.folder / "metrics.json").is_file() else None


def missing_weights(sensors: Sequence[str], profile: str) -> list[str]:
    """Which weights a table on these sensors' scenes lacks, in words."""
    lines = [f"{MADE}, x{scale}" for scale in SCALES if weights_of(MADE, scale, MADE_SENSOR, profile) is None]
    for method, scale in [*((REAL, scale) for scale in SCALES), *((method, SCALE) for method in SETS)]:
        runs = {sensor: run_of(method, scale, sensor, profile) for sensor in sensors}
        without = [s for s, run in runs.items() if run and weights_of(method, scale, s, profile) is None]
        if without and method in (REAL, OTHER_SENSORS):
            lines.append(f"{method}, x{scale}: no run that left out {', '.join(without)}")
        elif without:
            lines.append(f"{method}, x{scale}: no run")
    return lines


def train_sets(sensors: Sequence[str], profile: str, log: Log = print) -> None:
    """Train what is lacking of the sets at a profile: seconds at `quick`, else an hour or two on one core."""
    runs = (run_of(method, SCALE, sensor, profile) for method in SETS for sensor in sensors)
    for run in dict.fromkeys(run for run in runs if run):
        train(run, "cpu", log)
