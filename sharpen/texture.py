"""Measure, without ground truth, whether what a network adds looks like detail.

True detail does not repeat with the input's grid, and is nearly the same in neighbouring bands. A network with too
little training prints a pattern into every input pixel, or adds something different to each band.
"""

import math
from dataclasses import dataclass

import torch
from einops import rearrange, reduce
from torch import Tensor

from lkca.resize import crop_to_multiple, resize

WINDOW = 8  # LR pixels on a side over which a pattern is averaged
# Measured on nine real scenes, x4: what bicubic misses has a grid of 0.00 and a likeness of 0.97 to 1.00; networks
# stopped after 1 to 6 short epochs have 0.53 to 1.00 and 0.10 to 0.95.
MAX_GRID = 0.1
MIN_LIKENESS = 0.9
MIN_SHARE = 0.05  # of the scene's standard deviation; weaker additions, as to a smooth scene, are not judged
MAX_LOSS = 0.1  # of likeness, from the image's own fine texture to the addition: a noisy scene has low likeness itself


@dataclass(frozen=True)
class Texture:
    """grid : share of the energy of what was added that repeats with every input pixel, 0 to 1.
    likeness : mean correlation of what was added to neighbouring bands, -1 to 1; NaN for a single band.
    own : likeness of the input image's own fine texture.
    """

    grid: float
    likeness: float
    own: float = 1.0

    def remarks(self) -> list[str]:
        """Return a sentence on each thing that looks wrong."""
        found = []
        if self.grid > MAX_GRID:
            found.append(
                f"{self.grid:.0%} of what the network adds is a pattern that repeats with every input pixel "
                f"(limit {MAX_GRID:.0%}, true detail 0 %): a grid, a sign of too little training"
            )
        if self.likeness < MIN_LIKENESS and not self.likeness > self.own - MAX_LOSS:
            found.append(
                f"what the network adds to neighbouring bands correlates by {self.likeness:.2f} only "
                f"(the scene's own fine texture by {self.own:.2f}): the spectra suffer"
            )
        return found


def measure_texture(added: Tensor, image: Tensor, scale: int, deviation: Tensor | None = None) -> Texture:
    """Measure what a network adds (B, r·h, r·w) to an image; bands to which it adds next to nothing do not count.

    image : (B, h, w), the input; its first pixel is that of `added`.
    deviation : (B,), standard deviation of the scene that `image` is a part of, by default of `image`. Additions that
        are small beside it, as on calm water, do not show.
    """
    if deviation is None:
        deviation = image.double().flatten(1).std(dim=1, correction=0)
    counts = added.double().flatten(1).std(dim=1, correction=0) > MIN_SHARE * deviation
    even = crop_to_multiple(image, 2)
    fine = even - resize(resize(even, 1 / 2), 2)
    return Texture(grid_share(added[counts], scale), likeness(added, counts), likeness(fine, counts))


def grid_share(added: Tensor, scale: int) -> float:
    """Return the share of the energy that repeats in all input pixels of a window, minus what chance gives."""
    _, height, width = added.shape
    window = min(WINDOW, height // scale, width // scale)
    if window < 2:
        return 0.0
    side = window * scale
    energy = pattern = 0.0
    for band in added[:, : height // side * side, : width // side * side]:  # one at a time: little memory
        # windows (y, x) of m x n input pixels, each of r x s HR pixels
        x = rearrange(band.double(), "(y m r) (x n s) -> y m r x n s", m=window, r=scale, n=window, s=scale)
        x = x - reduce(x, "y m r x n s -> y 1 1 x 1 1", "mean")
        energy += float(x.square().mean())
        pattern += float(reduce(x, "y m r x n s -> y r x s", "mean").square().mean())
    chance = 1 / window**2
    return max(0.0, (pattern / energy - chance) / (1 - chance)) if energy else 0.0


def likeness(added: Tensor, counts: Tensor | None = None) -> float:
    """Return the mean correlation between neighbouring bands of (B, H, W); `counts` (B,) says which bands count."""
    correlations = []
    for number, (one, other) in enumerate(zip(added[:-1], added[1:], strict=True)):
        if counts is None or (counts[number] and counts[number + 1]):
            both = torch.corrcoef(torch.stack([one.flatten(), other.flatten()]).double())
            if both.isfinite().all():
                correlations.append(float(both[0, 1]))
    return sum(correlations) / len(correlations) if correlations else math.nan
