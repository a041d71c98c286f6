"""Which reading of its protocol is the paper's? The bicubic rows of its Tables V-VII tell, without any training.

Each reading (`lkca.paper.readings`) is measured and compared with the printed numbers digit by digit; each metric
in its variants (`metric_variants`). Where a scene is large, all readings are measured by a part first, and those that
come nearest go on; SSIM, which costs most, is measured for the last of them.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lkca.data.datasets import DATASETS
from lkca.data.files import open_whole
from lkca.data.suspicions import described, suspicions
from lkca.measures.metrics import METRICS
from lkca.paper.measures import AS_IT_IS, Measurements
from lkca.paper.metric_variants import VARIANTS, VariantValues
from lkca.paper.readings import LR_FROM, PROTOCOLS, SCALES, Protocol, ProtocolReading, Setting, settings
from lkca.paper.tables import COST_TABLES, paper_table
from lkca.paths import Log, results_folder, write_text
from lkca.tables import write_table

UNIT = 1e-4  # of the last digit that the paper prints, in every metric
AXES = (*ProtocolReading._fields, "bicubic")
MANY = 1.7e9  # values (pixels x bands x scales x images) to screen at once; more are narrowed by a part of them first
LAST = 5e8  # values of the readings for which SSIM is measured,
LAST_FEW = 8  # and at most so many, but all that agree so far


@dataclass(frozen=True)
class Check:
    """What `check_protocol` found.

    readings : a row for each reading that can be told from the others, the nearest first: the choices, `same` (how many
        readings come to it), `agree` and `of` (numbers that agree in every printed digit), `within_one` (off by at
        most one in the last digit), `digits_off` (mean number of printed digits that are wrong), the metrics' variants.
    cells : a row for each number of each reading: `number` (the reading's row), metric, scale, variant, value, printed,
        `off` (in units of the last digit), agrees.
    """

    title: str
    readings: pd.DataFrame
    cells: pd.DataFrame
    narrowed: str

    @property
    def matching(self) -> pd.DataFrame:
        """The readings that agree in every printed digit."""
        rows = self.readings
        return rows[(rows.agree == rows["of"]) & (rows["of"] == len(METRICS) * len(SCALES))]

    def verdict(self) -> str:
        """Which reading it is, or which is nearest and where it disagrees."""
        found, total = self.matching, len(METRICS) * len(SCALES)
        if len(found) and found.same.sum() == 1:
            said = f"this is the paper's reading. All {total} printed numbers agree in every digit."
        elif len(found):
            said = (
                f"{found.same.sum()} readings agree with all {total} printed numbers in every digit; this file and "
                "these numbers cannot tell them apart."
            )
        else:
            best = self.readings.iloc[0]
            said = (
                f"no reading agrees with all {total} printed numbers. The nearest has {best.agree} of {best['of']} in "
                f"every digit, {best.within_one} within one in the last digit:"
            )
        lines = [f"{self.title}: {said}", *_choices(found if len(found) else self.readings[:1])]
        if not len(found):
            cells = self.cells[(self.cells.number == self.readings.index[0]) & ~self.cells.agrees]
            wrong = cells[["metric", "scale", "value", "printed", "off"]]
            lines += ["It disagrees in", wrong.round(4).to_string(index=False)]
        return "\n".join(lines)


def _choices(rows: pd.DataFrame) -> Iterator[str]:
    """A line for each axis, and for each metric's variant: what these readings choose."""
    columns = {axis.replace("_", " "): axis for axis in AXES} | {metric: f"{metric}_variant" for metric in METRICS}
    for name, column in columns.items():
        choices = itertools.chain.from_iterable(rows[column].dropna().str.split(" | ", regex=False))
        yield f"  {name:8} {' or '.join(dict.fromkeys(choices))}"


def check_data(name: str, log: Log = print) -> Check:
    """Look at a dataset's file, then find the reading of its protocol that gives the paper's bicubic rows.

    Parameters
    ----------
    name : "chikusei", "houston2018" or "pavia_centre".

    Raises
    ------
    ValueError
        For another name, or a file that is not the dataset's: the message says what it probably is.
    FileNotFoundError
        If the file is not there.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"the paper has no bicubic row of {name!r}: choose one of {', '.join(PROTOCOLS)}")
    dataset = DATASETS[name]
    scene, cube, no_data, checksum = open_whole(dataset)
    log(described(scene, checksum, float(cube.min()), float(cube.max())))
    first, last = dataset.bands or (0, len(cube))
    waves = None if scene.wavelengths is None else scene.wavelengths[first:last]
    for suspicion in suspicions(cube[first:last], no_data, waves, scene.dtype):
        log(f"warning: {suspicion}")
    measured = Measurements(cube[first:last])
    return check_protocol(
        measured, PROTOCOLS[name], printed_rows(name), dataset.title, file_maximum=float(cube.max()), log=log
    )


def write_check(check: Check, name: str) -> None:
    """Tables under results/check_data/: NAME (the 60 nearest readings), NAME_readings (all), NAME_cells (numbers)."""
    write_table(check.readings.head(60).round({"digits_off": 4}), f"check_data/{name}")
    path = results_folder() / "check_data" / name
    write_text(path.with_name(f"{name}_readings.csv"), check.readings.to_csv())
    write_text(path.with_name(f"{name}_cells.csv"), check.cells.to_csv(index=False))


def printed_rows(name: str) -> pd.DataFrame:
    """The paper's bicubic rows of a dataset: one a scale, with the six metrics."""
    tables = pd.concat([paper_table(table) for table in COST_TABLES])
    return tables[(tables.dataset == name) & (tables.model == "bicubic")][["scale", *METRICS]].reset_index(drop=True)


def check_protocol(
    measured: Measurements,
    protocol: Protocol,
    printed: pd.DataFrame,
    title: str,
    file_maximum: float | None = None,
    log: Log = print,
) -> Check:
    """Measure every reading of a protocol and compare it with printed numbers.

    Parameters
    ----------
    measured : measures the cube (B, H, W), with the file's numbers as they are; it keeps what it measured once.
    printed : columns scale (x4 and x8) and the six metrics, with four decimals.
    file_maximum : where the file has more bands than the cube, the maximum over all.

    Raises
    ------
    ValueError
        If no reading's test images fit into the cube.
    """
    wanted = {(m, row.scale): getattr(row, m) for row in printed.itertuples() for m in METRICS}
    bands, height, width = measured.cube.shape
    found = settings(protocol, measured.cube, file_maximum)
    if not found:
        raise ValueError(f"{title}: no reading of the protocol fits into {height}x{width} pixels")
    log(f"{title}: {sum(map(len, found.values()))} readings, {len(found)} that differ")
    chosen, narrowed = list(found), ""
    if _work(chosen, bands) > MANY:
        # Where LR pixels come from, and the other scale, change little: what is far off without them stays far off.
        first = [s for s in chosen if s.tiles[0].context is None]
        values = measured.without_ssim(first, SCALES[-1:], sam=False)
        scores = _scores({setting: _compare(x, wanted) for setting, x in values.items()})
        near = {_boxes(s) for s in _nearest(scores, MANY / len(SCALES) / len(LR_FROM), bands, shared=True)}
        chosen = [s for s in chosen if _boxes(s) in near]
        narrowed = (
            f"{len(first)} readings measured first, at x{SCALES[-1]} and without SAM, "
            f"the {len(chosen)} nearest at all scales; "
        )
        log(f"  {narrowed.removesuffix('; ')}")
    compared = {s: _compare(x, wanted) for s, x in measured.without_ssim(chosen, SCALES).items()}
    scores = _scores(compared)
    last = _nearest(scores, LAST / len(SCALES), bands)[:LAST_FEW]
    last += [s for s in chosen if scores[s] == 0 and s not in last]
    narrowed += f"SSIM measured for the nearest {len(last)}"
    log(f"  {narrowed}")
    rows, cells = [], []
    for setting in last:
        for bicubic, values in measured.all_six(setting).items():
            _add(rows, cells, found[setting], bicubic, _compare(values, wanted))
    for setting in (s for s in chosen if s not in last):
        _add(rows, cells, found[setting], AS_IT_IS, compared[setting])
    readings = pd.DataFrame(rows).rename_axis("number")
    readings = readings.sort_values(["of", "digits_off"], ascending=[False, True], kind="stable")
    return Check(title, readings, pd.DataFrame(cells), narrowed)


def _scores(compared: Mapping[Setting, list[dict]]) -> dict[Setting, float]:
    """Mean number of printed digits that are wrong, by setting."""
    return {setting: float(np.mean([cell["lost"] for cell in cells])) for setting, cells in compared.items()}


def _boxes(setting: Setting) -> tuple:
    return tuple((tile.box, tile.limits) for tile in setting.tiles)


def _work(chosen: Iterable[Setting], bands: int) -> float:
    tiles = {tile for setting in chosen for tile in setting.tiles}
    return bands * len(SCALES) * sum((t.box[1] - t.box[0]) * (t.box[3] - t.box[2]) for t in tiles)


def _nearest(scores: Mapping[Setting, float], limit: float, bands: int, shared: bool = False) -> list[Setting]:
    """The readings with the best scores: so many that their images hold `limit` values at most, but at least one.

    Where `shared` is set, images that several readings share count once.
    """
    kept: list[Setting] = []
    work, seen = 0.0, set()
    for setting in sorted(scores, key=scores.get):
        key = _boxes(setting) if shared else setting
        if key not in seen:
            seen.add(key)
            work += _work([setting], bands) / len(SCALES)
        if kept and work > limit:
            break
        kept.append(setting)
    return kept


def _compare(values: Mapping[int, VariantValues], wanted: Mapping[tuple[str, int], float]) -> list[dict[str, object]]:
    """One cell for each metric and scale, of the variant that comes nearest at all scales together."""
    cells = []
    for metric in METRICS:
        variants = [v for v in VARIANTS[metric] if all((metric, v) in x for x in values.values())]
        if not variants:
            continue
        lost = {v: sum(_lost(x[metric, v], wanted[metric, s]) for s, x in values.items()) for v in variants}
        best = min(variants, key=lost.get)
        equal = [v for v in variants if lost[v] == lost[best]]
        for scale, x in values.items():
            value, printed = x[metric, best], wanted[metric, scale]
            cells.append(
                {
                    "metric": metric,
                    "scale": scale,
                    "variant": " | ".join(equal),
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
    """How many of the printed decimals are wrong: 0 where the value rounds to the printed number."""
    if not np.isfinite(value):
        return 9.0
    if abs(round(value, 4) - printed) < UNIT / 2:
        return 0.0
    return max(1e-3, float(np.log10(abs(value - printed) / (UNIT / 2))))


def _add(
    rows: list[dict], cells: list[dict], readings: list[ProtocolReading], bicubic: str, compared: list[dict]
) -> None:
    """The row of one reading, and the cells that it is compared in."""
    number = len(rows)
    row = {axis: " | ".join(dict.fromkeys(getattr(r, axis) for r in readings)) for axis in ProtocolReading._fields}
    row |= {"bicubic": bicubic, "same": len(readings) * (1 + bicubic.count("|"))}
    row |= {"agree": sum(c["agrees"] for c in compared), "within_one": sum(c["within_one"] for c in compared)}
    row |= {"of": len(compared), "digits_off": float(np.mean([c["lost"] for c in compared]))}
    row |= {f"{c['metric']}_variant": c["variant"] for c in compared}
    rows.append(row)
    cells.extend({"number": number, **{k: v for k, v in c.items() if k != "lost"}} for c in compared)
