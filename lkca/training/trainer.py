"""The loop over epochs, with its state on disk after every one."""

import io
import math
import os
import pickle
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from lkca.data.patches import Area, Patches, split_patches
from lkca.measures.blur import shrink
from lkca.measures.resize import resize
from lkca.models import build_model
from lkca.models.precision import computing_in
from lkca.models.upsamplers import data_started
from lkca.paths import write_text
from lkca.training.evaluation import patch_mpsnr
from lkca.training.losses import decayed_weight, distillation_loss, supervised_loss
from lkca.training.record import read_state, write_state
from lkca.training.run import Run
from lkca.training.weights import Passport, load_weights, save_weights

START_PATCHES = 64  # at most, spread over the training patches, that a data-dependent start sees
T = TypeVar("T")
HISTORY = ("epoch", "loss", "validation", "learning_rate", "seconds")


def fresh_model(run: Run, bands: int) -> nn.Module:
    """The run's network before its first step: its weights depend on the seed alone."""
    torch.manual_seed(run.seed)
    return build_model(run.model, bands, run.scale, **run.options)


class Trainer:
    """Fits a model to patches, and keeps the weights that did best on the validation patches.

    Parameters
    ----------
    run : the settings; its folder receives weights, history and the state to resume from.
    model : to be trained, in place. passport : what its weights are for.
    areas : what may be trained on; part of them validates.
    teacher : for a run that distils, in eval mode.
    device : to train on. log : takes a line of progress an epoch.

    Attributes
    ----------
    data : checksum of what is trained on, kept in the state so that it is not gone on with on other data.
    """

    data = ""

    def __init__(
        self,
        run: Run,
        model: nn.Module,
        passport: Passport,
        areas: Sequence[Area],
        teacher: nn.Module | None,
        device: torch.device,
        log: Callable[[str], None],
    ) -> None:
        self.run, self.passport, self.device, self.log = run, passport, device, log
        self.model = model.to(device)
        if all(p.ndim <= 4 for p in model.parameters()):
            # the faster layout of 2-D convolutions on CPUs and on GPUs alike; 3-D ones cannot take it
            model.to(memory_format=torch.channels_last)
        self.teacher = teacher
        self.trained, self.held_out = self._patches(areas)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=run.learning_rate, betas=(0.9, 0.999))
        self.part = run.batch  # patches that go through the model at once: fewer where the GPU's memory ends
        self.history: list[dict[str, float]] = []
        self.best = -math.inf

    def fit(self) -> int | None:
        """Train to the end; the epoch in which the loss became NaN, if it did."""
        run = self.run
        self._resume()
        if not self.history:
            self._start()
        for epoch in range(len(self.history), run.epochs if not self.enough() else 0):
            start = time.perf_counter()
            rate = self._learning_rate(epoch)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            loss = self._epoch(epoch)
            validation = self._validate() if math.isfinite(loss) else math.nan
            if not (math.isfinite(loss) and math.isfinite(validation)):
                return self._diverged(epoch)
            seconds = time.perf_counter() - start
            self.history.append(dict(zip(HISTORY, (epoch + 1, loss, validation, rate, seconds), strict=True)))
            self._save(validation)
            self._report()
            if self.enough():
                break
        return None

    def enough(self) -> bool:
        """Whether training stops before its last epoch."""
        return False

    def remarks(self) -> dict[str, object]:
        """What the record of the run shall say of its training beside its settings."""
        return {}

    @property
    def kept(self) -> nn.Module:
        """The network that validates and whose weights are kept."""
        return self.model

    def _patches(self, areas: Sequence[Area]) -> tuple[Patches, Patches]:
        """Patches to train on and patches to validate on."""
        run = self.run
        trained, held_out = split_patches(areas, run.patch, run.stride, run.validation, run.validation_share, run.seed)
        cubes = near(trained.cubes, self.device)  # both cut from the same areas
        return replace(trained, cubes=cubes), replace(held_out, cubes=cubes)

    def _start(self) -> None:
        """Show what bicubic leaves on training patches to the parts of the model that start from it."""
        parts = data_started(self.model)
        if not parts:
            return
        chosen = np.linspace(0, len(self.trained) - 1, min(START_PATCHES, len(self.trained))).astype(int)
        hr = self.trained.cut(chosen)
        residuals = hr - resize(shrink(hr, self.run.scale, self.run.blur), self.run.scale)
        for part in parts:
            part.start_from(residuals)

    def _epoch(self, epoch: int) -> float:
        """One pass over the training patches; the mean loss."""
        run = self.run
        self.model.train()
        # The epoch's random numbers depend on nothing but seed and epoch: resuming needs no random state.
        generator = np.random.default_rng((run.seed, epoch))
        torch.manual_seed(int(generator.integers(2**62)))
        total = torch.zeros((), device=self.device)
        batches = self.trained.epoch(run.batch, generator, self.device)
        steps = -(-len(self.trained) // run.batch)
        for hr in tqdm(batches, f"epoch {epoch + 1}", steps, leave=False, mininterval=1, disable=not watched()):
            loss = self._within_memory(self._gradients, hr, epoch)
            self.optimizer.step()
            total += loss * len(hr)
        return total.item() / len(self.trained)

    def _gradients(self, hr: Tensor, epoch: int) -> Tensor:
        """Gradients of a batch, gathered part by part; its loss. Every loss is a mean, so the parts' shares add up."""
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for part in hr.split(self.part):
            loss = self._loss(part, epoch) * (len(part) / len(hr))
            loss.backward()
            total += loss.detach()
        return total

    def _within_memory(self, work: Callable[..., T], *given: object) -> T:
        """What `work` returns; done again with half the patches at once as often as the GPU's memory is too small."""
        while True:
            try:
                return work(*given)
            except torch.OutOfMemoryError as error:
                reason = str(error).split(". ")[0]
            # out of the except block: the error holds on to the tensors that filled the memory
            self._halve(reason)

    def _halve(self, reason: str) -> None:
        if self.part == 1:
            raise ValueError(
                f"{self.run.name}: not even one patch fits into the GPU's memory ({reason}): use a smaller patch "
                f"(now {self.run.patch}), precision bfloat16, a narrower network, or device cpu"
            )
        self.part = -(-self.part // 2)
        torch.cuda.empty_cache()
        warnings.warn(
            f"{self.run.name}: a batch of {self.run.batch} patches is too large for the GPU's memory ({reason}); from "
            f"here on at most {self.part} go through the network at once, and their gradients are added up to the same "
            f"step",
            stacklevel=2,
        )

    def _loss(self, hr: Tensor, epoch: int) -> Tensor:
        run = self.run
        lr = shrink(hr, run.scale, run.blur)
        if self.teacher is None:
            with self._precision():
                output = self.model(lr)
            return supervised_loss(output.float(), hr, run.sam, run.gradient)
        with self._precision():
            student = self.model.residual(lr).float()
            with torch.no_grad():
                teacher = self.teacher.residual(lr).float()
        output = student + resize(lr, run.scale)
        kd = run.distillation
        weight = decayed_weight(kd.weight, kd.decay, epoch)
        loss = supervised_loss(output, hr, run.sam, run.gradient)
        return loss + weight * distillation_loss(student, teacher, kd.l1, kd.gradient, kd.cosine)

    def _validate(self) -> float:
        with self._precision():
            return self._within_memory(
                lambda: patch_mpsnr(self.kept, self.held_out, self.run.scale, self.part, self.device, self.run.blur)
            )

    def _precision(self) -> AbstractContextManager:
        return computing_in(self.run.precision, self.device)

    def _learning_rate(self, epoch: int) -> float:
        """Half a cosine from the first to the final learning rate, constant within an epoch."""
        run = self.run
        fall = (1 + math.cos(math.pi * epoch / max(1, run.epochs - 1))) / 2
        return run.final_learning_rate + (run.learning_rate - run.final_learning_rate) * fall

    def _save(self, validation: float) -> None:
        folder = self.run.folder
        # The best weights first: killed in between, the epoch is done again and writes the same ones.
        if validation > self.best:
            self.best = validation
            save_weights(folder / "weights.safetensors", self.kept, self.passport)
        content = io.BytesIO()  # writing the file itself, torch would report a full disk as an internal RuntimeError
        torch.save(self._state(), content)
        write_state(folder / "resume.pt", content.getvalue())
        self._write_history()

    def _state(self) -> dict[str, object]:
        """All that is needed to go on after this epoch."""
        return {
            "run": self.run.hash,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": self.history,
            "best": self.best,
            "data": self.data,
        }

    def _restore(self, state: dict[str, object]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history, self.best = state["history"], state["best"]

    def _write_history(self) -> None:
        write_text(self.run.folder / "history.csv", pd.DataFrame(self.history).to_csv(index=False))

    def _resume(self) -> None:
        path = self.run.folder / "resume.pt"
        if not path.is_file():
            return
        try:
            content, checked = read_state(path)
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            self._check_state(state)
            self._restore(state)
        except (OSError, RuntimeError, ValueError, LookupError, TypeError, EOFError, pickle.UnpicklingError) as error:
            # torch's own message would advise to load the file unsafely
            reason = error if isinstance(error, ValueError) else "it is damaged or not the state of this training"
            raise ValueError(f"{path} cannot be resumed from ({reason}): delete it to start the run again") from error
        if not checked:
            self.log(f"{path}: no checksum recorded, whether it is as it was written is not known")
        if self.history:
            self._write_history()  # a kill may have come between the two files
        if len(self.history) < self.run.epochs:
            self.log(f"{self.run.name}: going on after epoch {len(self.history)}")

    def _check_state(self, state: dict) -> None:
        """ValueError if a state does not belong to this training and to the weights beside it."""
        if state["run"] != self.run.hash:
            raise ValueError(f"it belongs to run {state['run']}")
        if state.get("data", self.data) != self.data:
            raise ValueError(f"it was trained on data of checksum {state['data']}, which is now {self.data}")
        rows, best = state["history"], state["best"]
        good = isinstance(rows, list) and all(isinstance(row, dict) and set(row) == set(HISTORY) for row in rows)
        good = good and all(isinstance(value, int | float) for row in rows for value in (*row.values(), best))
        if not good or len(rows) > self.run.epochs:
            raise ValueError("its history is not that of a training")
        if rows:
            weights = self.run.folder / "weights.safetensors"
            if not weights.is_file():
                raise ValueError("the weights.safetensors beside it is missing")
            load_weights(weights, run=self.run.name)

    def _diverged(self, epoch: int) -> int:
        path = self.run.folder / "weights.safetensors"
        advice = f"lower learning_rate ({self.run.learning_rate}) or use precision float32"
        if not path.is_file():
            raise ValueError(
                f"{self.run.name}: the loss became NaN in epoch {epoch + 1}, with no good weights yet; {advice}"
            )
        warnings.warn(
            f"{self.run.name}: the loss became NaN in epoch {epoch + 1}; the best weights so far are kept; {advice}",
            stacklevel=2,
        )
        return epoch + 1

    def _report(self) -> None:
        last, run = self.history[-1], self.run
        left = np.mean([row["seconds"] for row in self.history[-10:]]) * (run.epochs - last["epoch"])
        best = max(self.history, key=lambda row: row["validation"])
        self.log(
            f"{run.model} x{run.scale} seed {run.seed}  epoch {last['epoch']}/{run.epochs}  loss {last['loss']:.5f}  "
            f"validation {last['validation']:.3f} dB (best {best['validation']:.3f} in {best['epoch']})  "
            f"{last['seconds']:.1f} s an epoch, {left / 60:.1f} min left"
        )


def watched() -> bool:
    """Whether somebody looks on: a terminal or a notebook. (The batch sets TQDM_DISABLE.)"""
    return sys.stderr.isatty() or ("ipykernel" in sys.modules and not os.environ.get("TQDM_DISABLE"))


def near(cubes: tuple[Tensor, ...], device: torch.device) -> tuple[Tensor, ...]:
    """The areas on the GPU, where cutting costs next to nothing, if they take less than half of what is free."""
    if device.type != "cuda":
        return cubes
    needed = sum(cube.numel() * cube.element_size() for cube in cubes)
    free, _ = torch.cuda.mem_get_info(device)
    return tuple(cube.to(device) for cube in cubes) if needed < free / 2 else cubes
