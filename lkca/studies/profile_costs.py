"""What a profile costs: multiply-accumulates of all its training, and the time that this took where it was measured."""

import math
import warnings
from functools import cache

import pandas as pd

from lkca.data.loaders import find_dataset
from lkca.measures.cost import INPUT_SIZE, cost
from lkca.models import MODELS
from lkca.paths import results_folder
from lkca.studies.catalogue import STUDIES, study_runs
from lkca.studies.costs import shapes_only
from lkca.studies.profiles import PROFILES
from lkca.training.fresh_trainer import STEPS
from lkca.training.run import Run

BACKWARD = 2  # a step's backward pass costs about two forward passes
ON_GPU = ("small", "paper")
RATE = 10e12  # MACs a second that a GPU is assumed to keep up in training; nothing here measured it


def profile_costs() -> pd.DataFrame:
    """A row a profile: trained runs (teachers included); measured hours, or training in peta-MACs and hours at `RATE`.

    Measured hours are those of the runs in results/, one after another. What stands in no results/ is counted, by the
    declared sizes of the scenes, so that none need be there.
    """
    rows = []
    for profile in PROFILES:
        runs = {run.name: run for study in STUDIES for run in study_runs(study, profile) if MODELS[run.model].learned}
        runs |= {run.teacher().name: run.teacher() for run in runs.values() if run.distillation}
        hours = measured_hours(profile, set(runs))
        macs = sum(training_macs(run) for run in runs.values()) if math.isnan(hours) and profile in ON_GPU else math.nan
        rows.append((profile, len(runs), hours, macs / 1e15, macs / RATE / 3600))
    return pd.DataFrame(rows, columns=["profile", "runs", "measured_hours", "training_PMACs", "hours_at_10_TMACs"])


def training_macs(run: Run) -> float:
    """Multiply-accumulates of a run's training: forward and backward passes, and the forward passes of its teacher."""
    seen = run.epochs * (STEPS * run.batch if run.dataset == "fresh" else _patches(run))
    size = (run.patch / run.scale / INPUT_SIZE) ** 2
    teacher = _macs_of(run.teacher()) if run.distillation else 0
    return seen * size * ((1 + BACKWARD) * _macs_of(run) + teacher)


def _macs_of(run: Run) -> int:
    return _macs(run.model, _bands(run), run.scale, tuple(run.options.items()))


@cache
def _macs(model: str, bands: int, scale: int, options: tuple[tuple[str, object], ...]) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that fewer groups fit some numbers of bands is said where networks train
        return cost(shapes_only(model, bands, scale, **dict(options)), bands).macs


def _bands(run: Run) -> int:
    dataset = find_dataset(run.dataset)
    if dataset.shape is None:
        return dataset.readings[run.reading].bands
    first, last = dataset.bands or (0, dataset.shape[0])
    return last - first - sum(stop - start for start, stop in dataset.left_out)


def _patches(run: Run) -> int:
    """Training patches of an epoch, a tenth held out."""
    dataset = find_dataset(run.dataset)
    plan = dataset.readings[run.reading]
    if dataset.kind == "made_scenes":
        areas = [(plan.size, plan.size)] * len(plan.train_seeds)
    elif dataset.kind == "regions":
        areas = [dataset.shape[1:]] * (len(dataset.files) - 1)  # one of them tests
    else:
        sides = zip((dataset.rows, dataset.columns), dataset.shape[1:], strict=True)
        height, width = (part[1] - part[0] if part else whole for part, whole in sides)
        longer = max(height, width)
        areas = [
            (height - plan.test_size, width) if dataset.kind == "big_scene" else (3 * longer // 4, min(height, width))
        ]
    corners = [math.prod(max(0, side - run.patch) // run.stride + 1 for side in area) for area in areas]
    return round((1 - run.validation_share) * sum(corners))


def measured_hours(profile: str, names: set[str]) -> float:
    """Hours of training that the profile's tables in results/ record for runs of these names, each once."""
    paths = [results_folder() / profile / f"{study}.csv" for study in STUDIES]
    frames = [pd.read_csv(path)[["run", "seconds"]] for path in paths if path.is_file()]
    if not frames:
        return math.nan
    rows = pd.concat(frames).drop_duplicates("run")
    return rows.loc[rows["run"].isin(names), "seconds"].sum() / 3600
