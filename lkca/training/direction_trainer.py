"""Training for any sensor: the loop of `lkca.training.trainer` over samples of spectral directions."""

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor, nn

from lkca.data.made_scenes import made_cube
from lkca.data.patches import Area
from lkca.measures.back_projection import back_project
from lkca.measures.resize import crop_to_multiple, resize
from lkca.models.any_sensor import AnySensor
from lkca.training.directions import MADE_SIDE, VALIDATION_SEEDS, Directions, MadeScenes, batches
from lkca.training.run import Run
from lkca.training.trainer import Trainer
from lkca.training.weights import Passport

STEPS = 50  # of an epoch
WARM_UP = 50  # steps in which the learning rate rises to its first value
LARGEST_GRADIENT = 1.0  # norm beyond which a step's gradient is shortened
MEMORY = 0.995  # of the exponential mean of the weights, from step to step
YOUNG = 10  # steps in which that mean still forgets faster


class DirectionTrainer(Trainer):
    """Fits LKCA-Any; what is kept is the exponential mean of its weights.

    Parameters
    ----------
    run, model, passport, device, log : as in `Trainer`; an epoch is `STEPS` batches.
    areas : scenes to train on, of any sensors; may be empty.
    held_out : scenes to validate on; where there are none, made ones do.
    made : share of the samples that come from made scenes; 1 where there are no areas.
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
    ) -> None:
        self.run, self.passport, self.device, self.log = run, passport, device, log
        self.model = model.to(device).to(memory_format=torch.channels_last)
        self.mean = copy.deepcopy(self.model)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=run.learning_rate, betas=(0.9, 0.999))
        self.part, self.teacher = run.batch, None
        self.history, self.best = [], -np.inf
        self.share = made if areas else 1.0
        self.scenes = [Directions(area, model, run.patch) for area in areas]
        self.made = MadeScenes(run.seed, model, run.patch, run.epochs) if self.share else None
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
        pass

    def _epoch(self, epoch: int) -> float:
        self.model.train()
        generator = np.random.default_rng((self.run.seed, epoch))
        torch.manual_seed(int(generator.integers(2**62)))
        rate, total = self._learning_rate(epoch), torch.zeros((), device=self.device)
        made = self.made.of_epoch(epoch) if self.made else []
        drawn = batches(self.scenes, made, self.share, STEPS, self.run.batch, generator)
        with ThreadPoolExecutor(1) as ahead:
            upcoming = ahead.submit(next, drawn)
            for step in range(STEPS):
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
        lr = resize(hr, 1 / self.run.scale)
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
        lr = resize(hr, 1 / self.run.scale)
        base = back_project(resize(lr, self.run.scale), lr, self.model.corrections)
        return lr, hr, (base - hr).square().mean(dim=(1, 2)).clamp_min(1e-12)

    def _state(self) -> dict[str, object]:
        return {**super()._state(), "mean": self.mean.state_dict()}

    def _restore(self, state: dict[str, object]) -> None:
        super()._restore(state)
        self.mean.load_state_dict(state["mean"])
