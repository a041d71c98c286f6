"""The cost tables of the study: every printed cost counted again, and what the low-rank upsampler saves anywhere."""

from functools import cache

import pandas as pd
import torch
from torch import nn

from lkca.measures.cost import Cost, cost
from lkca.models import MODELS, build_model, model_names
from lkca.models.low_rank import low_rank, upsampling_cost
from lkca.paper.tables import bands_of, paper_costs, paper_table

LEARNED = tuple(name for name in model_names() if MODELS[name].learned)


def shapes_only(name: str, bands: int, scale: int, **options: object) -> nn.Module:
    """A model without values, on torch's "meta" device: counting needs no more."""
    with torch.device("meta"):
        return build_model(name, bands, scale, **options)


@cache
def cost_of(name: str, bands: int, scale: int, **options: object) -> Cost:
    """The cost of a model of these sizes; counted once."""
    return cost(shapes_only(name, bands, scale, **options), bands)


def against_paper() -> pd.DataFrame:
    """Tables V-VII: a row a dataset, scale and model; ours, the paper's, equal to the last printed digit or not."""
    rows = []
    for printed in paper_costs().itertuples():
        bands = bands_of(printed.dataset)
        ours = cost_of(printed.model, bands, printed.scale)
        rows.append(
            {
                "dataset": printed.dataset,
                "scale": printed.scale,
                "model": printed.model,
                "params_M": ours.params_m,
                "paper_params_M": printed.params_M,
                "macs_G": ours.macs_g,
                "paper_macs_G": printed.macs_G,
                "equal": (ours.params_m, ours.macs_g) == (printed.params_M, printed.macs_G),
                "misprint_corrected": printed.corrected,
            }
        )
    return pd.DataFrame(rows)


def block_costs() -> pd.DataFrame:
    """Table I's costs: a row a number of blocks; ours, the paper's, equal or not."""
    rows = []
    for printed in paper_table("table1_blocks").itertuples():
        bands = bands_of(printed.dataset)
        ours = cost_of("lkca", bands, printed.scale, blocks=printed.blocks)
        rows.append(
            {
                "blocks": printed.blocks,
                "params_M": ours.params_m,
                "paper_params_M": printed.params_M,
                "macs_G": ours.macs_g,
                "paper_macs_G": printed.macs_G,
                "equal": (ours.params_m, ours.macs_g) == (printed.params_M, printed.macs_G),
            }
        )
    return pd.DataFrame(rows)


def upsampling_shares(bands: int, scale: int) -> pd.DataFrame:
    """Figure 1 for every model: what share of its parameters and MACs the upsampling convolutions have."""
    rows = []
    for name in LEARNED:
        whole, part = cost_of(name, bands, scale), upsampling_cost(shapes_only(name, bands, scale), bands)
        rows.append({"model": name, "params": part.params / whole.params, "macs": part.macs / whole.macs})
    return pd.DataFrame(rows)


def low_rank_savings(bands: int, scale: int, groups: int) -> pd.DataFrame:
    """Costs of every model before and after `low_rank`; a note where the groups do not fit."""
    rows = []
    for name in LEARNED:
        before = cost_of(name, bands, scale)
        row = {"model": name, "params_M": before.params_m, "macs_G": before.macs_g}
        try:
            after = cost(low_rank(shapes_only(name, bands, scale), groups), bands)
            row |= {
                "low_rank_params_M": after.params_m,
                "low_rank_macs_G": after.macs_g,
                "params_saved": 1 - after.params / before.params,
                "macs_saved": 1 - after.macs / before.macs,
                "note": "",
            }
        except ValueError as error:
            row["note"] = str(error)
        rows.append(row)
    return pd.DataFrame(rows)
