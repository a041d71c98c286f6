"""Time and memory of one forward pass, for every network at its full size, on the machine at hand.

The networks take turns (see `lkca.studies.turns`); a time is the median of several, after one that does not count. The
weights are random: what they are does not change the time. Peak memory is what the network and its pass add to the
process: on a GPU by torch's own account, on a CPU as the largest resident size of a fresh process that does nothing
else.
"""

import multiprocessing
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import numpy as np
import pandas as pd
import psutil
import torch
from torch import Tensor, nn

from lkca.measures.cost import cost
from lkca.models import MODELS, build_model, model_names
from lkca.models.folding import fold
from lkca.studies.turns import take_turns
from lkca.training.machine import peak_memory
from lkca.training.provenance import provenance
from lkca.training.run import PRECISIONS

TIMED = tuple(name for name in model_names() if MODELS[name].learned and name != "lkca-kd")  # KD has LR's network
LEAST_TURNS, MOST_TURNS = 3, 30
TIME_SHARE = 0.6  # of the seconds left, that the next setting may take; the rest is for those after it
MEMORY_SHARE = 0.8  # of what is free: what would need more is not tried


def measure_speed(
    sizes: Sequence[int],
    batches: Sequence[int],
    device: torch.device,
    bands: int = 128,
    scale: int = 4,
    budget: float = 60.0,
    precision: str = "float32",
    models: Sequence[str] = TIMED,
) -> pd.DataFrame:
    """A row for every network, size and batch.

    Parameters
    ----------
    sizes : LR pixels on a side. batches : images at once.
    budget : seconds that all of it may take, about; what would not fit in is left out, and the note says so.
    precision : "float32", or "bfloat16" for automatic mixed precision.

    Returns
    -------
    DataFrame with columns model, batch, size, milliseconds (median of the turns), fastest (of them), turns, memory_mb,
    params_M, macs_G (of the whole batch), note (why there is no time; else empty), and where it was measured.

    Raises
    ------
    ValueError
        If a size, batch or precision cannot be.
    """
    if not sizes or not batches or min(*sizes, *batches) < 1:
        raise ValueError(f"sizes and batches must be whole numbers of at least 1, got {list(sizes)}, {list(batches)}")
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    end = time.perf_counter() + budget
    settings = sorted(((b, s) for b in batches for s in sizes), key=lambda setting: setting[0] * setting[1] ** 2)
    torch.manual_seed(0)
    plain = {name: build_model(name, bands, scale) for name in models}
    costs = {(name, size): cost(plain[name], bands, size) for name in models for size in sizes}
    networks = {name: fold(model).to(device) for name, model in plain.items()}
    record = {**provenance(device), "bands": bands, "scale": scale, "precision": precision}
    known = pd.DataFrame(0.0, index=list(models), columns=["seconds", "memory"])  # of a pass, by LR pixel
    rows = []
    for number, (batch, size) in enumerate(settings):
        pixels = batch * size**2
        left = end - time.perf_counter()
        waiting = len(settings) - number
        allowed = left if waiting == 1 else TIME_SHARE * left
        notes = _left_out(known * pixels, allowed, device)
        kept = [name for name in models if name not in notes]
        x = torch.rand(batch, bands, size, size, device=device)
        start = time.perf_counter()
        memory = {name: memory_of_pass(name, networks[name], x, scale, precision) for name in kept}
        notes |= {name: "out of memory" for name in kept if np.isnan(memory[name])}
        kept = [name for name in kept if name not in notes]
        passes = [partial(networks[name], x) for name in kept]
        fitting = left / waiting - (time.perf_counter() - start)
        with torch.inference_mode(), _autocast(device, precision):
            turns = take_turns(passes, device, MOST_TURNS, LEAST_TURNS, fitting)
        times = dict(zip(kept, turns, strict=True))
        for name in kept:
            known.loc[name] = statistics.median(times[name]) / pixels, memory[name] / pixels
        for name in models:
            counted, seconds = costs[name, size], times.get(name, [])
            row = {"model": name, "batch": batch, "size": size}
            row |= {"milliseconds": 1e3 * statistics.median(seconds) if seconds else None}
            row |= {"fastest": 1e3 * min(seconds) if seconds else None, "turns": len(seconds)}
            row |= {"memory_mb": memory[name] / 1e6 if seconds else None}
            row |= {"params_M": counted.params_m, "macs_G": batch * counted.macs / 1e9, "note": notes.get(name, "")}
            rows.append(row | record)
    return pd.DataFrame(rows)


def _left_out(expected: pd.DataFrame, allowed: float, device: torch.device) -> dict[str, str]:
    """Networks that would not fit into the time or the memory, and why; the fast ones are taken first."""
    notes, taken = {}, 0.0
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    for name, (seconds, memory) in expected.sort_values("seconds").iterrows():
        needed = seconds * (LEAST_TURNS + 2)  # and a pass for the memory, and one to warm up
        if taken + needed > allowed and seconds > 0:
            notes[name] = f"not measured: over the time budget (about {seconds:.1f} s a pass)"
        elif memory > MEMORY_SHARE * free:
            notes[name] = f"not measured: would need about {memory / 1e9:.1f} GB of memory"
        else:
            taken += needed
    return notes


def memory_of_pass(name: str, network: nn.Module, x: Tensor, scale: int, precision: str) -> float:
    """Bytes that the network, its input and one pass take together; NaN where that is more than there is."""
    if x.device.type != "cuda":
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])  # torch is imported once, and a fresh process costs little
        with ProcessPoolExecutor(1, mp_context=context) as fresh:
            try:
                return fresh.submit(_resident, name, tuple(x.shape), scale, precision, torch.get_num_threads()).result()
            except BrokenProcessPool:  # the system ended it, for want of memory
                return float("nan")
    others = torch.cuda.memory_allocated(x.device) - x.nbytes - sum(p.nbytes for p in network.parameters())
    torch.cuda.reset_peak_memory_stats(x.device)
    try:
        with torch.inference_mode(), _autocast(x.device, precision):
            network(x)
    except torch.OutOfMemoryError:
        return float("nan")
    finally:
        torch.cuda.empty_cache()
    return float(torch.cuda.max_memory_allocated(x.device) - others)


def _resident(name: str, shape: tuple[int, ...], scale: int, precision: str, threads: int) -> float:
    """Bytes by which building a network and one pass raise this process's largest resident size."""
    torch.set_num_threads(threads)
    before = psutil.Process().memory_info().rss
    network = fold(build_model(name, shape[1], scale))
    with torch.inference_mode(), _autocast(torch.device("cpu"), precision):
        network(torch.rand(shape))
    return float(peak_memory(torch.device("cpu")) - before)


def _autocast(device: torch.device, precision: str) -> AbstractContextManager:
    return torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bfloat16" else nullcontext()
