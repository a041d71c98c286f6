"""Find the protocol variant that the paper used, from the bicubic rows of its Tables V-VII. Nothing is trained.

Each protocol variant (`lkca.paper.protocols`) is measured, each metric in its own variants (`metric_variants`), and
compared with the printed numbers digit by digit. Four metrics are measured for all variants; SAM and SSIM, which cost
most, only for the nearest.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lkca.data.datasets import DATASETS
from lkca.data.loaders import read_whole
from lkca.data.reading.scene_file import SceneFile
from lkca.data.suspicions import suspicions
from lkca.files import Log, results_folder, write_text
from lkca.metrics import METRICS
from lkca.paper.measurements import AS_IT_IS, Measurements
from lkca.paper.metric_variants import METRIC_VARIANTS, Values
from lkca.paper.printed import bicubic_rows
from lkca.paper.protocols import PROTOCOLS, SCALES, Protocol, TestImage, Variant, settings

UNIT = 1e-4  # one step of the last printed digit; every metric has four decimals
AXES = (*Variant._fields, "bicubic")
MAX_SCREENED = 7e8  # values (pixels x bands x test images) of the placements that are measured with all choices
MAX_EXACT, MAX_EXACT_SETTINGS = 2.5e8, 8  # values and number of the settings that are measured in all metrics
MAX_CELL_ROWS = 60  # nearest variants whose single numbers are written


@dataclass(frozen=True)
class Check:
    """What `check_protocol` found.

    variants : a row for each distinguishable variant, the nearest first: the choice on each axis, `same` (how many
        variants give the same numbers), `agree` and `of` (how many numbers agree in every printed digit, of how many),
        `within_one` (how many are off by at most one in the last digit), `digits_off` (mean number of wrong printed
        digits), and the variant of each metric.
    cells : a row for each number of each variant: `number` (the variant's row), metric, scale, metric_variant, value,
        printed, `off` (in units of the last digit), agrees, within_one.
    """

    title: str
    variants: pd.DataFrame
    cells: pd.DataFrame

    @property
    def matching(self) -> pd.DataFrame:
        """The variants that agree with the paper in every printed digit."""
        rows = self.variants
        return rows[(rows["agree"] == rows["of"]) & (rows["of"] == len(METRICS) * len(SCALES))]

    def verdict(self) -> str:
        """Say which variant the paper used, or which is nearest and where it disagrees."""
        found, total = self.matching, len(METRICS) * len(SCALES)
        if found.empty:
            best = self.variants.iloc[0]
            first = (
                f"no variant agrees with all {total} printed numbers. The nearest has {best.agree} of {best['of']} in "
                f"every digit, {best.within_one} within one in the last digit:"
            )
        elif found["same"].sum() == 1:
            first = f"this is the paper's variant. All {total} printed numbers agree in every digit."
        else:
            first = (
                f"{found['same'].sum()} variants agree with all {total} printed numbers in every digit; this file and "
                "these numbers cannot tell them apart."
            )
        lines = [f"{self.title}: {first}", *_choices(self.variants[:1] if found.empty else found)]
        if found.empty:
            cells = self.cells[(self.cells["number"] == self.variants.index[0]) & ~self.cells["agrees"]]
            wrong = cells[["metric", "scale", "value", "printed", "off"]].round(4)
            lines += ["It disagrees in", wrong.to_string(index=False)]
        return "\n".join(lines)


def _choices(rows: pd.DataFrame) -> Iterator[str]:
    """Yield a line for each axis and each metric, with the choices of these variants."""
    columns = {axis.replace("_", " "): axis for axis in AXES} | {metric: f"{metric}_variant" for metric in METRICS}
    for name, column in columns.items():
        choices = itertools.chain.from_iterable(rows[column].dropna().str.split(" | ", regex=False))
        yield f"  {name:8} {' or '.join(dict.fromkeys(choices))}"


def check_data(name: str, log: Log = print) -> Check:
    """Describe a dataset's file, then find the protocol variant that reproduces the paper's bicubic rows.

    Parameters
    ----------
    name : "chikusei", "houston2018" or "pavia_centre".

    Raises
    ------
    ValueError
        For another name, or if the file is not the dataset: the message says what it probably is.
    FileNotFoundError
        If the file is missing.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"the paper has no bicubic row of {name!r}: choose one of {', '.join(PROTOCOLS)}")
    dataset = DATASETS[name]
    scene, cube, no_data, checksum = read_whole(dataset)
    log(_description(scene, cube, checksum))
    used = slice(*dataset.bands) if dataset.bands else slice(None)
    wavelengths = None if scene.wavelengths is None else scene.wavelengths[used]
    for suspicion in suspicions(cube[used], no_data, wavelengths, scene.dtype):
        log(f"warning: {suspicion}")
    measured, printed = Measurements(cube[used]), bicubic_rows(name)
    return check_protocol(measured, PROTOCOLS[name], printed, dataset.title, float(cube.max()), log)


def _description(scene: SceneFile, cube: NDArray[np.float32], checksum: str) -> str:
    bands, height, width = scene.shape
    waves = scene.wavelengths
    return "\n".join(
        (
            f"file         {scene.path} ({scene.format})",
            f"SHA-256      {checksum}",
            f"shape        {height} x {width} pixels, {bands} bands, {scene.dtype}",
            f"values       {cube.min():g} to {cube.max():g}",
            f"wavelengths  {'none in the file' if waves is None else f'{waves[0]:.1f} to {waves[-1]:.1f} nm'}",
        )
    )


def check_protocol(
    measured: Measurements,
    protocol: Protocol,
    printed: pd.DataFrame,
    title: str,
    file_maximum: float | None = None,
    log: Log = print,
) -> Check:
    """Measure every variant of a protocol and compare it with printed numbers.

    Parameters
    ----------
    measured : the measurements of a cube (B, H, W) in the file's numbers; they are cached.
    printed : columns scale (4 and 8) and the six metrics, with four decimals.
    file_maximum : the maximum over all bands of the file, where the cube has fewer; by default the cube's.

    Raises
    ------
    ValueError
        If no variant's test images fit into the cube.
    """
    targets = {(metric, row.scale): getattr(row, metric) for row in printed.itertuples() for metric in METRICS}
    bands, height, width = measured.cube.shape
    found = settings(protocol, measured.cube, file_maximum)
    if not found:
        raise ValueError(f"{title}: no variant of the protocol fits into {height}x{width} pixels")
    log(f"{title}: {sum(map(len, found.values()))} variants, {len(found)} of them distinct")

    # Screen at one scale, with LR images from the test images alone: both change little, so a variant that is far off
    # here stays far off.
    first = [setting for setting in found if setting.images == setting.placement]
    scores = {s: _mean_lost(_compare({SCALES[-1]: measured.screened(s, SCALES[-1])}, targets)) for s in first}
    placements = list(dict.fromkeys(setting.placement for setting in sorted(first, key=scores.get)))
    near = set(placements[: _within(MAX_SCREENED, placements, bands)])
    screened = [setting for setting in found if setting.placement in near]
    compared = {s: _compare({scale: measured.screened(s, scale) for scale in SCALES}, targets) for s in screened}
    scores = {setting: _mean_lost(cells) for setting, cells in compared.items()}
    nearest = sorted(scores, key=scores.get)
    exact = nearest[: min(MAX_EXACT_SETTINGS, _within(MAX_EXACT, [s.images for s in nearest], bands))]
    exact += [setting for setting in screened if scores[setting] == 0 and setting not in exact]
    log(
        f"  {len(first)} variants measured at x{SCALES[-1]}; {len(screened)} with the nearest placements at both "
        f"scales; SAM and SSIM for the nearest {len(exact)}"
    )

    every = [
        (found[s], bicubic, _compare(values, targets)) for s in exact for bicubic, values in measured.exact(s).items()
    ]
    every += [(found[s], AS_IT_IS, compared[s]) for s in screened if s not in exact]
    variants = pd.DataFrame([_row(*one) for one in every]).rename_axis("number")
    variants = variants.sort_values(["of", "digits_off"], ascending=[False, True], kind="stable")
    cells = [{"number": number, **cell} for number, (*_, own) in enumerate(every) for cell in own]
    return Check(title, variants, pd.DataFrame(cells).drop(columns="lost"))


def _within(limit: float, images: Sequence[tuple[TestImage, ...]], bands: int) -> int:
    """Return how many of these, counted from the first, have at most `limit` values in all; at least one."""
    values = np.cumsum([bands * sum(image.pixels for image in each) for each in images])
    return max(1, int((values <= limit).sum()))


def _compare(values: Mapping[int, Values], targets: Mapping[tuple[str, int], float]) -> list[dict[str, object]]:
    """Return a cell for each metric and scale, of the metric variant that is nearest over all scales."""
    cells = []
    for metric in METRICS:
        variants = [v for v in METRIC_VARIANTS[metric] if all((metric, v) in x for x in values.values())]
        if not variants:
            continue
        lost = {v: sum(_lost(x[metric, v], targets[metric, s]) for s, x in values.items()) for v in variants}
        best = min(variants, key=lost.get)
        for scale, x in values.items():
            value, printed = x[metric, best], targets[metric, scale]
            cells.append(
                {
                    "metric": metric,
                    "scale": scale,
                    "metric_variant": " | ".join(v for v in variants if lost[v] == lost[best]),
                    "value": value,
                    "printed": printed,
                    "off": abs(value - printed) / UNIT,
                    "agrees": _lost(value, printed) == 0,
                    "within_one": abs(round(value, 4) - printed) < 1.5 * UNIT,
                    "lost": _lost(value, printed),
                }
            )
    return cells


def _lost(value: float, printed: float) -> float:
    """Return how many printed digits are wrong, as a logarithm; 0 where the value rounds to the printed number."""
    if not np.isfinite(value):
        return 9.0
    if abs(round(value, 4) - printed) < UNIT / 2:
        return 0.0
    return max(1e-3, float(np.log10(abs(value - printed) / (UNIT / 2))))


def _mean_lost(cells: Sequence[dict[str, object]]) -> float:
    return float(np.mean([cell["lost"] for cell in cells]))


def _row(variants: list[Variant], bicubic: str, compared: list[dict[str, object]]) -> dict[str, object]:
    """Return the row of one setting. variants : all that come to its images. compared : its cells."""
    row = {axis: " | ".join(dict.fromkeys(getattr(v, axis) for v in variants)) for axis in Variant._fields}
    row |= {"bicubic": bicubic, "same": len(variants) * (1 + bicubic.count("|"))}
    row |= {"agree": sum(c["agrees"] for c in compared), "within_one": sum(c["within_one"] for c in compared)}
    row |= {"of": len(compared), "digits_off": _mean_lost(compared)}
    return row | {f"{c['metric']}_variant": c["metric_variant"] for c in compared}


def write_check(check: Check, name: str) -> None:
    """Write results/check_data/NAME.csv (all variants) and NAME_cells.csv (the numbers of the nearest ones)."""
    folder = results_folder() / "check_data"
    write_text(folder / f"{name}.csv", check.variants.round({"digits_off": 4}).to_csv())
    shown = check.cells[check.cells["number"].isin(check.variants.index[:MAX_CELL_ROWS])]
    write_text(folder / f"{name}_cells.csv", shown.to_csv(index=False))
