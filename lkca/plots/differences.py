"""Draw paired differences: single ones as dots, means with 95 % intervals, the paper's as diamonds."""

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lkca.degradation import BACK_PROJECTION_STEPS
from lkca.plots.style import (
    COLOURS,
    LABELS,
    LINE_COLOURS,
    MARGIN,
    MARKERS,
    PAPER,
    UNITS,
    colour,
    label,
    make_panels,
    set_legend,
    set_title,
)

SOURCE_COLOURS = (
    "#0072B2",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#E69F00",
    "#D55E00",
    "#999999",
)  # of profiles and studies
WIDE = 4.0  # times the largest printed difference: the axis ends there; longer intervals end in an arrow
SPREAD = 4  # times the interquartile range: the axis ends there, so that one failure does not squeeze the others


def differences(
    dots: pd.DataFrame, means: pd.DataFrame, title: str, than: str, paper: Mapping[str, float] | None = None
) -> Figure:
    """Draw a row per setting, MPSNR on the left and SAM on the right. Values off an axis are printed at its end.

    Parameters
    ----------
    dots : single differences; columns setting, metric, difference. Drawn as light circles.
    means : columns setting, metric, mean, half_width of the 95 % interval (NaN: no interval).
    than : what the settings are compared with, in words.
    paper : setting -> the difference in MPSNR (dB) that the paper prints, drawn as diamonds.
    """
    settings = list(dict.fromkeys(means["setting"]))
    place = {setting: -number for number, setting in enumerate(settings)}
    printed = {setting: gain for setting, gain in (paper or {}).items() if setting in place}
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 1.7 + 0.28 * len(settings)), sharey=True)
    set_title(figure, title)
    for axis, (metric, unit) in zip(axes, UNITS.items(), strict=True):
        if metric == "MPSNR":
            axis.axvspan(-MARGIN, MARGIN, color="0.87", zorder=0, label=f"±{MARGIN} dB: no difference in practice")
            if printed:
                axis.plot(list(printed.values()), [place[s] + 0.3 for s in printed], **PAPER, ms=5, label="paper")
        axis.axvline(0, color="0.5", lw=1)
        single, mean = dots[dots["metric"] == metric], means[means["metric"] == metric]
        axis.plot(
            single["difference"], single["setting"].map(place), "o", ms=3, color="#b8b8b8", label="one difference"
        )
        for row in mean.itertuples():
            half = None if np.isnan(row.half_width) else row.half_width
            style = {"color": colour(row.setting), "mfc": "white" if " + bp" in row.setting else colour(row.setting)}
            axis.errorbar(row.mean, place[row.setting], xerr=half, fmt="o", capsize=3, ms=5, **style)
        axis.errorbar([], [], xerr=[], fmt="o", capsize=3, color="black", label="mean, 95 % interval")
        _end_axis(axis, single, mean, place, list(printed.values()) if metric == "MPSNR" else [])
        better = "higher is better" if metric == "MPSNR" else "lower is better"
        axis.set(xlabel=f"{metric} minus that of {than} ({unit})\n{better}", ylim=(-len(settings) + 0.3, 0.7))
        axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.grid(False, axis="y")
    axes[0].set_yticks(list(place.values()), [label(setting) for setting in settings])
    set_legend(figure, axes[:1])
    return figure


def _end_axis(axis: plt.Axes, single: pd.DataFrame, mean: pd.DataFrame, place: dict[str, int], shown: list) -> None:
    """Choose the limits of an axis, and print the values outside them at its ends."""
    ends = pd.concat([mean["mean"] - mean["half_width"].fillna(0), mean["mean"] + mean["half_width"].fillna(0)])
    low, high = _limits(pd.concat([single["difference"], mean["mean"], ends]), [*shown, 0.0])
    axis.set_xlim(low, high)
    for row in mean.itertuples():
        values = single.loc[single["setting"] == row.setting, "difference"]
        lower, upper = values[values < low], values[values > high]
        texts = [", ".join(f"{value:.2g}" for value in sorted(part)) for part in (lower, upper)]
        if not low <= row.mean <= high:
            half = "" if np.isnan(row.half_width) else f" ± {row.half_width:.2g}"
            texts[int(row.mean > high)] = f"mean {row.mean:.2g}{half}"
        for text, (x, side) in zip(texts, ((low, "left"), (high, "right")), strict=True):
            if text:
                text = f"◂ {text}" if side == "left" else f"{text} ▸"
                axis.text(x, place[row.setting] + 0.12, text, ha=side, va="bottom", fontsize=6, color="0.4")


def _limits(values: pd.Series, always: list[float]) -> tuple[float, float]:
    """Return the limits of an axis that holds `always` and all values, except those far outside their middle half."""
    values = values.dropna()
    first, third = values.quantile([0.25, 0.75])
    margin = SPREAD * max(third - first, values.abs().median(), 1e-3)
    low = min(*always, max(values.min(), first - margin))
    high = max(*always, min(values.max(), third + margin))
    padding = 0.05 * max(high - low, 1e-3)
    return low - padding, high + padding


def added_by_networks(added: pd.DataFrame, title: str) -> Figure:
    """Draw what trained networks add to back-projection: filled as trained, open after back-projection of their output.

    added : columns study, scale, model, added_dB, added_bp_dB; each row becomes a row of the figure.
    """
    figure, axis = plt.subplots(figsize=(9, 1.4 + 0.2 * len(added)))
    set_title(figure, title)
    places = np.arange(len(added))[::-1]
    low, high = _limits(pd.concat([added["added_dB"], added["added_bp_dB"]]), [0.0])
    axis.set(xlim=(low, high), ylim=(-0.7, len(added) - 0.3))
    axis.axvline(0, color=COLOURS["back-projection"], ls="--", lw=1.2)
    for place, row in zip(places, added.itertuples(), strict=True):
        style = {"color": COLOURS[row.model], "marker": MARKERS[row.model], "ls": "none", "ms": 5}
        axis.plot(row.added_dB, place, **style)
        axis.plot(row.added_bp_dB, place, **style, mfc="white")
        if row.added_dB < low:
            axis.text(low, place, f" ◂ {row.added_dB:.1f}", color=COLOURS[row.model], va="center", fontsize=8)
    names = [f"{row.study.replace('_', ' ')}, x{row.scale}: {LABELS[row.model]}" for row in added.itertuples()]
    axis.set_yticks(places, names)
    axis.set_xlabel("MPSNR above bicubic with back-projection (dB)\nopen: the network's output back-projected as well")
    axis.grid(False, axis="y")
    return figure


def differences_by_epoch(comparisons: Mapping[str, pd.DataFrame], title: str) -> Figure:
    """Draw the difference between two networks by epoch: a panel per comparison, a thin line per seed, and the mean.

    comparisons : name -> columns seed, epoch, difference (dB of validation MPSNR).
    """
    figure, axes = make_panels(len(comparisons), 3, 2.3, 0.6, title)
    for axis, (name, rows) in zip(axes, comparisons.items(), strict=True):
        for _, seed in rows.groupby("seed"):
            axis.plot(seed["epoch"], seed["difference"], color="0.65", lw=0.8)
        axis.plot(rows.groupby("epoch")["difference"].mean(), color=LINE_COLOURS[0])
        axis.axhline(0, color="0.2", ls="--", lw=0.9)
        axis.set(title=name, xlabel="epoch of 64 steps", ylabel="difference (dB)")
    return figure


def back_projection_steps(gains: pd.DataFrame, title: str) -> Figure:
    """Draw the mean gain over bicubic against back-projection iterations: by scale, and at x4 by noise.

    gains : columns scale, degradation, steps, MPSNR, SAM, and half their 95 % intervals over scenes, MPSNR_half and
    SAM_half.
    """
    figure, axes = plt.subplots(2, 2, figsize=(7.6, 5), sharex=True)
    set_title(figure, title)
    names = {"bicubic": "no noise", **{scale: f"x{scale}" for scale in (2, 4, 8)}}
    panels = (("scale", gains[gains["degradation"] == "bicubic"]), ("degradation", gains[gains["scale"] == 4]))
    for column, (by, rows) in enumerate(panels):
        for axis, (metric, unit) in zip(axes[:, column], UNITS.items(), strict=True):
            for (value, line), shade in zip(rows.groupby(by, sort=False), LINE_COLOURS, strict=False):
                name = names.get(value, str(value).removeprefix("bicubic, "))
                axis.plot(line["steps"], line[metric], "o-", ms=3, color=shade, label=name)
                half = line[f"{metric}_half"].fillna(0)
                axis.fill_between(line["steps"], line[metric] - half, line[metric] + half, color=shade, alpha=0.12)
            axis.axhline(0, color=COLOURS["bicubic"], ls="--", lw=1.2)
            axis.axvline(BACK_PROJECTION_STEPS, color="0.6", lw=0.8)
            axis.set_ylabel(f"change in {metric} ({unit})")
    axes[0, 0].set_title("no noise, by scale")
    axes[0, 1].set_title("x4, by noise in the LR image (SNR)")
    for axis in axes[1]:
        axis.set_xlabel(f"back-projection iterations (the study takes {BACK_PROJECTION_STEPS})")
        axis.set(xscale="symlog", xlim=(-0.1, 22))
        axis.set_xticks((0, 1, 2, 5, 10, 20), ("0", "1", "2", "5", "10", "20"))
    for axis in axes[0]:
        axis.legend()
    return figure


def differences_beside_paper(frame: pd.DataFrame, title: str) -> Figure:
    """Draw a row for each comparison: the paper's points as diamonds, ours with 95 % intervals, ±0.02 dB in grey.

    frame : from `lkca.paper.beside.differences_beside_paper`. An interval that does not fit on the axis ends in an
    arrow, and its numbers are printed beside the axis.
    """
    names, is_printed = list(dict.fromkeys(frame["comparison"])), frame["source"].str.startswith("paper")
    sources = list(dict.fromkeys(frame.loc[~is_printed, "source"]))
    colours = dict(zip(sources, itertools.cycle(SOURCE_COLOURS), strict=False))
    limit = WIDE * frame.loc[is_printed, "mean"].abs().max()
    figure, axis = plt.subplots(figsize=(8, 1.2 + 0.6 * len(names)), layout="constrained")
    axis.axvspan(-MARGIN, MARGIN, color="0.85", zorder=0, label=f"±{MARGIN} dB")
    axis.axvline(0, color="0.5", lw=0.8, zorder=1)
    for place, name in enumerate(names):
        here = frame["comparison"] == name
        printed = frame.loc[here & is_printed, "mean"]
        axis.plot(printed, [place - 0.3] * len(printed), **PAPER, ms=5, label="_" if place else "paper")
        for row in frame[here & ~is_printed].itertuples():
            height = place - 0.15 + 0.6 * (sources.index(row.source) + 0.5) / len(sources)
            _draw_interval(axis, row, height, colours[row.source], limit)
    for source, shade in colours.items():
        axis.plot([], [], "o-", color=shade, ms=4, label=f"ours, {source}")
    axis.set_yticks(range(len(names)), names)
    axis.set(xlim=(-limit, limit), ylim=(len(names) - 0.4, -0.6), xlabel="difference in MPSNR (dB)")
    figure.suptitle(title)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    return figure


def _draw_interval(axis: plt.Axes, row: NamedTuple, height: float, colour: str, limit: float) -> None:
    """Draw one mean with its interval; if that does not fit, end it in an arrow and print its numbers."""
    low, high = (row.mean, row.mean) if pd.isna(row.low) else (row.low, row.high)
    axis.plot([max(low, -limit), min(high, limit)], [height, height], "-", color=colour, lw=1.5)
    if abs(row.mean) <= limit:
        axis.plot(row.mean, height, "o", color=colour, ms=4)
    for outside, end, marker in ((low < -limit, -limit, "<"), (high > limit, limit, ">")):
        if outside:
            axis.plot(end, height, marker, color=colour, ms=6, clip_on=False)
    if low < -limit or high > limit:
        text = f"{row.mean:+.2f} [{low:+.2f}, {high:+.2f}]"
        axis.text(1.02, height, text, transform=axis.get_yaxis_transform(), fontsize=7, color=colour, va="center")
