"""Figures of `upsamplers`: at equal cost, quality against cost, truncation; of `upsamplers_elsewhere`: one.

A function here takes tables and returns a `matplotlib` figure; nothing here trains or reads a run.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lkca.figures.style import LABELS, UPSAMPLER_COLOURS, headline, lines_to_beat
from lkca.measures.rank import SHARE
from lkca.tables import CURVE, DISTILLED, FULL

COST_MARKS = {"upsampler_params": ("parameters", "o"), "upsampler_macs": ("MACs", "s"), "upsampler_time": ("time", "^")}


def upsampler_colour(setting: str) -> str:
    """The colour of an upsampler, distilled or not."""
    return UPSAMPLER_COLOURS[setting.removesuffix(DISTILLED).removesuffix(", equal params")]


def at_equal_cost(frame: pd.DataFrame, table: pd.DataFrame, means: pd.DataFrame, title: str) -> Figure:
    """Quality of each upsampler, its difference from `grouped` of the same seed, and the upsampler's cost.

    frame : rows from `with_setting`; circles are runs, filled where undistilled. table : from `at_equal`. means : from
    `differences(frame, "grouped")`; bars are 95 % intervals, none with a single seed.
    """
    settings = table["setting"].tolist()
    place = {setting: y for y, setting in enumerate(reversed(settings))}
    figure, (quality, gain, cost) = plt.subplots(1, 3, figsize=(10, 1.4 + 0.26 * len(settings)), sharey=True)
    for setting, runs in frame[frame["setting"].isin(settings)].groupby("setting"):
        colour = upsampler_colour(setting)
        face = "none" if setting.endswith(DISTILLED) else colour
        quality.plot(runs["MPSNR"], [place[setting]] * len(runs), "o", color=colour, mfc=face)
    lines_to_beat(quality, frame, upright=True)
    above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1)}  # not among the points
    quality.legend(**above)
    quality.set(xlabel="MPSNR (dB)", yticks=list(place.values()))
    quality.set_yticklabels(place)
    for row in means[means["metric"] == "MPSNR"].itertuples():
        if row.setting in place:
            bar = None if np.isnan(row.half_width) else row.half_width
            colour = upsampler_colour(row.setting)
            face = "none" if row.setting.endswith(DISTILLED) else colour
            gain.errorbar(row.mean, place[row.setting], xerr=bar, fmt="o", color=colour, mfc=face, capsize=3)
    gain.axvline(0, color="0.5", lw=1)
    gain.set(xlabel="MPSNR minus grouped, same seed (dB)")
    for column, (label, marker) in COST_MARKS.items():
        y = [place[setting] for setting in settings]
        cost.plot(table[column], y, marker, color="0.25", mfc="none", label=label)
    cost.axvline(1, color=UPSAMPLER_COLOURS["grouped"], lw=1)
    cost.set(xlabel="the upsampler's cost (grouped = 1)", xlim=(0, None))
    cost.legend(ncols=3, **above)
    headline(figure, title)
    return figure


def against_cost(frame: pd.DataFrame, title: str) -> Figure:
    """MPSNR against parameters and MACs of the whole network, a curve for each kind of upsampler; one seed.

    frame : rows from `with_setting`.
    """
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 3), sharey=True)
    plain = frame[(frame["seed"] == frame["seed"].min()) & (frame["model"] == "lkca-lr")]
    (full,) = frame[(frame["setting"] == FULL) & (frame["seed"] == frame["seed"].min())].itertuples()
    curves = plain.loc[plain["setting"] == CURVE, "upsampler"].unique()
    for axis, column, label in zip(axes, ("params_M", "macs_G"), ("parameters (M)", "MACs (G)"), strict=True):
        for kind in curves:
            rows = plain[plain["upsampler"] == kind].sort_values(column)
            axis.plot(rows[column], rows["MPSNR"], "o-", color=UPSAMPLER_COLOURS[kind], label=kind)
        axis.plot(getattr(full, column), full.MPSNR, "*", ms=11, color=UPSAMPLER_COLOURS[FULL], label="full")
        (budget,) = plain.loc[plain["setting"] == "grouped", column]
        axis.axvline(budget, color=UPSAMPLER_COLOURS["grouped"], lw=1, ls=":", label="LKCA-LR's cost")
        lines_to_beat(axis, frame)
        axis.set(xlabel=f"{label} of the network", xlim=(0, None))
    axes[0].set(ylabel="MPSNR (dB)")
    axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    headline(figure, title)
    return figure


def truncated_upsamplers(truncation: pd.DataFrame, frame: pd.DataFrame, title: str) -> Figure:
    """The trained full upsampler cut to rank k: MPSNR, and beside it what the singular values say of the same k.

    truncation : from `upsamplers.measured.truncation`, of every seed; the first one's line is thick.
    frame : rows from `with_setting`: svd ones trained as such, of the first seed.
    """
    about = truncation.iloc[0]
    figure, (quality, share, error) = plt.subplots(1, 3, figsize=(10, 3.6))
    cut_colour, tuned_colour = UPSAMPLER_COLOURS[FULL], "#56B4E9"
    for number, (_, cuts) in enumerate(truncation.groupby("run", sort=False)):
        look = {"lw": 0.7, "alpha": 0.6} if number else {"marker": "o"}
        quality.plot(cuts["k"], cuts["cut_MPSNR"], color=cut_colour, label=None if number else "as it stands", **look)
        tuned_label = None if number else "upsampler fine-tuned"
        quality.plot(cuts["k"], cuts["tuned_MPSNR"], ls="--", color=tuned_colour, label=tuned_label, **look)
        share.plot(cuts["k"], 100 * cuts["share"], color=cut_colour, **look)
        error.plot(cuts["k"], cuts["error"], color=cut_colour, **look)
    trained = frame[
        (frame["upsampler"] == "svd") & (frame["model"] == "lkca-lr") & (frame["seed"] == frame["seed"].min())
    ]
    quality.plot(trained["k"], trained["MPSNR"], "s", color=UPSAMPLER_COLOURS["svd"], label="trained as svd")
    lines_to_beat(quality, frame)
    quality.set(ylabel="MPSNR (dB)", title="quality")
    share.axhline(100 * SHARE, color="0.5", lw=1)
    share.set(ylabel="share of the sum (%)", ylim=(0, 102), title="singular values")
    error.set(ylabel="relative Frobenius error", ylim=(0, 1), title="error of the matrix")
    for axis in (quality, share, error):
        axis.axvline(about.budget, color=UPSAMPLER_COLOURS["grouped"], lw=1, ls=":", label="LKCA-LR's cost")
        axis.axvline(about.k90, color="0.5", lw=1, ls=":", label="90 % of the sum")
        axis.set_xscale("log", base=2)
        ticks = [2**i for i in range(0, int(np.log2(about["values"])) + 1, 2)]
        axis.set_xticks(ticks, [str(tick) for tick in ticks])
        axis.minorticks_off()
        axis.set(xlabel=f"rank k, of {about['values']}")
    figure.legend(*quality.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    headline(figure, title)
    return figure


def in_other_networks(frame: pd.DataFrame, table: pd.DataFrame, little: float, title: str) -> Figure:
    """Networks with other upsamplers than their own: quality, its difference from their own, and what is saved.

    frame : rows of the study; circles are runs. table : from `elsewhere_table`; bars are 95 % intervals over seeds.
    little : a loss in dB that still counts as none (docs/verdicts.md, claim 5).
    """
    colours = {**UPSAMPLER_COLOURS, "own": "0.3"}
    rows = list(table.itertuples())
    place = {(row.model, row.upsampler): len(rows) - 1 - i for i, row in enumerate(rows)}
    figure, axes = plt.subplots(1, 3, figsize=(10, 1.6 + 0.26 * len(rows)), sharey=True)
    quality, change, saved = axes
    for row in rows:
        y, colour = place[row.model, row.upsampler], colours[row.upsampler]
        runs = frame[(frame["model"] == row.model) & (frame["upsampler"] == row.upsampler)]
        quality.plot(runs["MPSNR"], [y] * len(runs), "o", color=colour)
        if row.upsampler == "own":
            for axis in axes:
                axis.axhline(y + 0.5, color="0.8", lw=0.8)  # a network's rows stand together
            continue
        bar = None if np.isnan(row.half_width) else row.half_width
        change.errorbar(row.difference_dB, y, xerr=bar, fmt="o", color=colour, capsize=3)
        saved.plot(100 * row.params_saved, y, "o", color="0.25", mfc="none")
        saved.plot(100 * row.macs_saved, y, "s", color="0.25", mfc="none")
    lines_to_beat(quality, frame, upright=True)
    quality.set(xlabel="MPSNR (dB)", yticks=list(place.values()), ylim=(-0.6, len(rows) - 0.4))
    quality.set_yticklabels([f"{LABELS[model]}, {upsampler}" for model, upsampler in place])
    change.axvline(0, color="0.5", lw=1)
    change.axvline(-little, color="0.5", lw=1, ls=":", label=f"{little:g} dB less")
    change.set(xlabel="MPSNR minus its own, same seed (dB)")
    saved.plot([], [], "o", color="0.25", mfc="none", label="parameters")
    saved.plot([], [], "s", color="0.25", mfc="none", label="MACs")
    saved.set(xlabel="saved of the network (%)", xlim=(0, 100))
    for axis in axes:
        axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2 if axis is saved else 1)
    headline(figure, title)
    return figure
