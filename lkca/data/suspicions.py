"""Is it the right file? What it probably is if its shape is wrong, and what looks wrong in its bands and numbers."""

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lkca.data.datasets import DATASETS
from lkca.scenes import Scene

OTHERS = {  # scenes that lie on the same pages or disks, (B, H, W)
    "Pavia University": (103, 610, 340),
    "Houston 2013": (144, 349, 1905),
    "Indian Pines": (220, 145, 145),
    "Indian Pines, corrected": (200, 145, 145),
    "Salinas": (224, 512, 217),
    "Salinas, corrected": (204, 512, 217),
    "Kennedy Space Center": (176, 512, 614),
    "Botswana": (145, 1476, 256),
    "Washington DC Mall": (191, 1280, 307),
}
HARDLY = 0.3  # so much lower than usual is a correlation of neighbouring bands that draws attention


def likely_file(shape: tuple[int, int, int]) -> str:
    """What a scene of this shape (B, H, W) probably is, as a half-sentence; empty where nothing known has it."""
    known = _known_shapes()
    for name, wanted in known.items():
        if shape == wanted:
            return f"it is probably {name}."
    for order in itertools.permutations(range(3)):
        for name, wanted in known.items():
            if tuple(wanted[axis] for axis in order) == shape:
                axes = ", ".join("BHW"[axis] for axis in order)
                return f"it is probably {name} with its axes in another order: read as (B, H, W), they are ({axes})."
    return ""


def _known_shapes() -> dict[str, tuple[int, int, int]]:
    known: dict[str, tuple[int, int, int]] = {}
    for dataset in DATASETS.values():
        if dataset.shape is None:
            continue
        known[dataset.title] = dataset.shape
        ranges = zip((dataset.bands, dataset.rows, dataset.columns), dataset.shape, strict=True)
        used = tuple(part[1] - part[0] if part else whole for part, whole in ranges)
        known.setdefault(f"{dataset.title}, already cropped to what the protocol uses", used)
    return known | OTHERS


def described(scene: Scene, checksum: str, low: float, high: float) -> str:
    """The file in words, some lines."""
    bands, height, width = scene.shape
    waves = "none in the file"
    if scene.wavelengths is not None:
        waves = f"{scene.wavelengths[0]:.1f} to {scene.wavelengths[-1]:.1f} nm"
    return "\n".join(
        (
            f"file         {scene.path} ({scene.format})",
            f"SHA-256      {checksum}",
            f"shape        {height} x {width} pixels, {bands} bands, {scene.dtype}",
            f"values       {low:g} to {high:g}",
            f"wavelengths  {waves}",
        )
    )


def suspicions(
    cube: NDArray[np.float32], no_data: NDArray[np.bool_], wavelengths: NDArray[np.float64] | None, dtype: np.dtype
) -> Iterator[str]:
    """What looks wrong, a sentence each.

    Parameters
    ----------
    cube : (B, H, W) in the file's numbers, 0 where there are no data.
    no_data : (H, W). dtype : the file's.
    """
    if no_data.any():
        yield (
            f"{int(no_data.sum())} of {no_data.size} pixels have no data (NaN, infinite or the no-data value); they "
            "count as 0 here. The original file has none."
        )
    low, high = float(cube.min()), float(cube.max())
    if low < 0:
        yield f"{int((cube < 0).sum())} values are negative, down to {low:g}: clipping them is tried both ways"
    if high <= 2:
        whole = "" if dtype.kind == "f" else f" though they are {dtype}"
        yield (
            f"the largest value is {high:g}{whole}: the file is probably normalised already. The original holds "
            "numbers in the thousands; divisors such as 8000 do not apply here."
        )
    yield from band_order(cube, wavelengths)


def band_order(cube: NDArray[np.float32], wavelengths: NDArray[np.float64] | None) -> Iterator[str]:
    """Whether the bands seem to stand in another order than that of rising wavelengths.

    Without wavelengths: neighbouring bands of a scene are alike. Falling order cannot be seen in that.
    """
    if wavelengths is not None:
        steps = np.diff(wavelengths)
        if (steps < 0).all():
            yield "the wavelengths fall from band to band: the bands are in reverse order"
        elif (steps <= 0).any():
            first = int(np.flatnonzero(steps <= 0)[0])
            yield (
                f"the wavelengths do not rise from band {first + 1} to {first + 2} ({wavelengths[first]:.1f}, "
                f"{wavelengths[first + 1]:.1f} nm): the bands are in another order"
            )
        return
    if len(cube) < 4:
        return
    step = max(1, int(np.sqrt(cube[0].size / 20_000)))
    pixels = cube[:, ::step, ::step].reshape(len(cube), -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        alike = np.nan_to_num(np.corrcoef(pixels))
    neighbours = np.diagonal(alike, 1)
    np.fill_diagonal(alike, -1)
    usual, best = float(np.median(neighbours)), float(np.median(alike.max(axis=1)))
    if best - usual > 0.03:
        yield (
            f"neighbouring bands correlate by {usual:.3f}, the most alike ones by {best:.3f} (medians): the bands are "
            "probably in another order"
        )
        return
    seams = [band for band, r in enumerate(neighbours) if r < usual - HARDLY]
    if seams:
        shown = ", ".join(f"{band + 1}|{band + 2} ({neighbours[band]:.2f})" for band in seams[:6])
        yield (
            f"neighbouring bands hardly correlate at {len(seams)} places, counted from 1: {shown}"
            f"{', ...' if len(seams) > 6 else ''}; usual is {usual:.2f}. Damaged bands, or bands in another order?"
        )
