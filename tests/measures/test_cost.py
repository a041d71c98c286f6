"""Costs of the paper's own networks, to the last printed digit, and the counting rules on layers counted by hand."""

import pytest
import torch
from torch import nn

from lkca.measures.cost import cost
from lkca.models import build_model
from lkca.paper.tables import bands_of, paper_costs, paper_table

BLOCKS = [tuple(row) for row in paper_table("table1_blocks")[["blocks", "params_M", "macs_G"]].itertuples(index=False)]
COSTS = paper_costs()
OURS = [
    tuple(row)
    for row in COSTS[COSTS["model"].isin(["lkca", "lkca-lr", "lkca-kd"])]
    .drop(columns="corrected")
    .itertuples(index=False)
]


def test_the_tables_are_there() -> None:
    assert len(BLOCKS) == 6 and len(OURS) == 18


@pytest.mark.parametrize(("blocks", "params", "macs"), BLOCKS)
def test_table_1(blocks: int, params: float, macs: float) -> None:
    with torch.device("meta"):  # no weights are drawn
        model = build_model("lkca", 128, 4, blocks=int(blocks))
    counted = cost(model, 128)
    assert (round(counted.params / 1e6, 3), round(counted.macs / 1e9, 3)) == (params, macs)


@pytest.mark.parametrize(("dataset", "scale", "name", "params", "macs"), OURS)
def test_tables_5_to_7(dataset: str, scale: int, name: str, params: float, macs: float) -> None:
    bands = bands_of(dataset)
    with torch.device("meta"):
        model = build_model(name, bands, scale)
    counted = cost(model, bands)
    assert (round(counted.params / 1e6, 3), round(counted.macs / 1e9, 3)) == (params, macs)
    assert (counted.params_m, counted.macs_g) == (params, macs)


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


def test_counting_leaves_the_model_alone() -> None:
    model = build_model("lkca-lr", 5, 4, blocks=1, channels=16, groups=1)
    before = [p.clone() for p in model.parameters()]
    assert model.training
    first = cost(model, 5)
    assert first == cost(model.eval(), 5)
    model.train()
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert {p.device.type for p in model.parameters()} == {"cpu"}
    assert cost(build_model("bicubic", 5, 4), 5) == type(first)(0, 0)
