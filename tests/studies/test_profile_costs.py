"""What a profile's training costs: counted by hand on small runs, and against the patches that training really has."""

import pandas as pd
import pytest

from lkca.data.loaders import load_dataset
from lkca.data.patches import split_patches
from lkca.measures.cost import cost
from lkca.models import build_model
from lkca.paths import results_folder
from lkca.studies import profile_costs
from lkca.training.run import Distillation, Run


def test_a_run_costs_its_passes() -> None:
    run = Run(reading="tiny", options={"blocks": 1, "channels": 16}, epochs=7, batch=8, stride=8)
    macs = cost(build_model("lkca-lr", 8, 4, blocks=1, channels=16), 8).macs
    patches = profile_costs._patches(run)
    assert profile_costs.training_macs(run) == 7 * patches * (32 / 4 / 16) ** 2 * 3 * macs
    student = Run(**{**vars(run), "model": "lkca-kd", "distillation": Distillation(teacher_blocks=3)})
    teacher = cost(build_model("lkca", 8, 4, blocks=3, channels=16), 8).macs
    assert profile_costs.training_macs(student) == 7 * patches / 4 * (3 * macs + teacher)


def test_patches_are_about_those_of_training() -> None:
    run = Run(dataset="synthetic", options={"blocks": 1, "channels": 16}, stride=16)
    split = load_dataset("synthetic")
    trained, held_out = split_patches(split.train, run.patch, run.stride, "paper", run.validation_share)
    assert profile_costs._patches(run) == pytest.approx(len(trained), abs=1)


def test_bands_are_those_of_the_scene() -> None:
    assert profile_costs._bands(Run(dataset="chikusei")) == 128
    assert profile_costs._bands(Run(dataset="houston2018")) == 48
    assert profile_costs._bands(Run(dataset="indian_pines")) == load_dataset("indian_pines").bands
    assert profile_costs._bands(Run(dataset="fresh")) == 48


def test_hours_are_those_of_the_tables_each_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = results_folder() / "quick"
    folder.mkdir(parents=True)
    rows = pd.DataFrame({"run": ["a", "b", "gone"], "seconds": [1800.0, 3600.0, 9.0]})
    rows.to_csv(folder / "scenes.csv", index=False)
    rows[:1].to_csv(folder / "regions.csv", index=False)
    assert profile_costs.measured_hours("quick", {"a", "b"}) == pytest.approx(1.5)
    assert pd.isna(profile_costs.measured_hours("paper", {"a"}))
