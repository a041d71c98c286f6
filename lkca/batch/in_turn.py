"""Short runs share a process: starting Python and making the scenes takes as long as some of them train."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from filelock import FileLock, Timeout

from lkca.data.loaders import load_dataset
from lkca.data.split import Split
from lkca.training.run import Run
from lkca.training.train import train


def do_in_turn(runs: Sequence[Run], device: str = "auto") -> bool:
    """Do runs one after another in this process; whether none failed.

    Runs that are finished are passed over, and so are those that another process is at: several processes that are
    given the same runs share them. What a run says, its error too, is added to the log.txt of its folder; a run that
    fails does not stop the others.

    Parameters
    ----------
    runs : in this order; teachers before those whom they teach, or these wait for them.
    device : "auto", "cpu" or "cuda".
    """
    failed, scenes = 0, _Scenes()
    for number, run in enumerate(runs, start=1):
        run.folder.mkdir(parents=True, exist_ok=True)
        turn = FileLock(run.folder / ".turn")
        try:
            turn.acquire(timeout=0)
        except Timeout:  # another process is at it
            continue
        with turn:
            if (run.folder / "metrics.json").is_file():
                continue
            start = time.perf_counter()
            with _said_to(run.folder / "log.txt"):
                trouble = _trouble(run, device, scenes)
            failed += bool(trouble)
            took = f"{time.perf_counter() - start:.1f} s"
            print(f"run {number} of {len(runs)}, {run.name}: {trouble or took}", flush=True)
    return not failed


class _Scenes:
    """The scenes of the last run: the next one mostly has the same."""

    def __init__(self) -> None:
        self.split: Split | None = None

    def of(self, run: Run) -> Split:
        if self.split is None or (self.split.dataset, self.split.reading) != (run.dataset, run.reading):
            self.split = load_dataset(run.dataset, run.reading, run.view)
        return self.split


def _trouble(run: Run, device: str, scenes: _Scenes) -> str:
    """Do a run; why it failed, "" where it did not."""
    try:
        train(run, device, split=scenes.of(run))
    except (ValueError, OSError, ImportError, MemoryError) as error:
        print(f"error: {error}")
        return f"error: {error}"
    return ""


@contextmanager
def _said_to(log: Path) -> Iterator[None]:
    with log.open("a", encoding="utf-8", buffering=1) as file, redirect_stdout(file), redirect_stderr(file):
        yield
