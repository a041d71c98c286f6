"""Pictures of one scene before and after it was sharpened."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from einops import reduce
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from lkca.figures.pictures import band_axis, bare, rgb
from lkca.figures.style import COLOURS, LABELS, PIXEL_COLOURS, headline
from lkca.scenes import Scene
from lkca.scenes.no_data import missing_pixels
from lkca.scenes.picture import NO_DATA

MOST_PIXELS = 1200  # on a side of a picture


def before_after(scenes: Mapping[str, Scene], box: tuple[int, int, int], title: str) -> Figure:
    """Scenes of one place in colour, in one stretch; below, what is inside `box`.

    scenes : the first is the input, the others are enlargements. box : row, column, side in pixels of the input.
    """
    first = next(iter(scenes.values()))
    row, column, side = box
    limits = _limits(first)
    shape = first.shape[1] / first.shape[2]
    figure, axes = plt.subplots(
        2, len(scenes), figsize=(3 * len(scenes), 3 * shape + 3.4), height_ratios=(shape, 1), squeeze=False
    )
    for (above, below), (name, scene) in zip(axes.T, scenes.items(), strict=True):
        scale = scene.shape[1] // first.shape[1]
        step = max(1, max(scene.shape[1:]) // MOST_PIXELS)
        height, width = scene.shape[1:]
        above.imshow(
            _picture(scene, limits, slice(None, None, step), slice(None, None, step)), extent=(0, width, height, 0)
        )
        corner = (column * scale, row * scale)
        above.add_patch(Rectangle(corner, side * scale, side * scale, ec="#ff2020", fc="none", lw=1.4))
        part = (slice(n * scale, (n + side) * scale) for n in (row, column))
        below.imshow(_picture(scene, limits, *part))
        bare(above, f"{LABELS.get(name, name)}, {height} x {width}")
        bare(below, "")
        for spine in below.spines.values():
            spine.set(visible=True, color="#ff2020", linewidth=1.4)
    headline(figure, title)
    return figure


def spectra_before_after(
    before: Scene, results: Mapping[str, Scene], pixels: Sequence[tuple[int, int]], title: str
) -> Figure:
    """Spectra of some input pixels, and of the scale x scale pixels that each became.

    before : the input. results : name -> enlargement. pixels : row and column in the input.
    """
    figure, axes = plt.subplots(1, len(pixels), figsize=(3.1 * len(pixels), 3), squeeze=False)
    x = band_axis(before.shape[0], before.wavelengths)
    for axis, (row, column), colour in zip(axes[0], pixels, PIXEL_COLOURS, strict=False):
        for name, scene in results.items():
            scale = scene.shape[1] // before.shape[1]
            block = scene.read(*(slice(n * scale, (n + 1) * scale) for n in (row, column))) / scene.scale_factor
            lines = axis.plot(x, block.reshape(len(x), -1), color=COLOURS.get(name), lw=0.5, alpha=0.6)
            lines[0].set_label(f"{LABELS.get(name, name)}, its {scale} x {scale} pixels")
        spectrum = before.read(slice(row, row + 1), slice(column, column + 1))[:, 0, 0] / before.scale_factor
        axis.plot(x, spectrum, color=COLOURS["truth"], lw=1.6, label="input pixel")
        axis.set_title(f"pixel at row {row}, column {column}", color=colour)
        axis.set_xlabel("band" if before.wavelengths is None else "wavelength (nm)")
    axes[0, 0].set_ylabel(quantity(before))
    legend = axes[0, 0].legend()
    for line in legend.get_lines():
        line.set(linewidth=1.6, alpha=1)
    headline(figure, title)
    return figure


def maps(values: Mapping[str, NDArray], label: str, title: str) -> Figure:
    """Maps (H, W) side by side on one scale from 0 on; NaN is grey."""
    highest = max(float(np.nanpercentile(image, 99.5)) for image in values.values())
    height, width = next(iter(values.values())).shape
    figure, axes = plt.subplots(
        1, len(values), figsize=(3.6 * len(values) + 0.9, 3.4 * height / width + 0.6), squeeze=False
    )
    colours = plt.get_cmap("magma").with_extremes(bad=str(NO_DATA))
    for axis, (name, image) in zip(axes[0], values.items(), strict=True):
        shown = axis.imshow(image, cmap=colours, vmin=0, vmax=highest or 1)
        bare(axis, name)
    figure.colorbar(shown, ax=axes, label=label, shrink=0.85, pad=0.02)
    headline(figure, title)
    return figure


def shown_box(change: NDArray, scale: int, side: int) -> tuple[int, int, int]:
    """Row, column and side, in input pixels, of the square without missing pixels where a map (H, W) is highest."""
    blocks = _by_input_pixel(change, scale)
    height, width = blocks.shape
    side = min(side, height, width)
    step = max(1, side // 4)
    places = [(r, c) for r in range(0, height - side + 1, step) for c in range(0, width - side + 1, step)]
    means = [blocks[r : r + side, c : c + side].mean() for r, c in places]
    row, column = places[0] if np.isnan(means).all() else places[int(np.nanargmax(means))]
    return row, column, side


def chosen_pixels(change: NDArray, scale: int) -> list[tuple[int, int]]:
    """Row and column of input pixels where a map (H, W) is high, middling and low, away from the border."""
    blocks = _by_input_pixel(change, scale)
    height, width = blocks.shape
    margin = min(height, width) // 16
    inner = blocks[margin : height - margin, margin : width - margin]
    wanted = np.nanpercentile(inner, (99, 75, 10))
    places = (np.unravel_index(np.nanargmin(np.abs(inner - value)), inner.shape) for value in wanted)
    return [(int(row) + margin, int(column) + margin) for row, column in places]


def _by_input_pixel(change: NDArray, scale: int) -> NDArray:
    """The mean of a map (H, W) in each input pixel."""
    height, width = (length // scale * scale for length in change.shape)
    return reduce(change[:height, :width], "(h r) (w s) -> h w", "mean", r=scale, s=scale)


def _picture(scene: Scene, limits: NDArray, rows: slice, columns: slice) -> NDArray:
    """(h, w, 3), pixels without data grey."""
    block = scene.read(rows, columns, scene.rgb_bands())
    missing = missing_pixels(block, scene.no_data)[0]
    picture = rgb(np.where(missing, 0, block), (0, 1, 2), limits)
    picture[missing] = NO_DATA
    return picture


def _limits(scene: Scene) -> NDArray:
    """2nd and 98th percentile of the three bands shown, (3, 2)."""
    step = max(1, max(scene.shape[1:]) // MOST_PIXELS)
    block = scene.read(slice(None, None, step), slice(None, None, step), scene.rgb_bands())
    missing = missing_pixels(block, scene.no_data)[0]
    return np.percentile(block[:, ~missing].astype(np.float64), (2, 98), axis=1).T


def quantity(scene: Scene) -> str:
    """What the values divided by the scale factor are called on an axis."""
    return "number in the file" if scene.scale_factor == 1 else f"number in the file / {scene.scale_factor:g}"
