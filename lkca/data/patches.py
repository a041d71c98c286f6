"""Cut training patches from the scenes in memory, on the fly: no patch is stored, on disk or in memory.

An area is one array (B, H, W); a patch is a position in it. Positions with a no-data pixel are left out.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.transform import integral_image, integrate
from torch import Tensor

from lkca.data.dataset import SyntheticScenes
from lkca.data.split import Area, part_area
from lkca.data.synthetic.scenes import synthetic_scene
from lkca.resize import SYMMETRIES, symmetry

VALIDATIONS = ("disjoint", "paper")
STREAM_SCENES = 6  # in each epoch of a `PatchStream`; the next epoch replaces the oldest
STREAM_FIRST_SEED, STREAM_SEEDS_PER_RUN = 10_000_000, 1_000_000  # so that runs of different seeds share no scene

Division = tuple[NDArray[np.int64], NDArray[np.int64]]  # positions held out, positions to train on


@dataclass(frozen=True)
class Patches:
    """Square patches of some areas.

    cubes : one tensor (B, H, W) for each area, on any one device.
    positions : int array (n, 3) of area, top row, left column.
    size : side of a patch in HR pixels.
    """

    cubes: tuple[Tensor, ...]
    positions: NDArray[np.int64]
    size: int

    def __len__(self) -> int:
        return len(self.positions)

    def cut(self, indices: Sequence[int], symmetries: Sequence[int] | None = None) -> Tensor:
        """Return patches by their indices, (n, B, size, size), each in its symmetry, 0 to 7, if given."""
        patches = []
        for i, index in enumerate(indices):
            area, top, left = self.positions[index]
            patch = self.cubes[area][:, top : top + self.size, left : left + self.size]
            patches.append(patch if symmetries is None else symmetry(patch, int(symmetries[i])))
        return torch.stack(patches)

    def epoch(self, batch: int, generator: np.random.Generator, device: torch.device) -> Iterator[Tensor]:
        """Yield all patches once, in random order and each in a random symmetry, as batches on `device`.

        The last batch is smaller if `batch` does not divide their number. If the areas are not on `device`, the next
        batch is cut and sent while the current one is used.
        """
        order = generator.permutation(len(self))
        symmetries = generator.integers(SYMMETRIES, size=len(self))
        starts = range(0, len(self), batch)

        def cut(start: int) -> Tensor:
            part = order[start : start + batch]
            return self.cut(part, symmetries[part]).to(device)

        if self.cubes[0].device.type == device.type:
            yield from map(cut, starts)
            return
        with ThreadPoolExecutor(1) as ahead:
            upcoming = ahead.submit(cut, starts[0])
            for start in starts:
                current = upcoming.result()
                if start + batch < len(self):
                    upcoming = ahead.submit(cut, start + batch)
                yield current


def split_patches(
    areas: Sequence[Area],
    size: int,
    stride: int,
    validation: str = "disjoint",
    share: float = 0.1,
    seed: int = 0,
) -> tuple[Patches, Patches]:
    """Return the patches to train on, and those to choose the best weights by.

    Parameters
    ----------
    areas : what may be trained on.
    size, stride : side of a patch and distance between neighbours, in HR pixels.
    validation : "paper" draws `share` of all patches at random; they overlap training patches. "disjoint" sets aside a
        strip across the largest area, at least one patch wide and with about `share` of all pixels, and trains on no
        patch that touches it.
    share : share of the patches or pixels for validation.
    seed : of the draw, for "paper".

    Raises
    ------
    ValueError
        If no area holds a patch without no-data, or nothing would be left to train or to validate on.
    """
    if validation not in VALIDATIONS:
        raise ValueError(f"validation must be one of {', '.join(VALIDATIONS)}, got {validation!r}")
    places = np.concatenate([positions(i, area, size, stride) for i, area in enumerate(areas)])
    if not len(places):
        shapes = ", ".join(f"{a.name} {a.cube.shape[1]}x{a.cube.shape[2]}" for a in areas)
        raise ValueError(
            f"no {size}x{size} patch without no-data pixels fits into the training areas ({shapes}): "
            f"choose a smaller patch (--patch, now {size})"
        )
    if validation == "paper":
        held_out, trained = _random_share(places, share, seed)
    else:
        held_out, trained = _strip(areas, places, size, stride, share)
    if not len(trained) or not len(held_out):
        raise ValueError(
            f"of {len(places)} patches of {size}x{size}, validation {validation!r} leaves {len(trained)} to train "
            f"on and {len(held_out)} to validate on: choose a smaller patch or stride, or another validation"
        )
    cubes = tuple(torch.from_numpy(area.cube) for area in areas)
    return Patches(cubes, trained, size), Patches(cubes, held_out, size)


def positions(number: int, area: Area, size: int, stride: int) -> NDArray[np.int64]:
    """Return the positions of patches without a no-data pixel: (n, 3) of the area's `number`, top row, left column."""
    height, width = area.cube.shape[1:]
    rows = np.arange(0, height - size + 1, stride)
    columns = np.arange(0, width - size + 1, stride)
    grid = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    if area.no_data is not None and area.no_data.any():
        grid = grid[integrate(integral_image(area.no_data), grid, grid + size - 1) == 0]
    return np.column_stack([np.full(len(grid), number), grid]).astype(np.int64)


def _random_share(places: NDArray[np.int64], share: float, seed: int) -> Division:
    order = np.random.default_rng(seed).permutation(len(places))
    held_out = max(1, round(share * len(places)))
    return places[np.sort(order[:held_out])], places[np.sort(order[held_out:])]


def _strip(areas: Sequence[Area], places: NDArray[np.int64], size: int, stride: int, share: float) -> Division:
    """Hold out the patches inside a strip at the far end of the largest area's longer side."""
    sides = [area.cube.shape[1:] for area in areas]
    largest = int(np.argmax([h * w for h, w in sides]))
    axis = int(np.argmax(sides[largest]))  # 0: the strip lies across the rows, 1: across the columns
    length, breadth = sides[largest][axis], sides[largest][1 - axis]
    width = round(share * sum(h * w for h, w in sides) / breadth)
    start = length - max(size, min(width, length))
    if start < 0:
        return places[:0], places
    touching = (places[:, 0] == largest) & (places[:, 1 + axis] + size > start)
    held_out = positions(largest, part_area(areas[largest], axis, start)[1], size, stride)
    held_out[:, 1 + axis] += start
    return held_out, places[~touching]


class PatchStream:
    """Patches of synthetic scenes generated on the fly: each scene trains for `STREAM_SCENES` epochs, then never again.

    plan : size and bands of the scenes. size : side of a patch in HR pixels. count : patches in an epoch.
    seed : of the run; runs of different seeds share no scene. device : where the scenes are kept.
    """

    def __init__(
        self, plan: SyntheticScenes, size: int, count: int, seed: int, device: torch.device | str = "cpu"
    ) -> None:
        self.plan, self.size, self.count, self.seed, self.device = plan, size, count, seed, device
        self.scenes: dict[int, Tensor] = {}

    def of_epoch(self, epoch: int) -> Patches:
        """Return patches at random places in the epoch's scenes; they depend on the seed and the epoch alone."""
        numbers = range(epoch, epoch + STREAM_SCENES)
        self.scenes = {n: self.scenes[n] if n in self.scenes else self._scene(n) for n in numbers}
        rng = np.random.default_rng((self.seed, epoch, 1))
        corners = rng.integers(self.plan.size - self.size + 1, size=(self.count, 2))
        places = np.column_stack([rng.integers(STREAM_SCENES, size=self.count), corners])
        return Patches(tuple(self.scenes.values()), places, self.size)

    def _scene(self, number: int) -> Tensor:
        seed = STREAM_FIRST_SEED + STREAM_SEEDS_PER_RUN * self.seed + number
        cube = synthetic_scene(self.plan.size, self.plan.size, self.plan.bands, seed).cube
        return torch.from_numpy(cube).to(self.device)
