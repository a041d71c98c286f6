"""What the measured times say: how much faster LKCA-KD is, whether time follows MACs, quality for the time, growth."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lkca.data.loaders import find_dataset
from lkca.figures.style import LABELS
from lkca.models import MODELS, model_options
from lkca.paths import results_folder
from lkca.studies.profiles import HEAVY

RATIOS = {"times_faster": "milliseconds", "times_fewer_macs": "macs_G", "times_less_memory": "memory_mb"}
SIZES = ("blocks", "channels")  # options that make a network smaller than the paper's


def speed_ups(frame: pd.DataFrame, of: str = "lkca-lr", over: Sequence[str] = HEAVY) -> pd.DataFrame:
    """How many times faster one network is than others, beside how many times fewer MACs it has.

    Columns: batch, size, model (the other), times_faster, times_fewer_macs, times_less_memory.
    """
    timed = frame.dropna(subset="milliseconds").set_index(["batch", "size", "model"])
    base, rows = timed.xs(of, level="model"), []
    for (batch, size, model), other in timed.iterrows():
        if model in over and (batch, size) in base.index:
            own = base.loc[(batch, size)]
            ratios = {name: other[column] / own[column] for name, column in RATIOS.items()}
            rows.append({"batch": batch, "size": size, "model": model, **ratios})
    return pd.DataFrame(rows, columns=["batch", "size", "model", *RATIOS])


def time_against_macs(frame: pd.DataFrame) -> tuple[float, float]:
    """Exponent p of the best milliseconds = c · MACs^p over all that was measured, and Pearson's r of the logs."""
    timed = frame.dropna(subset="milliseconds")
    x, y = np.log(timed["macs_G"]), np.log(timed["milliseconds"])
    return float(np.polyfit(x, y, 1)[0]), float(np.corrcoef(x, y)[0, 1])


def times_of_smallest(frame: pd.DataFrame) -> pd.Series:
    """Milliseconds by model at the smallest size and batch, LKCA-KD with LKCA-LR's network's."""
    smallest = frame[(frame["size"] == frame["size"].min()) & (frame["batch"] == frame["batch"].min())]
    times = smallest.dropna(subset="milliseconds").set_index("model")["milliseconds"]
    if "lkca-lr" in times:
        times["lkca-kd"] = times["lkca-lr"]
    return times


def own_quality(profile: str, scale: int = 4) -> dict[str, pd.DataFrame]:
    """Means over seeds from the profile's benchmark, networks of full size only: title -> columns model, MPSNR."""
    path = results_folder() / profile / "benchmark.csv"
    if not path.is_file():
        return {}
    frame = pd.read_csv(path).query("scale == @scale")
    full = [
        all(getattr(row, name) == model_options(row.model).get(name, getattr(row, name)) for name in SIZES)
        for row in frame.fillna(dict.fromkeys(SIZES, 0)).itertuples()
    ]
    tables = frame[full].groupby("dataset", sort=False)
    return {
        f"quality: ours, {find_dataset(dataset).title}": table.groupby("model", sort=False)["MPSNR"]
        .mean()
        .reset_index()
        for dataset, table in tables
        if any(MODELS[name].learned for name in table["model"])
    }


def measured_growth() -> pd.DataFrame | None:
    """What `make benchmark` wrote of growth, as of `lkca.studies.growth.measure_growth`; None where it has not."""
    path = results_folder() / "speed" / "growth.csv"
    return pd.read_csv(path) if path.is_file() else None


def machine_in_words(frame: pd.DataFrame) -> str:
    """What was measured on: the device, threads on a CPU, and torch's version."""
    row = frame.iloc[0]
    what = row["gpu"] if row["device"] == "cuda" else f"{row['cpu']}, {row['threads']} threads"
    return f"{what}, torch {row['torch']}"


def summary(frame: pd.DataFrame, of: str = "lkca-lr") -> pd.DataFrame:
    """A row for each network: its time at the smallest setting measured, how much faster `of` is there beside how many
    times fewer MACs it has, and the MACs of a second, the median over all settings.
    """
    timed = frame.dropna(subset="milliseconds")
    rates = (1e3 * timed["macs_G"] / timed["milliseconds"]).groupby(timed["model"]).median()
    smallest = timed[(timed["size"] == frame["size"].min()) & (timed["batch"] == frame["batch"].min())]
    own = smallest[smallest["model"] == of].iloc[0] if of in set(smallest["model"]) else None
    rows = []
    for row in smallest.itertuples():
        ratios = (np.nan, np.nan) if own is None else (row.milliseconds / own.milliseconds, row.macs_G / own.macs_G)
        values = (LABELS[row.model], row.milliseconds, *ratios, rates[row.model])
        rows.append(values)
    label = LABELS[of]
    return pd.DataFrame(
        rows, columns=["network", "milliseconds", f"{label} is faster", f"{label} has fewer MACs", "GMAC in a second"]
    )


def in_words(frame: pd.DataFrame) -> str:
    """A sentence: whether time follows MACs."""
    exponent, r = time_against_macs(frame)
    return (
        f"Over all that was measured, time grows as MACs to the power {exponent:.2f} (1 would be proportional; "
        f"correlation of the logarithms {r:.2f})."
    )
