"""The stopwatch of all benchmarks: what is compared takes turns, so that other load on the machine slows all alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import torch

from lkca.files import write_text
from lkca.provenance import provenance

MIN_ROUNDS = 3
SHORT = 0.2  # seconds: a shorter pass runs once uncounted in its turn, while the threads of the one before go to sleep
TRACE = ("device", "cpu", "gpu", "driver", "cuda", "threads", "torch", "commit", "started")  # columns of provenance


def take_turns(
    passes: Mapping[str, Callable[[], object]],
    device: torch.device,
    rounds: int = 10,
    seconds: float = float("inf"),
    repeats: int = 1,
) -> dict[str, list[float]]:
    """Return the seconds of each pass, by name. A first round warms up and does not count.

    Parameters
    ----------
    device : where the passes compute; on a GPU its own clock is read.
    rounds : in each, every pass has its turn. seconds : after `MIN_ROUNDS`, no round begins later than this.
    repeats : how often a pass runs in its turn.
    """
    begin = time.perf_counter()
    first = {name: _time(once, device) for name, once in passes.items()}
    times: dict[str, list[float]] = {name: [] for name in passes}
    for number in range(rounds):
        if number >= MIN_ROUNDS and time.perf_counter() - begin > seconds:
            break
        for name, once in passes.items():
            if first[name] < SHORT:
                _time(once, device)
            times[name] += [_time(once, device) for _ in range(repeats)]
    return times


def medians(times: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the median seconds of each pass."""
    return {name: statistics.median(taken) for name, taken in times.items()}


def matrix_product(device: torch.device, side: int = 1024) -> tuple[Callable[[], object], int]:
    """Return a large float32 matrix product and its MACs: the machine's own rate, to compare networks with."""
    matrix = torch.rand(side, side, device=device)
    return lambda: matrix @ matrix, side**3


def with_provenance(table: pd.DataFrame, device: torch.device) -> pd.DataFrame:
    """Return the table with columns that say where its numbers come from."""
    record = provenance(device)
    return table.assign(**{name: record[name] for name in TRACE if name in record and name not in table})


def show(table: pd.DataFrame, csv: Path | None, device: torch.device) -> None:
    """Print a table, and write it with its provenance if a file is named."""
    print(table.round(3).to_string(index=False, na_rep=""), flush=True)
    if csv:
        write_text(csv, with_provenance(table.round(5), device).to_csv(index=False))


class Table:
    """A CSV file with one row per key, on disk after every row, each with its full provenance.

    seed : of the random numbers that a row is measured on, unless the row has its own.
    """

    last_row = time.perf_counter()  # of any table

    def __init__(self, path: Path, keys: tuple[str, ...], device: torch.device, seed: int) -> None:
        self.path, self.keys, self.device = path, keys, device
        measured = {"seed": seed, "data_checksum": "random numbers", "seconds": None, "peak_mb": None}
        self.record = provenance(device) | measured
        self.rows: list[dict[str, object]] = pd.read_csv(path).to_dict("records") if path.is_file() else []

    def has(self, **key: object) -> bool:
        """Return whether this commit measured the row on this hardware."""
        wanted = key | {name: self.record[name] for name in ("commit", "gpu", "cpu") if name in self.record}
        return any(all(row.get(name) == value for name, value in wanted.items()) for row in self.rows)

    def put(self, **row: object) -> None:
        """Add a row, in place of one with the same key. Its `seconds` are those since the last row of any table."""
        if self.device.type == "cuda":
            row = {"peak_mb": torch.cuda.max_memory_allocated(self.device) / 1e6} | row
            torch.cuda.reset_peak_memory_stats(self.device)
        row = self.record | {"seconds": time.perf_counter() - Table.last_row} | row
        self.rows = [old for old in self.rows if any(old[key] != row[key] for key in self.keys)] + [row]
        Table.last_row = time.perf_counter()
        frame = pd.DataFrame(self.rows)
        others = [column for column in frame if column not in self.record]
        write_text(self.path, frame[[*others, *self.record]].to_csv(index=False, float_format="%.6g"))
        shown = (row[name] for name in others if name in row)
        print(self.path.stem, *(f"{value:.4g}" if isinstance(value, float) else value for value in shown), flush=True)


def _time(once: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize(device)
        begin.record()
        once()
        end.record()
        torch.cuda.synchronize(device)
        return begin.elapsed_time(end) / 1e3
    start = time.perf_counter()
    once()
    return time.perf_counter() - start
