"""Draw training: loss and validation against epochs."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from lkca.plots.style import COLOURS, LABELS, LINE_COLOURS, make_panels, set_legend, set_title, use_plain_ticks


def training_curve(history: pd.DataFrame, bicubic: float, title: str) -> Figure:
    """Draw loss and validation MPSNR of one run against epochs, beside bicubic's validation MPSNR.

    history : columns epoch, loss, validation (dB).
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.8))
    set_title(figure, title)
    left.plot(history["epoch"], history["loss"], color=LINE_COLOURS[0])
    left.set(xlabel="epoch", ylabel="training loss")
    right.plot(history["epoch"], history["validation"], color=LINE_COLOURS[0], label="network")
    right.axhline(bicubic, color=COLOURS["bicubic"], ls="--", label="bicubic")
    best = history.loc[history["validation"].idxmax()]
    right.plot(best["epoch"], best["validation"], "o", color=LINE_COLOURS[1], label=f"kept: epoch {best['epoch']:.0f}")
    right.set(xlabel="epoch", ylabel="validation MPSNR (dB)")
    right.legend()
    return figure


def training_curves(curves: pd.DataFrame, title: str) -> Figure:
    """Draw how far the best validation so far is below the run's final best: a panel per study, a line per run.

    curves : columns study, run, model, epoch, validation (dB). Early epochs more than 1 dB below are cut off.
    """
    studies = curves.groupby("study", sort=False)
    figure, axes = make_panels(len(studies), 2.9, 2.2, 1, title)
    for axis, (study, rows) in zip(axes, studies, strict=True):
        lowest = 0.0
        for _, run in rows.groupby("run", sort=False):
            below, model = run["validation"].cummax() - run["validation"].max(), run["model"].iloc[0]
            axis.plot(run["epoch"], below, color=COLOURS[model], lw=0.8, label=LABELS[model])
            lowest = min(lowest, below.iloc[0])
        axis.set(xscale="log", xlabel="epoch", ylabel="MPSNR below the best (dB)", title=study.replace("_", " "))
        axis.set_ylim(max(-1, 1.1 * lowest) - 0.01, 0.03)
        use_plain_ticks(axis)
    set_legend(figure, axes)
    return figure
