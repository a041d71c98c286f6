"""Costs of every network to the last printed digit, and the counting rules on layers counted by hand."""

import pytest
import torch
from torch import nn

from lkca.cost import Cost, cost
from lkca.models import build_model
from lkca.paper.printed import BANDS, paper_costs, printed_table

COSTS = list(paper_costs().drop(columns="corrected").itertuples(index=False, name=None))
assert len(COSTS) == 48


def count(name: str, bands: int, scale: int, **options: object) -> Cost:
    with torch.device("meta"):  # no weights are drawn
        return cost(build_model(name, bands, scale, **options), bands)


@pytest.mark.parametrize(("dataset", "scale", "model", "params_m", "macs_g"), COSTS)
def test_costs_of_tables_5_to_7(dataset: str, scale: int, model: str, params_m: float, macs_g: float) -> None:
    counted = count(model, BANDS[dataset], scale)
    assert (counted.params_m, counted.macs_g) == (params_m, macs_g)


def test_costs_of_table_1() -> None:
    table = printed_table("table1_blocks")
    assert len(table) == 6
    for row in table.itertuples():
        counted = count("lkca", 128, 4, blocks=row.blocks)
        assert (counted.params_m, counted.macs_g) == (row.params_M, row.macs_G)


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        (nn.Conv2d(6, 4, 3, padding=1), 6 * 4 * 9 * 64),  # the bias is free
        (nn.Conv2d(6, 4, 3, padding=1, groups=2), 3 * 4 * 9 * 64),
        (nn.AdaptiveAvgPool2d(1), 6 * 64),
        (nn.GELU(), 0),
        (nn.Sequential(nn.Conv2d(6, 4, 1), nn.Sigmoid(), nn.PixelShuffle(2)), 6 * 4 * 64),
        (nn.LayerNorm(8), 5 * 6 * 64),
        (nn.Linear(8, 3), 6 * 8 * 8 * 3),
    ],
)
def test_rules_by_hand(layer: nn.Module, macs: int) -> None:
    assert cost(layer, 6, size=8).macs == macs


def test_counting_leaves_the_model_as_it_is() -> None:
    model = build_model("lkca-lr", 5, 4, blocks=1, channels=16)
    before = [p.clone() for p in model.parameters()]
    first = cost(model, 5)
    assert model.training
    assert first == cost(model.eval(), 5)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert cost(build_model("bicubic", 5, 4), 5) == Cost(0, 0)
