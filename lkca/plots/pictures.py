"""Draw scenes and the outputs of networks: in colour, zoomed, as error maps, as spectra."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from lkca.metrics import mpsnr
from lkca.plots.style import COLOURS, LABELS, PIXEL_COLOURS, set_legend, set_title

Cube = NDArray[np.floating]  # (B, H, W), data in 0-1
PIXELS = 3  # pixels whose spectra are shown
COLUMNS = 5  # at most so many pictures side by side stay readable on a page
BOX = "#ff2020"
RADIANCE = "normalised radiance\nor reflectance"


def rgb(cube: Cube, bands: Sequence[int], limits: NDArray | None = None) -> NDArray[np.floating]:
    """Return three bands as a picture (H, W, 3), stretched between `limits` (3, 2); by default `rgb_limits`."""
    picture = np.stack([cube[band] for band in bands], axis=-1)
    low, high = (rgb_limits(cube, bands) if limits is None else limits).T
    return np.clip((picture - low) / np.maximum(high - low, 1e-6), 0, 1)


def rgb_limits(cube: Cube, bands: Sequence[int]) -> NDArray[np.floating]:
    """Return the 2nd and 98th percentile of three bands, (3, 2), to show several images with the same stretch."""
    return np.array([np.percentile(cube[band], (2, 98)) for band in bands])


def choose_pixels(truth: Cube) -> list[tuple[int, int]]:
    """Return (row, column) of pixels with different spectra: a bright one, then each the most unlike those before."""
    margin = min(truth.shape[1:]) // 16
    inner = truth[:, margin : truth.shape[1] - margin, margin : truth.shape[2] - margin]  # marks stay inside
    flat = inner.reshape(len(truth), -1)
    chosen = [int(np.abs(flat.mean(axis=0) - np.percentile(flat.mean(axis=0), 90)).argmin())]
    distance = np.full(flat.shape[1], np.inf)
    while len(chosen) < PIXELS:
        distance = np.minimum(distance, np.linalg.norm(flat - flat[:, chosen[-1], None], axis=0))
        distance[distance > np.percentile(distance, 99)] = 0  # leaves out single hot pixels
        chosen.append(int(distance.argmax()))
    places = (divmod(pixel, inner.shape[2]) for pixel in chosen)
    return [(row + margin, column + margin) for row, column in places]


def choose_box(truth: Cube, side: int) -> tuple[int, int, int]:
    """Return row, column and side of the square with the most spatial detail, on a grid of half its side."""
    detail = np.abs(np.diff(truth, axis=1))[:, :, 1:].mean(0) + np.abs(np.diff(truth, axis=2))[:, 1:, :].mean(0)
    rows, columns = (range(0, size - side + 1, max(1, side // 2)) for size in truth.shape[1:])
    places = [(row, column) for row in rows for column in columns]
    row, column = max(places, key=lambda p: detail[p[0] : p[0] + side, p[1] : p[1] + side].mean())
    return row, column, side


def band_axis(bands: int, wavelengths: NDArray | None) -> tuple[NDArray, str]:
    """Return the x values of spectra and their name: wavelengths in nm if there are any, else band numbers from 1."""
    if wavelengths is None:
        return np.arange(1, bands + 1), "band"
    return np.asarray(wavelengths), "wavelength (nm)"


def scene_overview(
    cube: Cube, bands: Sequence[int], wavelengths: NDArray | None, pixels: Sequence[tuple[int, int]], title: str
) -> Figure:
    """Draw a scene in colour with some pixels marked, and their spectra beside it."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.8), width_ratios=(1, 1.25))
    set_title(figure, title)
    _picture(left, rgb(cube, bands))
    _mark_pixels(left, pixels)
    x, name = band_axis(len(cube), wavelengths)
    for (row, column), colour in zip(pixels, PIXEL_COLOURS, strict=False):
        right.plot(x, cube[:, row, column], color=colour)
    right.set(xlabel=name, ylabel=RADIANCE, title="spectra of the marked pixels")
    return figure


def gallery(
    images: Mapping[str, Cube],
    truth: Cube,
    bands: Sequence[int],
    box: tuple[int, int, int],
    title: str,
    pixels: Sequence[tuple[int, int]] = (),
) -> Figure:
    """Draw the truth and every result in colour, and below each the inside of the red box (row, column, side).

    images : name -> (B, h, w); an LR image is shown with its own pixels. pixels : marked on the truth.
    """
    limits = rgb_limits(truth, bands)
    shown = {"truth": truth, **images}
    rows, columns = _grid(len(shown))
    figure, axes = plt.subplots(2 * rows, columns, figsize=(max(4.5, 1.55 * columns), 3.2 * rows + 0.4), squeeze=False)
    set_title(figure, title)
    for axis in axes.flat:
        axis.axis("off")
    for number, (name, cube) in enumerate(shown.items()):
        top, left = 2 * (number // columns), number % columns
        picture, factor = rgb(cube, bands, limits), truth.shape[1] // cube.shape[1]
        row, column, side = (value // factor for value in box)
        psnr = "" if name == "truth" or factor > 1 else f"\n{mpsnr(cube, truth):.2f} dB"
        _picture(axes[top, left], picture, f"{LABELS.get(name, name)}{psnr}")
        frame = {"ec": BOX, "fc": "none", "lw": 1.2}
        axes[top, left].add_patch(Rectangle((column - 0.5, row - 0.5), side, side, **frame))
        _picture(axes[top + 1, left], picture[row : row + side, column : column + side], edge=BOX)
    _mark_pixels(axes[0, 0], pixels)
    return figure


def error_maps(images: Mapping[str, Cube], truth: Cube, title: str) -> Figure:
    """Draw the error of every result at each pixel (root mean square over bands), all on one scale."""
    errors = {name: np.sqrt(np.square(cube - truth).mean(axis=0)) for name, cube in images.items()}
    # Take the scale from bicubic if it is shown: a network that failed would make all others black.
    highest = float(np.percentile(errors.get("bicubic", np.stack(list(errors.values()))), 99.5))
    rows, columns = _grid(len(errors))
    size = (max(4.5, 1.55 * columns) + 0.7, 1.85 * rows + 0.5)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    set_title(figure, title)
    for axis in axes.flat:
        axis.axis("off")
    for axis, (name, error) in zip(axes.flat, errors.items(), strict=False):
        text = f"{LABELS.get(name, name)}\nRMSE {np.sqrt((error**2).mean()):.4f}"
        shown = _picture(axis, error, text, cmap="magma", vmin=0, vmax=highest)
    figure.colorbar(shown, ax=axes, label="error of a pixel (data in 0-1)", shrink=0.8, pad=0.01, extend="max")
    return figure


def spectra(
    images: Mapping[str, Cube], truth: Cube, wavelengths: NDArray | None, pixels: Sequence[tuple[int, int]], title: str
) -> Figure:
    """Draw the mean error of the whole image by band; below, spectra of some pixels and the error of each result."""
    x, name = band_axis(len(truth), wavelengths)
    figure = plt.figure(figsize=(7.2, 7.2))
    set_title(figure, title)
    grid = figure.add_gridspec(3, len(pixels), height_ratios=(1.15, 1, 1))
    whole = figure.add_subplot(grid[0, :])
    errors = {model: np.abs(cube - truth).mean(axis=(1, 2)) for model, cube in images.items()}
    for model, error in errors.items():
        whole.plot(x, error, label=LABELS.get(model, model), **_line(model))
    top = 1.05 * max(error.max() for error in errors.values())
    if "bicubic" in errors:  # a network that failed may leave the panel
        top = min(top, 2 * errors["bicubic"].max())
    whole.set(xlabel=name, ylabel="mean absolute error", title="whole image", ylim=(0, top))
    for number, ((row, column), colour) in enumerate(zip(pixels, PIXEL_COLOURS, strict=False)):
        upper, lower = figure.add_subplot(grid[1, number]), figure.add_subplot(grid[2, number])
        upper.plot(x, truth[:, row, column], label=LABELS["truth"], **_line("truth"))
        lower.axhline(0, color=COLOURS["truth"], lw=1)
        for model, cube in images.items():
            upper.plot(x, cube[:, row, column], **_line(model))
            lower.plot(x, cube[:, row, column] - truth[:, row, column], **_line(model))
        upper.set_title(f"pixel at row {row}, column {column}", color=colour)
        lower.set_xlabel(name)
        if number == 0:
            upper.set_ylabel(RADIANCE)
            lower.set_ylabel("result - truth")
    set_legend(figure, (upper, whole))
    return figure


def learned_detail(missing: Cube, added: Cube, title: str) -> Figure:
    """Draw what bicubic misses, what the network adds, and what is left: means over bands, on one colour scale."""
    figure, axes = plt.subplots(1, 3, figsize=(8.4, 3.2))
    set_title(figure, title)
    limit = float(np.percentile(np.abs(missing.mean(axis=0)), 99.5))
    panels = {
        "truth - bicubic:\nwhat is missing": missing,
        "network - bicubic:\nwhat is added": added,
        "truth - network:\nwhat is left": missing - added,
    }
    for axis, (name, cube) in zip(axes, panels.items(), strict=True):
        shown = _picture(axis, cube.mean(axis=0), name, cmap="RdBu_r", vmin=-limit, vmax=limit)
    figure.colorbar(shown, ax=axes, label="mean over bands", shrink=0.85, pad=0.01)
    return figure


def _grid(count: int) -> tuple[int, int]:
    """Return the number of rows and columns for so many pictures, with rows filled as evenly as possible."""
    rows = -(-count // COLUMNS)
    return rows, -(-count // rows)


def _line(name: str) -> dict[str, object]:
    widths = {"truth": 2.2, "bicubic": 1.4}
    return {"color": COLOURS.get(name), "lw": widths.get(name, 1.1), "ls": "--" if name == "bicubic" else "-"}


def _mark_pixels(axis: plt.Axes, pixels: Sequence[tuple[int, int]]) -> None:
    for (row, column), colour in zip(pixels, PIXEL_COLOURS, strict=False):
        axis.plot(column, row, "s", mec=colour, mfc="none", mew=1.6, ms=6)


def _picture(axis: plt.Axes, image: NDArray, title: str = "", edge: str | None = None, **style: object) -> AxesImage:
    """Draw an image without ticks, with a coloured edge or none."""
    axis.axis("on")
    axis.set(xticks=[], yticks=[])
    axis.set_title(title, fontsize=8, pad=3)
    axis.grid(False)
    for spine in axis.spines.values():
        spine.set(visible=edge is not None, color=edge or "none", linewidth=1.4)
    return axis.imshow(image, **style)
