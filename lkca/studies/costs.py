"""Is it the same network, and what does a low-rank upsampler save in any network? (Tables I and V-VII, Figure 1)

The notebook `cost` uses `compare_printed`, `compare_block_counts`, `upsampling_shares` and `low_rank_savings`; the
notebook `architecture` uses `shapes_only`.
"""

from functools import cache

import pandas as pd
import torch
from torch import nn

from lkca.cost import Cost, cost
from lkca.models import MODELS, build_model, model_names
from lkca.models.low_rank import low_rank, upsampling_cost
from lkca.paper.printed import BLOCKS, bands_of, paper_costs, printed_table
from lkca.studies import Study

STUDY = Study(
    "cost",
    "Is it the same network, and what does a low-rank upsampler save in any network? (Tables I, V-VII, Figure 1)",
)

LEARNED = tuple(name for name in model_names() if MODELS[name].learned)


def shapes_only(name: str, bands: int, scale: int, **options: object) -> nn.Module:
    """Build a model without values, on torch's "meta" device: counting needs no more."""
    with torch.device("meta"):
        return build_model(name, bands, scale, **options)


@cache
def cost_of(name: str, bands: int, scale: int, **options: object) -> Cost:
    """Count the cost of a model of these sizes, once."""
    return cost(shapes_only(name, bands, scale, **options), bands)


def compare_printed() -> pd.DataFrame:
    """Return our costs beside those of Tables V-VII, and whether they are equal to the last printed digit.

    Columns: dataset, scale, model, params_M, paper_params_M, macs_G, paper_macs_G, equal, misprint_corrected.
    """
    rows = [
        {"dataset": row.dataset, "scale": row.scale, "model": row.model}
        | _beside(cost_of(row.model, bands_of(row.dataset), row.scale), row)
        | {"misprint_corrected": row.corrected}
        for row in paper_costs().itertuples()
    ]
    return pd.DataFrame(rows)


def compare_block_counts() -> pd.DataFrame:
    """Return our costs beside those of Table I, a row for each number of blocks; columns as in `compare_printed`."""
    rows = [
        {"blocks": row.blocks} | _beside(cost_of("lkca", bands_of(row.dataset), row.scale, blocks=row.blocks), row)
        for row in printed_table(BLOCKS).itertuples()
    ]
    return pd.DataFrame(rows)


def _beside(ours: Cost, printed: tuple) -> dict[str, object]:
    return {
        "params_M": ours.params_m,
        "paper_params_M": printed.params_M,
        "macs_G": ours.macs_g,
        "paper_macs_G": printed.macs_G,
        "equal": (ours.params_m, ours.macs_g) == (printed.params_M, printed.macs_G),
    }


def upsampling_shares(bands: int, scale: int) -> pd.DataFrame:
    """Return the share of the upsampling convolutions in the parameters and MACs of every model (Figure 1)."""
    rows = []
    for name in LEARNED:
        whole, part = cost_of(name, bands, scale), upsampling_cost(shapes_only(name, bands, scale), bands)
        rows.append({"model": name, "params": part.params / whole.params, "macs": part.macs / whole.macs})
    return pd.DataFrame(rows)


def low_rank_savings(bands: int, scale: int, groups: int) -> pd.DataFrame:
    """Return the cost of every model before and after `lkca.low_rank`; a note says where the groups do not fit."""
    rows = []
    for name in LEARNED:
        before = cost_of(name, bands, scale)
        row = {"model": name, "params_M": before.params_m, "macs_G": before.macs_g, "note": ""}
        try:
            after = cost(low_rank(shapes_only(name, bands, scale), groups), bands)
        except ValueError as error:
            rows.append(row | {"note": str(error)})
            continue
        row |= {"low_rank_params_M": after.params_m, "low_rank_macs_G": after.macs_g}
        saved = {"params_saved": 1 - after.params / before.params, "macs_saved": 1 - after.macs / before.macs}
        rows.append(row | saved)
    return pd.DataFrame(rows)
