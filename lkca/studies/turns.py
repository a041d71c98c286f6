"""The one stopwatch: what is compared takes turns, so that whatever else the machine does slows all of it alike."""

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch


def take_turns(
    passes: Sequence[Callable[[], object]],
    device: torch.device,
    most: int,
    least: int = 1,
    allowed: float = float("inf"),
    order: np.random.Generator | None = None,
    in_a_row: Sequence[int] | None = None,
) -> list[list[float]]:
    """Seconds of each pass, one after the other in every round, after a round to warm up that does not count.

    Parameters
    ----------
    device : where the passes compute; on a GPU its own clock is read.
    most, least : rounds. allowed : seconds after which, beyond the least rounds, no other is begun that would not fit.
    order : draws the order of every round, so that a pass does not always have the same one before it.
    in_a_row : how many times each pass is timed in its turn, after one more that does not count: every runtime's
        threads still wait busily for a moment after their work. None: it is timed once, at once.
    """
    begin = time.perf_counter()
    times: list[list[float]] = [[] for _ in passes]
    for turn in range(-1, most):
        if turn >= least and (time.perf_counter() - begin) * (turn + 2) / (turn + 1) > allowed:
            break
        for place in range(len(passes)) if order is None else order.permutation(len(passes)):
            if in_a_row:
                _seconds(passes[place], device)
            for _ in range(in_a_row[place] if in_a_row else 1):
                seconds = _seconds(passes[place], device)
                if turn >= 0:
                    times[place].append(seconds)
    return times


def _seconds(once: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        begin.record()
        once()
        end.record()
        torch.cuda.synchronize()
        return begin.elapsed_time(end) / 1e3
    start = time.perf_counter()
    once()
    return time.perf_counter() - start
