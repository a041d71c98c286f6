"""Figures of the studies: training, shares of cost, quality against blocks, gains of distillation, singular values.

A function here takes tables and returns a `matplotlib` figure; nothing here trains or reads a run.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lkca.figures.style import COLOURS, LABELS, UNITS, headline, lines_to_beat
from lkca.measures import rank as ranks
from lkca.paper.tables import SINGULAR_VALUES
from lkca.tables import PLAIN, TEACHER

PAPER_COLOUR = "#000000"
COST_LINES = {"params_M": ("parameters (M)", "#009E73", "o"), "macs_G": ("MACs (G)", "#E69F00", "s")}
SPECTRA = {  # kind of matrix: colour, line, short label
    "trained": (COLOURS["lkca"], "-", "trained"),
    "untrained": ("#8c8c8c", "-", "untrained"),
    "random": ("#000000", ":", "random (Gaussian)"),
    "grouped": (COLOURS["lkca-lr"], "--", "trained in groups (LKCA-LR)"),
}


def against_blocks(
    ours: pd.DataFrame, frame: pd.DataFrame, paper: pd.DataFrame, papers_setting: bool, title: str
) -> Figure:
    """MPSNR, SAM, and cost against the number of blocks, standard deviations over seeds as bars.

    ours : from `over_seeds`, a row for each number of blocks. frame : all rows; models that learn nothing are lines.
    paper : Table I; in the same panels where the setting is the paper's, else in a row of its own.
    """
    rows = 1 if papers_setting else 2
    figure, axes = plt.subplots(rows, 3, figsize=(9, 2.7 * rows), squeeze=False)
    headline(figure, title)
    _quality_and_cost(axes[0], ours, "ours", COLOURS["lkca"])
    for axis, metric in zip(axes[0], ("MPSNR", "SAM"), strict=False):
        lines_to_beat(axis, frame, metric)
    _quality_and_cost(axes[-1], paper, "paper, Table I: Chikusei, x4", PAPER_COLOUR, costs=not papers_setting)
    for axis in axes[:, 0]:
        axis.legend()
    return figure


def _quality_and_cost(axes: np.ndarray, table: pd.DataFrame, name: str, colour: str, costs: bool = True) -> None:
    blocks = table["blocks"]
    for axis, metric in zip(axes, ("MPSNR", "SAM"), strict=False):
        spread = table.get(f"{metric}_sd", pd.Series(np.nan, table.index)).fillna(0)
        axis.errorbar(blocks, table[metric], spread, fmt="o-", capsize=3, color=colour, label=name)
        axis.set(ylabel=_with_unit(metric))
    if costs:
        for column, (label, cost_colour, marker) in COST_LINES.items():
            axes[2].plot(blocks, table[column], marker=marker, color=cost_colour, label=label)
        axes[2].set(ylabel="parameters (M), MACs (G)", ylim=(0, None), title=f"cost: {name.split(',')[0]}")
        axes[2].legend()
    for axis in axes:
        axis.set_xscale("log", base=2)
        axis.set_xticks(blocks, [f"{n}" for n in blocks], minor=False)
        axis.minorticks_off()
        axis.set(xlabel="large-kernel blocks N")


def distillation_gain(
    frame: pd.DataFrame, means: pd.DataFrame, paper: pd.DataFrame, to_beat: float, title: str
) -> Figure:
    """Quality of every distilled setting, and its difference from LKCA-LR of the same seed; the paper's beside it.

    frame : rows of one question, from `rows_of`. means : from `mean_differences`. paper : from `paper_rows`.
    to_beat : MPSNR of bicubic with back-projection.
    Dots are single runs; bars are 95 % intervals of the mean difference.
    """
    settings = means["setting"].unique().tolist()
    place = {setting: y for y, setting in enumerate(settings)}
    figure, axes = plt.subplots(1, 4, figsize=(10.5, 1.6 + 0.3 * len(settings)), sharey=True)
    headline(figure, title)

    plain = frame.loc[frame["setting"] == PLAIN, "MPSNR"]
    chosen = {
        "data": frame,
        "x": "MPSNR",
        "y": "setting",
        "order": settings,
        "ax": axes[0],
        "color": COLOURS["lkca-kd"],
    }
    sns.stripplot(**chosen, jitter=False, size=5, alpha=0.6)
    sns.pointplot(**chosen, errorbar=None, linestyle="none", marker="|", markersize=14, markeredgewidth=2)
    axes[0].axvline(plain.mean(), color=COLOURS["lkca-lr"], label="LKCA-LR")
    if len(plain) > 1:
        low, high = plain.mean() - plain.std(), plain.mean() + plain.std()
        axes[0].axvspan(low, high, color=COLOURS["lkca-lr"], alpha=0.15, lw=0, label="its seeds (± sd)")
    axes[0].set(xlabel="MPSNR (dB)", ylabel="", title="quality")
    axes[0].margins(x=0.15)
    axes[0].autoscale(False)  # the next two may lie far off, and what is compared would be squeezed
    teacher = frame.loc[frame["setting"] == TEACHER, "MPSNR"].mean()
    lines = (("lkca", "teacher", teacher), ("back-projection", LABELS["back-projection"], to_beat))
    for model, name, value in lines:
        axes[0].axvline(value, color=COLOURS[model], ls="--", lw=1.2, label=f"{name}: {value:.3f} dB")

    for axis, metric in zip(axes[1:], ("MPSNR", "SAM"), strict=False):
        rows = means[means["metric"] == metric]
        bars = rows["half_width"].fillna(0)
        axis.errorbar(rows["mean"], rows["setting"].map(place), xerr=bars, fmt="o", capsize=3, color=COLOURS["lkca-kd"])
        axis.set(xlabel=f"difference in {_with_unit(metric)}", title=f"distilled - not: {metric}")
    paper = paper.set_index("setting")
    known = [setting for setting in settings if setting in paper.index]
    gains = paper["MPSNR"][known] - paper["MPSNR"][PLAIN]
    axes[3].plot(gains, [place[setting] for setting in known], "D", color=PAPER_COLOUR)
    axes[3].set(xlabel="difference in MPSNR (dB)", title="the paper: Chikusei, one run")
    for axis in axes[1:]:
        axis.axvline(0, color=COLOURS["lkca-lr"])
        axis.margins(x=0.15)
    for axis in axes:
        axis.xaxis.set_major_locator(MaxNLocator(4))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=3)
    return figure


def spectra_of_matrices(values: pd.DataFrame, groups: int, title: str) -> Figure:
    """For each dataset: singular values, their cumulative share, and the error of the best matrix of rank k.

    values : from `upsampler_svd.study_singular_values`. groups : of the low-rank upsampler, whose size and error are
    compared.
    """
    datasets = values["dataset"].unique().tolist()
    figure, axes = plt.subplots(len(datasets), 3, figsize=(10, 3.0 * len(datasets) + 0.3), squeeze=False)
    headline(figure, title)
    for (left, middle, right), dataset in zip(axes, datasets, strict=True):
        for kind, (colour, line, label) in SPECTRA.items():
            ordered = ranks.of_kind(values, dataset, kind)
            k = np.arange(1, len(ordered) + 1)
            left.plot(k, ordered / ordered[0], line, color=colour, label=label)
            middle.plot(k, ranks.cumulative(ordered), line, color=colour, label=label)
            if kind != "grouped":  # it is another network: nothing that the full layer would be cut down to
                right.plot(np.append(0, k), ranks.truncation_error(ordered), line, color=colour)
            rank = ranks.rank_at(ordered, ranks.SHARES[0])
            if kind in ("trained", "untrained"):
                middle.plot(rank, ranks.SHARES[0], "o", color=colour)
                place = {"xytext": (-4, 5), "ha": "right"} if kind == "trained" else {"xytext": (5, -11)}
                middle.annotate(f"{rank}", (rank, ranks.SHARES[0]), textcoords="offset points", color=colour, **place)
        early = [kind for kind in values["kind"].unique() if kind.startswith("after")]
        for number, kind in enumerate(early, 1):
            ordered, shade = ranks.of_kind(values, dataset, kind), str(0.8 - 0.6 * number / len(early))
            left.plot(np.arange(1, len(ordered) + 1), ordered / ordered[0], ":", color=shade, label=kind)
            middle.plot(np.arange(1, len(ordered) + 1), ranks.cumulative(ordered), ":", color=shade, label=kind)
        middle.axhline(ranks.SHARES[0], color="0.5", lw=0.8)
        if dataset in SINGULAR_VALUES:
            middle.plot(
                SINGULAR_VALUES[dataset], ranks.SHARES[0], "D", color=PAPER_COLOUR, label="paper, trained (about)"
            )
        _mark_groups(right, values, dataset, groups)
        left.set(xlabel="singular value number k", ylabel="over the largest", yscale="log", ylim=(1e-3, 1.5))
        left.set_title(f"{dataset}: singular values")
        middle.set(
            xlabel="number k of the largest", ylabel="share of the sum", title="cumulative share", ylim=(0, 1.03)
        )
        right.set(xlabel="rank k", ylabel="relative Frobenius error", title="best approximation", ylim=(0, 1.03))
    shown = {
        label: handle for axis in axes[:, 1] for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=len(shown))
    return figure


def _mark_groups(axis: plt.Axes, values: pd.DataFrame, dataset: str, groups: int) -> None:
    """The rank that has as many weights as groups have, and what the groups' blocks keep of the trained matrix."""
    shape = values[(values["dataset"] == dataset) & (values["kind"] == "trained")].iloc[0]
    rank = ranks.rank_of_equal_size(shape["rows"], shape["columns"], groups)
    error = ranks.error_of_blocks(ranks.of_kind(values, dataset, "trained"), ranks.of_kind(values, dataset, "blocks"))
    axis.axvline(rank, color="0.5", lw=0.8)
    axis.plot(rank, error, "X", color=COLOURS["lkca-lr"], ms=8)
    text = f"only the {groups} diagonal\nblocks kept (as many\nweights as rank {rank})"
    arrow = {"arrowstyle": "-", "color": "0.5", "lw": 0.8}
    place = {"xytext": (0.5, 0.97), "textcoords": "axes fraction", "va": "top"}
    axis.annotate(text, (rank, error), fontsize=7, arrowprops=arrow, **place)


def training_curve(history: pd.DataFrame, bicubic: float, title: str) -> Figure:
    """Loss and validation MPSNR against epochs, bicubic's validation MPSNR as the line to beat."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.6))
    left.plot(history.epoch, history.loss, color="#0072B2")
    left.set(xlabel="epoch", ylabel="training loss")
    right.plot(history.epoch, history.validation, color="#0072B2", label="network")
    right.axhline(bicubic, color=COLOURS["bicubic"], ls="--", label="bicubic")
    best = history.loc[history.validation.idxmax()]
    right.plot(best.epoch, best.validation, "o", color="#D55E00", label=f"kept: epoch {best.epoch:.0f}")
    right.set(xlabel="epoch", ylabel="validation MPSNR (dB)")
    right.legend()
    headline(figure, title)
    return figure


def share_bars(shares: pd.DataFrame, xlabel: str, title: str) -> Figure:
    """Two bars a model: a share (0-1) of its parameters (`params`) and of its MACs (`macs`); NaN does not fit."""
    figure, axis = plt.subplots(figsize=(6.4, 0.7 + 0.28 * len(shares)))
    y = np.arange(len(shares))[::-1]
    for offset, column, colour, name in ((0.2, "params", "#0072B2", "parameters"), (-0.2, "macs", "#E69F00", "MACs")):
        percent = 100 * shares[column]
        bars = axis.barh(y + offset, percent.fillna(0), height=0.38, color=colour, label=name)
        labels = ["does not fit" if np.isnan(value) else f"{value:.0f} %" for value in percent]
        axis.bar_label(bars, labels, padding=2, fontsize=7)
    axis.set_yticks(y, [LABELS[name] for name in shares.model])
    axis.set(xlabel=xlabel, xlim=(0, 100), title=title)
    axis.grid(False, axis="y")
    axis.legend(loc="lower right")
    return figure


def _with_unit(metric: str) -> str:
    unit = UNITS.get(metric)
    return f"{metric} ({unit})" if unit else metric
