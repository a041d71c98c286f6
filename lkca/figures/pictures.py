"""Pictures of a scene and of what networks make of it: in colour, enlarged, as maps of the error, as spectra.

A function here takes arrays and returns a `matplotlib` figure; nothing here trains or reads a scene.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from lkca.figures.style import COLOURS, LABELS, PIXEL_COLOURS, headline

Cube = NDArray[np.floating]  # (B, H, W)
PIXELS = 3  # whose spectra are shown


def rgb(cube: Cube, bands: Sequence[int], limits: NDArray | None = None) -> NDArray[np.floating]:
    """Three bands as a picture (H, W, 3), stretched between `limits` (3, 2); by default `rgb_limits`."""
    picture = np.stack([cube[band] for band in bands], axis=-1)
    if limits is None:
        limits = rgb_limits(cube, bands)
    low, high = limits.T
    return np.clip((picture - low) / np.maximum(high - low, 1e-6), 0, 1)


def rgb_limits(cube: Cube, bands: Sequence[int]) -> NDArray[np.floating]:
    """2nd and 98th percentile of three bands, (3, 2): to show several images in one stretch."""
    return np.array([np.percentile(cube[band], (2, 98)) for band in bands])


def telling_pixels(truth: Cube) -> list[tuple[int, int]]:
    """Row and column of pixels whose spectra differ: first a bright one, then each the farthest from those before."""
    margin = min(truth.shape[1:]) // 16
    inner = truth[:, margin : truth.shape[1] - margin, margin : truth.shape[2] - margin]  # marks stay inside
    flat = inner.reshape(len(truth), -1)
    chosen = [int(np.abs(flat.mean(axis=0) - np.percentile(flat.mean(axis=0), 90)).argmin())]
    distance = np.full(flat.shape[1], np.inf)
    while len(chosen) < PIXELS:
        distance = np.minimum(distance, np.linalg.norm(flat - flat[:, chosen[-1], None], axis=0))
        distance[distance > np.percentile(distance, 99)] = 0  # not the single hot pixel
        chosen.append(int(distance.argmax()))
    places = (divmod(pixel, inner.shape[2]) for pixel in chosen)
    return [(row + margin, column + margin) for row, column in places]


def scene_overview(
    cube: Cube, bands: Sequence[int], wavelengths: NDArray | None, pixels: Sequence[tuple[int, int]], title: str
) -> Figure:
    """The scene in colour with some pixels marked, their spectra beside it."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), width_ratios=(1, 1.25))
    left.imshow(rgb(cube, bands))
    bare(left, title)
    for (row, column), colour in zip(pixels, PIXEL_COLOURS, strict=False):
        left.plot(column, row, "s", mec=colour, mfc="none", mew=2, ms=8)
        right.plot(band_axis(len(cube), wavelengths), cube[:, row, column], color=colour)
    _spectral_axes(right, wavelengths)
    right.set_title("spectra of the marked pixels")
    return figure


def comparison(
    images: Mapping[str, Cube], truth: Cube, lr: Cube, bands: Sequence[int], box: tuple[int, int, int], title: str
) -> Figure:
    """Truth, LR and every result: in colour, enlarged inside `box` (row, column, side), and the error on one scale.

    images : name -> (B, H, W). The error of a pixel is the root of its mean squared error over bands.
    """
    limits = rgb_limits(truth, bands)
    errors = {name: pixel_error(image, truth) for name, image in images.items()}
    highest = float(np.percentile(np.stack(list(errors.values())), 99.5))
    scale = truth.shape[1] // lr.shape[1]
    columns = {"LR": lr, **images, "truth": truth}
    figure, axes = plt.subplots(3, len(columns), figsize=(2.1 * len(columns) + 0.6, 6.2), squeeze=False)
    row, column, side = box
    for axis, (name, cube) in zip(axes.T, columns.items(), strict=True):
        factor = scale if name == "LR" else 1
        axis[0].imshow(rgb(cube, bands, limits))
        bare(axis[0], LABELS.get(name, name))
        corner = (column / factor - 0.5, row / factor - 0.5)
        axis[0].add_patch(Rectangle(corner, side / factor, side / factor, ec="#ff2020", fc="none", lw=1.4))
        top, left, length = row // factor, column // factor, max(1, side // factor)
        axis[1].imshow(rgb(cube[:, top : top + length, left : left + length], bands, limits))
        bare(axis[1], "")
        for spine in axis[1].spines.values():
            spine.set(visible=True, color="#ff2020", linewidth=1.4)
        if name in errors:
            shown = axis[2].imshow(errors[name], cmap="magma", vmin=0, vmax=highest)
            bare(axis[2], f"RMSE {np.sqrt((errors[name] ** 2).mean()):.4f}")
        else:
            axis[2].axis("off")
    figure.colorbar(shown, ax=axes[2], label="error (data in 0-1)", shrink=0.8, pad=0.01)
    headline(figure, title)
    return figure


def spectra(
    images: Mapping[str, Cube], truth: Cube, wavelengths: NDArray | None, pixels: Sequence[tuple[int, int]], title: str
) -> Figure:
    """Spectra of some pixels, truth and results; below, each result's error against wavelength over the whole image."""
    count = len(pixels)
    figure, axes = plt.subplots(1, count + 1, figsize=(2.6 * (count + 1), 2.9))
    x = band_axis(len(truth), wavelengths)
    for axis, (row, column), colour in zip(axes, pixels, PIXEL_COLOURS, strict=False):
        for name, cube in {"truth": truth, **images}.items():
            width = 2.4 if name == "truth" else 1.2
            axis.plot(x, cube[:, row, column], color=COLOURS.get(name), lw=width, label=LABELS.get(name, name))
        _spectral_axes(axis, wavelengths)
        axis.set_title(f"pixel at row {row}, column {column}", color=colour)
    for name, cube in images.items():
        error = np.sqrt(np.square(cube - truth).mean(axis=(1, 2)))
        axes[-1].plot(x, error, color=COLOURS.get(name), label=LABELS.get(name, name))
    _spectral_axes(axes[-1], wavelengths)
    axes[-1].set(title="error of the whole image", ylabel="RMSE")
    axes[0].legend()
    headline(figure, title)
    return figure


def learned_correction(missing: Cube, added: Cube, title: str) -> Figure:
    """What bicubic misses, what the network adds, what is left, averaged over bands, in one diverging scale."""
    figure, axes = plt.subplots(1, 3, figsize=(8.4, 3))
    panels = {"truth - bicubic: what is missing": missing, "network - bicubic: what is added": added,
              "truth - network: what is left": missing - added}  # fmt: skip
    limit = float(np.percentile(np.abs(missing.mean(axis=0)), 99.5))
    for axis, (name, cube) in zip(axes, panels.items(), strict=True):
        shown = axis.imshow(cube.mean(axis=0), cmap="RdBu_r", vmin=-limit, vmax=limit)
        bare(axis, name)
    figure.colorbar(shown, ax=axes, label="mean over bands", shrink=0.85, pad=0.01)
    headline(figure, title)
    return figure


def pixel_error(image: Cube, truth: Cube) -> NDArray[np.floating]:
    """Root of the mean squared error over bands: (H, W)."""
    return np.sqrt(np.square(image - truth).mean(axis=0))


def busiest_box(truth: Cube, side: int) -> tuple[int, int, int]:
    """Row, column and side of the square with the most spatial detail, on a grid of half its side."""
    detail = np.abs(np.diff(truth, axis=1))[:, :, 1:].mean(0) + np.abs(np.diff(truth, axis=2))[:, 1:, :].mean(0)
    step = max(1, side // 2)
    places = [
        (row, column)
        for row in range(0, truth.shape[1] - side + 1, step)
        for column in range(0, truth.shape[2] - side + 1, step)
    ]
    row, column = max(places, key=lambda p: detail[p[0] : p[0] + side, p[1] : p[1] + side].mean())
    return row, column, side


def band_axis(bands: int, wavelengths: NDArray | None) -> NDArray:
    """What spectra are plotted against: nm where known, else band numbers from 1."""
    return np.arange(1, bands + 1) if wavelengths is None else np.asarray(wavelengths)


def _spectral_axes(axis: plt.Axes, wavelengths: NDArray | None) -> None:
    axis.set_xlabel("band" if wavelengths is None else "wavelength (nm)")
    axis.set_ylabel("normalised radiance or reflectance")


def bare(axis: plt.Axes, title: str) -> None:
    """A picture has a title, and neither ticks nor spines."""
    axis.set_title(title)
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    axis.spines[:].set_visible(False)
