"""The table that answers a referee: every cell is of the runs that it names."""

import pandas as pd
import pytest

from lkca.data.loaders import sensor_scenes
from lkca.figures.evidence import differences_by_epoch as drawn
from lkca.measures.metrics import METRICS
from lkca.paths import results_folder
from lkca.studies.referee import COMPARISONS, NONE, ONE_SCENE, SEEDS, at_half, differences_by_epoch, referee_table

BLOCKS, LOST, LOST_FLAT, WON, WON_FLAT, VDSR = COMPARISONS[:6]
GROUPED = {"upsampler": "grouped", "groups": 8, "rank": 0}


def write(profile: str, study: str, rows: list[dict], curves: dict[str, list[float]]) -> None:
    """A study's table and its curves of training, by run."""
    folder = results_folder() / profile
    folder.mkdir(parents=True, exist_ok=True)
    given = {"late_rise_dB": 0.0, "MPSNR_bp": 31.0, "groups": 1, "rank": 0, "upsampler": "grouped", "blocks": 2}
    pd.DataFrame([{**given, **row} for row in rows]).to_csv(folder / f"{study}.csv", index=False)
    lines = [(run, epoch, value) for run, values in curves.items() for epoch, value in enumerate(values, start=1)]
    frame = pd.DataFrame(lines, columns=["run", "epoch", "validation"])
    frame.to_csv(folder / f"{study}_training.csv", index=False)


def blocks(profile: str = "converged") -> None:
    """16 blocks are better than one by 0.3, 0.5, 0.7 dB; their runs are longer, and one of them was still rising."""
    rows, curves = [], {}
    for seed in range(3):
        for count, quality in ((1, 31.0), (4, 30.0), (16, 31.3 + 0.2 * seed)):
            run = f"{count}-{seed}"
            rising = 0.1 if run == "16-1" else 0.0
            corrected = 31.4 + 0.1 * (count == 16)
            rows.append({"run": run, "model": "lkca", "seed": seed, "blocks": count, "MPSNR": quality,
                         "MPSNR_bp": corrected, "late_rise_dB": rising})  # fmt: skip
        curves[f"1-{seed}"] = [30.0, 30.4, 30.3, 30.5]
        curves[f"4-{seed}"] = [20.0]
        curves[f"16-{seed}"] = [29.0, 30.5, 30.6, 30.7, 30.8, 31.0]
    write(profile, "block_count", rows, curves)


def answer(difference: str) -> pd.Series:
    table = referee_table().set_index("difference (dB)")
    return table.loc[difference]


def test_without_tables_nothing_is_said() -> None:
    table = referee_table()
    assert (table.drop(columns=["claim", "difference (dB)"]) == NONE).all(axis=None)
    assert set(table["claim"]) == {1, 2, 3, 5}


def test_seeds_training_time_and_back_projection() -> None:
    blocks()
    found = answer("most blocks - one block")
    assert found[SEEDS] == "+0.500 ± 0.497" and found["made scenes, both back-projected"] == "+0.100 ± 0.000"
    assert found["validation at half the steps"] == "+0.100 ± 0.000"  # 30.5 - 30.4 after two epochs
    assert found["validation at the end"] == "+0.500 ± 0.000"  # 31.0 - 30.5
    assert found["still rising"] == "1 of 6" and found[ONE_SCENE] == NONE and found["over places"] == NONE
    blocks("cpu")
    found = answer("most blocks - one block")
    assert found[ONE_SCENE] == "+0.500 ± 0.497" and found["one real scene, both back-projected"] == "+0.100 ± 0.000"


def test_curves_are_of_the_best_so_far_and_the_shorter_one_keeps_its_last_value() -> None:
    blocks()
    rows = differences_by_epoch(BLOCKS, "converged")
    first = rows[rows["seed"] == 0]
    assert first["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert first["difference"].tolist() == pytest.approx([-1.0, 0.1, 0.2, 0.2, 0.3, 0.5])
    assert [part.tolist() for part in at_half(BLOCKS, "converged")] == [
        pytest.approx([0.1] * 3),
        pytest.approx([0.5] * 3),
    ]
    assert len(drawn({"blocks": rows, "again": rows}, "title").axes) == 2


def test_other_runs_of_the_study_are_not_taken() -> None:
    rows = [
        {"run": "full", "model": "lkca", "seed": 0, "MPSNR": 31.0},
        {"run": "lr", "model": "lkca-lr", "seed": 0, "MPSNR": 30.9, **GROUPED},
        {"run": "svd", "model": "lkca-lr", "seed": 0, "MPSNR": 20.0, **GROUPED, "upsampler": "svd"},
        {"run": "two", "model": "lkca-lr", "seed": 0, "MPSNR": 20.0, **GROUPED, "groups": 2},
        {"run": "kd", "model": "lkca-kd", "seed": 0, "MPSNR": 30.95, **GROUPED},
        {"run": "bicubic", "model": "bicubic", "seed": 0, "MPSNR": 29.0, "late_rise_dB": None},
    ]
    write("converged", "upsamplers", rows, {run: [30.0, 30.0] for run in ("full", "lr", "svd", "two", "kd")})
    assert (
        answer(LOST.difference)[SEEDS] == "-0.100 (one seed)" and answer(WON.difference)[SEEDS] == "+0.050 (one seed)"
    )
    flat = [
        {"run": "net", "model": "lkca", "seed": 0, "MPSNR": 31.5},
        {"run": "low", "model": "lkca-lr", "seed": 0, "MPSNR": 31.2},
        {"run": "taught", "model": "lkca-kd", "seed": 0, "MPSNR": 31.3},
    ]
    write("converged", "until_flat", flat, {run: [30.0] for run in ("net", "low", "taught")})
    assert answer(LOST_FLAT.difference)[SEEDS] == "-0.300 (one seed)"
    assert answer(WON_FLAT.difference)[SEEDS] == "+0.100 (one seed)"
    assert answer(LOST.difference)[SEEDS] == "-0.100 (one seed)"
    hosts = [
        {"run": "own", "model": "vdsr", "seed": 0, "MPSNR": 31.0, "upsampler": "own"},
        {"run": "grouped", "model": "vdsr", "seed": 0, "MPSNR": 31.2},
        {"run": "other", "model": "sspsr", "seed": 0, "MPSNR": 25.0},
    ]
    write("converged", "upsamplers_elsewhere", hosts, {run: [30.0] for run in ("own", "grouped", "other")})
    assert answer(VDSR.difference)[SEEDS] == "+0.200 (one seed)"


def test_cuts_and_places() -> None:
    folder = results_folder() / "cpu"
    folder.mkdir(parents=True)
    cuts = [(f"r{n}", k, 30 + 0.1 * k, 4, 2) for n in range(3) for k in (1, 2, 4)]
    pd.DataFrame(cuts, columns=["run", "k", "cut_MPSNR", "values", "budget"]).to_csv(
        folder / "upsamplers_truncation.csv", index=False
    )
    assert answer("full upsampler cut to LKCA-LR's rank - uncut")[ONE_SCENE] == "-0.200 ± 0.000"
    rows = []
    for number, dataset in enumerate(found for found in sensor_scenes() if found.place != "Los Angeles"):
        for model, quality in (("lkca", 0.3), ("lkca-lr", 0.2), ("lkca-kd", 0.2 + 0.1 * (number % 2))):
            for scale in (4, 8):
                metrics = {name: 30 + quality / scale * 4 for metric in METRICS for name in (metric, f"{metric}_bp")}
                rows.append({"dataset": dataset.name, "model": model, "scale": scale, **metrics})
    pd.DataFrame(rows).to_csv(folder / "scenes.csv", index=False)
    assert answer(LOST.difference)["over places"].startswith(
        "-0.100 ± 0.000, median -0.100; both back-projected -0.100"
    )
    assert answer(WON.difference)["over places"].startswith("+0.0")
