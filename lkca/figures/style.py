"""Every figure's look: one style, one colour a model, one way to write it."""

from collections.abc import Iterator, Mapping
from importlib.resources import files
from textwrap import fill

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from lkca.models import MODELS
from lkca.paths import figures_folder, written_whole


class Looks(Mapping[str, str]):
    """One look of every model by its name, as the model's declaration has it, and of what else stands beside models."""

    def __init__(self, look: str, **others: str) -> None:
        self._look, self._others = look, others

    def __getitem__(self, name: str) -> str:
        return self._others[name] if name in self._others else getattr(MODELS[name], self._look)

    def __iter__(self) -> Iterator[str]:
        return iter((*self._others, *MODELS))

    def __len__(self) -> int:
        return len(self._others) + len(MODELS)


# The same model looks the same everywhere.
COLOURS = Looks("colour", truth="#000000")
LABELS = Looks("label", truth="truth")
MARKERS = Looks("marker")
LETTERS = 12.5  # of a title in an inch
UNITS = {"MPSNR": "dB", "SAM": "degrees"}  # of the two metrics that most figures show
UPSAMPLER_COLOURS = {  # of the upsamplers; full and grouped are those of LKCA-Net and LKCA-LR
    "full": COLOURS["lkca"],
    "grouped": COLOURS["lkca-lr"],
    "grouped-mixed": "#E69F00",
    "grouped-1x1": "#882255",
    "svd": "#009E73",
    "spectral": "#CC79A7",
    "spectral-random": "#56B4E9",
    "separable": "#000000",
}
PIXEL_COLOURS = ("#E69F00", "#009E73", "#CC79A7", "#56B4E9")  # of pixels whose spectra are shown


def use() -> None:
    """Take the study's look for all figures from here on."""
    with files("lkca.figures").joinpath("lkca.mplstyle").open() as style:
        plt.style.use(style.name)


def save(figure: Figure, name: str) -> None:
    """Write a figure as PNG (for pages) and PDF (for papers) under `figures/`; `name` may have a folder in it."""
    for suffix, metadata in ((".png", {"Software": None}), (".pdf", {"CreationDate": None})):
        with written_whole(figures_folder() / f"{name}{suffix}") as temporary:
            figure.savefig(temporary, metadata=metadata)


def headline(figure: Figure, title: str) -> None:
    """The title above all panels; a line that is too long for the figure goes on in the next."""
    letters = int(LETTERS * figure.get_figwidth())
    figure.suptitle("\n".join(fill(line, letters) for line in title.split("\n")))


def lines_to_beat(axis: plt.Axes, frame: pd.DataFrame, metric: str = "MPSNR", upright: bool = False) -> None:
    """A dashed line for each model of a study's rows that learns nothing: bicubic, and bicubic with back-projection."""
    draw = axis.axvline if upright else axis.axhline
    for model, value in frame.drop_duplicates("model").set_index("model")[metric].items():
        if not MODELS[model].learned:
            draw(value, color=COLOURS[model], ls="--", lw=1.2, label=LABELS[model])


def plain_ticks(axis: Axis) -> None:
    """Numbers, not powers of ten, on a logarithmic axis; more of them where it spans little. Draw first, then ask."""
    low, high = axis.get_view_interval()
    span = high / low
    digits = (1, 2, 3, 4, 5, 6, 8) if span < 4 else (1, 2, 3, 5) if span < 10 else (1, 2, 5) if span < 200 else (1,)
    axis.set_major_locator(LogLocator(subs=digits))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
