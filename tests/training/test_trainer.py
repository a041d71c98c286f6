"""The loop with plain arguments: averaged weights, clipping, warm-up, start weights; schedules; a GPU's memory."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from lkca.checkpoints import Metadata, load_weights
from lkca.trainer import (
    MIN_GAIN,
    PATIENCE,
    CosineSchedule,
    PlateauSchedule,
    Trainer,
    epoch_generator,
    late_gain,
)
from tests.training.tiny import quiet

RATE, BATCH = 0.01, 8


def build(_: object = None) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 4), nn.GELU(), nn.Linear(4, 1))


def batches(epoch: int) -> Iterator[Tensor]:
    """Yield five batches of points and the value at each: columns x, y, x·y."""
    points = epoch_generator(0, epoch).standard_normal((5, BATCH, 2)).astype(np.float32)
    yield from torch.from_numpy(np.concatenate([points, points.prod(axis=2, keepdims=True)], axis=2))


def loss(model: nn.Module, batch: Tensor, epoch: int) -> Tensor:
    return (model(batch[:, :2]) - batch[:, 2:]).square().mean()


def validate(model: nn.Module) -> float:
    with torch.no_grad():
        return -10 * math.log10(loss(model, next(batches(1000)), 0).item())


def make_trainer(folder: Path, model: nn.Module | None = None, **changes: object) -> Trainer:
    model = model or build()
    given = {
        "batches": batches,
        "loss": loss,
        "validate": validate,
        "schedule": CosineSchedule(RATE, RATE, 3),
        "optimizer": torch.optim.Adam(model.parameters(), lr=RATE),
        "folder": folder,
        "epochs": 3,
        "identity": {"task": "product"},
        "metadata": Metadata("points", 2, 1, run="points-1"),
        "log": quiet,
    }
    return Trainer(model, **{**given, **changes})


def weights(folder: Path) -> list[Tensor]:
    model, metadata = load_weights(folder, build=build)
    assert metadata.run == "points-1"
    return [parameter.detach() for parameter in model.parameters()]


# --- the loop


def test_the_kept_weights_are_those_of_the_best_epoch(tmp_path: Path) -> None:
    values, seen = iter([20.0, 22.0, 21.0, 21.5]), []

    def scripted(model: nn.Module) -> float:
        seen.append([p.detach().clone() for p in model.parameters()])
        return next(values)

    history = make_trainer(tmp_path, validate=scripted, epochs=4).fit()
    assert list(history["validation"]) == [20.0, 22.0, 21.0, 21.5]
    assert all(torch.equal(a, b) for a, b in zip(weights(tmp_path), seen[1], strict=True))


def memory(step: int) -> float:
    return min(0.9, (step + 1) / (step + 10))


@pytest.mark.parametrize("average", [None, 0.9, memory])
@pytest.mark.parametrize(("clip", "warm_up"), [(None, 0), (0.05, 7)])
def test_fit_takes_the_steps_of_a_plain_loop(
    average: float | Callable | None, clip: float | None, warm_up: int, tmp_path: Path
) -> None:
    """To the bit, also after an interruption."""
    model = build()
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    mean = [p.detach().clone() for p in model.parameters()]
    step = 0
    for epoch in range(3):
        for batch in batches(epoch):
            optimizer.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / warm_up) if warm_up else RATE
            optimizer.zero_grad()
            loss(model, batch, epoch).backward()
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            kept = 0.0 if average is None or (step == 0 and average == 0.9) else 0.9 if average == 0.9 else memory(step)
            for old, new in zip(mean, model.parameters(), strict=True):
                old.lerp_(new.detach(), 1 - kept)
            step += 1
    rising = iter(range(10))
    changes = {"average": average, "clip": clip, "warm_up": warm_up, "validate": lambda model: float(next(rising))}
    with pytest.raises(KeyboardInterrupt):
        make_trainer(tmp_path, log=interrupt_after(2), **changes).fit()
    history = make_trainer(tmp_path, **changes).fit()
    assert list(history["epoch"]) == [1, 2, 3]
    assert all(torch.equal(a, b) for a, b in zip(weights(tmp_path), mean, strict=True))


def interrupt_after(epoch: int) -> Callable[[str], None]:
    def log(line: str) -> None:
        if f"epoch {epoch}/" in line:
            raise KeyboardInterrupt

    return log


@pytest.mark.parametrize(("min_gain", "kept"), [(100.0, "start"), (0.0, "trained")])
def test_start_weights_stay_unless_training_gains_enough(min_gain: float, kept: str, tmp_path: Path) -> None:
    start = [p.detach().clone() for p in build().parameters()]
    trainer = make_trainer(tmp_path, min_gain=min_gain, average=0.5)
    history = trainer.fit()
    assert trainer.start_validation == validate(build()) < history["validation"].max()
    same = all(torch.equal(a, b) for a, b in zip(weights(tmp_path), start, strict=True))
    assert same == (kept == "start")


# --- schedules


def rows(values: list[float]) -> list[dict[str, float]]:
    return [{"validation": value} for value in values]


@pytest.mark.parametrize("patience", [PATIENCE, 2 * PATIENCE])
def test_plateau_falls_where_torch_does_and_ends_training_with_the_second_fall(patience: int) -> None:
    values = 30 + np.cumsum(np.random.default_rng(0).normal(0, 0.02, 300))
    optimizer = torch.optim.SGD(build().parameters(), lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, "max", 0.25, patience - 1, threshold=MIN_GAIN, threshold_mode="abs", eps=0
    )
    schedule = PlateauSchedule(1.0, 10_000, patience)
    for epoch, value in enumerate(values, 1):
        theirs.step(value)
        rate = optimizer.param_groups[0]["lr"]
        assert schedule.rate(100, rows(values[:epoch])) == pytest.approx(rate)
        assert schedule.done(rows(values[:epoch])) == (rate < 0.1)
    assert rate < 0.1


def test_plateau_warms_up_and_falls_at_the_latest_near_the_end() -> None:
    rates = [PlateauSchedule(1.0, 50).rate(epoch, []) for epoch in range(50)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1, 1]
    assert rates[34:] == [1] + 8 * [0.25] + 7 * [0.25**2]


@pytest.mark.parametrize(
    ("values", "gain"),
    [
        ([30.0] * PATIENCE, 0.0),
        ([30.0, *[31.0] * PATIENCE], 1.0),
        ([30.0, *[31.0] * (PATIENCE + 1)], 0.0),
        ([29.0, 31.0, *[30.0] * PATIENCE], 0.0),  # the best counts, not the last
        ([30.0, 30.5, 31.0], 1.0),
        ([], None),
    ],
)
def test_late_gain_looks_at_the_window_of_the_patience(values: list[float], gain: float | None) -> None:
    assert late_gain(pd.DataFrame(rows(values), columns=["validation"])) == gain


# --- a GPU's memory is too small: a fake refuses what would not fit


def refusing(limit: int) -> Callable:
    def fits(model: nn.Module, batch: Tensor, epoch: int) -> Tensor:
        if len(batch) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has")
        return loss(model, batch, epoch)

    return fits


def test_parts_of_a_batch_give_the_same_step(tmp_path: Path) -> None:
    whole = make_trainer(tmp_path / "whole").fit()
    with pytest.warns(UserWarning, match="memory") as warned:
        parted = make_trainer(tmp_path / "parted", loss=refusing(3)).fit()
    assert len(warned) == 2  # 4, then 2, and not again in later batches
    for one, other in zip(weights(tmp_path / "whole"), weights(tmp_path / "parted"), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
    assert np.allclose(whole["loss"], parted["loss"], rtol=1e-4)
    with pytest.warns(UserWarning, match="memory"), pytest.raises(ValueError, match="not even one patch .* memory"):
        make_trainer(tmp_path / "none", loss=refusing(0)).fit()
