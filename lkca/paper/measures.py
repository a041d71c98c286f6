"""Bicubic images of a setting and their metrics, each made once however many readings share it."""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lkca.measures.resize import resize
from lkca.paper.metric_variants import SSIM_VARIANTS, Angles, BandSums, VariantValues, ssim_sums
from lkca.paper.readings import SCALES, Setting, Tile

AS_IT_IS, CLIPPED = "as it is", "clipped to 0-1"
Cube = NDArray[np.float32]


class Measurements:
    """Metrics of bicubic on the test images of one cube (B, H, W), as the file has it."""

    def __init__(self, cube: Cube) -> None:
        self.cube = cube
        self._sums: dict[tuple[Tile, int], BandSums] = {}
        self._angles: dict[tuple[Tile, int, tuple | None], VariantValues] = {}
        self._means: dict[tuple[Setting, int, bool], VariantValues] = {}
        self._six: dict[Setting, dict[str, dict[int, VariantValues]]] = {}

    def without_ssim(
        self, chosen: Iterable[Setting], scales: Iterable[int], sam: bool = True
    ) -> dict[Setting, dict[int, VariantValues]]:
        """All metrics but SSIM of each setting, by scale: mean over the test images. SAM costs most of them."""
        chosen, scales = list(chosen), list(scales)
        needed: dict[Tile, set[tuple | None]] = {}
        for setting in chosen:
            for tile in setting.tiles:
                needed.setdefault(tile, set()).update({_direction(setting)} if sam else ())
        for tile, scale in itertools.product(needed, scales):
            self._measure(tile, scale, needed[tile])
        return {setting: {scale: self._mean_of_images(setting, scale, sam) for scale in scales} for setting in chosen}

    def all_six(self, setting: Setting) -> dict[str, dict[int, VariantValues]]:
        """All metrics by scale, of bicubic as it is, and clipped where that differs."""
        if setting not in self._six:
            self._six[setting] = _exactly(self.cube, setting)
        return self._six[setting]

    def _measure(self, tile: Tile, scale: int, directions: set[tuple | None]) -> None:
        missing = {d for d in directions if (tile, scale, d) not in self._angles}
        if not missing and (tile, scale) in self._sums:
            return
        parts, angles = [], {d: Angles() for d in missing}
        for bands, p, t in _pairs(self.cube, tile, scale):
            parts.append(BandSums.of(p, t))
            for direction in missing:
                if direction is None:
                    angles[None].add(p, t)
                else:
                    offset, divisor = (torch.tensor(x[bands], dtype=p.dtype)[:, None, None] for x in direction)
                    angles[direction].add((p - offset) / divisor, (t - offset) / divisor)
        self._sums[tile, scale] = BandSums.joined(parts)
        self._angles |= {(tile, scale, d): angles[d].values() for d in missing}

    def _mean_of_images(self, setting: Setting, scale: int, sam: bool) -> VariantValues:
        if (setting, scale, sam) not in self._means:
            images = []
            for tile in setting.tiles:
                sums = self._sums[tile, scale]
                angles = self._angles[tile, scale, _direction(setting)] if sam else {}
                offset, divisor = _normalisation(setting, sums.top.max())
                images.append(sums.normalised(offset, divisor).values(scale) | angles)
            self._means[setting, scale, sam] = _mean(images)
        return self._means[setting, scale, sam]


def _exactly(cube: Cube, setting: Setting) -> dict[str, dict[int, VariantValues]]:
    """All six metrics by scale, each on the normalised images; of bicubic as it is, and clipped where that differs."""
    found: dict[str, dict[int, VariantValues]] = {AS_IT_IS: {}, CLIPPED: {}}
    differs = False
    for scale in SCALES:
        images: dict[str, list[VariantValues]] = {AS_IT_IS: [], CLIPPED: []}
        for tile in setting.tiles:
            top = cube[:, tile.box[0] : tile.box[1], tile.box[2] : tile.box[3]].max()
            offset, divisor = (
                torch.tensor(x, dtype=torch.float32) for x in _normalisation(setting, min(top, tile.limits[1]))
            )
            gathered = {name: ([], Angles(), np.zeros(len(SSIM_VARIANTS))) for name in images}
            for bands, p, t in _pairs(cube, tile, scale):
                p, t = ((x - offset[bands, None, None]).div_(divisor[bands, None, None]) for x in (p, t))
                clipped = p.clamp(0, 1)
                same = torch.equal(clipped, p)
                differs |= not same
                ssim = None
                for name, image in ((AS_IT_IS, p), (CLIPPED, clipped)):
                    sums, angles, ssims = gathered[name]
                    sums.append(BandSums.of(image, t))
                    angles.add(image, t)
                    ssim = ssim if same and ssim is not None else ssim_sums(image, t)
                    ssims += ssim
            for name, (sums, angles, ssims) in gathered.items():
                mssim = {("MSSIM", v): float(s) for v, s in zip(SSIM_VARIANTS, ssims / len(cube), strict=True)}
                images[name].append(BandSums.joined(sums).values(scale) | angles.values() | mssim)
        for name in found:
            found[name][scale] = _mean(images[name])
    return found if differs else {f"{AS_IT_IS} | {CLIPPED}": found[AS_IT_IS]}


def _pairs(cube: Cube, tile: Tile, scale: int) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Bands, bicubic image and truth of a test image, (b, H, W) each, some bands at a time, in the file's numbers."""
    top, bottom, left, right = tile.box
    t0, b0, l0, r0 = tile.context or tile.box
    step = max(1, 2**19 // ((b0 - t0) * (r0 - l0)))
    inside = slice(top - t0, bottom - t0), slice(left - l0, right - l0)
    for start in range(0, len(cube), step):
        bands = slice(start, min(start + step, len(cube)))
        context = torch.from_numpy(np.ascontiguousarray(cube[bands, t0:b0, l0:r0]))
        if np.isfinite(tile.limits).any():
            context.clamp_(*tile.limits)
        truth = context[:, *inside].contiguous()
        lr = resize(context, 1 / scale)
        if tile.context and not tile.enlarged_whole:
            lr = lr[:, *(slice(s.start // scale, s.stop // scale) for s in inside)]
        enlarged = resize(lr, scale)
        yield bands, (enlarged[:, *inside].contiguous() if tile.enlarged_whole else enlarged), truth


def _normalisation(setting: Setting, tile_maximum: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    bands = len(setting.offset)
    divisor = np.full(bands, max(tile_maximum, 1e-12)) if setting.divisor is None else np.array(setting.divisor)
    return np.array(setting.offset), divisor


def _direction(setting: Setting) -> tuple | None:
    """What the spectral angle depends on: None where all bands are divided by one number, else offsets and divisors."""
    if not any(setting.offset) and (setting.divisor is None or len(set(setting.divisor)) == 1):
        return None
    return setting.offset, setting.divisor


def _mean(images: list[VariantValues]) -> VariantValues:
    return {key: float(np.mean([image[key] for image in images])) for key in images[0]}
