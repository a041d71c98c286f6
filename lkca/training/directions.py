"""What trains a network for any sensor: pairs of direction images, cut from scenes that share no bands.

A sample has two channels (2, size, size): one spectral direction of a scene, and the scene's first one as a guide, in
standard deviations of its LR image. Directions are drawn three ways: a leading component, a single band, and a random
mixture of components in natural proportions. Both channels are turned by one of the eight symmetries, and each may
change its sign: a direction has none.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import torch
from torch import Tensor

from lkca.data.made_scenes import made_cube
from lkca.data.patches import Area, positions
from lkca.measures.resize import crop_to_multiple, resize
from lkca.measures.symmetries import SYMMETRIES, symmetry
from lkca.models.any_sensor import AnySensor, Basis

COMPONENT, BAND = 0.4, 0.35  # shares of the samples that are a leading component, a band; the rest are mixtures
LEADING = 0.35  # of the components' geometric distribution: so often it is the first
CALM = 0.2  # share of the samples of which most is made calm, as a sea around an island: see `_calmed`
BRIGHTER = 0.15  # spread of the logarithm of a random factor on a sample's contrast
POOL, FRESH = 64, 16  # made scenes at hand, and how many of them each epoch replaces
MADE_SIDE = {2: 64, 4: 96, 8: 160}  # HR pixels of a made scene, by scale
VALIDATION_SEEDS = range(1_000_000, 1_000_006)  # of made scenes that never train


class Directions:
    """A scene as the directions that it is made of.

    cube : float32 (B, H, W), any positive numbers. no_data : bool (H, W), or None.
    model : whose directions they are.
    """

    def __init__(self, area: Area, model: AnySensor, size: int) -> None:
        hr = crop_to_multiple(torch.from_numpy(np.ascontiguousarray(area.cube)), model.scale)
        self.basis: Basis = model.basis(resize(hr, 1 / model.scale))
        self.standard = (hr - self.basis.mean[:, None, None]) / self.basis.spread[:, None, None]
        self.places = positions(0, area, size, 1)[:, 1:]
        self.places = self.places[(self.places + size <= np.array(hr.shape[1:])).all(axis=1)]
        self.size = size
        self.weight = float(np.sqrt(hr.shape[1] * hr.shape[2]))  # scenes are drawn by the root of their size
        if not len(self.places):
            raise ValueError(
                f"no {size}x{size} patch without no-data pixels fits into {area.name} ({hr.shape[1]}x{hr.shape[2]} "
                "pixels): choose a smaller patch"
            )

    def sample(self, rng: np.random.Generator) -> Tensor:
        """One pair, (2, size, size)."""
        top, left = rng.choice(self.places)
        patch = self.standard[:, top : top + self.size, left : left + self.size]
        guide, chosen = (torch.tensordot(mix, patch, 1) for mix in (self._component(0), self._direction(rng)))
        signs = torch.from_numpy(rng.choice((-1.0, 1.0), 2).astype(np.float32))
        factor = float(np.exp(rng.normal(0, BRIGHTER)))
        pair = torch.stack([chosen, guide]) * (factor * signs[:, None, None])
        if rng.random() < CALM:
            pair = _calmed(pair, rng)
        return symmetry(pair, int(rng.integers(SYMMETRIES)))

    def _direction(self, rng: np.random.Generator) -> Tensor:
        """The bands' shares (B,) in a direction."""
        count = int((self.basis.sigma > 0).sum())
        kind = rng.random()
        if kind < COMPONENT or not count:
            return self._component(min(int(rng.geometric(LEADING)) - 1, max(count - 1, 0)))
        if kind < COMPONENT + BAND:
            shares = torch.zeros(len(self.standard))
            shares[int(rng.integers(len(shares)))] = 1
            return shares
        mixture = torch.from_numpy(rng.standard_normal(count).astype(np.float32)) * self.basis.sigma[:count]
        return self.basis.vectors[:, :count] @ (mixture / self.basis.sigma[:count]) / mixture.norm()

    def _component(self, number: int) -> Tensor:
        sigma = self.basis.sigma[number]
        return self.basis.vectors[:, number] * (1 / sigma if sigma > 0 else 0)


def _calmed(pair: Tensor, rng: np.random.Generator) -> Tensor:
    """A pair with little contrast outside a window of it.

    The channel attention averages over a patch in training and over a scene later. In a scene that is mostly calm the
    average is that of a calm patch, but a few pixels are not calm at all; patches alone do not show that.
    """
    size = pair.shape[-1]
    top, left = rng.integers(size, size=2)
    high, wide = rng.integers(size // 8, size // 2 + 1, size=2)
    factor = torch.full((size, size), float(np.exp(rng.uniform(np.log(0.02), np.log(0.5)))))
    factor[top : top + high, left : left + wide] = float(rng.uniform(1, 2))
    return pair * factor


class MadeScenes:
    """Made scenes that are replaced as training goes: epoch e has those of the seeds FRESH·e … FRESH·e + POOL.

    They are made in a process of their own, one epoch ahead. count : so many scenes, and none is ever replaced.
    """

    def __init__(self, seed: int, model: AnySensor, size: int, epochs: int, count: int | None = None) -> None:
        self.model, self.size, self.side = model, size, MADE_SIDE[model.scale]
        self.first = 10_000_000 * (seed + 1)  # so that runs of other seeds see other scenes
        self.pool, self.fresh = (POOL, FRESH) if count is None else (count, 0)
        self.last = self.fresh * (epochs - 1) + self.pool  # scenes in all
        self.ready: dict[int, Directions] = {}
        self.coming: dict[int, Future] = {}
        self.workers: ProcessPoolExecutor | None = None

    def of_epoch(self, epoch: int) -> list[Directions]:
        wanted = range(self.fresh * epoch, self.fresh * epoch + self.pool)
        self._ask(range(wanted.start, min(wanted.stop + self.fresh, self.last)))
        for number in wanted:
            if number not in self.ready:
                cube = self.coming.pop(number).result()
                self.ready[number] = Directions(Area(f"made scene {number}", cube), self.model, self.size)
        self.ready = {number: self.ready[number] for number in wanted}
        return [self.ready[number] for number in wanted]

    def _ask(self, numbers: Sequence[int]) -> None:
        # Not a thread: drawing a landscape would hold Python's lock, and every small step of the training wait for it.
        self.workers = self.workers or ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        for number in numbers:
            if number not in self.ready and number not in self.coming:
                self.coming[number] = self.workers.submit(made_cube, self.first + number, self.side)

    def close(self) -> None:
        if self.workers:
            self.workers.shutdown(cancel_futures=True)


def batches(
    scenes: Sequence[Directions],
    made: Sequence[Directions],
    share: float,
    count: int,
    batch: int,
    rng: np.random.Generator,
) -> Iterator[Tensor]:
    """`count` batches (batch, 2, size, size); `share` of the samples come from the made scenes."""  # fmt: skip
    weights = np.array([scene.weight for scene in scenes])
    weights = weights / weights.sum() if len(scenes) else weights
    for _ in range(count):
        samples = []
        for _ in range(batch):
            from_made = rng.random() < share
            scene = made[rng.integers(len(made))] if from_made else scenes[rng.choice(len(scenes), p=weights)]
            samples.append(scene.sample(rng))
        yield torch.stack(samples)
