"""What families of networks reach at equal cost."""

import pandas as pd

from lkca.models import UNTRAINED
from lkca.studies.sizes import FAMILIES

BUDGET = 1.35  # rows within this ratio of each other's MACs share a budget


def by_budget(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds for each family and size: MACs, parameters, quality with and without corrections, seconds.

    Of the seconds the least: other work on the machine only adds to them.

    frame : the table of the study `equal_cost`.
    """
    learned = frame[~frame["model"].isin(UNTRAINED)]
    groups = learned.groupby(["model", "channels"], sort=False)
    table = groups[["macs_G", "params_M", "MPSNR", "MPSNR_bp", "SAM", "SAM_bp"]].mean()
    table["seconds"] = groups["seconds"].min()
    table["MPSNR_sd"], table["seeds"] = groups["MPSNR"].std(), groups.size()
    table = table.reset_index()
    order = {name: number for number, name in enumerate(FAMILIES)}
    return table.assign(place=table["model"].map(order)).sort_values(["place", "macs_G"]).drop(columns="place")


def best_at(table: pd.DataFrame, frame: pd.DataFrame, budgets: tuple[float, ...]) -> pd.DataFrame:
    """A row for each budget in G MACs: the best family, and how many are above back-projection, which learns nothing.

    table : from `by_budget`. Columns: macs_G, best, MPSNR, networks, above, above_bp (once corrected as well).
    """
    line = frame.loc[frame["model"] == "back-projection", "MPSNR"].iloc[0]
    rows = []
    for budget in budgets:
        ratio = table["macs_G"] / budget
        here = table[(ratio < BUDGET) & (ratio > 1 / BUDGET)]
        if len(here):
            best = here.loc[here["MPSNR"].idxmax()]
            above, corrected = ((here[column] > line).sum() for column in ("MPSNR", "MPSNR_bp"))
            rows.append((budget, best["model"], best["MPSNR"], len(here), above, corrected))
    return pd.DataFrame(rows, columns=["macs_G", "best", "MPSNR", "networks", "above", "above_bp"])
