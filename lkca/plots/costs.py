"""Draw quality against cost, time against cost, and shares of cost."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from lkca.models import BASELINES
from lkca.plots.style import COLOURS, LABELS, MARKERS, draw_baselines, set_legend, set_title, use_plain_ticks

AXES = {
    "macs_G": "MACs of a 16x16 LR patch (G)",
    "params_M": "parameters (M)",
    "milliseconds": "time of a forward pass (ms)",
    "seconds": "training time (s)",
}
SPREAD = 1.5  # times the best gain over bicubic: networks further below bicubic are drawn at the edge


def quality_against_cost(tables: Mapping[str, pd.DataFrame], columns: Mapping[str, str], title: str) -> Figure:
    """Draw a row of panels per table: a quality or a time (y) against a cost (x), one line or point per model.

    Bars are standard deviations. A network far below bicubic would squeeze all others, so it is drawn hollow at the
    lower edge, with its value.

    Parameters
    ----------
    tables : title of the row -> columns model, MPSNR, those of `columns`, and MPSNR_sd if there are several seeds.
    columns : title of the panel -> "x:y", the names of the two columns.
    """
    size = (2.9 * len(columns) + 2.2, 2.8 * len(tables) + 0.5)
    figure, axes = plt.subplots(len(tables), len(columns), figsize=size, squeeze=False)
    set_title(figure, title)
    for row, (source, table) in zip(axes, tables.items(), strict=True):
        networks = table[~table["model"].isin(BASELINES)]
        bicubic = table.loc[table["model"] == "bicubic", "MPSNR"]
        for axis, (name, pair) in zip(row, columns.items(), strict=True):
            x, y = pair.split(":")
            quality = y.startswith("MPSNR")
            floor = (
                bicubic.iloc[0] - SPREAD * max(networks[y].max() - bicubic.iloc[0], 0.1) if len(bicubic) else -np.inf
            )
            low = networks[y] < floor if quality else networks[y].isna()
            for model, points in networks[~low].dropna(subset=[x, y]).groupby("model", sort=False):
                points = points.sort_values(x)
                spread = points["MPSNR_sd"].fillna(0) if y == "MPSNR" and "MPSNR_sd" in points else None
                axis.errorbar(points[x], points[y], spread, capsize=3, lw=1, **_style(model))
            _draw_at_edge(axis, networks[low].dropna(subset=[x]), x, y, floor)
            if quality:
                draw_baselines(axis, table)
            axis.set(xscale="log", xlabel=AXES[x], ylabel="MPSNR (dB)" if quality else AXES[y])
            axis.set_title(source if not name else f"{source}\n{name}" if source else name)
            axis.margins(x=0.12, y=0.14)
            if not quality:
                axis.set_yscale("log")
            use_plain_ticks(axis)
    set_legend(figure, axes[::-1, ::-1].flat, "right center")  # begins with the last panel, which shows the most models
    return figure


def _style(model: str) -> dict[str, object]:
    style = {"color": COLOURS[model], "marker": MARKERS[model], "ms": 6, "label": LABELS[model]}
    # LKCA-KD costs as much as LKCA-LR, so a filled marker would hide that of LKCA-LR
    return style | {"mfc": "none", "mew": 1.6} if model == "lkca-kd" else style


def _draw_at_edge(axis: plt.Axes, rows: pd.DataFrame, x: str, y: str, floor: float) -> None:
    """Draw networks whose quality is below `floor` as hollow markers at `floor`, with their values stacked."""
    for number, row in enumerate(rows.sort_values(x).itertuples()):
        at, value = getattr(row, x), getattr(row, y)
        axis.plot(at, floor, **_style(row.model) | {"mfc": "none", "ls": "none"})
        place = {"textcoords": "offset points", "xytext": (0, 6 + 8 * (number % 4)), "ha": "center"}
        axis.annotate(f"{value:.1f} ↓", (at, floor), **place, fontsize=7, color=COLOURS[row.model])


def time_and_macs(times: pd.DataFrame, title: str) -> Figure:
    """Draw the time of a forward pass against its MACs, and peak memory (if any) against time; a line per network.

    times : columns model, macs_G (of the batch), milliseconds, memory_mb.
    """
    timed = times.dropna(subset="milliseconds").sort_values("macs_G")
    panels = [("macs_G", "milliseconds"), ("milliseconds", "memory_mb")][: 1 + bool(timed["memory_mb"].notna().any())]
    figure, axes = plt.subplots(1, len(panels), figsize=(4.2 * len(panels) + 0.6, 3.9), squeeze=False)
    set_title(figure, title)
    labels = {**AXES, "macs_G": "MACs of the batch (G)", "memory_mb": "peak memory (MB)"}
    for axis, (x, y) in zip(axes[0], panels, strict=True):
        for model, rows in timed.groupby("model", sort=False):
            axis.plot(rows[x], rows[y], color=COLOURS[model], marker=MARKERS[model], lw=1, label=LABELS[model])
        if x == "macs_G":
            rate = (timed[x] / timed[y]).max()  # GMACs per millisecond, the best measured
            ends = np.array([timed[x].min(), timed[x].max()])
            axis.plot(ends, ends / rate, ":", color="0.4", lw=1, label=f"the best rate: {1e3 * rate:.0f} GMAC/s")
        axis.set(xscale="log", yscale="log", xlabel=labels[x], ylabel=labels[y])
        use_plain_ticks(axis)
    set_legend(figure, axes[0])
    return figure


def speed_up_bars(ratios: pd.DataFrame, title: str) -> Figure:
    """Draw how many times faster LKCA-KD is than each heavy network, and how many times fewer MACs it has.

    ratios : columns model, batch, size (LR pixels on a side), times_faster, times_fewer_macs.
    """
    models = list(dict.fromkeys(ratios["model"]))
    figure, axes = plt.subplots(1, len(models), figsize=(2.8 * len(models) + 0.6, 3.2), sharey=True, squeeze=False)
    set_title(figure, title)
    for axis, model in zip(axes[0], models, strict=True):
        rows = ratios[ratios["model"] == model]
        place = np.arange(len(rows))
        bars = axis.bar(place, rows["times_faster"], 0.6, color=COLOURS["lkca-kd"], label="time, measured")
        axis.bar_label(bars, [f"{value:.0f}x" for value in rows["times_faster"]], fontsize=8, padding=2)
        axis.plot(place, rows["times_fewer_macs"], "_", color="black", ms=22, mew=2, label="MACs, counted")
        axis.set_xticks(place, [f"{row.batch} x {row.size}²" for row in rows.itertuples()])
        axis.set(
            title=f"against {LABELS[model]}", yscale="log", xlim=(-0.6, len(rows) - 0.4), xlabel="batch x LR pixels"
        )
        axis.grid(False, axis="x")
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
    top = ratios[["times_faster", "times_fewer_macs"]].max(axis=None)
    axes[0, 0].set(ylabel="times less", ylim=(1, 2 * top))
    set_legend(figure, axes[0])
    return figure


def share_bars(shares: pd.DataFrame, xlabel: str, title: str) -> Figure:
    """Draw two bars a model: shares (0-1) of its parameters (`params`) and MACs (`macs`). NaN reads "does not fit"."""
    figure, axis = plt.subplots(figsize=(6.4, 0.9 + 0.36 * len(shares)))
    named = shares.assign(model=[LABELS[name] for name in shares["model"]])
    named = named.rename(columns={"params": "parameters", "macs": "MACs"})
    long = named.melt("model", ["parameters", "MACs"], "of", "share").assign(percent=lambda rows: 100 * rows["share"])
    filled = long.fillna({"percent": 0})
    sns.barplot(filled, x="percent", y="model", hue="of", palette=["#0072B2", "#E69F00"], saturation=1, ax=axis)
    for bars, (_, part) in zip(axis.containers, long.groupby("of", sort=False), strict=True):
        texts = ["does not fit" if np.isnan(value) else f"{value:.0f} %" for value in part["percent"]]
        axis.bar_label(bars, texts, padding=2, fontsize=7)
    axis.set(xlabel=xlabel, ylabel="", xlim=(0, 110), title=title)
    axis.grid(False, axis="y")
    axis.legend(loc="lower right")
    return figure
