"""How far each reading of a protocol is from the paper's numbers, as a figure."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from lkca.measures.metrics import METRICS
from lkca.paper.check import AXES, Check
from lkca.paper.readings import SCALES

SHOWN = 16  # readings


def deviations(check: Check) -> Figure:
    """The nearest readings (rows) against metrics and scales: how far off, in units of the last printed digit.

    A tick stands where every printed digit agrees; a cell is empty where nothing was measured.
    """
    nearest = check.readings.head(SHOWN)
    columns = [(metric, scale) for scale in SCALES for metric in METRICS]
    cells = check.cells.set_index(["number", "metric", "scale"])
    off = cells.off.unstack(["metric", "scale"]).reindex(index=nearest.index, columns=columns).to_numpy(float)
    agrees = cells.agrees.unstack(["metric", "scale"]).reindex(index=nearest.index, columns=columns) == True  # noqa: E712
    figure, axis = plt.subplots(figsize=(11.5, 1.3 + 0.28 * len(nearest)))
    texts = np.where(agrees, "✓", np.vectorize(_short, otypes=[str])(off))
    sns.heatmap(
        np.log10(np.maximum(off, 0.5)),
        vmin=np.log10(0.5),
        vmax=4,
        cmap="cividis_r",
        annot=texts,
        fmt="",
        annot_kws={"fontsize": 6.5},
        xticklabels=[f"{metric}\nx{scale}" for metric, scale in columns],
        yticklabels=_labels(check),
        cbar_kws={"pad": 0.01, "ticks": range(5), "label": "off by (units of the last printed digit)"},
        ax=axis,
    )
    axis.tick_params(length=0, labelsize=6.5)
    axis.axvline(len(METRICS), color="white", lw=2)
    axis.collections[0].colorbar.ax.set_yticklabels(["1", "10", "100", "1000", "≥ 10 000"])
    figure.suptitle(
        f"{check.title}: bicubic against the printed rows, the {len(nearest)} nearest of {len(check.readings)} readings"
    )
    return figure


def _labels(check: Check) -> list[str]:
    """The choices on the axes on which the readings shown differ; the first of those that come to the same."""
    nearest = check.readings.head(SHOWN)[list(AXES)].map(lambda text: text.split(" | ")[0])
    varied = [axis for axis in AXES if nearest[axis].nunique() > 1] or ["crop"]
    return ["; ".join(row[axis] for axis in varied) for _, row in nearest.iterrows()]


def _short(value: float) -> str:
    return f"{value:.2g}" if value < 100 else f"{value:.0f}" if value < 1000 else f"{value / 1000:.0f}k"
