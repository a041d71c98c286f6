"""A table of runs is read where it holds exactly the runs that are asked for; else those are trained and it is made."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from lkca.paths import Log
from lkca.training.run import Run
from lkca.training.train import train


def read_rows(path: Path, runs: Sequence[Run], among_others: bool = False) -> pd.DataFrame | None:
    """The CSV's rows if its column `run` names exactly these runs; None if not, or if it is missing or damaged.

    among_others : the CSV may hold other runs as well, whose rows are left out.
    """
    names = {run.name for run in runs}
    try:
        frame = pd.read_csv(path)
        if among_others:
            frame = frame[frame["run"].isin(names)].reset_index(drop=True)
        return frame if set(frame["run"]) == names else None
    except (OSError, ValueError, KeyError):
        return None


def read_or_train(
    path: Path,
    runs: Sequence[Run],
    make: Callable[[], pd.DataFrame],
    device: str = "auto",
    log: Log = print,
    among_others: bool = False,
) -> pd.DataFrame:
    """What `read_rows` finds, else what `make` makes after every run that is not finished was trained."""
    frame = read_rows(path, runs, among_others)
    if frame is not None:
        return frame
    if path.is_file() and not among_others:
        log(f"{path.name} is damaged or holds other runs than the study now has: doing what is missing")
    for number, run in enumerate(runs, 1):
        log(f"run {number} of {len(runs)}: {run.name}")
        train(run, device, log)
    return make()
