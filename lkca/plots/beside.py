"""Draw the paper's differences beside ours, on one axis."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from lkca.plots.style import MARGIN

COLOURS = ("#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#D55E00", "#999999")  # colour-blind safe
WIDE = 4.0  # times the largest printed difference: the axis ends there, and wider intervals are cut with an arrow


def differences_beside_paper(frame: pd.DataFrame, title: str) -> Figure:
    """Draw a row for each comparison: the paper's points as diamonds, ours with 95 % intervals, ±0.02 dB in grey.

    frame : from `lkca.paper.beside.differences_beside_paper`. An interval that reaches beyond the axis ends in an
    arrow, and its numbers stand there.
    """
    names = list(dict.fromkeys(frame["comparison"]))
    paper = frame["source"].str.startswith("paper")
    sources = list(dict.fromkeys(frame.loc[~paper, "source"]))
    limit = WIDE * frame.loc[paper, "mean"].abs().max()
    figure, axis = plt.subplots(figsize=(8, 1.2 + 0.6 * len(names)), layout="constrained")
    axis.axvspan(-MARGIN, MARGIN, color="0.85", zorder=0, label=f"±{MARGIN} dB")
    axis.axvline(0, color="0.5", lw=0.8, zorder=1)
    for place, name in enumerate(names):
        rows = frame[frame["comparison"] == name]
        printed = rows.loc[rows["source"].str.startswith("paper"), "mean"]
        axis.plot(printed, [place - 0.3] * len(printed), "D", color="black", ms=5, label="paper" if place == 0 else "_")
        for row in rows[~rows["source"].str.startswith("paper")].itertuples():
            number = sources.index(row.source)
            height = place - 0.15 + 0.6 * (number + 0.5) / len(sources)
            _interval(axis, row, height, COLOURS[number % len(COLOURS)], limit)
    for number, source in enumerate(sources):
        axis.plot([], [], "o-", color=COLOURS[number % len(COLOURS)], ms=4, label=f"ours, {source}")
    axis.set_yticks(range(len(names)), names)
    axis.set(xlim=(-limit, limit), ylim=(len(names) - 0.4, -0.6), xlabel="difference in MPSNR (dB)")
    figure.suptitle(title)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    return figure


def _interval(axis: plt.Axes, row, height: float, colour: str, limit: float) -> None:
    """Draw one mean with its interval; what lies beyond the axis becomes an arrow with the number."""
    low, high = (row.mean, row.mean) if pd.isna(row.low) else (row.low, row.high)
    axis.plot([max(low, -limit), min(high, limit)], [height, height], "-", color=colour, lw=1.5)
    if abs(row.mean) <= limit:
        axis.plot(row.mean, height, "o", color=colour, ms=4)
    for beyond, end, marker in ((low < -limit, -limit, "<"), (high > limit, limit, ">")):
        if beyond:
            axis.plot(end, height, marker, color=colour, ms=6, clip_on=False)
    if low < -limit or high > limit:
        text = f"{row.mean:+.2f} [{low:+.2f}, {high:+.2f}]"
        axis.text(1.02, height, text, transform=axis.get_yaxis_transform(), fontsize=7, color=colour, va="center")
