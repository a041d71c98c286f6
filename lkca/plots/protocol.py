"""Draw how far each protocol variant is from the paper's printed numbers."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from lkca.metrics import METRICS
from lkca.plots.style import set_title

SHOWN = 16  # variants that are drawn, the nearest ones


def deviations(variants: pd.DataFrame, cells: pd.DataFrame, choices: Sequence[str], title: str) -> Figure:
    """Draw the nearest variants (rows) against metrics and scales: how far off, in units of the last printed digit.

    A tick marks a cell where every printed digit agrees; a cell is empty if nothing was measured.

    Parameters
    ----------
    variants : a row per variant, the nearest first. choices : its columns that describe the variant.
    cells : columns number (row of `variants`), metric, scale, off, agrees.
    """
    nearest = variants.head(SHOWN)
    columns = [(metric, scale) for scale in sorted(cells["scale"].unique()) for metric in METRICS]
    table = cells.pivot(index="number", columns=["metric", "scale"], values=["off", "agrees"])
    off, agrees = (table[part].reindex(index=nearest.index, columns=columns) for part in ("off", "agrees"))
    off, agrees = off.to_numpy(float), agrees.eq(True).to_numpy()
    figure, axis = plt.subplots(figsize=(11.5, 2 + 0.28 * len(nearest)))
    sns.heatmap(
        np.log10(np.maximum(off, 0.5)),
        vmin=np.log10(0.5),
        vmax=4,
        cmap="cividis_r",
        annot=np.where(agrees, "✓", [[_short(value) for value in row] for row in off]),
        fmt="",
        annot_kws={"fontsize": 6.5},
        xticklabels=[f"{metric}\nx{scale}" for metric, scale in columns],
        yticklabels=_names(nearest[list(choices)]),
        cbar_kws={"pad": 0.01, "ticks": range(5), "label": "off by (last printed digits)"},
        ax=axis,
    )
    axis.tick_params(length=0, labelsize=6.5)
    axis.axvline(len(METRICS), color="white", lw=2)
    axis.collections[0].colorbar.ax.set_yticklabels(["1", "10", "100", "1000", "≥ 10 000"])
    set_title(figure, title)
    return figure


def _names(nearest: pd.DataFrame) -> list[str]:
    """Name each variant by the choices in which those shown differ; of equivalent choices, take the first."""
    nearest = nearest.map(lambda text: text.split(" | ")[0])
    varied = [name for name in nearest if nearest[name].nunique() > 1] or list(nearest)[:1]
    return ["; ".join(row[name] for name in varied) for _, row in nearest.iterrows()]


def _short(value: float) -> str:
    if np.isnan(value):
        return ""
    return f"{value:.2g}" if value < 100 else f"{value:.0f}" if value < 1000 else f"{value / 1000:.0f}k"
