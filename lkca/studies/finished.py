"""What of a study is finished: its runs, its comparisons, and the test images that they were measured on."""

from collections.abc import Callable, Sequence

import pandas as pd

from lkca.checkpoints import load_result
from lkca.metrics import METRICS
from lkca.models import BASELINES
from lkca.run import Run

PROJECTED = ("MPSNR_bp", "SAM_bp")  # of the metrics after back-projection, those that tables show
IMAGE_COLUMNS = ("run", "variant", "model", "seed", "image", *METRICS, *PROJECTED)


def finished(run: Run) -> bool:
    """Say whether a run is finished."""
    return (run.folder / "metrics.json").is_file()


def complete_runs(runs: Sequence[Run], kept: set[str], comparison: Callable[[Run], object] | None) -> list[Run]:
    """Return the runs of complete comparisons.

    kept : names of runs that count as finished although they are not here. comparison : run -> the comparison that it
    belongs to; None if each is one of its own. Baselines belong to every comparison.
    """
    present = {run for run in runs if finished(run) or run.name in kept}
    if comparison is None:
        return [run for run in runs if run in present]
    lacking = {comparison(run) for run in runs if run not in present}
    return [run for run in runs if run in present and (run.model in BASELINES or comparison(run) not in lacking)]


def image_rows(run: Run) -> pd.DataFrame:
    """Return the metrics of every test image of a finished run, before and after back-projection."""
    result = load_result(run)
    projected = result.record["back_projected"]["images"]
    rows = [
        {"run": run.name, "variant": run.variant, "model": run.model, "seed": run.seed, "image": name}
        | {metric: image[metric] for metric in METRICS}
        | {column: projected[name][column.removesuffix("_bp")] for column in PROJECTED}
        for name, image in result.images.items()
    ]
    return pd.DataFrame(rows, columns=list(IMAGE_COLUMNS))
