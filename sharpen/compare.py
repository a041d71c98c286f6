"""Measure methods on the held-out quarter of a scene, and choose the best."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lkca.data.split import Area, largest_valid_rectangle
from lkca.degradation import Degradation
from lkca.metrics import mpsnr, sam
from lkca.resize import crop_to_multiple
from sharpen.choose import choose_method
from sharpen.image.tiles import ImageRows

MIN_SIDE = 7  # HR pixels on a side of a place that is measured
STRIPS = 3  # across the held-out quarter, each measured alone
TOLERANCE = 0.01  # dB of MPSNR, degrees of SAM: smaller differences count as none
NETWORKS = ("pretrained", "finetuned")


def compare(
    area: Area, axis: int, line: int, candidates: Mapping[str, object], scale: int, psf: str, noise: str | float
) -> pd.DataFrame:
    """Measure methods on the held-out quarter.

    area : the whole scene; the held-out quarter begins at `line` along `axis` (0 or 1).
    candidates : name of the row -> weights, see `choose_method`. psf, noise : as there.

    Returns
    -------
    A row for each method: MPSNR (dB), SAM (degrees), gain (dB of MPSNR over bicubic) and spread (its standard deviation
    over places), worse (share of the bands whose squared error is larger than bicubic's), places (their number).

    Raises
    ------
    ValueError
        If no place in the held-out quarter is large enough.
    """
    rows, errors = [], dict.fromkeys(candidates, 0.0)
    for phase in (0, scale // 2):
        truth = crop_to_multiple(torch.from_numpy(area.cube[:, phase:, phase:]), scale)
        lr = ImageRows(Degradation(psf).downsample(truth, scale))
        places = list(_places(area.no_data[phase:, phase:], truth.shape[1:], axis, line - phase))
        for name, weights in candidates.items():
            method = choose_method(weights, scale, psf, noise)[0]
            method.prepare(lr)
            prediction = torch.cat([strip.values for strip in method.strips(lr)], dim=1)
            for number, place in enumerate(places):
                p, t = (image[:, *place].numpy() for image in (prediction, truth))
                rows.append({"method": name, "place": (phase, number), "MPSNR": mpsnr(p, t), "SAM": sam(p, t)})
                errors[name] = errors[name] + np.square(p - t, dtype=np.float64).sum(axis=(1, 2))
    if not rows:
        raise ValueError(f"{area.name}: no part of the held-out quarter has {MIN_SIDE} pixels a side with data")
    frame = pd.DataFrame(rows).set_index(["method", "place"])
    gains = frame["MPSNR"] - frame.loc["bicubic", "MPSNR"].reindex(frame.index, level="place")
    table = frame.groupby("method", sort=False).mean()
    table["gain"], table["spread"] = (gains.groupby("method", sort=False).agg(how) for how in ("mean", _deviation))
    table["worse"] = [float(np.mean(errors[name] > errors["bicubic"])) for name in table.index]
    return table.assign(places=len(frame.loc["bicubic"]))


def choose_best(table: pd.DataFrame) -> str:
    """Return the name of the method with the highest MPSNR among the admissible ones.

    Admissible is a method that is not worse than bicubic in MPSNR or SAM; a network must not be worse than
    back-projection either. Of methods that differ by at most `TOLERANCE`, the first in the table is returned.
    """
    best = "bicubic"
    for name, row in table.iterrows():
        others = table.loc[["bicubic", "back-projection"] if name in NETWORKS else ["bicubic"]]
        better = row["MPSNR"] >= others["MPSNR"].max() - TOLERANCE and row["SAM"] <= others["SAM"].min() + TOLERANCE
        if better and row["MPSNR"] > table.loc[best, "MPSNR"] + TOLERANCE:
            best = str(name)
    return best


def in_table(table: pd.DataFrame) -> str:
    """Return the table of `compare` as Markdown."""
    shown = pd.DataFrame(
        {
            "MPSNR (dB)": table["MPSNR"].map("{:.3f}".format),
            "SAM (degrees)": table["SAM"].map("{:.3f}".format),
            "over bicubic (dB)": [f"{g:+.3f} ± {s:.3f}" for g, s in zip(table["gain"], table["spread"], strict=True)],
            "bands worse than bicubic": table["worse"].map("{:.0%}".format),
        }
    )
    return shown.rename_axis("method").reset_index().to_markdown(index=False, disable_numparse=True)


def _places(missing: NDArray[np.bool_], size: Sequence[int], axis: int, line: int) -> Iterator[tuple[slice, slice]]:
    """Yield the rows and columns of places in the held-out quarter, strips across it without no-data pixels."""
    across = size[1 - axis]
    count = max(1, min(STRIPS, across // (2 * MIN_SIDE)))
    for number in range(count):
        strip = slice(number * across // count, (number + 1) * across // count)
        place = (slice(line, size[0]), strip) if axis == 0 else (strip, slice(line, size[1]))
        holes = missing[: size[0], : size[1]][place]
        if holes.all():
            continue
        inner = largest_valid_rectangle(holes)
        place = tuple(slice(o.start + i.start, o.start + i.stop) for o, i in zip(place, inner, strict=True))
        if min(side.stop - side.start for side in place) >= MIN_SIDE:
            yield place


def _deviation(values: pd.Series) -> float:
    return float(values.std(ddof=0))
