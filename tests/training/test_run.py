"""Runs: equal settings are one run, every setting counts, impossible ones are refused."""

import dataclasses
import json
import math
from pathlib import Path

import pytest

from lkca.data.datasets import DATASETS
from lkca.models import model_options
from lkca.run import Distillation, Run

CHANGES = {
    "dataset": "la_aviris",
    "variant": "tiny",
    "scale": 2,
    "model": "lkca",
    "options": {"blocks": 3},
    "seed": 1,
    "epochs": 3,
    "batch": 8,
    "learning_rate": 1e-3,
    "final_learning_rate": 1e-5,
    "patch": 16,
    "stride": 4,
    "validation": "paper",
    "validation_share": 0.2,
    "precision": "bfloat16",
    "sam": 0.0,
    "gradient": 0.0,
    "distillation": Distillation(),
    "psf": "mean",
    "patience": 9,
    "start_from": {"epochs": 1},
}
DISTILLATION_CHANGES = {
    "weight": 1.0,
    "decay": 1.0,
    "l1": 0.0,
    "gradient": 0.0,
    "cosine": 0.0,
    "teacher_blocks": 32,
    "teacher_seed": 1,
}


@pytest.mark.parametrize(("kind", "changes"), [(Run, CHANGES), (Distillation, DISTILLATION_CHANGES)])
def test_every_setting_changes_the_hash(kind: type, changes: dict) -> None:
    changed = [{field.name: changes[field.name]} for field in dataclasses.fields(kind)]
    if kind is Distillation:
        changed = [{"model": "lkca-kd", "distillation": settings} for settings in ({}, *changed)]
    assert len({Run(**settings).hash for settings in changed} | {Run().hash}) == len(changed) + 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"seed": 1, "options": {"blocks": 2}}, {"seed": 1, "options": {"blocks": 2}}),
        ({"sam": 1}, {"sam": 1.0}),
        ({"options": {"drop_path": 0}}, {"options": {"drop_path": 0.0}}),
        ({"options": {"blocks": 2, "groups": 4}}, {"options": {"groups": 4, "blocks": 2}}),
        ({"model": "lkca-kd", "distillation": Distillation(l1=1)}, {"model": "lkca-kd"}),
        ({"model": "lkca-kd", "distillation": {"weight": 1}}, {"model": "lkca-kd", "distillation": Distillation(1.0)}),
        ({"options": {"blocks": 16}}, {}),
        ({"variant": "default", "patch": 32, "stride": 16}, {}),
        ({"dataset": Path("scene.mat")}, {"dataset": "scene.mat"}),
    ],
)
def test_one_setting_written_in_two_ways_is_one_run(one: dict, other: dict) -> None:
    assert Run(**one) == Run(**other) and Run(**one).folder == Run(**other).folder


@pytest.mark.parametrize("name", list(DATASETS))
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_unset_values_come_from_dataset_and_model(name: str, scale: int) -> None:
    run, dataset = Run(dataset=name, scale=scale, options={"blocks": 2}), DATASETS[name]
    assert run.variant == next(iter(dataset.variants))
    assert (run.patch, run.stride) == (dataset.patch[scale], dataset.stride[scale])
    assert run.options == {**model_options("lkca-lr"), "blocks": 2}
    assert run.distillation is None and Run(model="lkca-kd").distillation == Distillation()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"model": "lkca-xl"}, "lkca-xl"),
        ({"dataset": "chikusai"}, "chikusei"),
        ({"variant": "huge"}, "default"),
        ({"options": {"block": 1}}, "blocks"),
        ({"options": {"channels": 100_000}}, "channels"),
        ({"scale": 3}, "2, 4, 8"),
        ({"scale": 4.0}, "scale"),
        ({"validation": "none"}, "disjoint"),
        ({"precision": "float16"}, "bfloat16"),
        ({"patch": 30}, "patch"),
        ({"learning_rate": 1e-7}, "final_learning_rate"),
        ({"psf": "sharp"}, "sharp"),
        ({"model": "bicubic", "distillation": Distillation()}, "bicubic"),
        ({"distillation": 1}, "distillation"),
    ],
)
def test_impossible_settings_are_refused(settings: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Run(**settings)


NUMBERS = [
    *((Run, name, value) for name in ("epochs", "batch", "patch", "stride") for value in (0, -1, 2.5, 8.0, True, "8")),
    *((Run, name, value) for name in ("learning_rate", "validation_share") for value in (0, -1, math.nan, math.inf)),
    *((Run, name, value) for name in ("sam", "gradient") for value in (-1, math.nan, math.inf, "0", True)),
    *((Run, "seed", value) for value in (-1, 1.5, 2**64)),
    (Run, "learning_rate", 1e300),
    (Run, "validation_share", 1),
    *((Distillation, name, value) for name in ("weight", "l1", "gradient", "cosine") for value in (-1, math.nan, None)),
    *((Distillation, "decay", value) for value in (0, -1, 1.01, math.nan)),
    *((Distillation, name, value) for name in ("teacher_blocks", "teacher_seed") for value in (1.5, -1)),
]


@pytest.mark.parametrize(("kind", "name", "value"), NUMBERS)
def test_impossible_numbers_are_refused(kind: type, name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        kind(**{name: value})


@pytest.mark.parametrize(
    "run",
    [
        Run(),
        Run(dataset="some/scene.mat", scale=8, options={"blocks": 2}, sam=1, psf="gaussian:0.5"),
        Run(model="lkca-kd", distillation=Distillation(weight=1, teacher_blocks=3)),
        Run(model="bicubic"),
    ],
)
def test_a_run_comes_back_from_its_json(run: Run) -> None:
    again = Run(**json.loads(run.to_json()))
    assert again == run and again.name == run.name and len({again, run}) == 1


def test_folder_is_named_after_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LKCA_RUNS", str(tmp_path))
    run = Run(dataset="some/my scene (1).mat", scale=2, seed=3)
    assert run.name == f"my-scene-1--x2-lkca-lr-seed3-{run.hash}" and run.folder == tmp_path / run.name


def test_a_run_is_frozen() -> None:
    run = Run(options={"blocks": 2})
    with pytest.raises(TypeError):
        run.options["blocks"] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.seed = 3
    run.settings()["options"]["blocks"] = 1  # a copy
    assert run == Run(options={"blocks": 2}) != Run(options={"blocks": 1})


def test_one_teacher_serves_students_of_every_seed_and_weight() -> None:
    run = Run(
        model="lkca-kd",
        seed=5,
        options={"channels": 32, "blocks": 2, "drop_path": 0.2},
        distillation=Distillation(teacher_blocks=7, teacher_seed=9),
        epochs=4,
        sam=0.3,
    )
    teacher = run.teacher()
    assert (teacher.model, teacher.seed, teacher.distillation, teacher.epochs, teacher.sam) == ("lkca", 9, None, 4, 0.3)
    assert teacher.options == model_options("lkca") | {"channels": 32, "blocks": 7, "drop_path": 0.2}
    other = dataclasses.replace(run, seed=6, distillation=dataclasses.replace(run.distillation, weight=0.5, decay=1))
    assert other.teacher() == teacher and other.hash != run.hash
    with pytest.raises(ValueError, match=teacher.name):
        teacher.teacher()
