"""Runs: one set of settings is one run, every setting counts, impossible ones are refused."""

import dataclasses
import json
import math
from pathlib import Path

import pytest

from lkca.data.datasets import DATASETS
from lkca.models import model_options
from lkca.scenes.view import SceneView
from lkca.training.run import LATER, Distillation, Run

CHANGES = {
    "dataset": "la_aviris",
    "reading": "tiny",
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
    "blur": "mean",
    "view": SceneView(bands="1-9"),
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


def names(kind: type) -> set[str]:
    return {f.name for f in dataclasses.fields(kind)}


def test_same_settings_are_one_run() -> None:
    a, b = Run(seed=1, options={"blocks": 2}), Run(seed=1, options={"blocks": 2})
    assert a == b and a.hash == b.hash and a.folder == b.folder


@pytest.mark.parametrize("field", sorted(names(Run)))
def test_every_setting_counts(field: str) -> None:
    assert Run().hash != Run(**{field: CHANGES[field]}).hash


@pytest.mark.parametrize("field", sorted(names(Distillation)))
def test_every_setting_of_distillation_counts(field: str) -> None:
    changed = Run(model="lkca-kd", distillation=Distillation(**{field: DISTILLATION_CHANGES[field]}))
    assert Run(model="lkca-kd").hash != changed.hash


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"sam": 1}, {"sam": 1.0}),
        ({"learning_rate": 1, "gradient": 0}, {"learning_rate": 1.0, "gradient": 0.0}),
        ({"options": {"drop_path": 0}}, {"options": {"drop_path": 0.0}}),
        ({"options": {"blocks": 2, "groups": 4}}, {"options": {"groups": 4, "blocks": 2}}),
        ({"model": "lkca-kd", "distillation": Distillation(l1=1)}, {"model": "lkca-kd"}),
        ({"options": {"blocks": 16}}, {}),
        ({"reading": "default", "patch": 32, "stride": 16}, {}),
        ({"dataset": Path("scene.mat")}, {"dataset": "scene.mat"}),
    ],
)
def test_one_setting_written_in_two_ways(one: dict, other: dict) -> None:
    assert Run(**one).hash == Run(**other).hash
    assert Run(**one) == Run(**other)


@pytest.mark.parametrize("name", list(DATASETS))
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_unset_values_are_filled_in(name: str, scale: int) -> None:
    run, dataset = Run(dataset=name, scale=scale, options={"blocks": 2}), DATASETS[name]
    assert run.reading == next(iter(dataset.readings))
    assert (run.patch, run.stride) == (dataset.patch[scale], dataset.stride[scale])
    assert run.options == {**model_options("lkca-lr"), "blocks": 2}
    assert run.distillation is None
    assert Run(model="lkca-kd").distillation == Distillation()


def test_paper_patches_for_chikusei() -> None:
    assert [(Run("chikusei", scale=s).patch, Run("chikusei", scale=s).stride) for s in (4, 8)] == [(64, 32), (128, 64)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "lkca-xl"}, "unknown model 'lkca-xl': choose one of bicubic"),
        ({"dataset": "chikusai"}, "unknown dataset 'chikusai': choose one of chikusei"),
        ({"reading": "huge"}, "no reading 'huge': choose one of default, "),
        ({"options": {"block": 1}}, "model 'lkca-lr' has no option 'block'; its options and defaults: blocks=16"),
        ({"options": {"blocks": 0}}, "lkca-lr option blocks must be a whole number of at least 1, got 0"),
        ({"options": {"drop_path": None}}, "lkca-lr option drop_path must be a number, got None"),
        ({"scale": 3}, "scale must be one of 2, 4, 8, got 3"),
        ({"scale": 4.0}, "scale must be one of 2, 4, 8, got 4.0"),
        ({"validation": "none"}, "validation must be one of disjoint, paper, got 'none'"),
        ({"precision": "float16"}, "precision must be one of float32, bfloat16, got 'float16'"),
        ({"patch": 30}, "patch must be a multiple of the scale 4, got 30"),
        ({"learning_rate": 1e-7}, "final_learning_rate 1e-06 is above learning_rate 1e-07"),
        ({"validation_share": 1}, "validation_share must be below 1, got 1"),
        ({"model": "bicubic", "distillation": Distillation()}, "the lkca networks, not for 'bicubic'"),
        ({"distillation": {"weight": 1}}, "must be a lkca.Distillation or None"),
    ],
)
def test_refusals(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Run(**settings)


WHOLE = ("epochs", "batch", "patch", "stride")
ABOVE_ZERO = ("learning_rate", "final_learning_rate", "validation_share")
AT_LEAST_ZERO = ("seed", "sam", "gradient")


@pytest.mark.parametrize(
    ("field", "value"),
    [(f, v) for f in WHOLE for v in (0, -1, 2.5, 8.0, True, "8", math.nan)]
    + [(f, v) for f in ABOVE_ZERO for v in (0, -1, math.nan, math.inf, "1e-4", None, True)]
    + [(f, v) for f in AT_LEAST_ZERO for v in (-1, math.nan, math.inf, "0", None, True)]
    + [("seed", 1.5)],
)
def test_impossible_numbers(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{field} must be "):
        Run(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [(f, v) for f in ("weight", "l1", "gradient", "cosine") for v in (-1, math.nan, "1", None)]
    + [("decay", v) for v in (0, -1, 1.01, math.nan, "1")]
    + [("teacher_blocks", v) for v in (0, 1.5, -1)]
    + [("teacher_seed", v) for v in (-1, 1.5)],
)
def test_impossible_numbers_of_distillation(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{field} must be "):
        Distillation(**{field: value})


@pytest.mark.parametrize(
    "run",
    [
        Run(),
        Run(dataset="some/scene.mat", scale=8, options={"blocks": 2}, sam=1),
        Run(model="lkca-kd", distillation=Distillation(weight=1, teacher_blocks=3)),
        Run(model="bicubic"),
        Run(dataset="some/scene.mat", blur="gaussian-0.5", view=SceneView(key="a", rows="1-9")),
    ],
)
def test_round_trip_through_json(run: Run) -> None:
    settings = json.loads(run.to_json())
    teaching, view = settings.pop("distillation"), settings.pop("view", None)
    settings |= {"distillation": teaching and Distillation(**teaching), "view": view and SceneView(**view)}
    again = Run(**settings)
    assert again == run and again.name == run.name and hash(again) == hash(run) and len({again, run}) == 1
    later = {name for name, value in LATER.items() if getattr(run, name) == value}
    assert set(run.settings()) == names(Run) - later  # all of them are in the record


def test_settings_that_came_later_change_no_name() -> None:
    assert Run().name == "synthetic-x4-lkca-lr-seed0-af167242c0"


def test_name_and_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LKCA_RUNS", str(tmp_path))
    run = Run(dataset="some/my scene (1).mat", scale=2, seed=3)
    assert run.name == f"my-scene-1--x2-lkca-lr-seed3-{run.hash}"
    assert run.folder == tmp_path / run.name
    assert len(run.hash) == 10


def test_frozen() -> None:
    run = Run(options={"blocks": 2})
    with pytest.raises(TypeError):
        run.options["blocks"] = 1
    run.settings()["options"]["blocks"] = 1  # a copy
    assert run.options["blocks"] == 2 and run == Run(options={"blocks": 2}) != Run(options={"blocks": 1})
    with pytest.raises(dataclasses.FrozenInstanceError):
        Run().seed = 3


def test_the_teacher_is_another_run() -> None:
    run = Run(
        model="lkca-kd",
        seed=5,
        options={"channels": 32, "blocks": 2, "drop_path": 0.2},
        distillation=Distillation(teacher_blocks=7, teacher_seed=9),
        epochs=4,
        patch=16,
        sam=0.3,
    )
    teacher = run.teacher()
    assert (teacher.model, teacher.seed, teacher.distillation) == ("lkca", 9, None)
    full = {"upsampler": "grouped", "groups": 1, "rank": 0}
    assert teacher.options == {"channels": 32, "blocks": 7, "drop_path": 0.2, **full}
    assert dataclasses.replace(run, model="lkca", options=teacher.options, seed=9, distillation=None) == teacher
    # one teacher serves students of every seed, weight and decay
    other = dataclasses.replace(run, seed=6, distillation=dataclasses.replace(run.distillation, weight=0.5, decay=1))
    assert other.teacher() == teacher and other.hash != run.hash
    with pytest.raises(ValueError, match="does not distil"):
        teacher.teacher()
