"""What all benchmarks share: the stopwatch, which is the study's, and tables that say where their numbers come from."""

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import torch

from lkca.files import write_text
from lkca.provenance import provenance
from lkca.studies.speed import take_turns as take_turns

TRACE = ("device", "cpu", "gpu", "driver", "cuda", "threads", "torch", "commit", "started")  # columns of provenance


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
