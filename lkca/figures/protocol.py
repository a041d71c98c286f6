"""How far each reading of a protocol is from the paper's numbers, as a figure."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from lkca.measures.metrics import METRICS
from lkca.paper.check import AXES, Check
from lkca.paper.readings import SCALES


def deviations(check: Check, count: int = 16) -> Figure:
    """The nearest readings (rows) against metrics and scales: how far off, in units of the last printed digit.

    A tick stands where every printed digit agrees, a dash where nothing was measured.
    """
    nearest = check.readings.head(count)
    columns = [(metric, scale) for scale in SCALES for metric in METRICS]
    cells = check.cells.set_index(["number", "metric", "scale"])
    off = cells.off.unstack(["metric", "scale"]).reindex(index=nearest.index, columns=columns).to_numpy(float)
    agrees = cells.agrees.unstack(["metric", "scale"]).reindex(index=nearest.index, columns=columns) == True  # noqa: E712
    figure, axis = plt.subplots(figsize=(11.5, 1.3 + 0.28 * len(nearest)))
    shown = axis.imshow(np.log10(np.maximum(off, 0.5)), cmap="cividis_r", vmin=np.log10(0.5), vmax=4, aspect="auto")
    for (row, column), value in np.ndenumerate(off):
        text = "✓" if agrees.iloc[row, column] else _short(value)
        dark = np.isfinite(value) and value > 60
        axis.text(column, row, text, ha="center", va="center", fontsize=6.5, color="white" if dark else "black")
    axis.set_xticks(range(len(columns)), [f"{metric}\nx{scale}" for metric, scale in columns], fontsize=7)
    axis.set_yticks(range(len(nearest)), _labels(check, count), fontsize=6.5)
    axis.grid(False)
    axis.axvline(len(METRICS) - 0.5, color="white", lw=2)
    bar = figure.colorbar(shown, ax=axis, pad=0.01, ticks=[0, 1, 2, 3, 4])
    bar.ax.set_yticklabels(["1", "10", "100", "1000", "≥ 10 000"])
    bar.set_label("off by (units of the last printed digit)")
    figure.suptitle(
        f"{check.title}: bicubic against the printed rows, the {len(nearest)} nearest of {len(check.readings)} readings"
    )
    return figure


def _labels(check: Check, count: int) -> list[str]:
    """The choices on the axes on which the readings shown differ; the first of those that come to the same."""
    nearest = check.readings.head(count)[list(AXES)].map(lambda text: text.split(" | ")[0])
    varied = [axis for axis in AXES if nearest[axis].nunique() > 1] or ["crop"]
    return ["; ".join(row[axis] for axis in varied) for _, row in nearest.iterrows()]


def _short(value: float) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:.2g}" if value < 100 else f"{value:.0f}" if value < 1000 else f"{value / 1000:.0f}k"
