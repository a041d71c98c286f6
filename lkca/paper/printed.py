"""Return what the paper prints: Tables I to VII, the counts of Figure 4, and the costs with the one misprint mended.

The CSV files in `printed/` hold the tables as printed, the models named as in this project. `macs_G` is the column that
the paper calls FLOPs: it counts multiply-accumulates.
"""

from importlib.resources import files

import pandas as pd

from lkca.metrics import METRICS

BLOCKS, DECAY, WEIGHT, TERMS = "table1_blocks", "table2_decay", "table3_kd_weight", "table4_kd_terms"
TABLES = {
    "I": BLOCKS, "II": DECAY, "III": WEIGHT, "IV": TERMS,
    "V": "table5_chikusei", "VI": "table6_houston2018", "VII": "table7_pavia_centre",
}  # fmt: skip
COSTS = ("params_M", "macs_G")
TITLES = {"chikusei": "Chikusei", "houston2018": "Houston 2018", "pavia_centre": "Pavia Centre"}
BANDS = {"chikusei": 128, "houston2018": 48, "pavia_centre": 102}
# How many of 1152 singular values hold 90 % of their sum, read off the paper's Figure 4 ("about").
SINGULAR_VALUES = {"chikusei": 60, "houston2018": 60, "pavia_centre": 130}
SINGULAR_VALUES_OF = 1152
# Table VI, x4: the costs of these two networks are swapped. Swapped back, they agree with ours to the last digit, as
# all other costs do.
SWAPPED = ("houston2018", 4, ("vdsr", "3dfcnn"))


def printed_table(name: str) -> pd.DataFrame:
    """Return one table of the paper, as printed.

    Parameters
    ----------
    name : the file's name in `printed/`, "table1_blocks" to "table7_pavia_centre".

    Returns
    -------
    DataFrame : settings, then `params_M` (millions) and `macs_G` (billions of multiply-accumulates) in Tables I and
    V-VII, then the metrics (MPSNR in dB, SAM in degrees).

    Raises
    ------
    ValueError
        If there is no such table.
    """
    if name not in TABLES.values():
        raise ValueError(f"the paper has no table {name!r}: choose one of {', '.join(TABLES.values())}")
    with (files("lkca.paper") / "printed" / f"{name}.csv").open(encoding="utf-8") as table:
        return pd.read_csv(table)


def paper_costs() -> pd.DataFrame:
    """Return the costs of the eight learned networks in Tables V-VII, 48 rows.

    Columns: dataset, scale, model, params_M, macs_G, corrected. `corrected` marks the two rows of `SWAPPED`, which are
    swapped back here.
    """
    costs = network_tables().query("model != 'bicubic'")[["dataset", "scale", "model", *COSTS]].reset_index(drop=True)
    dataset, scale, pair = SWAPPED
    wrong = (costs["dataset"] == dataset) & (costs["scale"] == scale) & costs["model"].isin(pair)
    costs.loc[wrong, list(COSTS)] = costs.loc[wrong, list(COSTS)].to_numpy()[::-1]
    return costs.assign(corrected=wrong)


def network_tables() -> pd.DataFrame:
    """Return Tables V-VII as one table, 54 rows: nine models, two scales, three datasets."""
    return pd.concat([printed_table(TABLES[number]) for number in ("V", "VI", "VII")], ignore_index=True)


def printed_gains(table: pd.DataFrame, column: str, one: object, other: object) -> pd.Series:
    """Return MPSNR (dB) of rows that have `one` in a column minus that of `other`, by case ("Chikusei x4")."""
    keys = ["dataset", "scale"]
    first, second = (table[table[column] == value].set_index(keys)["MPSNR"] for value in (one, other))
    gains = first - second
    return gains.set_axis([f"{TITLES[dataset]} x{scale}" for dataset, scale in gains.index])


def bicubic_rows(dataset: str) -> pd.DataFrame:
    """Return the paper's bicubic rows of a dataset: scale (4 and 8) and the six metrics. They need no training."""
    tables = network_tables()
    rows = tables[(tables["dataset"] == dataset) & (tables["model"] == "bicubic")]
    return rows[["scale", *METRICS]].reset_index(drop=True)
