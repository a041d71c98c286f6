"""The paper's Tables I-VII as printed, and its costs with the one misprint put right."""

from importlib.resources import files

import pandas as pd

COST_TABLES = ("table5_chikusei", "table6_houston2018", "table7_pavia_centre")
SINGULAR_VALUES = {
    "chikusei": 60,
    "houston2018": 60,
    "pavia_centre": 130,
}  # of 1152, that hold 90 %: "about", in Figure 4
BANDS = {"chikusei": 128, "houston2018": 48, "pavia_centre": 102}

# Table VI, x4: the params and FLOPs of these two stand in each other's row. Both networks' costs come out to
# the last digit in their ten other rows, and in these two once they are swapped.
SWAPPED = ("houston2018", 4, ("vdsr", "3dfcnn"))


def paper_table(name: str) -> pd.DataFrame:
    """One table of the paper, as printed.

    Parameters
    ----------
    name : the file's name in `lkca/paper/printed`: "table1_blocks", ..., "table7_pavia_centre".

    Returns
    -------
    DataFrame with the columns of the file: settings, then `params_M` (millions) and `macs_G` (billions of
    multiply-accumulates, the paper's "FLOPs") in Tables I and V-VII, then the metrics (MPSNR in dB, SAM in
    degrees).

    Raises
    ------
    ValueError
        If there is no such table.
    """
    folder = files("lkca.paper") / "printed"
    names = sorted(entry.name[:-4] for entry in folder.iterdir() if entry.name.endswith(".csv"))
    if name not in names:
        raise ValueError(f"the paper has no table {name!r}: choose one of {', '.join(names)}")
    with (folder / f"{name}.csv").open(encoding="utf-8") as table:
        return pd.read_csv(table)


def paper_costs() -> pd.DataFrame:
    """Costs of the eight learned networks in Tables V-VII, 48 rows.

    Returns
    -------
    DataFrame with columns dataset, scale, model, params_M, macs_G and corrected. `corrected` marks the two rows
    of Table VI whose printed costs stand in each other's row (`SWAPPED`) and are swapped back here.
    """
    tables = pd.concat([paper_table(name) for name in COST_TABLES], ignore_index=True)
    costs = tables.loc[tables["model"] != "bicubic", ["dataset", "scale", "model", "params_M", "macs_G"]]
    costs = costs.reset_index(drop=True)
    dataset, scale, pair = SWAPPED
    wrong = (costs["dataset"] == dataset) & (costs["scale"] == scale) & costs["model"].isin(pair)
    cells = ["params_M", "macs_G"]
    costs.loc[wrong, cells] = costs.loc[wrong, cells].to_numpy()[::-1]
    return costs.assign(corrected=wrong)


def bands_of(dataset: str) -> int:
    """Number of bands of a dataset of the paper's tables.

    Raises
    ------
    ValueError
        If the paper has no such dataset.
    """
    if dataset not in BANDS:
        raise ValueError(f"the paper has no dataset {dataset!r}: choose one of {', '.join(BANDS)}")
    return BANDS[dataset]
