"""How time and memory grow, on logarithmic axes."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from lkca.figures.style import COLOURS, MARKERS, headline

MODELS = {  # what is measured -> the model whose looks it has, and its line
    "upscale, LKCA-Any": ("lkca-any", "-"),
    "upscale, LKCA-LR": ("lkca-lr", "-"),
    "training step, LKCA-LR": ("lkca-lr", ":"),
}
AXES = {"pixels": "LR pixels", "bands": "bands", "scale": "HR pixels of an LR pixel (scale²)"}
MEASURES = {"seconds": "time (s)", "peak_mb": "peak memory (MB)"}


def growth(frame: pd.DataFrame, title: str) -> Figure:
    """Time above, memory below, against what grows; in grey, slope 1.

    frame : columns what, grows, size, seconds, peak_mb, from `lkca.studies.growth`.
    """
    figure, axes = plt.subplots(len(MEASURES), len(AXES), figsize=(8.4, 5.2), sharex="col", sharey="row")
    headline(figure, title)
    for row, (measure, unit) in zip(axes, MEASURES.items(), strict=True):
        for axis, (grows, label) in zip(row, AXES.items(), strict=True):
            for what, (model, line) in MODELS.items():
                points = frame[(frame["what"] == what) & (frame["grows"] == grows)].sort_values("size")
                look = {"color": COLOURS[model], "marker": MARKERS[model], "ls": line, "lw": 1.2, "ms": 5}
                axis.plot(points["size"], points[measure], label=what, **look)
            axis.set(xscale="log", yscale="log")
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.yaxis.set_minor_formatter(NullFormatter())
            largest = frame[frame["grows"] == grows]
            low, high = largest["size"].min(), largest["size"].max()
            top = 1.6 * largest[measure].max()
            axis.plot([low, high], [top * low / high, top], color="0.6", lw=1, label="slope 1", zorder=0)
            sizes = sorted(set(largest["size"]))
            axis.set_xticks(
                sizes[:: max(1, len(sizes) // 4)], labels=[f"{size:g}" for size in sizes][:: max(1, len(sizes) // 4)]
            )
            if measure == "peak_mb":
                axis.set_xlabel(label)
            if grows == "pixels":
                axis.set_ylabel(unit)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure
