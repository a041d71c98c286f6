"""Runs: equal settings are one run, every setting counts, impossible ones are refused."""

import dataclasses
import itertools
import json
import math
from pathlib import Path

import pytest

from lkca.data.datasets import DATASETS
from lkca.models import model_options
from lkca.run import PATIENCE, Distillation, Run

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
DISTILLATION_CHANGES = {"weight": 1.0, "decay": 1.0, "l1": 0.0, "gradient": 0.0, "cosine": 0.0, "teacher_blocks": 32}
DISTILLATION_CHANGES |= {"teacher_seed": 1}


def test_every_setting_changes_the_hash() -> None:
    assert set(CHANGES) == {field.name for field in dataclasses.fields(Run)}
    assert set(DISTILLATION_CHANGES) == {field.name for field in dataclasses.fields(Distillation)}
    changed = [{name: value} for name, value in CHANGES.items()]
    changed += [{"options": {name: False}} for name in ("channel_attention", "large_kernel")]
    distillations = [{}, *({name: value} for name, value in DISTILLATION_CHANGES.items())]
    changed += [{"model": "lkca-kd", "distillation": settings} for settings in distillations]
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
        ({"start_from": {}, "patience": PATIENCE, "options": {"channel_attention": True}}, {}),
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
        ({"dataset": "chikusai"}, "chikusei"),
        ({"variant": "huge"}, "default"),
        ({"scale": 3}, "2, 4, 8"),
        ({"scale": 4.0}, "scale"),
        ({"validation": "none"}, "disjoint"),
        ({"precision": "float16"}, "bfloat16"),
        ({"patch": 30}, "patch"),
        ({"learning_rate": 1e-7}, "final_learning_rate"),
        ({"psf": "sharp"}, "sharp"),
        ({"model": "bicubic", "distillation": Distillation()}, "bicubic"),
        ({"distillation": 1}, "distillation"),
        ({"start_from": {"epoch": 3}}, "epoch"),
        ({"start_from": {"dataset": "nowhere"}}, "nowhere"),
        ({"start_from": {"epochs": 0}}, "epochs"),
    ],
)
def test_impossible_settings_are_refused(settings: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Run(**settings)


@pytest.mark.parametrize(
    ("kind", "names", "values"),
    [
        (Run, ("epochs", "batch", "patch", "stride"), (0, -1, 2.5, 8.0, True, "8")),
        (Run, ("learning_rate", "validation_share"), (0, -1, math.nan, math.inf, 1e300)),
        (Run, ("sam", "gradient"), (-1, math.nan, math.inf, "0", True)),
        (Run, ("seed",), (-1, 1.5, 2**64)),
        (Distillation, ("weight", "l1", "gradient", "cosine"), (-1, math.nan, None)),
        (Distillation, ("decay",), (0, -1, 1.01, math.nan)),
        (Distillation, ("teacher_blocks", "teacher_seed"), (1.5, -1)),
    ],
)
def test_impossible_numbers_are_refused(kind: type, names: tuple[str, ...], values: tuple) -> None:
    for name, value in itertools.product(names, values):
        with pytest.raises(ValueError, match=name):
            kind(**{name: value})


@pytest.mark.parametrize(
    "run",
    [
        Run(),
        Run(dataset="some/scene.mat", scale=8, options={"blocks": 2}, sam=1, psf="gaussian:0.5"),
        Run(model="lkca-kd", distillation=Distillation(weight=1, teacher_blocks=3)),
        Run(model="bicubic", start_from={"epochs": 2}),
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
    run.settings()["options"]["blocks"] = 1  # a copy
    assert run == Run(options={"blocks": 2})


def test_a_run_begins_with_the_weights_of_a_run_like_itself() -> None:
    assert Run().start() is None
    assert Run(seed=2, start_from={"epochs": 2, "sam": 0}).start() == Run(seed=2, epochs=2, sam=0)


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
