"""Train a network: the loop, the learning rate schedules, and when a training has converged."""

import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from lkca.checkpoints import HISTORY, WEIGHTS, Metadata, load_state, read_weights, save_state, save_weights
from lkca.evaluate import within_memory
from lkca.files import Log, write_text
from lkca.run import PATIENCE

MIN_GAIN = 0.02  # dB by which validation must rise to count as a gain
Epochs = Sequence[Mapping[str, float]]  # a row per finished epoch, with the columns `HISTORY`


# --- schedules


class Schedule(Protocol):
    """The learning rate of an epoch, counted from 0, and whether training ends early; from the epochs before it."""

    def rate(self, epoch: int, history: Epochs) -> float: ...
    def done(self, history: Epochs) -> bool: ...


@dataclass(frozen=True)
class CosineSchedule:
    """Half a cosine from the first to the final learning rate, constant within an epoch; no early end."""

    first: float
    final: float
    epochs: int

    def rate(self, epoch: int, history: Epochs) -> float:
        fall = (1 + math.cos(math.pi * epoch / max(1, self.epochs - 1))) / 2
        return self.final + (self.first - self.final) * fall

    def done(self, history: Epochs) -> bool:
        return False


@dataclass(frozen=True)
class PlateauSchedule:
    """The learning rate falls to a quarter when validation has converged; training ends when it converges again.

    The rate falls at the latest after the shares `LATEST` of the epochs; these falls do not end training. Networks that
    are compared after equal steps get few epochs, so their rates fall together. Networks that learn at different speeds
    get many epochs, and each ends when it has converged. This works as torch's ReduceLROnPlateau does, but from the
    history: there is no state to resume.
    """

    first: float
    epochs: int
    patience: int = PATIENCE

    FACTOR = 1 / 4  # of each fall
    FALLS = 2  # convergences after which training ends
    LATEST = (0.7, 0.86)  # shares of the epochs after which the rate falls in any case
    WARM_UP = 4  # epochs in which the rate rises to `first`

    def rate(self, epoch: int, history: Epochs) -> float:
        fallen = max(self.falls(history), sum(epoch >= share * self.epochs for share in self.LATEST))
        return self.first * self.FACTOR**fallen * min(1.0, (epoch + 1) / self.WARM_UP)

    def done(self, history: Epochs) -> bool:
        return self.falls(history) >= self.FALLS

    def falls(self, history: Epochs) -> int:
        """Count how often validation gained less than `MIN_GAIN` within `patience` epochs."""
        count, best, since = 0, -math.inf, 0
        for row in history:
            since += 1
            if row["validation"] > best + MIN_GAIN:
                best, since = row["validation"], 0
            elif since == self.patience:
                count, since = count + 1, 0
        return count


def late_gain(history: pd.DataFrame) -> float | None:
    """Return by how many dB the best validation rose within the last `PATIENCE` epochs; None if there is no epoch.

    With `PATIENCE` epochs or fewer, it is the gain since the first.
    """
    if history.empty:
        return None
    best = history["validation"].cummax()
    return float(best.iloc[-1] - best.iloc[max(0, len(best) - 1 - PATIENCE)])


# --- the loop


class Trainer:
    """Train a network, keep the weights with the best validation, and save the state after every epoch.

    A training that is killed at any moment and started again ends with the same bits (on a CPU), provided that
    `batches` takes its random numbers from `epoch_generator` alone.

    Parameters
    ----------
    model : the network, trained in place; on a CPU, accelerated by the caller.
    batches : yields the batches of an epoch, counted from 0, as tensors whose first axis is the sample.
    loss : the mean loss of a network on a batch in an epoch.
    validate : the quality of a network, higher is better; in dB where the schedule is a plateau.
    schedule, optimizer : of the learning rate and the steps.
    folder : receives weights.safetensors, resume.pt and history.csv.
    epochs : maximum number of epochs.
    average : if given, the exponential mean of the weights is validated and kept instead of the weights. A number is
        the share of the mean that each step keeps; the mean begins with the weights after the first step. A function
        gives that share from the number of earlier steps; the mean begins with the weights at the start.
    identity : plain values by name; a saved state is resumed only if its identity is equal.
    metadata : of the weights files; its `run` is the name in messages.
    device : where model and batches are.
    log : called with a line per epoch.
    clip : maximum norm of the gradient of a step; None for no limit.
    warm_up : number of steps in which the learning rate rises to the schedule's.
    start : called with the model before the first step.
    min_gain : for a model that starts with good weights, which are kept unless an epoch validates better by this.

    Attributes
    ----------
    history : a row per finished epoch, see `HISTORY`.
    start_validation : validation of the initial weights, if `min_gain` is given.
    diverged_in_epoch : the epoch, counted from 1, in which the loss became NaN; None if it did not.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        batches: Callable[[int], Iterator[Tensor]],
        loss: Callable[[nn.Module, Tensor, int], Tensor],
        validate: Callable[[nn.Module], float],
        schedule: Schedule,
        optimizer: torch.optim.Optimizer,
        folder: Path,
        epochs: int,
        identity: Mapping[str, object],
        metadata: Metadata,
        average: float | Callable[[int], float] | None = None,
        device: torch.device | str = "cpu",
        log: Log = print,
        clip: float | None = None,
        warm_up: int = 0,
        start: Callable[[nn.Module], None] | None = None,
        min_gain: float | None = None,
    ) -> None:
        self.model, self.batches, self.loss, self.validate = model, batches, loss, validate
        self.schedule, self.optimizer, self.folder, self.epochs = schedule, optimizer, folder, epochs
        self.identity, self.metadata, self.device, self.log = dict(identity), metadata, device, log
        self.clip, self.warm_up, self.start, self.min_gain = clip, warm_up, start, min_gain
        self.mean = None if average is None else _averaged(model, average)
        self.part: int | None = None  # samples that go through the network at once; all of a batch if None
        self.steps = 0
        self.history: list[dict[str, float]] = []
        self.best = -math.inf
        self.start_validation: float | None = None
        self.diverged_in_epoch: int | None = None

    def fit(self) -> pd.DataFrame:
        """Train to the end, starting after the last finished epoch; return the history.

        Raises
        ------
        ValueError
            If the loss became NaN before any weights were kept, a file in the folder is damaged or belongs to another
            training, or not even one sample fits into the GPU's memory.
        """
        self._resume()
        if not self.history:
            self._begin()
        for epoch in range(len(self.history), self.epochs):
            if self.schedule.done(self.history):
                break
            begun = time.perf_counter()
            rate = self.schedule.rate(epoch, self.history)
            loss = self._train_epoch(epoch, rate)
            validation = self.validate(self.kept) if math.isfinite(loss) else math.nan
            if not math.isfinite(validation):
                self._diverge(epoch)
                break
            seconds = time.perf_counter() - begun
            self.history.append(dict(zip(HISTORY, (epoch + 1, loss, validation, rate, seconds), strict=True)))
            self._save()
            self._report()
        return pd.DataFrame(self.history, columns=list(HISTORY))

    @property
    def kept(self) -> nn.Module:
        """The network that is validated and whose weights are kept."""
        return self.model if self.mean is None else self.mean.module

    def _begin(self) -> None:
        if self.start:
            self.start(self.model)
        if self.min_gain is not None:
            self.start_validation = self.validate(self.kept)
            self.best = self.start_validation + self.min_gain
            save_weights(self.folder / WEIGHTS, self.kept, self.metadata)

    def _train_epoch(self, epoch: int, rate: float) -> float:
        """Train on the batches of an epoch; return the mean loss."""
        self.model.train()
        total, count = torch.zeros((), device=self.device), 0
        batches, expected = self.batches(epoch), self.steps // epoch if epoch else None
        hidden = not _is_watched()
        for batch in tqdm(batches, f"epoch {epoch + 1}", expected, leave=False, mininterval=1, disable=hidden):
            self.steps += 1
            for group in self.optimizer.param_groups:
                group["lr"] = rate * min(1.0, self.steps / self.warm_up) if self.warm_up else rate
            gradients = partial(self._gradients, batch, epoch)
            loss, part = within_memory(gradients, min(self.part or len(batch), len(batch)))
            self.part = part if part < len(batch) else self.part
            if self.clip is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
            self.optimizer.step()
            if self.mean is not None:
                self.mean.update_parameters(self.model)
            total, count = total + loss * len(batch), count + len(batch)
        return total.item() / count

    def _gradients(self, batch: Tensor, epoch: int, part: int) -> Tensor:
        """Sum the gradients of a batch part by part; return its loss, a mean to which each part adds its share."""
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for piece in batch.split(part):
            loss = self.loss(self.model, piece, epoch) * (len(piece) / len(batch))
            loss.backward()
            total += loss.detach()
        return total

    def _diverge(self, epoch: int) -> None:
        name, advice = self.metadata.run, "lower learning_rate or use precision float32"
        if not (self.folder / WEIGHTS).is_file():
            raise ValueError(
                f"{name}: the loss became NaN in epoch {epoch + 1}, before any weights were kept; {advice}"
            )
        warnings.warn(
            f"{name}: the loss became NaN in epoch {epoch + 1}; the best weights so far are kept; {advice}",
            stacklevel=3,
        )
        self.diverged_in_epoch = epoch + 1

    def _save(self) -> None:
        # The best weights first: if a kill comes in between, the epoch is trained again and writes the same weights.
        validation = self.history[-1]["validation"]
        if validation > self.best:
            self.best = validation
            save_weights(self.folder / WEIGHTS, self.kept, self.metadata)
        state = {
            "identity": self.identity,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "mean": self.mean and self.mean.state_dict(),
            "steps": self.steps,
            "history": self.history,
            "best": self.best,
            "start_validation": self.start_validation,
        }
        save_state(self.folder / "resume.pt", state)
        self._write_history()

    def _write_history(self) -> None:
        write_text(self.folder / "history.csv", pd.DataFrame(self.history).to_csv(index=False))

    def _resume(self) -> None:
        path = self.folder / "resume.pt"
        if not path.is_file():
            return
        try:
            state = load_state(path)
            if state["identity"] != self.identity:
                raise ValueError(f"it belongs to {state['identity']}, expected {self.identity}")
            if read_weights(self.folder / WEIGHTS)[0] != self.metadata:
                raise ValueError(f"the {WEIGHTS} beside it belongs to another training")
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.mean is not None:
                self.mean.load_state_dict(state["mean"])
            self.steps, self.history, self.best = state["steps"], state["history"], state["best"]
            self.start_validation = state["start_validation"]
        except (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} cannot be resumed from ({error}): delete {self.folder} to start again") from error
        self._write_history()  # a kill may have come between the two files
        if len(self.history) < self.epochs:
            self.log(f"{self.metadata.run}: resuming after epoch {len(self.history)}")

    def _report(self) -> None:
        last, best = self.history[-1], max(self.history, key=lambda row: row["validation"])
        left = np.mean([row["seconds"] for row in self.history[-10:]]) * (self.epochs - last["epoch"])
        self.log(
            f"{self.metadata.run}  epoch {last['epoch']}/{self.epochs}  loss {last['loss']:.5f}  "
            f"validation {last['validation']:.3f} dB (best {best['validation']:.3f} in {best['epoch']})  "
            f"{last['seconds']:.1f} s an epoch, at most {left / 60:.1f} minutes left"
        )


def epoch_generator(seed: int, epoch: int) -> np.random.Generator:
    """Seed torch, and return a generator, for an epoch: its random numbers depend on nothing but seed and epoch.

    So a training can resume without a saved random state.
    """
    generator = np.random.default_rng((seed, epoch))
    torch.manual_seed(int(generator.integers(2**62)))
    return generator


def _averaged(model: nn.Module, memory: float | Callable[[int], float]) -> AveragedModel:
    if not callable(memory):
        return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(memory))

    @torch.no_grad()
    def average(means: list[Tensor], weights: list[Tensor], count: Tensor) -> None:
        get_ema_multi_avg_fn(memory(int(count) - 1))(means, weights, count)

    mean = AveragedModel(model, multi_avg_fn=average)
    mean.n_averaged.fill_(1)  # so that the mean includes the initial weights; torch would begin after the first step
    return mean


def _is_watched() -> bool:
    """Return whether a progress bar is seen: in a terminal, or in a notebook unless the batch sets TQDM_DISABLE."""
    return sys.stderr.isatty() or ("ipykernel" in sys.modules and not os.environ.get("TQDM_DISABLE"))
