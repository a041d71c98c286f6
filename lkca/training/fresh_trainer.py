"""Training on made scenes without end: what compares networks that have nothing left to overfit.

The rule: whenever validation has not risen by `RISE` for `PATIENCE` epochs, the learning rate falls to a quarter, and
the second such fall ends training. At the latest it falls after the shares `LATEST` of the run's epochs, whose last one
ends training: networks that are to be compared step by step have few epochs and fall together; those that learn at
different speeds have many, and each ends where it has stopped rising.

What validates and is kept is the exponential mean of the weights, whose quality hardly jumps from epoch to epoch: the
rule would take a jump for an end. A scene trains for `POOL` epochs, each in other patches, and never again.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lkca.data.patches import Area, Patches, positions
from lkca.data.split import FreshScenes
from lkca.data.synthetic import synthetic_scene
from lkca.training.run import Run
from lkca.training.trainer import Trainer, near
from lkca.training.weights import Passport

STEPS = 64  # of an epoch
POOL = 6  # scenes at hand; every epoch makes one and gives up the oldest
RISE, PATIENCE = 0.02, 8  # dB, epochs
FALL, FALLS = 1 / 4, 2  # of the learning rate
LATEST = (0.7, 0.86)  # shares of a run's epochs after which it falls, whatever validation says
WARM_UP = 4  # epochs in which the learning rate rises to its first value
MEMORY = 0.99  # of the exponential mean of the weights, from step to step
FIRST, SPAN = 10_000_000, 1_000_000  # seeds of the scenes that train: where they begin, and how many a run has


class FreshPatches:
    """The patches of every epoch, each epoch's from other scenes.

    plan : the size of the scenes, and their bands. size : side of a patch. count : patches an epoch.
    seed : of the run; runs with other seeds share no scene.
    """

    def __init__(self, plan: FreshScenes, size: int, count: int, seed: int, device: torch.device | str = "cpu") -> None:
        self.plan, self.size, self.count, self.seed, self.device = plan, size, count, seed, device
        self.scenes: dict[int, Tensor] = {}

    def of_epoch(self, epoch: int) -> Patches:
        """Patches anywhere in the epoch's scenes: the same whatever network they train."""
        wanted = range(epoch, epoch + POOL)
        self.scenes = {n: self.scenes[n] if n in self.scenes else self._scene(n) for n in wanted}
        rng = np.random.default_rng((self.seed, epoch, 1))
        corners = rng.integers(self.plan.size - self.size + 1, size=(self.count, 2))
        places = np.column_stack([rng.integers(POOL, size=self.count), corners])
        return Patches(tuple(self.scenes.values()), places, self.size)

    def _scene(self, number: int) -> Tensor:
        seed = FIRST + SPAN * self.seed + number
        cube = synthetic_scene(self.plan.size, self.plan.size, self.plan.bands, seed).cube
        return torch.from_numpy(cube).to(self.device)


class FreshTrainer(Trainer):
    """Fits a model to scenes that are made as it goes.

    Parameters
    ----------
    run, model, passport, teacher, device, log : as in `Trainer`; an epoch is `STEPS` batches.
    validation : areas to validate on. plan : the size of the scenes, and their bands.
    """

    def __init__(
        self,
        run: Run,
        model: nn.Module,
        passport: Passport,
        validation: Sequence[Area],
        plan: FreshScenes,
        teacher: nn.Module | None,
        device: torch.device,
        log: Callable[[str], None],
    ) -> None:
        self.fresh = FreshPatches(plan, run.patch, STEPS * run.batch, run.seed, device)
        super().__init__(run, model, passport, validation, teacher, device, log)
        self.mean = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(MEMORY))
        self.optimizer.register_step_post_hook(lambda *_: self.mean.update_parameters(self.model))

    @property
    def kept(self) -> nn.Module:
        return self.mean.module

    def enough(self) -> bool:
        return self._falls() >= FALLS

    def _falls(self) -> int:
        return falls([row["validation"] for row in self.history])

    def _learning_rate(self, epoch: int) -> float:
        fallen = max(self._falls(), sum(epoch >= share * self.run.epochs for share in LATEST))
        return self.run.learning_rate * FALL**fallen * min(1.0, (epoch + 1) / WARM_UP)

    def _epoch(self, epoch: int) -> float:
        self.trained = self.fresh.of_epoch(epoch)
        return super()._epoch(epoch)

    def _state(self) -> dict[str, object]:
        return {**super()._state(), "mean": self.mean.state_dict()}

    def _restore(self, state: dict[str, object]) -> None:
        super()._restore(state)
        self.mean.load_state_dict(state["mean"])

    def _patches(self, areas: Sequence[Area]) -> tuple[Patches, Patches]:
        size = self.run.patch
        places = np.concatenate([positions(number, area, size, size) for number, area in enumerate(areas)])
        cubes = near(tuple(torch.from_numpy(area.cube) for area in areas), self.device)
        return self.fresh.of_epoch(0), Patches(cubes, places, size)


def falls(validation: Sequence[float]) -> int:
    """How often validation (dB, an epoch each) had stopped rising: not by `RISE` in `PATIENCE` epochs."""
    count, best, since = 0, -np.inf, 0
    for value in validation:
        since += 1
        if value > best + RISE:
            best, since = value, 0
        elif since == PATIENCE:
            count, since = count + 1, 0
    return count
