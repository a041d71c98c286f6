"""Training for any sensor: the loop of `lkca.training.trainer` over samples of spectral directions."""

import copy
import hashlib
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from lkca.data.made_scenes import made_cube
from lkca.data.patches import Area
from lkca.measures.back_projection import back_project
from lkca.measures.blur import shrink
from lkca.measures.resize import crop_to_multiple, resize
from lkca.models.any_sensor import AnySensor
from lkca.training.directions import MADE_SIDE, VALIDATION_SEEDS, Directions, MadeScenes, batches
from lkca.training.run import Run
from lkca.training.trainer import Trainer, watched
from lkca.training.weights import Passport, load_weights, save_weights

STEPS = 50  # of an epoch
WARM_UP = 50  # steps in which the learning rate rises to its first value
LARGEST_GRADIENT = 1.0  # norm beyond which a step's gradient is shortened
MEMORY = 0.995  # of the exponential mean of the weights, from step to step
WORTH = 0.2  # dB of validation that training must add to given weights: the best of many epochs is partly luck
PATIENCE = 6  # epochs without a better one, after which training from given weights ends
YOUNG = 10  # steps in which that mean still forgets faster


class DirectionTrainer(Trainer):
    """Fits LKCA-Any; what is kept is the exponential mean of its weights.

    Parameters
    ----------
    run, model, passport, device, log : as in `Trainer`; an epoch is `STEPS` batches.
    areas : scenes to train on, of any sensors; may be empty.
    held_out : scenes to validate on; where there are none, made ones do.
    made : share of the samples that come from made scenes; 1 where there are no areas.
    made_count : number of made scenes, the same in every epoch; None draws fresh ones as training goes.
    start : weights to begin with, those in the box. They are what is kept until an epoch validates better by `WORTH`,
        and training ends when none has been the best for `PATIENCE` epochs.
    """

    def __init__(
        self,
        run: Run,
        model: AnySensor,
        passport: Passport,
        areas: Sequence[Area],
        held_out: Sequence[Area],
        made: float,
        device: torch.device,
        log: Callable[[str], None],
        start: Path | None = None,
        made_count: int | None = None,
    ) -> None:
        self.start, self.began = start, math.nan
        self.run, self.passport, self.device, self.log = run, passport, device, log
        self.model = model.to(device).to(memory_format=torch.channels_last)
        self.mean = copy.deepcopy(self.model)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=run.learning_rate, betas=(0.9, 0.999))
        self.part, self.teacher = run.batch, None
        self.history, self.best = [], -math.inf
        self.share = made if areas else 1.0
        self.scenes = [Directions(area, model, run.patch) for area in areas]
        self.made = MadeScenes(run.seed, model, run.patch, run.epochs, made_count) if self.share else None
        side = MADE_SIDE[run.scale]
        made_areas = (Area(f"made scene {seed}", made_cube(seed, side)) for seed in VALIDATION_SEEDS)
        self.validated = [self._measured(area) for area in (held_out or made_areas)]

    @property
    def kept(self) -> nn.Module:
        return self.mean

    def fit(self) -> int | None:
        try:
            return super().fit()
        finally:
            if self.made:
                self.made.close()

    def _start(self) -> None:
        if self.start is None:
            return
        weights = load_weights(self.start)[0].state_dict()
        for network in (self.model, self.mean):
            network.load_state_dict(weights)
        self.began = self._validate()
        self.best = self.began + WORTH
        save_weights(self.run.folder / "weights.safetensors", self.kept, self.passport)
        self.log(f"{self.run.name}: the weights in the box validate at {self.began:+.3f} dB over back-projection")

    def enough(self) -> bool:
        """Whether no epoch has been the best so far for `PATIENCE` epochs; only from given weights."""
        values = [row["validation"] for row in self.history]
        return self.start is not None and len(values) - 1 - int(np.argmax(values or [0])) >= PATIENCE

    def remarks(self) -> dict[str, object]:
        if self.start is None:
            return {}
        digest = hashlib.sha256(self.start.read_bytes()).hexdigest()
        tuned = max((row["validation"] for row in self.history), default=-math.inf) > self.began + WORTH
        return {"start": digest, "validation_at_start": self.began, "trained_further": tuned}

    def _epoch(self, epoch: int) -> float:
        self.model.train()
        generator = np.random.default_rng((self.run.seed, epoch))
        torch.manual_seed(int(generator.integers(2**62)))
        rate, total = self._learning_rate(epoch), torch.zeros((), device=self.device)
        made = self.made.of_epoch(epoch) if self.made else []
        drawn = batches(self.scenes, made, self.share, STEPS, self.run.batch, generator)
        with ThreadPoolExecutor(1) as ahead:
            upcoming = ahead.submit(next, drawn)
            for step in tqdm(range(STEPS), f"epoch {epoch + 1}", leave=False, mininterval=1, disable=not watched()):
                hr = upcoming.result().to(self.device)
                if step + 1 < STEPS:
                    upcoming = ahead.submit(next, drawn)
                for group in self.optimizer.param_groups:
                    group["lr"] = rate * min(1.0, (epoch * STEPS + step + 1) / WARM_UP)
                total += self._within_memory(self._gradients, hr, epoch)
                nn.utils.clip_grad_norm_(self.model.parameters(), LARGEST_GRADIENT)
                self.optimizer.step()
                self._average(epoch * STEPS + step)
        return total.item() / STEPS

    def _loss(self, hr: Tensor, epoch: int) -> Tensor:
        """L1 between the sharpened direction and the true one; (n, 2, size, size), direction and guide."""
        lr = shrink(hr, self.run.scale, self.run.blur)
        with self._precision():
            residual = self.model.residual(lr)
        return (residual.float() + self.model.enlarged(lr[:, :1]) - hr[:, :1]).abs().mean()

    @torch.no_grad()
    def _average(self, step: int) -> None:
        memory = min(MEMORY, (step + 1) / (step + YOUNG))
        for mean, current in zip(self.mean.parameters(), self.model.parameters(), strict=True):
            mean.lerp_(current, 1 - memory)

    @torch.inference_mode()
    def _validate(self) -> float:
        """Mean gain in MPSNR over bicubic with back-projection, in dB."""
        self.mean.eval()
        gains = []
        for lr, hr, base in self.validated:
            error = (self.mean(lr[None])[0] - hr).square().mean(dim=(1, 2)).clamp_min(1e-12)
            gains.append((10 * (base / error).log10()).mean())
        return torch.stack(gains).mean().item()

    def _measured(self, area: Area) -> tuple[Tensor, Tensor, Tensor]:
        """LR and HR image of an area, and the mean squared error of back-projection in each band."""
        hr = crop_to_multiple(torch.from_numpy(np.ascontiguousarray(area.cube)), self.run.scale).to(self.device)
        lr = shrink(hr, self.run.scale, self.run.blur)
        base = back_project(resize(lr, self.run.scale), lr, self.model.corrections)
        return lr, hr, (base - hr).square().mean(dim=(1, 2)).clamp_min(1e-12)

    def _state(self) -> dict[str, object]:
        return {**super()._state(), "mean": self.mean.state_dict(), "began": self.began}

    def _restore(self, state: dict[str, object]) -> None:
        super()._restore(state)
        self.mean.load_state_dict(state["mean"])
        self.began = state["began"]
