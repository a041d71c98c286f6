"""Verdicts: every word can be earned, by the rules of docs/verdicts.md, and thin evidence earns "open"."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lkca.data.loaders import sensor_scenes
from lkca.measures.metrics import METRICS
from lkca.paths import results_folder
from lkca.studies import verdicts as module
from lkca.studies.intervals import interval
from lkca.studies.verdicts import CONFIRMED, OPEN, REFUTED, WEAKENED, Verdict, verdicts

CODE = "abcdef-123456"


def table(name: str, rows: list[dict]) -> Path:
    frame = pd.DataFrame([{"dataset": "synthetic", "code": CODE, "late_rise_dB": 0.0, **row} for row in rows])
    path = results_folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False)
    return path


def changed(path: Path, **columns: object) -> None:
    pd.read_csv(path).assign(**columns).to_csv(path, index=False)


def blocks(gains: dict[int, float], seeds: int = 3) -> Path:
    """Quality by number of blocks, with seeds that differ by a thousandth."""
    jitter = (0.0, 0.001, -0.001)
    rows = [
        {"model": "lkca", "blocks": number, "seed": seed, "MPSNR": 30 + gain + jitter[(seed + number) % 3]}
        for number, gain in gains.items()
        for seed in range(seeds)
    ]
    return table("converged/block_count.csv", rows)


@pytest.mark.parametrize(
    ("gains", "word"),
    [
        ({8: 0.0, 16: 0.1, 32: 0.2, 64: 0.205}, CONFIRMED),
        ({1: 0.0, 2: 0.1, 4: 0.105, 8: 0.106}, WEAKENED),
        ({1: 0.0, 2: 0.001, 4: 0.0, 8: -0.05}, REFUTED),
        ({1: 0.0, 2: 0.1, 4: 0.2, 8: 0.3}, OPEN),  # still growing: the tables end too early
    ],
)
def test_blocks(gains: dict[int, float], word: str) -> None:
    blocks(gains)
    found = module.blocks_verdict()
    assert found.word == word and found.source == "converged/block_count.csv"


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"code": None}, "code is not recorded"),
        ({"late_rise_dB": 0.1}, "100% of the runs were stopped while they rose"),
        ({"dataset": "la_aviris"}, "one real scene"),
    ],
)
def test_unfit_tables_decide_nothing(columns: dict, reason: str) -> None:
    changed(blocks({8: 0.0, 16: 0.1, 32: 0.2, 64: 0.205}), **columns)
    found = module.blocks_verdict()
    assert found.word == OPEN and reason in found.numbers


def test_mixed_code_decides_nothing() -> None:
    path = blocks({8: 0.0, 16: 0.1, 32: 0.2, 64: 0.205})
    frame = pd.read_csv(path)
    frame.loc[0, "code"] = "000000-123456"
    frame.to_csv(path, index=False)
    assert module.blocks_verdict().word == OPEN and "2 states of the code" in module.blocks_verdict().numbers
    frame.assign(code=["abcdef-1", *["abcdef-2"] * (len(frame) - 1)]).to_csv(path, index=False)  # other networks' files
    assert module.blocks_verdict().word == CONFIRMED


def test_one_seed_is_thin() -> None:
    blocks({8: 0.0, 16: 0.1, 32: 0.2, 64: 0.205}, seeds=1)
    assert module.blocks_verdict().word == OPEN


@pytest.mark.parametrize(
    ("k90", "kept", "word"), [(50, 0.95, CONFIRMED), (400, 0.95, WEAKENED), (50, 0.5, WEAKENED), (400, 0.5, REFUTED)]
)
def test_rank(k90: int, kept: float, word: str) -> None:
    runs = [{"run": f"r{seed}", "model": "lkca", "MPSNR": 31.0, "dataset": "la_aviris"} for seed in range(3)]
    table("cpu/upsamplers.csv", [{"run": "b", "model": "bicubic", "MPSNR": 30.0, "dataset": "la_aviris"}, *runs])
    cuts = [
        {"run": run["run"], "k": k, "cut_MPSNR": 30 + share, "values": 576, "k90": k90, "budget": 61}
        for run in runs
        for k, share in ((61, kept), (576, 1.0))
    ]
    path = table("cpu/upsamplers_truncation.csv", cuts)
    assert module.rank_verdict().word == word
    frame = pd.read_csv(path)
    frame[frame["run"] != "r2"].to_csv(path, index=False)
    assert module.rank_verdict().word == OPEN


def scenes(lost: float, won: float, spread: float = 0.02) -> None:
    """LKCA-LR loses and LKCA-KD wins on every scene, give or take what differs from scene to scene."""
    rows = []
    for number, dataset in enumerate(found for found in sensor_scenes() if found.place != "Los Angeles"):
        turn = spread * (-1) ** number
        quality = {"back-projection": 0.0, "lkca": 0.3, "lkca-lr": 0.3 + lost + turn, "lkca-kd": 0.3 + lost + won}
        for model, value in quality.items():
            metrics = {name: 30 + value for metric in METRICS for name in (metric, f"{metric}_bp")}
            rows.append({"dataset": dataset.name, "model": model, "scale": 4, **metrics})
    table("cpu/scenes.csv", rows)


@pytest.mark.parametrize(
    ("lost", "won", "word"),
    [
        (-0.05, 0.05, CONFIRMED),
        (-0.05, 0.0, WEAKENED),
        (-0.2, 0.1, REFUTED),
        (-0.05, -0.05, REFUTED),
        (-0.1, 0.1, OPEN),
    ],
)
def test_distillation(lost: float, won: float, word: str) -> None:
    scenes(lost, won)
    found = module.distillation_verdict()
    assert found.word == word and "over 13 places" in found.numbers and "LR - back-projection" in found.numbers


def test_few_places_are_thin() -> None:
    scenes(-0.05, 0.05)
    path = results_folder() / "cpu/scenes.csv"
    frame = pd.read_csv(path)
    frame[frame["dataset"].isin(["samson", "hysu", "indian_pines"])].to_csv(path, index=False)
    assert (
        module.distillation_verdict().word == OPEN and "3 places, 8 are needed" in module.distillation_verdict().numbers
    )


@pytest.mark.parametrize(("least", "word"), [(24.0, CONFIRMED), (6.5, WEAKENED), (0.9, REFUTED)])
def test_speed(least: float, word: str) -> None:
    table(
        "speed/cpu-ratios.csv",
        [{"model": m, "batch": 1, "size": s, "times_faster": max(least, s)} for m in module.SLOW for s in (0, 32)],
    )
    assert module.speed_verdict().word == word
    changed(results_folder() / "speed/cpu-ratios.csv", model="sspsr")
    assert module.speed_verdict().word == OPEN and "essaformer, msdformer" in module.speed_verdict().numbers


def hosts(changes: dict[str, float], saved: float = 0.4) -> None:
    rows = [{"model": "bicubic", "upsampler": None, "seed": 0, "MPSNR": 30.0, "params_M": 0, "macs_G": 0}]
    for model, change in changes.items():
        for seed in range(3):
            for kind, quality, cost in (("own", 0.0, 1.0), ("grouped", change, 1 - saved)):
                rows.append({"model": model, "upsampler": kind, "seed": seed, "params_M": cost, "macs_G": 1.0,
                             "MPSNR": 31 + quality + 0.001 * seed * (kind == "own")})  # fmt: skip
    table("converged/upsamplers_elsewhere.csv", rows)


def all_hosts(*changes: float) -> dict[str, float]:
    return dict(zip(module.HOSTS, changes, strict=True))


@pytest.mark.parametrize(
    ("changes", "saved", "word"),
    [
        (all_hosts(0.0, 0.1, -0.05, -0.5), 0.4, CONFIRMED),
        (all_hosts(0.0, 0.1, -0.5, -0.5), 0.4, WEAKENED),
        (all_hosts(0.0, -0.2, -0.5, -0.5), 0.4, REFUTED),
        (all_hosts(0.0, 0.1, -0.05, -0.5), 0.2, REFUTED),  # nothing worth speaking of is saved
        (all_hosts(0.0, 0.1, -2.0, -2.0) | {"sspsr": 0.0}, 0.4, WEAKENED),
        ({"vdsr": 0.0, "sspsr": 0.0}, 0.4, OPEN),  # two networks are no "most"
    ],
)
def test_hosts(changes: dict[str, float], saved: float, word: str) -> None:
    hosts(changes, saved)
    assert module.hosts_verdict().word == word


def test_without_tables_all_is_open() -> None:
    found = verdicts()
    assert len(found) == 5 and set(found["verdict"]) == {f"**{OPEN}**"}


def test_a_failed_network_cannot_be_judged() -> None:
    hosts(all_hosts(0.0, 0.0, 0.0, 0.0))
    path = results_folder() / "converged/upsamplers_elsewhere.csv"
    frame = pd.read_csv(path)
    frame.loc[frame["model"].isin(["sspsr", "essaformer"]), "MPSNR"] -= 2
    frame.to_csv(path, index=False)
    found = module.hosts_verdict()
    assert found.word == OPEN and "essaformer: not above bicubic as published" in found.numbers


def test_interval_is_students() -> None:
    mean, half = interval(pd.Series([1.0, 2.0, 4.0]))
    assert mean == pytest.approx(7 / 3) and half == pytest.approx(4.302653 * np.std([1, 2, 4], ddof=1) / np.sqrt(3))
    assert isinstance(module.speed_verdict(), Verdict)
