"""Draw the upsampling layer: its singular values, quality against its cost, and quality after a cut to rank k.

In `singular_values`, ranks are drawn as shares of the number of singular values, so that networks of other widths and
scenes of other band counts can be compared.
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lkca import rank
from lkca.plots.style import (
    COLOURS,
    LABELS,
    LINE_COLOURS,
    PAPER,
    UNITS,
    UPSAMPLER_COLOURS,
    draw_baselines,
    set_legend,
    set_title,
)

MATRICES = {  # kind of matrix: colour, line, label
    "trained": (COLOURS["lkca"], "-", "trained"),
    "untrained": ("#8c8c8c", "-", "untrained"),
    "random": ("#000000", ":", "random (Gaussian)"),
    "grouped": (COLOURS["lkca-lr"], "--", "trained in groups (LKCA-LR)"),
}


def against_blocks(ours: pd.DataFrame, frame: pd.DataFrame, paper: pd.DataFrame, title: str) -> Figure:
    """Draw MPSNR and SAM against the number of blocks, ours above and the paper's below, each on its own scale.

    ours : columns blocks, MPSNR, SAM, and MPSNR_sd, SAM_sd, drawn as bars. frame : the study's rows, for the baselines.
    paper : Table I.
    """
    figure, axes = plt.subplots(2, 2, figsize=(7.6, 5.2))
    set_title(figure, title)
    for row, table, name in ((axes[0], ours, "ours"), (axes[1], paper, "paper, Table I: Chikusei, x4, one run each")):
        for axis, (metric, unit) in zip(row, UNITS.items(), strict=True):
            if name == "ours":
                spread = table[f"{metric}_sd"].fillna(0)
                axis.errorbar(table["blocks"], table[metric], spread, fmt="s-", capsize=3, color=COLOURS["lkca"])
                draw_baselines(axis, frame, metric)
            else:
                axis.plot(table["blocks"], table[metric], **PAPER | {"ls": "-", "lw": 0.8})
            axis.set_xscale("log", base=2)
            axis.set_xticks(table["blocks"], [f"{n:g}" for n in table["blocks"]])
            axis.minorticks_off()
            axis.set(xlabel="large-kernel blocks N", ylabel=f"{metric} ({unit})", title=name)
    set_legend(figure, axes[0])
    return figure


def singular_values(values: pd.DataFrame, paper: Mapping[str, tuple[int, int]], groups: int, title: str) -> Figure:
    """Draw for each dataset: singular values, their cumulative share (the paper's Figure 4), and errors at rank k.

    Parameters
    ----------
    values : columns dataset, kind (keys of `MATRICES`, "blocks", "after N epochs"), rows, columns, index, value.
    paper : dataset -> how many of how many singular values hold 90 % of the sum in the paper's Figure 4.
    groups : of the grouped upsampler; its number of weights and its error are marked on the right.
    """
    datasets = list(dict.fromkeys(values["dataset"]))
    figure, axes = plt.subplots(len(datasets), 3, figsize=(10, 3.2 * len(datasets) + 0.5), squeeze=False)
    set_title(figure, title)
    for (left, middle, right), dataset in zip(axes, datasets, strict=True):
        kinds = dict(list(values[values["dataset"] == dataset].groupby("kind", sort=False)))
        early = [kind for kind in kinds if kind.startswith("after")]
        greys = {
            kind: (str(0.8 - 0.6 * n / len(early)), ":", kind.replace(" 1 epochs", " 1 epoch"))
            for n, kind in enumerate(early, 1)
        }
        for kind, (shade, line, name) in {**MATRICES, **greys}.items():
            if kind not in kinds:
                continue
            found = kinds[kind].sort_values("index")["value"].to_numpy()
            share = 100 * np.arange(1, len(found) + 1) / len(found)
            left.plot(share, found / found[0], line, color=shade, label=name)
            middle.plot(share, 100 * rank.cumulative(found), line, color=shade, label=name)
            if kind in ("trained", "untrained", "random"):  # the other matrices are not cut to rank k
                right.plot(np.append(0, share), rank.truncation_error(found), line, color=shade)
            if kind in ("trained", "untrained"):
                _mark_share(middle, found, shade)
        middle.axhline(100 * rank.SHARE, color="0.5", lw=0.8)
        points = sorted({100 * count / total for count, total in paper.values()})
        middle.plot(points, [100 * rank.SHARE] * len(points), **PAPER, ms=6, label=f"paper, trained: {_listed(paper)}")
        _mark_groups(right, kinds, groups)
        left.set(ylabel="over the largest", yscale="log", ylim=(1e-3, 1.5), title=f"{dataset}: singular values")
        middle.set(ylabel="share of the sum (%)", ylim=(0, 103), title="cumulative share (Figure 4)")
        right.set(ylabel="relative Frobenius error", ylim=(0, 1.03), title="best matrix of rank k")
        for axis, what in ((left, "singular values"), (middle, "singular values"), (right, "rank k, of full rank")):
            axis.set(xlabel=f"{what} (%)", xlim=(-2, 102))
    set_legend(figure, axes[0, 1:2])
    return figure


def _listed(paper: Mapping[str, tuple[int, int]]) -> str:
    """Return the paper's counts in words, such as "60, 60 and 130 of 1152"."""
    *first, last = (str(count) for count, _ in paper.values())
    total = next(iter(paper.values()))[1]
    return f"{', '.join(first)} and {last} of {total}"


def _mark_share(axis: plt.Axes, found: np.ndarray, shade: str) -> None:
    """Mark how many of the singular values hold 90 % of the sum."""
    count = rank.rank_at(found, rank.SHARE)
    at = 100 * count / len(found)
    axis.plot(at, 100 * rank.SHARE, "o", color=shade)
    text = f"{count} of {len(found)}"
    axis.annotate(text, (at, 100 * rank.SHARE), (5, -12), textcoords="offset points", color=shade, fontsize=7)


def _mark_groups(axis: plt.Axes, kinds: Mapping[str, pd.DataFrame], groups: int) -> None:
    """Mark the rank that has as many weights as `groups` groups, and the error of keeping only the diagonal blocks."""
    trained, blocks = (kinds[kind].sort_values("index") for kind in ("trained", "blocks"))
    k = rank.rank_of_equal_size(trained["rows"].iloc[0], trained["columns"].iloc[0], groups)
    error = rank.error_of_blocks(trained["value"].to_numpy(), blocks["value"].to_numpy())
    at = 100 * k / len(trained)
    axis.axvline(at, color="0.5", lw=0.8)
    axis.plot(at, error, "X", color=COLOURS["lkca-lr"], ms=8)
    text = f"only the {groups} diagonal\nblocks kept: as many\nweights as rank {k}"
    arrow = {"arrowstyle": "-", "color": "0.5", "lw": 0.8}
    axis.annotate(text, (at, error), (0.5, 0.97), textcoords="axes fraction", va="top", fontsize=7, arrowprops=arrow)


def against_cost(curves: pd.DataFrame, full: pd.Series, budget: pd.Series, frame: pd.DataFrame, title: str) -> Figure:
    """Draw MPSNR against parameters and MACs of the whole network, a curve for each kind of upsampler.

    curves : columns upsampler, params_M, macs_G, MPSNR. full, budget : the rows of LKCA-Net and of LKCA-LR.
    frame : the study's rows, for the baselines.
    """
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.3), sharey=True)
    set_title(figure, title)
    for axis, column, name in zip(axes, ("params_M", "macs_G"), ("parameters (M)", "MACs (G)"), strict=True):
        for kind, rows in curves.sort_values(column).groupby("upsampler", sort=False):
            axis.plot(rows[column], rows["MPSNR"], "o-", color=UPSAMPLER_COLOURS[kind], label=kind)
        axis.plot(full[column], full["MPSNR"], "*", ms=11, color=COLOURS["lkca"], label=f"full ({LABELS['lkca']})")
        axis.axvline(budget[column], color=COLOURS["lkca-lr"], lw=1, ls=":", label=f"cost of {LABELS['lkca-lr']}")
        draw_baselines(axis, frame)
        axis.set(xlabel=f"{name} of the network", xlim=(0, None))
    axes[0].set_ylabel("MPSNR (dB)")
    set_legend(figure, axes, "right center")
    return figure


def truncated_upsamplers(cuts: pd.DataFrame, trained: pd.DataFrame, frame: pd.DataFrame, title: str) -> Figure:
    """Draw the quality of a trained full upsampler cut to rank k, and the error of the cut matrix.

    cuts : upsamplers_truncation.csv; the first seed's line is thick. trained : columns k and MPSNR of networks trained
    with an upsampler of that rank. frame : the study's rows, for the baselines.
    """
    figure, (quality, error) = plt.subplots(1, 2, figsize=(8.4, 3.7))
    set_title(figure, title)
    about = cuts.iloc[0]
    for number, (_, run) in enumerate(cuts.groupby("run", sort=False)):
        style = {"lw": 0.7, "alpha": 0.6} if number else {"marker": "o"}
        names = ("_", "_") if number else ("cut", "cut, then the upsampler fine-tuned")
        quality.plot(run["k"], run["cut_MPSNR"], color=COLOURS["lkca"], label=names[0], **style)
        quality.plot(run["k"], run["tuned_MPSNR"], ls="--", color="#56B4E9", label=names[1], **style)
        for column, shade in (("error", COLOURS["lkca"]), ("share", LINE_COLOURS[2])):
            name = {"error": "relative Frobenius error", "share": "share of the sum of singular values"}[column]
            error.plot(run["k"], 100 * run[column], color=shade, label="_" if number else name, **style)
    svd = UPSAMPLER_COLOURS["svd"]
    quality.plot(trained["k"], trained["MPSNR"], "s", color=svd, label="trained at that rank (svd)")
    draw_baselines(quality, frame)
    quality.set(ylabel="MPSNR (dB)", title="quality")
    error.set(ylabel="%", ylim=(0, 103), title="the matrix")
    for axis in (quality, error):
        axis.axvline(about["budget"], color=COLOURS["lkca-lr"], lw=1, ls=":", label=f"cost of {LABELS['lkca-lr']}")
        axis.axvline(about["k90"], color="0.5", lw=1, ls=":", label="90 % of the sum")
        axis.set_xscale("log", base=2)
        ticks = [2**i for i in range(0, int(np.log2(about["values"])) + 1, 2)]
        axis.set_xticks(ticks, [str(tick) for tick in ticks])
        axis.minorticks_off()
        axis.set(xlabel=f"rank k, of {about['values']}")
    set_legend(figure, (quality, error))
    return figure
