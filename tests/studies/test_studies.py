"""What single studies compute: distillation, benchmark, convergence, speed."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from lkca.data.split import Area
from lkca.data.synthetic.scenes import synthetic_scene
from lkca.evaluate import low_resolution
from lkca.fast import predict
from lkca.files import results_folder
from lkca.metrics import METRICS, mpsnr
from lkca.models import build_model
from lkca.paper.printed import printed_table
from lkca.studies import speed, study_runs, tables
from lkca.studies.benchmark import case_runs, cases, paper_case
from lkca.studies.convergence import (
    ITERATIONS,
    NOISY,
    added_by_networks,
    back_projection_curve,
    late_gains,
    scenes_in_place,
)
from lkca.studies.distillation import PLAIN, QUESTIONS, TEACHER, paper_rows, rows_of
from lkca.studies.speed import MIN_ROUNDS, measure_speed, take_turns
from lkca.studies.tables import study_results
from lkca.trainer import MIN_GAIN

CPU = torch.device("cpu")


def write(profile: str, name: str, rows: list[dict]) -> None:
    path = results_folder() / profile / f"{name}.csv"
    path.parent.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_csv(path, index=False)


# --- distillation


@pytest.mark.parametrize(
    ("question", "settings", "default"),
    [
        (QUESTIONS[0], ["decay 1", "decay 0.75", "decay 0.66", "decay 0.5"], "decay 0.66"),
        (QUESTIONS[1], ["weight 1", "weight 0.1", "weight 0.05", "weight 0.01", "weight 0.005"], "weight 0.01"),
        (
            QUESTIONS[2],
            ["L1 + gradient + cosine", "L1 + gradient", "L1 + cosine", "L1", "gradient + cosine", "gradient", "cosine"],
            "L1 + gradient + cosine",
        ),
    ],
)
def test_rows_are_named_by_what_is_varied_and_the_papers_are_among_them(
    question: object, settings: list[str], default: str
) -> None:
    rows = []
    for run in study_runs("distillation", "small"):
        kd = run.settings()["distillation"] or {}
        rows.append({"run": run.name, "model": run.model} | {f"kd_{k}": v for k, v in kd.items()})
    frame = rows_of(pd.DataFrame(rows).sample(frac=1, random_state=1), question, "small")  # order must not matter
    assert frame["setting"].unique().tolist() == [TEACHER, PLAIN, *settings]
    paper = paper_rows(question).set_index("setting")["MPSNR"]
    assert set(paper.index) <= {PLAIN, *settings} and paper[[PLAIN, default]].tolist() == [40.1691, 40.2351]


# --- benchmark


def test_cases_narrow_the_profile() -> None:
    assert cases("small") == [("la_aviris", 4), ("la_aviris", 8)]
    assert cases("small", scale=8) == [("la_aviris", 8)]
    assert cases("small", "synthetic") == [("synthetic", 4), ("synthetic", 8)]
    assert cases("quick", "la_aviris", 2) == [("la_aviris", 2)]
    assert cases("quick", scale=2) == [("synthetic", 2)]
    (run,) = case_runs("quick", "synthetic", 4, ["lkca-lr"])
    assert run in study_runs("benchmark", "quick")


def test_rows_of_a_case_are_read_or_trained(make_profile: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    profile = make_profile(seeds=[0, 1], studies={"benchmark": {"cases": [["synthetic", 2]], "models": ["bicubic"]}})
    frame = study_results("benchmark", profile, runs=case_runs(profile, "synthetic", 2, ["bicubic", "lkca-lr"]))
    assert frame["model"].tolist() == ["bicubic", "lkca-lr", "lkca-lr"] and frame["MPSNR"].gt(15).all()
    frame.assign(MPSNR=47.11).to_csv(results_folder() / "benchmark.csv", index=False)
    (results_folder() / profile).mkdir()
    (results_folder() / "benchmark.csv").rename(results_folder() / profile / "benchmark.csv")
    monkeypatch.setattr(tables, "train", lambda *_: pytest.fail("the table has it"))
    one = case_runs(profile, "synthetic", 2, ["lkca-lr"])
    assert study_results("benchmark", profile, runs=one)["MPSNR"].tolist() == [47.11, 47.11]
    with pytest.raises(ValueError, match="nosuch"):
        case_runs(profile, "synthetic", 2, ["nosuch"])


def test_the_papers_misprinted_costs_are_corrected() -> None:
    for dataset, name in (("houston2018", "table6_houston2018"), ("chikusei", "table5_chikusei")):
        ours = paper_case(dataset, 4).set_index("model")
        printed = printed_table(name).query("scale == 4").set_index("model")
        pd.testing.assert_frame_equal(ours[list(METRICS)], printed[list(METRICS)])
        swapped = {"vdsr": "3dfcnn", "3dfcnn": "vdsr"} if dataset == "houston2018" else {}
        for model in ours.index.drop("bicubic"):
            assert ours["params_M"][model] == printed["params_M"][swapped.get(model, model)]
    assert paper_case("la_aviris", 4) is None and paper_case("chikusei", 2) is None


# --- convergence


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_share_of_runs_that_had_not_converged(share: float) -> None:
    gains = np.where(np.arange(4) < 4 * share, 2 * MIN_GAIN, 0.5 * MIN_GAIN)
    rows = [{"run": "b", "model": "bicubic", "late_gain_dB": np.nan, "epochs": 9}]
    rows += [{"run": str(n), "model": "lkca", "late_gain_dB": gain, "epochs": 4 + n} for n, gain in enumerate(gains)]
    write("quick", "scenes", rows)
    write("quick", "scenes_training", [{"run": "0", "model": "lkca", "epoch": 1, "validation": 30.0}])
    (row,) = late_gains("quick").itertuples()
    assert (row.study, row.runs, row.epochs, row.not_converged) == ("scenes", 4, 7, share)
    assert tables.all_rows("quick", "_training")["study"].tolist() == ["scenes"]
    assert late_gains("cpu").empty and added_by_networks("cpu").empty


def test_networks_are_compared_with_back_projection_of_their_own_case() -> None:
    case = {"variant": "v", "scale": 4}
    rows = [("a", "back-projection", 31.0), ("a", "lkca", 31.5), ("a", "lkca", 30.9), ("b", "lkca", 50.0)]
    rows += [("b", "back-projection", 51.0)]
    content = [{"run": n, "dataset": d, "model": m, "MPSNR": v, **case} for n, (d, m, v) in enumerate(rows)]
    write("quick", "scenes", [row | {"MPSNR_bp": row["MPSNR"] + 0.3} for row in content])
    (row,) = added_by_networks("quick").itertuples()
    assert (row.study, row.model, row.runs, row.above) == ("scenes", "lkca", 3, 1)
    assert row.added_dB == pytest.approx((0.5 - 0.1 - 1) / 3) and row.added_bp_dB == pytest.approx(row.added_dB + 0.3)


def test_the_back_projection_curve_passes_through_both_baselines() -> None:
    area = Area("", synthetic_scene(32, 32, 4, 1).cube)
    curve = back_projection_curve({"one": area})
    assert len(curve) == len(ITERATIONS) * (2 + len(NOISY))
    lr, truth = low_resolution(area, 4)
    found = curve.query("scale == 4 and degradation == 'bicubic'").set_index("steps")["MPSNR"]
    for model, steps in (("bicubic", 0), ("back-projection", 5)):
        image = predict(build_model(model, 4, 4), lr).numpy()
        assert found[steps] == pytest.approx(mpsnr(image, truth.numpy()), abs=1e-4)
    noisy = curve.query("degradation == 'bicubic, 30 dB'").set_index("steps")["MPSNR"]
    assert found[20] - found[0] > noisy[20] - noisy[0]  # it amplifies noise


def test_scenes_without_any_file_are_real_and_synthetic() -> None:
    scenes = scenes_in_place("quick")
    assert list(scenes)[0] == "indian_pines" and len(scenes) == 4
    assert all(area.cube.min() >= 0 and area.cube.max() <= 1 for area in scenes.values())


# --- speed


def test_turns_and_their_limits() -> None:
    turns: list[str] = []
    passes = {name: partial(turns.append, name) for name in "ab"}
    times = take_turns(passes, CPU, rounds=5, repeats=2)
    assert {name: len(taken) for name, taken in times.items()} == {"a": 10, "b": 10}
    assert "".join(turns) == "ab" + 5 * "aaabbb"  # one to warm up; in a turn one uncounted, then two
    assert len(take_turns(passes, CPU, rounds=50, seconds=0)["a"]) == MIN_ROUNDS
    turns.clear()
    take_turns(passes, CPU, 20, order=np.random.default_rng(0))
    assert {"aabb", "bbaa"} == {"".join(turns[start : start + 4]) for start in range(2, len(turns), 4)}


def test_what_does_not_fit_into_the_time_is_left_out_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """SSPSR takes 50 s at first; the second setting has four times the pixels."""
    monkeypatch.setattr(speed, "take_turns", lambda passes, *_: dict(zip(passes, ([1e-3], [50.0]), strict=False)))
    monkeypatch.setattr(speed, "TIMED", ("vdsr", "sspsr"))
    monkeypatch.setattr(speed, "BANDS", 8)
    frame = measure_speed([2, 4], [1], CPU, budget=1000)
    assert frame["model"].tolist() == ["vdsr", "sspsr"] * 2 and frame["milliseconds"].tolist()[:2] == [1, 50_000]
    skipped = frame[frame["milliseconds"].isna()]
    assert skipped[["model", "size"]].to_numpy().tolist() == [["sspsr", 4]] and "200.0 s" in skipped["note"].iloc[0]
    assert frame["macs_G"][2] == pytest.approx(4 * frame["macs_G"][0], rel=0.01)
    assert {"commit", "torch", "cpu", "threads", "device"} <= set(frame)


@pytest.mark.parametrize(
    ("sizes", "batches", "precision", "message"),
    [([], [1], "float32", "sizes and batches"), ([16], [0], "float32", "at least 1"), ([16], [1], "half", "bfloat16")],
)
def test_impossible_measurements_are_refused(sizes: list, batches: list, precision: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure_speed(sizes, batches, CPU, precision=precision)
