"""Figures over many scenes, and over networks of equal cost."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lkca.figures.style import COLOURS, LABELS, MARKERS, lines_to_beat


def gains_by_scene(gains: pd.DataFrame, means: pd.DataFrame, against: str, title: str) -> Figure:
    """Gain of each model over one on each scene (grey dots), mean over places with its 95 % interval (bars).

    gains, means : from `lkca.studies.scenes.paired` and `over_places`, both against the model `against`.
    """
    settings = list(dict.fromkeys(gains["setting"]))
    place = {setting: -number for number, setting in enumerate(settings)}
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 1.4 + 0.26 * len(settings)), sharey=True)
    figure.suptitle(title)
    for axis, (metric, unit) in zip(axes, (("MPSNR", "dB"), ("SAM", "degrees")), strict=True):
        axis.axvline(0, color=COLOURS[against], ls="--", lw=1.2)
        rows = gains[gains["metric"] == metric]
        axis.plot(rows["difference"], rows["setting"].map(place), ls="none", marker="o", ms=3, color="#b8b8b8")
        found = means[means["metric"] == metric]
        for row in found.itertuples():
            colour = COLOURS.get(_model(row.setting), "#000000")
            half = None if np.isnan(row.half_width) else row.half_width
            filled = colour if not row.setting.startswith(f"{_model(row.setting)} + bp") else "white"
            axis.errorbar(row.mean, place[row.setting], xerr=half, fmt="o", capsize=3, color=colour, mfc=filled, ms=5)
        axis.set_xlim(*_without_failures(rows["difference"], found["mean"]))
        better = "more is better" if metric == "MPSNR" else "less is better"
        axis.set_xlabel(f"difference in {metric} ({unit}), {better}")
        axis.grid(False, axis="y")
    names = [setting.removesuffix(f" - {against}") for setting in settings]
    shown = [LABELS.get(_model(n), _model(n)) + n.removeprefix(_model(n)) for n in names]
    axes[0].set_yticks(list(place.values()), shown)
    return figure


def quality_against_macs(table: pd.DataFrame, frame: pd.DataFrame, title: str) -> Figure:
    """MPSNR and seconds of training against MACs, a line a family; bars are standard deviations over seeds.

    table : from `lkca.studies.equal_cost.by_budget`. frame : the study's rows.
    """
    figure, (quality, corrected, seconds) = plt.subplots(1, 3, figsize=(10, 3.2))
    figure.suptitle(title)
    for model, rows in table.groupby("model", sort=False):
        look = {"color": COLOURS[model], "marker": MARKERS[model], "ms": 5, "label": LABELS[model]}
        quality.errorbar(rows["macs_G"], rows["MPSNR"], rows["MPSNR_sd"].fillna(0), capsize=2, **look)
        corrected.plot(rows["macs_G"], rows["MPSNR_bp"], **look)
        seconds.plot(rows["macs_G"], rows["seconds"], **look)
    lines_to_beat(quality, frame)
    lines_to_beat(corrected, frame[frame["model"] == "back-projection"])
    quality.set(ylabel="MPSNR (dB)", title="as trained")
    corrected.set(ylabel="MPSNR (dB)", title="with back-projection at test time")
    seconds.set(ylabel="seconds of training", yscale="log", title="cost of training")
    for axis in (quality, corrected, seconds):
        axis.set(xscale="log", xlabel="MACs of a 16x16 LR patch (G)")
    figure.legend(*quality.get_legend_handles_labels(), loc="outside right center")
    return figure


def training_curves(curves: pd.DataFrame, title: str) -> Figure:
    """Best validation so far against epochs, below the run's own best: a panel a study, a line a run.

    curves : from `lkca.studies.convergence.curves`.
    """
    studies = curves["study"].unique().tolist()
    columns = min(3, len(studies))
    figure, axes = plt.subplots(
        -(-len(studies) // columns), columns, figsize=(10, 0.5 + 2.6 * -(-len(studies) // columns)), squeeze=False
    )
    figure.suptitle(title)
    for axis, study in zip(axes.flat, studies, strict=False):
        for _, run in curves[curves["study"] == study].groupby("run", sort=False):
            best = run["validation"].cummax()
            model = run["model"].iloc[0]
            axis.plot(run["epoch"], best - best.iloc[-1], color=COLOURS[model], lw=0.8, label=LABELS[model])
        axis.set(xscale="log", xlabel="epoch", ylabel="MPSNR below the best (dB)", title=study.replace("_", " "))
        axis.set_ylim(-1, 0.05)
    for axis in axes.flat[len(studies) :]:
        axis.remove()
    handles = {}
    for axis in axes.flat[: len(studies)]:
        handles |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(6, len(handles)))
    return figure


def _model(setting: str) -> str:
    """The model of "MODEL + bp - OTHER"."""
    return setting.split(" - ")[0].removesuffix(" + bp")


def _without_failures(differences: pd.Series, means: pd.Series) -> tuple[float, float]:
    """Limits that a network which failed on a scene does not stretch: four times the middle half of all dots."""
    low, high = differences.quantile([0.25, 0.75])
    reach = 4 * max(high - low, means.abs().median(), 1e-3)
    left, right = min(0, differences.min()), max(0, differences.max())  # the line to beat is always seen
    return max(left - 0.05 * reach, min(0, low - reach)), min(right + 0.05 * reach, max(0, high + reach))
