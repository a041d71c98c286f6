"""Does time follow MACs, and is LKCA-KD dozens to hundreds of times faster?

The networks take turns, so that other load on the machine slows all of them alike. A time is the median of several
turns, after one that does not count. The weights are random, because their values do not change the time.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch

from lkca.cost import cost
from lkca.fast import PRECISIONS, accelerate, computing_in, fold
from lkca.models import MODELS, build_model, model_names
from lkca.provenance import provenance
from lkca.studies import Study

STUDY = Study("speed", "Does time follow MACs?", reads=("benchmark",), alone=True)

TIMED = tuple(name for name in model_names() if MODELS[name].learned and name != "lkca-kd")  # KD is LR's network
BANDS, SCALE = 128, 4  # Chikusei's, the paper's first case
MIN_ROUNDS, MAX_ROUNDS = 3, 30
SHORT = 0.2  # seconds: a shorter pass first runs once uncounted, while the threads of the pass before go to sleep


def take_turns(
    passes: Mapping[str, Callable[[], object]],
    device: torch.device,
    rounds: int = 10,
    seconds: float = float("inf"),
    repeats: int = 1,
    order: np.random.Generator | None = None,
) -> dict[str, list[float]]:
    """Return the seconds of each pass, by name. All take turns, so that other load slows all alike.

    The first round warms up and does not count.

    Parameters
    ----------
    device : where the passes compute; on a GPU, CUDA events measure the time.
    rounds : number of rounds; every pass has its turn in each. seconds : after `MIN_ROUNDS`, no round begins that would
        end later than this.
    repeats : how often a pass runs in its turn.
    order : draws the order of each round, so that no pass always follows the same other; by default it is fixed.
    """
    begin = time.perf_counter()
    first = {name: _time(once, device) for name, once in passes.items()}
    times: dict[str, list[float]] = {name: [] for name in passes}
    for number in range(1, rounds + 1):
        if number > MIN_ROUNDS and (time.perf_counter() - begin) * (number + 1) / number > seconds:
            break
        for name in passes if order is None else order.permutation(list(passes)):
            if first[name] < SHORT:
                _time(passes[name], device)
            times[name] += [_time(passes[name], device) for _ in range(repeats)]
    return times


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


def measure_speed(
    sizes: Sequence[int],
    batches: Sequence[int],
    device: torch.device,
    budget: float = 60.0,
    precision: str = "float32",
) -> pd.DataFrame:
    """Measure the time of one forward pass at 128 bands and x4: a row for every network, size and batch.

    Parameters
    ----------
    sizes : LR pixels on a side. batches : images at once.
    budget : seconds for everything, roughly; what does not fit is left out, with a note.
    precision : "float32", or "bfloat16" for automatic mixed precision.

    Returns
    -------
    DataFrame with columns model, batch, size, milliseconds (median), fastest (milliseconds), turns, memory_mb (peak of
    a GPU, NaN on a CPU), params_M, macs_G (of the whole batch), note (why there is no time, else empty), provenance,
    bands, scale, precision.

    Raises
    ------
    ValueError
        If a size, batch or precision is impossible.
    """
    if not sizes or not batches or min(*sizes, *batches) < 1:
        raise ValueError(f"sizes and batches must be whole numbers of at least 1, got {list(sizes)}, {list(batches)}")
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    end = time.perf_counter() + budget
    torch.manual_seed(0)
    networks = {name: fold(accelerate(build_model(name, BANDS, SCALE))).to(device) for name in TIMED}
    settings = sorted(((b, s) for b in batches for s in sizes), key=lambda setting: setting[0] * setting[1] ** 2)
    per_pixel, rows = dict.fromkeys(TIMED, 0.0), []  # seconds per LR pixel, from the setting before
    for number, (batch, size) in enumerate(settings):
        seconds = (end - time.perf_counter()) / (len(settings) - number)
        expected = {name: each * batch * size**2 for name, each in per_pixel.items()}
        # Two more than the turns that count: for the memory, and to warm up.
        kept = [name for name, once in expected.items() if once * (MIN_ROUNDS + 2) <= seconds]
        x = torch.rand(batch, BANDS, size, size, device=device)
        with torch.inference_mode(), computing_in(precision, device):
            memory = {name: _peak_memory(networks[name], x) for name in kept}
            times = take_turns({name: partial(networks[name], x) for name in kept}, device, MAX_ROUNDS, seconds)
        for name in TIMED:
            taken, counted = times.get(name, []), cost(networks[name], BANDS, size)
            row = {"model": name, "batch": batch, "size": size, "turns": len(taken), "memory_mb": memory.get(name)}
            row |= {"params_M": counted.params_m, "macs_G": batch * counted.macs / 1e9, "note": ""}
            if taken:
                per_pixel[name] = np.median(taken) / (batch * size**2)
                row |= {"milliseconds": 1e3 * np.median(taken), "fastest": 1e3 * min(taken)}
            else:
                row["note"] = f"not measured: over the time budget (about {expected[name]:.1f} s a pass)"
            rows.append(row)
    columns = ["model", "batch", "size", "milliseconds", "fastest", "turns", "memory_mb", "params_M", "macs_G", "note"]
    record = {**provenance(device), "bands": BANDS, "scale": SCALE, "precision": precision}
    return pd.DataFrame(rows, columns=columns).assign(**record)


def _peak_memory(network: torch.nn.Module, x: torch.Tensor) -> float:
    """Return the peak memory of a pass on a GPU in megabytes; NaN on a CPU."""
    if x.device.type != "cuda":
        return float("nan")
    torch.cuda.reset_peak_memory_stats(x.device)
    network(x)
    return torch.cuda.max_memory_allocated(x.device) / 1e6
