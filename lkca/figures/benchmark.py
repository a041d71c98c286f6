"""Figures of the benchmark: quality against cost, the pictures of every network, time against cost, gains by region.

A function here takes tables and arrays and returns a `matplotlib` figure; nothing here trains or measures.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from lkca.figures.pictures import Cube, band_axis, pixel_error, rgb, rgb_limits
from lkca.figures.style import COLOURS, LABELS, MARKERS, PIXEL_COLOURS, UNITS, headline, lines_to_beat, plain_ticks
from lkca.models import MODELS

COST_AXES = {"macs_G": "MACs of a 16x16 LR patch (G)", "params_M": "parameters (M)"}
BOX = "#ff2020"
COLUMNS = 5  # of pictures side by side: as many as stay readable across a page


def quality_against_cost(ours: pd.DataFrame, paper: pd.DataFrame, paper_title: str, title: str) -> Figure:
    """MPSNR against MACs and parameters, ours on the left, the paper's on the right, each on its own scale.

    ours, paper : columns model, MPSNR, macs_G, params_M; ours may be empty. Bars are standard deviations over seeds.
    """
    sources = {"ours": ours, paper_title: paper}
    sources = {name: table for name, table in sources.items() if len(table)}
    figure, axes = plt.subplots(len(sources), 2, figsize=(7.2, 2.7 * len(sources) + 0.5), squeeze=False)
    headline(figure, title)
    for pair, (name, table) in zip(axes, sources.items(), strict=True):
        table = table.set_index("model")
        bicubic = table["MPSNR"].get("bicubic")
        lines = [model for model in table.index if not MODELS[model].learned]  # they cost nothing
        networks = table.drop(index=lines)
        for axis, (column, label) in zip(pair, COST_AXES.items(), strict=True):
            floor = _floor(networks["MPSNR"], bicubic)
            for model, point in networks.iterrows():
                _point(axis, model, point[column], point["MPSNR"], point.get("MPSNR_sd"), floor)
            lines_to_beat(axis, table.reset_index())
            axis.set(xscale="log", xlabel=label, ylabel="MPSNR (dB)", title=name)
            axis.margins(x=0.12, y=0.14)
            plain_ticks(axis.xaxis)
    handles = {}
    for axis in axes[::-1, 0]:  # the paper's networks are all there are
        handles |= {text: handle for handle, text in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside right center")
    return figure


def _floor(quality: pd.Series, bicubic: float | None) -> float:
    """The least value that a figure shows: those lower, farther below bicubic than the others spread, squeeze all."""
    if bicubic is None:
        return -np.inf
    above = max(quality.max() - bicubic, 0.1)
    return bicubic - 1.5 * above


def _point(axis: plt.Axes, model: str, x: float, y: float, sd: float | None, floor: float) -> None:
    look = {"color": COLOURS[model], "marker": MARKERS[model], "label": LABELS[model], "ls": "none", "ms": 6}
    if model == "lkca-kd":  # at the same cost as LKCA-LR, which would be hidden
        look |= {"mfc": "none", "mew": 1.6}
    if y >= floor:
        if sd is not None and sd > 0:
            axis.errorbar(x, y, sd, capsize=3, lw=1, color=COLOURS[model])
        axis.plot(x, y, **look)
        return
    axis.plot(x, floor, **look | {"mfc": "none"})  # off the scale: where it would be, and its value
    axis.annotate(f"{y:.1f} ↓", (x, floor), textcoords="offset points", xytext=(0, 6), ha="center", fontsize=7,
                  color=COLOURS[model])  # fmt: skip


def gallery(
    images: Mapping[str, Cube],
    truth: Cube,
    bands: Sequence[int],
    box: tuple[int, int, int],
    pixels: Sequence[tuple[int, int]],
    title: str,
) -> Figure:
    """Truth and every result in colour; below each what is inside the red `box` (row, column, side).

    pixels : (row, column) of those to be marked on the truth, as `spectral_errors` shows them.
    """
    limits, (row, column, side) = rgb_limits(truth, bands), box
    shown = {"truth": truth, **images}
    rows, columns = _grid(len(shown))
    figure, axes = plt.subplots(2 * rows, columns, figsize=(max(4.5, 1.5 * columns), 3.1 * rows + 0.4), squeeze=False)
    headline(figure, title)
    for axis in axes.flat:
        axis.axis("off")
    for number, (name, cube) in enumerate(shown.items()):
        top, left = 2 * (number // columns), number % columns
        picture = rgb(cube, bands, limits)
        psnr = "" if name == "truth" else f"\n{_mpsnr(cube, truth):.2f} dB"
        _picture(axes[top, left], picture, f"{LABELS.get(name, name)}{psnr}")
        frame = {"ec": BOX, "fc": "none", "lw": 1.2}
        axes[top, left].add_patch(Rectangle((column - 0.5, row - 0.5), side, side, **frame))
        _picture(axes[top + 1, left], picture[row : row + side, column : column + side], "", BOX)
    for place, colour in zip(pixels, PIXEL_COLOURS, strict=False):
        axes[0, 0].plot(place[1], place[0], "s", mec=colour, mfc="none", mew=1.6, ms=6)
    return figure


def _grid(count: int) -> tuple[int, int]:
    """The numbers of rows and columns in which so many pictures fill all rows equally."""
    rows = -(-count // COLUMNS)
    return rows, -(-count // rows)


def error_maps(images: Mapping[str, Cube], truth: Cube, title: str) -> Figure:
    """Every result's error at each pixel (root of the mean square over bands), all on one scale."""
    errors = {name: pixel_error(cube, truth) for name, cube in images.items()}
    # bicubic's, where it is shown: a network that failed would make all others black
    highest = float(np.percentile(errors.get("bicubic", np.stack(list(errors.values()))), 99.5))
    rows, columns = _grid(len(errors))
    figure, axes = plt.subplots(
        rows, columns, figsize=(max(4.5, 1.5 * columns) + 0.6, 1.75 * rows + 0.4), squeeze=False
    )
    headline(figure, title)
    for axis in axes.flat:
        axis.axis("off")
    for axis, (name, error) in zip(axes.flat, errors.items(), strict=False):
        image = _picture(axis, error, f"{LABELS.get(name, name)}\nRMSE {np.sqrt((error**2).mean()):.4f}", vmax=highest)
    figure.colorbar(image, ax=axes, label="error of a pixel\n(data in 0-1)", shrink=0.8, pad=0.01, extend="max")
    return figure


def spectral_errors(
    images: Mapping[str, Cube], truth: Cube, wavelengths: NDArray | None, pixels: Sequence[tuple[int, int]], title: str
) -> Figure:
    """Top: mean error of the whole image by band. Below: spectra of some pixels, and how far each result is off."""
    x, unit = band_axis(len(truth), wavelengths), "band" if wavelengths is None else "wavelength (nm)"
    figure = plt.figure(figsize=(7.2, 7.0))
    headline(figure, title)
    grid = figure.add_gridspec(3, len(pixels), height_ratios=(1.15, 1, 1))
    whole = figure.add_subplot(grid[0, :])
    for name, cube in images.items():
        whole.plot(x, np.abs(cube - truth).mean(axis=(1, 2)), label=LABELS.get(name, name), **_line(name))
    top = whole.get_ylim()[1]
    if "bicubic" in images:  # a network that failed leaves the panel
        top = min(top, 2 * np.abs(images["bicubic"] - truth).mean(axis=(1, 2)).max())
    whole.set(xlabel=unit, ylabel="mean absolute error", title="whole image", ylim=(0, top))
    whole.margins(x=0.01)
    for number, ((row, column), colour) in enumerate(zip(pixels, PIXEL_COLOURS, strict=False)):
        upper, lower = figure.add_subplot(grid[1, number]), figure.add_subplot(grid[2, number])
        upper.plot(x, truth[:, row, column], label=LABELS["truth"], **_line("truth"))
        lower.axhline(0, color=COLOURS["truth"], lw=1)
        for name, cube in images.items():
            upper.plot(x, cube[:, row, column], **_line(name))
            lower.plot(x, cube[:, row, column] - truth[:, row, column], **_line(name))
        upper.set_title(f"pixel at row {row}, column {column}", color=colour)
        lower.set(xlabel=unit)
        if number == 0:
            upper.set(ylabel="normalised radiance\nor reflectance")
            lower.set(ylabel="result - truth")
    truth_handle = upper.get_legend_handles_labels()
    handles, labels = (a + b for a, b in zip(truth_handle, whole.get_legend_handles_labels(), strict=True))
    figure.legend(handles, labels, loc="outside lower center", ncols=5)
    return figure


def _line(name: str) -> dict[str, object]:
    widths = {"truth": 2.2, "bicubic": 1.4}
    return {"color": COLOURS.get(name), "lw": widths.get(name, 1.1), "ls": "--" if name == "bicubic" else "-"}


def time_and_macs(frame: pd.DataFrame, title: str) -> Figure:
    """Left: time against MACs of everything measured; right: peak memory against time. Bigger marks, bigger images."""
    timed = frame.dropna(subset="milliseconds")
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.7))
    headline(figure, title)
    for model, rows in timed.groupby("model", sort=False):
        rows = rows.sort_values("macs_G")
        look = {"color": COLOURS[model], "marker": MARKERS[model], "mec": "white", "mew": 0.5, "lw": 1}
        label = f"{LABELS[model]} = {LABELS['lkca-kd']}" if model == "lkca-lr" else LABELS[model]
        left.plot(rows["macs_G"], rows["milliseconds"], label=label, **look)
        right.plot(rows["milliseconds"], rows["memory_mb"], **look)
    low, high = timed["macs_G"].min(), timed["macs_G"].max()
    speed = (timed["macs_G"] / timed["milliseconds"]).max()  # G a millisecond: the best that was seen
    left.plot([low, high], [low / speed, high / speed], ":", color="0.4", lw=1, label=f"{1e3 * speed:.0f} GMAC/s")
    left.set(xscale="log", yscale="log", xlabel="MACs of the batch (G)", ylabel="time of a forward pass (ms)")
    right.set(xscale="log", yscale="log", xlabel="time of a forward pass (ms)", ylabel="peak memory (MB)")
    for axis in (left.xaxis, left.yaxis, right.xaxis, right.yaxis):
        plain_ticks(axis)
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def speed_up_bars(ratios: pd.DataFrame, title: str) -> Figure:
    """How many times faster than the heavy networks, beside how many times fewer MACs, for every setting measured."""
    ratios = ratios.assign(where=[f"{r.batch} x {r.size}x{r.size}" for r in ratios.itertuples()])
    models = ratios["model"].unique().tolist()
    figure, axes = plt.subplots(1, len(models), figsize=(2.8 * len(models), 2.9), sharey=True, squeeze=False)
    headline(figure, title)
    for axis, model in zip(axes[0], models, strict=True):
        rows = ratios[ratios["model"] == model]
        place = np.arange(len(rows))
        bars = axis.bar(place, rows["times_faster"], 0.6, color=COLOURS["lkca-kd"], label="time, measured")
        axis.bar_label(bars, [f"{value:.0f}x" for value in rows["times_faster"]], fontsize=8, padding=2)
        axis.plot(place, rows["times_fewer_macs"], "_", color="black", ms=22, mew=2, label="MACs, counted")
        axis.set_xticks(place, rows["where"], rotation=30 if len(rows) > 3 else 0)
        axis.set(title=f"against {LABELS[model]}", yscale="log", xlim=(-0.6, len(rows) - 0.4), xlabel="batch x LR size")
        axis.grid(False, axis="x")
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
    top = ratios[["times_faster", "times_fewer_macs"]].max(axis=None)
    axes[0, 0].set(ylabel="times less", ylim=(1, 2 * top))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def quality_against_time(qualities: Mapping[str, pd.DataFrame], times: pd.Series, xlabel: str, title: str) -> Figure:
    """MPSNR against time, a panel for each source of quality.

    qualities : title of the panel -> columns model, MPSNR. times : milliseconds by model.
    """
    figure, axes = plt.subplots(1, len(qualities), figsize=(3.4 * len(qualities) + 2.0, 3.2), squeeze=False)
    headline(figure, title)
    for axis, (name, table) in zip(axes[0], qualities.items(), strict=True):
        quality = table.set_index("model")["MPSNR"]
        learned = [model for model in quality.index if MODELS[model].learned]
        floor = _floor(quality[learned], quality.get("bicubic"))
        for model in times.index.intersection(learned, sort=False):
            _point(axis, model, times[model], quality[model], None, floor)
        lines_to_beat(axis, table)
        axis.set(xscale="log", xlabel=xlabel, ylabel="MPSNR (dB)", title=name)
        axis.margins(x=0.12, y=0.14)
        plain_ticks(axis.xaxis)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right center")
    return figure


def gains_by_region(gains: pd.DataFrame, means: pd.DataFrame, title: str) -> Figure:
    """Gain of each network in each region (dots), mean over regions with its 95 % interval (bars).

    gains, means : from `lkca.studies.benchmark.region_gains` and `mean_gains`.
    """
    settings = gains["setting"].unique().tolist()
    place = {setting: y for y, setting in enumerate(reversed(settings))}
    regions = gains["region"].unique().tolist()
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 1.5 + 0.42 * len(settings)), sharey=True)
    headline(figure, title)
    for axis, (metric, unit) in zip(axes, UNITS.items(), strict=True):
        axis.axvline(0, color=COLOURS["bicubic"], ls="--", lw=1.2)
        for number, region in enumerate(regions):
            rows = gains[(gains["region"] == region) & (gains["metric"] == metric)]
            y = rows["setting"].map(place) + 0.16
            look = {"ls": "none", "marker": "osD^v"[number % 5], "mfc": "none", "ms": 5}
            axis.plot(rows["difference"], y, color=PIXEL_COLOURS[number % 4], label=f"tested on {region}", **look)
        for row in means[means["metric"] == metric].itertuples():
            colour = COLOURS.get(row.setting, "#000000")
            half = 0 if np.isnan(row.half_width) else row.half_width
            axis.errorbar(row.mean, place[row.setting] - 0.16, xerr=half, fmt="o", capsize=3, color=colour, ms=6)
        better = "more is better" if metric == "MPSNR" else "less is better"
        axis.set(xlabel=f"difference in {metric} ({unit})\n{better}", ylim=(-0.6, len(settings) - 0.4))
        axis.grid(False, axis="y")
    names = [" - ".join(LABELS.get(part, part) for part in setting.split(" - ")) for setting in place]
    axes[0].set_yticks(list(place.values()), [n if " - " in n else f"{n} - bicubic" for n in names])
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _mpsnr(image: Cube, truth: Cube) -> float:
    return float(np.mean(-10 * np.log10(np.square(image - truth).mean(axis=(1, 2)))))


def _picture(
    axis: plt.Axes, image: NDArray, title: str, edge: str | None = None, vmax: float | None = None
) -> plt.matplotlib.image.AxesImage:
    """An image without axes; with a coloured edge, or as a map from 0 to `vmax`."""
    look = {} if vmax is None else {"cmap": "magma", "vmin": 0, "vmax": vmax}
    axis.axis("on")
    axis.set(xticks=[], yticks=[])
    axis.set_title(title, fontsize=8, pad=3)
    axis.grid(False)
    for spine in axis.spines.values():
        spine.set(visible=edge is not None, color=edge or "none", linewidth=1.4)
    return axis.imshow(image, **look)
