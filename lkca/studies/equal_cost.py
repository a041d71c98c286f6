"""What families of networks reach at equal cost."""

import pandas as pd

from lkca.models import UNTRAINED
from lkca.studies.sizes import FAMILIES

BUDGET = 1.35  # rows within this ratio of each other's MACs share a budget


def by_budget(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds for each family and size: MACs, parameters, quality with and without corrections, seconds.

    frame : the table of the study `equal_cost`.
    """
    learned = frame[~frame["model"].isin(UNTRAINED)]
    groups = learned.groupby(["model", "channels"], sort=False)
    table = groups[["macs_G", "params_M", "MPSNR", "MPSNR_bp", "SAM", "SAM_bp", "seconds"]].mean()
    table["MPSNR_sd"], table["seeds"] = groups["MPSNR"].std(), groups.size()
    table = table.reset_index()
    order = {name: number for number, name in enumerate(FAMILIES)}
    return table.assign(place=table["model"].map(order)).sort_values(["place", "macs_G"]).drop(columns="place")


def equal_cost_in_words(table: pd.DataFrame, frame: pd.DataFrame, budgets: tuple[float, ...]) -> list[str]:
    """A sentence for each budget: who is best there, and whether anything is above back-projection."""
    line = frame.loc[frame["model"] == "back-projection", "MPSNR"].iloc[0]
    sentences = []
    for budget in budgets:
        ratio = table["macs_G"] / budget
        here = table[(ratio < BUDGET) & (ratio > 1 / BUDGET)]
        if here.empty:
            continue
        best = here.loc[here["MPSNR"].idxmax()]
        above = int((here["MPSNR"] > line).sum())
        sentences.append(
            f"At {budget} G MACs {best.model} is best of {len(here)}, {best.MPSNR:.3f} dB; {above} of them are above "
            f"back-projection ({line:.3f} dB) as trained, {int((here['MPSNR_bp'] > line).sum())} with corrections."
        )
    return sentences
