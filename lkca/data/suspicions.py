"""Say what looks wrong in a file's numbers: bands or axes in another order, a scene that is already normalised."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lkca.data.wavelengths import Wavelengths

MIN_CORRELATION_GAIN = 0.03  # most similar bands over neighbouring ones; beyond it, the order of bands is doubtful
MAX_CORRELATION_DROP = 0.3  # of neighbouring bands below the usual correlation
MAX_NORMALISED = 2.0  # largest value of a normalised scene; counts and thousandths of reflectance are larger
VIEWED_SIDE = 96  # values along each axis, around the middle, by which the axis of the bands is judged
COMPONENTS = 5  # principal components that hold nearly all of a scene's spectra
MIN_RATIO = 3.0  # energy outside them, along the bands over another axis; beyond it, the axis of the bands is doubtful
MIN_ENERGY = 1e-10  # share of the energy; less is rounding
MIN_SIDE, MIN_OTHER_SIDE = 8, 16  # values along each axis, and along the likelier one; fewer are not judged


def suspicions(
    cube: NDArray[np.float32], no_data: NDArray[np.bool_], wavelengths: Wavelengths | None, dtype: np.dtype
) -> Iterator[str]:
    """Yield a sentence for each thing that looks wrong.

    cube : (B, H, W) in the file's numbers, 0 where there is no data. no_data : (H, W). dtype : of the file.
    """
    if no_data.any():
        yield (
            f"{int(no_data.sum())} of {no_data.size} pixels have no data (NaN, infinite or the no-data value); they "
            "count as 0 here. The original file has none."
        )
    low, high = float(cube.min()), float(cube.max())
    if low < 0:
        yield f"{int((cube < 0).sum())} values are negative, down to {low:g}"
    if high <= MAX_NORMALISED:
        whole = "" if dtype.kind == "f" else f" though they are {dtype}"
        yield (
            f"the largest value is {high:g}{whole}: the file is probably normalised already. The original holds "
            "numbers in the thousands; divisors such as 8000 do not apply here."
        )
    yield from band_order(cube, wavelengths)


def band_order(cube: NDArray[np.float32], wavelengths: Wavelengths | None) -> Iterator[str]:
    """Yield a sentence if the bands seem not to be in the order of ascending wavelengths.

    Without wavelengths, neighbouring bands should be similar; this cannot show that the order is descending.
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
    if best - usual > MIN_CORRELATION_GAIN:
        yield (
            f"neighbouring bands correlate by {usual:.3f}, the most alike ones by {best:.3f} (medians): the bands are "
            "probably in another order"
        )
        return
    seams = [band for band, r in enumerate(neighbours) if r < usual - MAX_CORRELATION_DROP]
    if seams:
        shown = ", ".join(f"{band + 1}|{band + 2} ({neighbours[band]:.2f})" for band in seams[:6])
        yield (
            f"neighbouring bands hardly correlate at {len(seams)} places, counted from 1: {shown}"
            f"{', ...' if len(seams) > 6 else ''}; usual is {usual:.2f}. Damaged bands, or bands in another order?"
        )


def middle(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the part of a cube that decides which axis is the bands."""
    return tuple(slice(max(0, (length - VIEWED_SIDE) // 2), (length + VIEWED_SIDE) // 2) for length in shape)


def band_axis(cube: NDArray) -> int:
    """Return the axis (0, 1 or 2) of a cube that looks like bands; 0 unless another is clearly likelier.

    The spectra of a scene are mixtures of a few spectra: five principal components hold nearly all of their energy.
    They hold less of rows and columns of pixels, even in a smooth scene.
    """
    if min(cube.shape) < MIN_SIDE:
        return 0
    part = np.nan_to_num(cube[middle(cube.shape)].astype(np.float64), posinf=0, neginf=0)
    count = max(1, min(COMPONENTS, min(part.shape) // 4))
    outside = []
    for axis in range(3):
        vectors = np.moveaxis(part, axis, 0).reshape(part.shape[axis], -1)
        energies = np.linalg.eigvalsh(vectors @ vectors.T).clip(0)  # ascending
        outside.append(float(energies[:-count].sum() / (energies.sum() or 1)))
    best = int(np.argmin(outside))
    sure = part.shape[best] >= MIN_OTHER_SIDE and outside[0] > max(MIN_ENERGY, MIN_RATIO * outside[best])
    return best if sure else 0


def doubtful_axes(cube: NDArray, shape: tuple[int, ...] | None = None, layout: str = "HWB") -> str:
    """Return a sentence if another axis of (B, H, W) looks more like bands than the first one; else "".

    cube : the scene, or its `middle`. shape : of the whole scene.
    layout : the order of axes in which the file was read, for files that do not state it.
    """
    axis, shape = band_axis(cube), shape or cube.shape
    if axis == 0:
        return ""
    likelier = ("BHW", "HBW", "HWB")[layout.index("BHW"[axis])]
    return (
        f"read as {shape[0]} bands, but its axis of length {shape[axis]} looks much more like bands: are its axes in "
        f"the right order? Its layout may be {likelier}"
    )
