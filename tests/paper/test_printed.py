"""The printed tables as data."""

import pytest

from lkca.metrics import METRICS
from lkca.paper.printed import COSTS, TABLES, bicubic_rows, network_tables, paper_costs, printed_table


def test_every_printed_number_is_there() -> None:
    numbers = {number: printed_table(name).filter([*COSTS, *METRICS]).count() for number, name in TABLES.items()}
    assert {number: counts.sum() for number, counts in numbers.items()} == {
        "I": 48, "II": 24, "III": 30, "IV": 8, "V": 140, "VI": 140, "VII": 140,
    }  # fmt: skip
    assert sum(counts.get("macs_G", 0) for counts in numbers.values()) == 54  # of Tables I and V-VII
    assert printed_table("table1_blocks").set_index("blocks").loc[64, "MPSNR"] == 40.5793
    assert bicubic_rows("chikusei").set_index("scale")["MPSNR"].to_dict() == {4: 37.6377, 8: 34.5049}


def test_the_misprint_of_table_6_is_swapped_back_and_marked() -> None:
    costs = paper_costs().set_index(["dataset", "scale", "model"])
    assert len(costs) == 48
    assert costs.loc[("houston2018", 4, "vdsr"), "params_M"] == 1.134
    assert costs.loc[("houston2018", 4, "3dfcnn"), "macs_G"] == 0.324
    assert costs[costs["corrected"]].index.tolist() == [("houston2018", 4, "vdsr"), ("houston2018", 4, "3dfcnn")]
    printed = network_tables().set_index(["dataset", "scale", "model"])
    assert printed.loc[("houston2018", 4, "vdsr"), "params_M"] == 1.268


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="table9"):
        printed_table("table9")
