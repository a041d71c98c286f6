"""The study of one network for every sensor: what is measured and what is read, and what is said of the numbers."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lkca.data.patches import Area
from lkca.measures.metrics import METRICS
from lkca.models import build_model
from lkca.paths import results_folder, write_text
from lkca.studies.any_sensor import measured as study
from lkca.studies.any_sensor import verdict
from lkca.studies.any_sensor.measured import BACK_PROJECTION, BICUBIC, QUARTER, WHOLE, Ground
from lkca.studies.any_sensor.training_sets import ENDLESS, MADE, OTHER_SENSORS, REAL, SETS, missing_weights, run_of
from lkca.training.weights import Passport, save_weights

SMALL = {"blocks": 1, "channels": 16}


def ground(name: str, sensor: str, part: str = WHOLE) -> Ground:
    seed = sum(map(ord, name + part))
    cube = np.random.default_rng(seed).random((3, 32, 32), np.float32)
    return Ground(name, sensor, "here", part, Area(name, cube), f"{seed:064d}")


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two tiny grounds, and weights for made scenes at x4 alone; the weights' file."""
    torch.manual_seed(0)
    weights = tmp_path / "made.safetensors"
    passport = Passport(model="lkca-any", bands=1, scale=4, options=SMALL)
    save_weights(weights, build_model("lkca-any", 1, 4, **SMALL), passport)
    scenes = (ground("shore", "A"), ground("town", "made"))
    monkeypatch.setattr(study, "grounds", lambda profile: scenes)
    monkeypatch.setattr(study, "far_quarter", lambda name: ground(name, "A", QUARTER))
    monkeypatch.setattr(
        study, "weights_of", lambda method, scale, sensor, profile: weights if (method, scale) == (MADE, 4) else None
    )
    study.file_checksum.cache_clear()
    study._loaded.cache_clear()
    return weights


def test_every_image_is_measured_once_and_again_only_where_data_or_weights_are_others(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    frame = study.measured("quick", said.append)
    assert len(said) == 3 and not frame.duplicated(list(study.KEY)).any()
    main = verdict.main_rows(frame)
    assert main[["scale", "method"]].drop_duplicates().values.tolist() == [
        [2, BICUBIC], [2, BACK_PROJECTION], [4, BICUBIC], [4, BACK_PROJECTION], [4, MADE],
        [8, BICUBIC], [8, BACK_PROJECTION],
    ]  # fmt: skip
    assert main[list(METRICS)].notna().all(axis=None)
    assert (frame["weights"].notna() == (frame["method"] == MADE)).all()
    assert frame[frame["part"] == QUARTER]["scene"].unique().tolist() == ["shore"]

    again = study.measured("quick", said.append)
    assert len(said) == 3
    pd.testing.assert_frame_equal(again, pd.read_csv(results_folder() / "quick" / "any_sensor.csv", dtype=study.TYPES))

    torch.manual_seed(1)
    passport = Passport(model="lkca-any", bands=1, scale=4, options=SMALL)
    save_weights(tiny, build_model("lkca-any", 1, 4, **SMALL), passport)
    study.file_checksum.cache_clear()
    changed = study.measured("quick", said.append)
    lacking = [int(line.split(": ")[1].split()[0]) for line in said[3:]]
    assert sum(lacking) == (frame["method"] == MADE).sum() and len(changed) == len(frame)


def test_made_scenes_are_compared_with_rows_that_were_read(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have no place, which a CSV reads as a missing one."""
    town = dataclasses.replace(ground("town", "made"), place="")
    monkeypatch.setattr(study, "grounds", lambda profile: (town,))
    study.measured("quick", lambda line: None)
    monkeypatch.setattr(study, "weights_of", lambda method, scale, *_: tiny if scale == 4 and method in SETS else None)
    frame = study.measured("quick", lambda line: None)
    assert set(verdict.by_training_set(frame)["scenes"]) == {1}


def test_a_table_of_scenes_that_are_not_here_is_taken_as_it_is(tiny: Path) -> None:
    frame = study.measured("quick", lambda line: None).assign(scene="elsewhere")
    write_text(results_folder() / "quick" / "any_sensor.csv", frame.to_csv(index=False))
    said: list[str] = []
    assert set(study.measured("quick", said.append)["scene"]) == {"elsewhere"}
    assert said == ["any_sensor.csv is taken as it is: elsewhere not in place"]


def test_made_scenes_that_test_no_longer_leave_the_table(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "town" in set(study.measured("quick", lambda line: None)["scene"])
    monkeypatch.setattr(study, "grounds", lambda profile: (ground("shore", "A"),))
    assert set(study.measured("quick", lambda line: None)["scene"]) == {"shore"}


def test_fewer_directions_are_another_result_and_the_usual_ones_the_networks_own(tiny: Path) -> None:
    frame = study.measured("quick", lambda line: None)
    table = verdict.by_directions(frame).query("metric == 'MPSNR'")
    assert table["directions"].tolist() == [1, 2, 4, 8, 16] and (table["scenes"] == 2).all()
    assert table["mean"].iloc[0] != table["mean"].iloc[2]
    assert table["mean"].iloc[3] == pytest.approx(table["mean"].iloc[4], abs=1e-6)  # three bands have no more


def made_up(values: dict[str, dict[str, float]], **facts: object) -> pd.DataFrame:
    """Rows of a table: scene -> method -> MPSNR; the other metrics are made of it."""
    rows = []
    for scene, methods in values.items():
        for method, value in methods.items():
            identity = {
                "scene": scene,
                "sensor": "A",
                "place": scene[0],
                "part": WHOLE,
                "scale": 4,
                "optics": "bicubic",
            }
            directions = None if method in (BICUBIC, BACK_PROJECTION) else 8
            rows.append(identity | facts | {"method": method, "directions": directions}
                        | dict.fromkeys(METRICS, 1.0) | {"MPSNR": value, "SAM": 10 - value / 10})  # fmt: skip
    return pd.DataFrame(rows).astype({"directions": "Int64"})


FOUR = {
    "one": {BICUBIC: 30.0, BACK_PROJECTION: 30.5, MADE: 31.0},
    "two": {BICUBIC: 20.0, BACK_PROJECTION: 20.5, MADE: 20.25},
    "three": {BICUBIC: 40.0, BACK_PROJECTION: 40.5, MADE: 42.0},
    "four": {BICUBIC: 25.0, BACK_PROJECTION: 25.5, MADE: 24.75},
}


def test_gains_are_paired_and_their_interval_is_students_over_scenes() -> None:
    gains = verdict.gains(made_up(FOUR))
    assert gains.query("method == @MADE")["MPSNR"].tolist() == [1.0, 0.25, 2.0, -0.25]
    row = verdict.intervals(gains, ["method"]).query("method == @MADE and metric == 'MPSNR'").iloc[0]
    assert row["mean"] == 0.75 and row["scenes"] == 4 and row["better"] == 3
    assert row["half_width"] == pytest.approx(3.182446 * np.std([1, 0.25, 2, -0.25], ddof=1) / 2, rel=1e-6)
    angle = verdict.intervals(gains, ["method"]).query("method == @MADE and metric == 'SAM'").iloc[0]
    assert angle["better"] == 3  # a smaller angle is better


def test_the_summary_says_what_the_numbers_say() -> None:
    row = verdict.summary(made_up(FOUR)).iloc[1]
    assert row["method"] == MADE and row["MPSNR, dB"] == "+0.75 ± 1.56"
    assert row[["scenes", "ahead of bicubic", "of back-projection"]].tolist() == [4, 3, 2]
    assert row["by place, dB"].startswith("+0.62 ± ") and row["by place, dB"].endswith("(3)")  # two and three are at t
    assert verdict.least_gain(made_up(FOUR), 2) == ["four", "two"]


def test_real_scenes_become_the_default_only_where_they_are_better_by_more_than_chance() -> None:
    def frame(*gains: float) -> pd.DataFrame:
        values = {
            f"scene {number}": {BICUBIC: 30.0, BACK_PROJECTION: 30.5, ENDLESS: 31.0, OTHER_SENSORS: 31.0 + gain}
            for number, gain in enumerate(gains)
        }
        return made_up(values)

    for gains, kind, said in (
        ((0.2, 0.21, 0.19), "real", "+0.20 ± 0.02 dB on 3 scenes"),
        ((0.2, -0.1, 0.1), "made", "+0.07 ± 0.38 dB on 3 scenes"),
        ((-0.2, -0.21, -0.19), "made", "-0.20 ± 0.02 dB on 3 scenes"),
    ):
        table = verdict.real_minus_made(frame(*gains))
        assert table.query("counted == 'sensor' and metric == 'MPSNR'")["scenes"].tolist() == [1]
        sentence = verdict.default_kind(table)
        assert f"kind `{kind}`" in sentence and said in sentence
    assert "No run has seen real scenes" in verdict.default_kind(verdict.real_minus_made(made_up(FOUR)))
    assert verdict.main_rows(frame(0.1, 0.2))["method"].unique().tolist() == [BICUBIC, BACK_PROJECTION]


def test_gains_are_by_the_number_of_made_scenes_and_without_end_is_the_last() -> None:
    one, four = SETS[0], SETS[1]
    values = {name: FOUR[name] | {one: 30.0, four: 31.0, ENDLESS: 32.0} for name in FOUR}
    table = verdict.by_training_set(made_up(values)).query("metric == 'MPSNR'")
    assert table["made_scenes"].tolist() == [1, 4, np.inf]
    assert table["mean"].tolist() == [30 - 28.75, 31 - 28.75, 32 - 28.75]


def test_every_set_of_scenes_trains_equally_long_and_what_tests_never_trained() -> None:
    runs = [run_of(method, 4, "HySpex", "cpu") for method in SETS]
    assert len({run.hash for run in runs}) == len(SETS) and {run.epochs for run in runs} == {20}
    assert [run.reading for run in runs] == ["made-1", "made-4", "made-16", "made-64", "made", "without-HySpex"]
    assert run_of(REAL, 8, "CASI", "cpu").reading == "without-CASI"
    assert run_of(OTHER_SENSORS, 4, "made", "cpu") is None
    few = [run for method in SETS if (run := run_of(method, 4, "AVIRIS", "quick"))]
    assert [(run.reading, run.epochs) for run in few] == [("made-1", 1), ("made-4", 1)]


def test_what_has_not_been_trained_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LKCA_RUNS", str(tmp_path))
    lines = missing_weights(["CASI", "SAMSON"], "cpu")
    assert "real scenes of other sensors, x4: no run that left out CASI, SAMSON" in lines
    assert "4 made scenes, x4: no run" in lines and f"{MADE}, x4" not in lines
    folder = run_of(OTHER_SENSORS, 4, "CASI", "cpu").folder
    folder.mkdir()
    (folder / "metrics.json").touch()
    assert "real scenes of other sensors, x4: no run that left out SAMSON" in missing_weights(["CASI", "SAMSON"], "cpu")


def test_rows_of_runs_that_are_elsewhere_stay(tiny: Path) -> None:
    frame = study.measured("quick", lambda line: None)
    row = frame.query("scene == 'shore' and method == @MADE and directions == 8 and part == 'whole'").iloc[0]
    theirs = row.to_dict() | {"method": REAL, "weights": "of another machine"}
    gone = theirs | {"data_checksum": "of other data"}
    town = frame.query("scene == 'town' and method == @MADE and directions == 8").iloc[0].to_dict()
    nobodys = town | {"method": REAL, "weights": "that saw real scenes"}  # which test on real ones alone
    both = pd.concat([frame, pd.DataFrame([theirs, gone, nobodys])], ignore_index=True)
    write_text(results_folder() / "quick" / "any_sensor.csv", both.to_csv(index=False))
    again = study.measured("quick", lambda line: None)
    assert len(again) == len(frame) + 1 and again["weights"].tolist().count("of another machine") == 1


def test_other_optics_are_warned_of_where_the_network_loses() -> None:
    usual, harmed = (
        {BICUBIC: 30.0, BACK_PROJECTION: 30.5, MADE: 31.0},
        {BICUBIC: 30.0, BACK_PROJECTION: 29.9, MADE: 29.0},
    )
    protocol = made_up({"one": usual, "two": usual})
    fine, bad = (
        made_up({"one": usual, "two": usual}, optics="mean"),
        made_up({"one": usual, "two": harmed}, optics="noise"),
    )
    worst = made_up({"one": harmed, "two": harmed}, optics="fog")
    table = verdict.optics_to_mind(pd.concat([protocol, fine, bad, worst])).round(6)
    assert table.to_numpy().tolist() == [
        ["noise", 0.0, 1, "two -1.00", 0.0, 1, 2],
        ["fog", -1.0, 2, "one -1.00", 0.1, 2, 2],
    ]
    assert verdict.optics_to_mind(pd.concat([protocol, fine])).empty


def test_networks_trained_on_the_scene_stand_beside_the_box_and_what_is_missing_is_named() -> None:
    ours = made_up({name: FOUR[name] for name in ("one", "two")}, part=QUARTER)
    table, missing = verdict.far_quarters(ours, "quick")
    assert set(table["method"]) == {BACK_PROJECTION, MADE} and "no table at profile 'quick'" in missing[0]
    rows = [{"run": "r", "dataset": "one", "model": "lkca-lr", "seed": seed, "scale": 4, **dict.fromkeys(METRICS, 1.0),
             "MPSNR": 30.0 + seed} for seed in (0, 1)]  # fmt: skip
    write_text(results_folder() / "quick" / "scenes.csv", pd.DataFrame(rows).to_csv(index=False))
    table, missing = verdict.far_quarters(ours, "quick")
    assert table.query("method == 'lkca-lr'")[["scene", "MPSNR"]].values.tolist() == [["one", 0.5]]
    assert missing == ["LKCA-LR: two", "LKCA-best: one, two", "VDSR: one, two"]
    assert len(verdict.ahead_of_trained(table)) == 2  # back-projection and LKCA-LR
    others = (("two", "lkca-lr", 20.0), ("one", "vdsr", 30.0), ("two", "vdsr", 20.3))
    rows += [rows[0] | {"dataset": scene, "model": model, "MPSNR": value} for scene, model, value in others]
    write_text(results_folder() / "quick" / "scenes.csv", pd.DataFrame(rows).to_csv(index=False))
    *_, vdsr, both = verdict.ahead_of_trained(verdict.far_quarters(ours, "quick")[0])
    assert "ahead of VDSR on 1 of 2" in vdsr and both == "It is ahead of all 2 that trained on 1 of 2."


def test_the_title_says_what_was_measured_on() -> None:
    assert verdict.title_of(made_up(FOUR)) == "4 real scenes of 1 sensors"
    mixed = pd.concat([made_up({"one": FOUR["one"]}), made_up({"two": FOUR["two"]}, sensor="made")])
    assert verdict.title_of(mixed) == "one (A) and 1 made scenes that never trained"
