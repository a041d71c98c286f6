"""Speed: every network gets a turn, what would take too long is left out and said, ratios are of the same setting."""

import time
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import lkca.studies.timing
from lkca.figures import benchmark as benchmark_plots
from lkca.studies import speed as speed_study
from lkca.studies import timing as speed
from lkca.studies.turns import take_turns

CPU = torch.device("cpu")


class Sleeper(nn.Module):
    """Takes a given time, and notes its turns."""

    def __init__(self, name: str, seconds: float, turns: list[str]) -> None:
        super().__init__()
        self.name, self.seconds, self.turns = name, seconds, turns

    def forward(self, x: Tensor) -> Tensor:
        self.turns.append(self.name)
        time.sleep(self.seconds)
        return x


def test_networks_take_turns_after_one_to_warm_up() -> None:
    turns: list[str] = []
    networks = [Sleeper("slow", 0.02, turns), Sleeper("fast", 0.001, turns)]
    passes = [partial(network, torch.zeros(1)) for network in networks]
    slow, fast = take_turns(passes, CPU, speed.MOST_TURNS, speed.LEAST_TURNS, allowed=0)
    assert turns == ["slow", "fast"] * (speed.LEAST_TURNS + 1)
    assert len(slow) == len(fast) == speed.LEAST_TURNS and min(slow) > 0.02 > max(fast)
    turns.clear()
    take_turns(passes, CPU, speed.MOST_TURNS, speed.LEAST_TURNS, allowed=0.25)
    assert 2 * (speed.LEAST_TURNS + 1) < len(turns) < 2 * (speed.MOST_TURNS + 1)


def test_turns_in_a_drawn_order_and_several_in_a_row() -> None:
    turns: list[str] = []
    passes = [partial(turns.append, name) for name in "abc"]
    drawn = take_turns(passes, CPU, 20, order=np.random.default_rng(0))
    rounds = ["".join(turns[start : start + 3]) for start in range(0, len(turns), 3)]
    assert {tuple(sorted(order)) for order in rounds} == {("a", "b", "c")} and len(set(rounds)) == 6
    assert [len(taken) for taken in drawn] == [20] * 3
    turns.clear()
    assert [len(taken) for taken in take_turns(passes, CPU, 1, in_a_row=[1, 2, 1])] == [1, 2, 1]
    assert "".join(turns) == 2 * "aabbbcc"


def test_what_does_not_fit_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """SSPSR takes 50 s in the first setting; the second has four times the pixels."""
    monkeypatch.setattr(lkca.studies.timing, "memory_of_pass", lambda *a: 1e6)
    monkeypatch.setattr(lkca.studies.timing, "take_turns", lambda networks, *a: [[1e-3], [50.0]][: len(networks)])
    frame = speed.measure_speed([2, 4], [1], CPU, bands=8, budget=1000, models=("vdsr", "sspsr"))
    assert frame["model"].tolist() == ["vdsr", "sspsr"] * 2
    skipped = frame[frame["milliseconds"].isna()]
    assert skipped[["model", "size"]].values.tolist() == [["sspsr", 4]]
    assert skipped["note"].iloc[0] == "not measured: over the time budget (about 200.0 s a pass)"
    assert frame["milliseconds"].tolist()[:2] == [1, 50_000] and frame["note"].iloc[0] == ""
    assert frame["macs_G"].iloc[2] == pytest.approx(4 * frame["macs_G"].iloc[0], rel=0.01)
    assert {"commit", "torch", "cpu", "threads", "device"} <= set(frame)


def test_memory_that_is_not_there_is_not_asked_for() -> None:
    expected = pd.DataFrame({"seconds": [1.0, 1.0], "memory": [1e6, 1e15]}, index=["vdsr", "sspsr"])
    notes = speed._left_out(expected, 100.0, CPU)
    assert list(notes) == ["sspsr"] and "about 1000000.0 GB of memory" in notes["sspsr"]
    assert "time budget" in speed._left_out(expected, 7.0, CPU)["sspsr"]


def test_memory_is_of_a_process_of_its_own() -> None:
    small, large = (
        speed.memory_of_pass("vdsr", nn.Identity(), torch.rand(1, 16, size, size), 2, "float32") for size in (8, 256)
    )
    output = 4 * 16 * 512 * 512
    assert small < large and large > 2 * output


@pytest.mark.parametrize(
    ("sizes", "batches", "precision", "message"),
    [([], [1], "float32", "sizes and batches"), ([16], [0], "float32", "at least 1"), ([16], [1], "half", "bfloat16")],
)
def test_impossible_settings_are_refused(sizes: list[int], batches: list[int], precision: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        speed.measure_speed(sizes, batches, CPU, precision=precision)


def made_times(exponent: float = 1.0) -> pd.DataFrame:
    """Times that follow MACs to a power; SSPSR is not measured at 32."""
    rows = []
    for size in (16, 32):
        for model, macs in (("vdsr", 0.5), ("sspsr", 43.0), ("essaformer", 52.0), ("lkca-lr", 0.34)):
            macs_g = macs * size**2 / 256
            skipped = model == "sspsr" and size == 32
            row = {"model": model, "batch": 1, "size": size, "macs_G": macs_g, "memory_mb": 100 * macs_g}
            rows.append(row | {"milliseconds": np.nan if skipped else 3 * macs_g**exponent, "params_M": 1.0})
    return pd.DataFrame(rows).assign(device="cpu", cpu="a processor", threads=2, torch="2.13")


def test_ratios_are_of_the_same_setting() -> None:
    frame = made_times()
    ratios = speed_study.speed_ups(frame).set_index(["size", "model"])
    assert list(ratios.index) == [(16, "sspsr"), (16, "essaformer"), (32, "essaformer")]
    assert ratios["times_faster"][32, "essaformer"] == pytest.approx(52 / 0.34)
    assert np.allclose(ratios["times_faster"], ratios["times_fewer_macs"])
    assert speed_study.time_against_macs(made_times(0.7)) == pytest.approx((0.7, 1.0))
    assert speed_study.times_of_smallest(frame)["lkca-kd"] == pytest.approx(3 * 0.34)
    assert "to the power 1.00" in speed_study.in_words(frame)
    summary = speed_study.summary(frame).set_index("network")
    assert list(summary.index) == ["VDSR", "SSPSR", "ESSAformer", "LKCA-LR"]
    assert summary["LKCA-LR is faster"]["SSPSR"] == pytest.approx(43 / 0.34)
    assert summary["GMAC in a second"].to_numpy() == pytest.approx(1000 / 3)


def test_own_quality_is_of_full_size_networks(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LKCA_OUTPUT", str(tmp_path))
    assert speed_study.own_quality("quick") == {}
    rows = pd.DataFrame(
        [("bicubic", 0, None, None, 30.0), ("vdsr", 0, 18, 64, 31.0), ("vdsr", 1, 18, 64, 32.0),
         ("lkca-lr", 0, 2, 32, 33.0), ("3dfcnn", 0, None, 64, 34.0)],
        columns=["model", "seed", "blocks", "channels", "MPSNR"],
    ).assign(dataset="la_aviris", scale=4)  # fmt: skip
    (tmp_path / "results/quick").mkdir(parents=True)
    rows.to_csv(tmp_path / "results/quick/benchmark.csv", index=False)
    (table,) = speed_study.own_quality("quick").values()
    assert dict(table.itertuples(index=False)) == {"bicubic": 30.0, "vdsr": 31.5, "3dfcnn": 34.0}
    untrained = rows.head(1)
    both = pd.concat([untrained, untrained.assign(model="back-projection")])
    both.to_csv(tmp_path / "results/quick/benchmark.csv", index=False)
    assert speed_study.own_quality("quick") == {}  # of no network


def test_figures_show_the_measured() -> None:
    frame = made_times()
    figure = benchmark_plots.time_and_macs(frame, "title")
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert lines["SSPSR"].get_xydata().tolist() == [[43.0, 129.0]]
    assert lines["333 GMAC/s"] is not None
    figure = benchmark_plots.speed_up_bars(speed_study.speed_ups(frame), "title")
    assert [text.get_text() for text in figure.axes[0].texts] == ["126x"]
    assert len(figure.axes) == 2
