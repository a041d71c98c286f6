"""Set one style for every figure: a colour and marker per model, and legends and titles that fit on the canvas."""

from collections.abc import Iterable
from textwrap import fill

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from lkca.files import atomic_write, figures_folder
from lkca.models import BASELINES, MODELS

COLOURS = {"truth": "#000000"} | {name: model.colour for name, model in MODELS.items()}
LABELS = {"truth": "truth"} | {name: model.label for name, model in MODELS.items()}
MARKERS = {name: model.marker for name, model in MODELS.items()}
MARGIN = 0.02  # dB: a smaller difference means nothing in practice; drawn as a grey band
PAPER = {"color": "#000000", "marker": "D", "ls": "none"}  # style of the paper's values in every figure
UNITS = {"MPSNR": "dB", "SAM": "degrees"}  # of the two metrics that most figures show
LETTERS_PER_INCH = 12.5  # of a title, on average
PICTURE_DPI = 90  # of figures with images, whose files would be too large at the resolution of the others
UPSAMPLER_COLOURS = {  # the full and the grouped one have the colours of LKCA-Net and LKCA-LR
    "full": COLOURS["lkca"],
    "grouped": COLOURS["lkca-lr"],
    "grouped-mixed": "#E69F00",
    "grouped-1x1": "#882255",
    "svd": "#009E73",
    "spectral": "#CC79A7",
    "spectral-random": "#56B4E9",
    "separable": "#000000",
}
LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # of lines that do not stand for a model
PIXEL_COLOURS = ("#E69F00", "#009E73", "#CC79A7", "#56B4E9")  # of pixels whose spectra are shown


def use() -> None:
    """Use the study's style for all figures from here on."""
    plt.style.use("lkca.plots.lkca")  # the file lkca.mplstyle beside this one


def save(figure: Figure, name: str) -> None:
    """Write a figure as PNG (for pages) and PDF (for papers) in `figures/`; `name` may contain a folder."""
    dpi = PICTURE_DPI if any(axis.images for axis in figure.axes) else plt.rcParams["savefig.dpi"]
    for suffix, metadata in ((".png", {"Software": None}), (".pdf", {"CreationDate": None})):
        with atomic_write(figures_folder() / f"{name}{suffix}") as temporary:
            figure.savefig(temporary, dpi=dpi, metadata=metadata)


def label(setting: str) -> str:
    """Return a setting as figures show it: "MODEL", "MODEL + bp" (its output back-projected) or "MODEL, DETAIL"."""
    model, bp, _ = setting.partition(" + bp")
    model, comma, rest = model.partition(", ")
    return f"{LABELS.get(model, model)}{comma}{rest}" + (" + back-projection" if bp else "")


def colour(setting: str) -> str:
    """Return the colour of a model or upsampler, ignoring " + bp" and ", DETAIL"; black for anything else."""
    name = setting.partition(" + ")[0].partition(", ")[0]
    return COLOURS.get(name) or UPSAMPLER_COLOURS.get(name, "#000000")


def set_title(figure: Figure, title: str) -> None:
    """Put a title above all panels, its lines wrapped to the width of the figure."""
    letters = int(LETTERS_PER_INCH * figure.get_figwidth())
    figure.suptitle("\n".join(fill(line, letters) for line in title.split("\n")))


def set_legend(figure: Figure, axes: Iterable[plt.Axes], place: str = "lower center") -> None:
    """Put one legend for several panels outside them, with each label once, in as many columns as fit."""
    shown = {}
    for axis in axes:
        for handle, text in zip(*axis.get_legend_handles_labels(), strict=True):
            shown.setdefault(text, handle)
    rows = len(shown) if "right" in place else 1
    while True:
        columns = -(-len(shown) // rows)
        legend = figure.legend(shown.values(), shown.keys(), loc=f"outside {place}", ncols=columns)
        if columns == 1 or legend.get_window_extent(figure.canvas.get_renderer()).width < 0.98 * figure.bbox.width:
            return
        legend.remove()
        rows += 1


def draw_baselines(axis: plt.Axes, frame: pd.DataFrame, metric: str = "MPSNR") -> None:
    """Draw a dashed line for each baseline among a study's rows: bicubic, and bicubic with back-projection."""
    for model, value in frame.drop_duplicates("model").set_index("model")[metric].items():
        if model in BASELINES:
            axis.axhline(value, color=COLOURS[model], ls="--", lw=1.2, label=LABELS[model])


def use_plain_ticks(panel: plt.Axes) -> None:
    """Label logarithmic axes with numbers instead of powers of ten. Call it after drawing."""
    for axis in (axis for axis in (panel.xaxis, panel.yaxis) if axis.get_scale() == "log"):
        low, high = axis.get_view_interval()
        span = high / low
        digits = (1, 2, 3, 4, 5, 6, 8) if span < 4 else (1, 2, 3, 5) if span < 10 else (1, 2, 5) if span < 200 else (1,)
        axis.set_major_locator(LogLocator(subs=digits))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def make_panels(count: int, width: float, height: float, head: float, title: str) -> tuple[Figure, list[plt.Axes]]:
    """Return a figure with `count` panels, at most three side by side, each `width` by `height` inches.

    head : inches added to the height, for title and legend.
    """
    columns = min(3, count)
    lines = -(-count // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(width * columns, head + height * lines), squeeze=False)
    set_title(figure, title)
    for axis in axes.flat[count:]:
        axis.remove()
    return figure, list(axes.flat[:count])
