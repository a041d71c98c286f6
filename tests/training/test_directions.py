"""Training for any sensor: samples, the stream of made scenes, and a run that is interrupted."""

import dataclasses
import json
from concurrent.futures import Future

import numpy as np
import pytest
import torch

from lkca import Run, train
from lkca.box import SCALES, box_file
from lkca.data.datasets import DATASETS
from lkca.data.loaders import sensor_scenes
from lkca.data.made_scenes import made_cube
from lkca.data.patches import Area
from lkca.models.any_sensor import AnySensor
from lkca.training import direction_trainer, directions
from lkca.training.box_runs import box_run


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Run:
    """A run of seconds on made scenes, made where they are asked for."""
    monkeypatch.setenv("LKCA_RUNS", str(tmp_path))
    for module, name, value in (
        (directions, "POOL", 3), (directions, "FRESH", 1), (directions, "MADE_SIDE", {2: 40}),
        (directions, "VALIDATION_SEEDS", range(2)), (direction_trainer, "VALIDATION_SEEDS", range(2)),
        (direction_trainer, "STEPS", 3), (direction_trainer, "MADE_SIDE", {2: 40}),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(directions, "ProcessPoolExecutor", InPlace)
    options = {"blocks": 1, "channels": 16, "directions": 2}
    return Run(
        dataset="sensors", reading="made", scale=2, model="lkca-any", options=options, epochs=3, batch=2, patch=16,
        learning_rate=1e-3,
    )  # fmt: skip


class InPlace:
    """An executor that works at once, in this process."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def submit(self, function, *given):
        done = Future()
        done.set_result(function(*given))
        return done

    def shutdown(self, **_: object) -> None:
        pass


def test_a_sample_is_a_direction_and_the_guide_of_the_same_place() -> None:
    model = AnySensor(1, 2, directions=3, blocks=1, channels=16)
    area = Area("made", made_cube(5, 48))
    scene = directions.Directions(area, model, 16)
    first = [scene.sample(np.random.default_rng(seed)) for seed in range(40)]
    again = [scene.sample(np.random.default_rng(seed)) for seed in range(40)]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert first[0].shape == (2, 16, 16)
    spread = torch.stack(first).std()
    assert 0.3 < spread < 3  # in standard deviations of the scene
    assert len({round(float(sample.mean()), 4) for sample in first}) > 30


def test_samples_keep_away_from_no_data() -> None:
    cube = made_cube(6, 48)
    no_data = np.zeros((48, 48), bool)
    no_data[:, 20:] = True
    cube[:, no_data] = 1e6
    model = AnySensor(1, 2, directions=2, blocks=1, channels=16)
    scene = directions.Directions(Area("half", cube, no_data), model, 16)
    assert scene.places[:, 1].max() == 4
    with pytest.raises(ValueError, match="no 32x32 patch without no-data"):
        directions.Directions(Area("half", cube, no_data), model, 32)


def test_made_scenes_are_replaced_from_epoch_to_epoch(small: Run) -> None:
    model = AnySensor(1, 2, directions=2, blocks=1, channels=16)
    made = directions.MadeScenes(0, model, 16, epochs=3)
    first, second = made.of_epoch(0), made.of_epoch(1)
    assert len(first) == len(second) == 3
    assert first[1] is second[0] and second[2] not in first
    resumed = directions.MadeScenes(0, model, 16, epochs=3).of_epoch(1)
    assert all(torch.equal(a.standard, b.standard) for a, b in zip(second, resumed, strict=True))
    other = directions.MadeScenes(1, model, 16, epochs=3).of_epoch(0)
    assert not torch.equal(other[0].standard, first[0].standard)


def test_a_given_number_of_made_scenes_is_never_replaced(small: Run) -> None:
    model = AnySensor(1, 2, directions=2, blocks=1, channels=16)
    made = directions.MadeScenes(0, model, 16, epochs=3, count=2)
    first = made.of_epoch(0)
    assert len(first) == 2 and made.of_epoch(1) == made.of_epoch(2) == first
    endless = directions.MadeScenes(0, model, 16, epochs=3).of_epoch(0)
    assert torch.equal(endless[1].standard, first[1].standard)  # they are the first ones of the endless stream


@pytest.mark.parametrize(("reading", "count"), [("made", None), ("made-4", 4)])
def test_a_reading_says_how_many_made_scenes_train(small: Run, monkeypatch, reading: str, count: int | None) -> None:
    class Asked(Exception):
        """In place of the scenes."""

    def scenes(*given: object) -> None:
        raise Asked(given[-1])

    monkeypatch.setattr(direction_trainer, "MadeScenes", scenes)
    with pytest.raises(Asked) as found:
        train(dataclasses.replace(small, reading=reading), "cpu", lambda line: None)
    assert found.value.args == (count,)


def test_the_weights_in_the_box_are_those_of_the_endless_stream() -> None:
    """The record beside them names the run, whose hash covers all of its settings."""
    for scale in SCALES:
        run = box_run(scale, "made")
        assert json.loads(box_file(scale, "made").with_suffix(".json").read_text())["run"] == run.name
        assert DATASETS[run.dataset].readings[run.reading].made is None
    assert box_run(4, scenes=16, epochs=20).reading == "made-16"


@pytest.mark.parametrize("scale", SCALES)
def test_a_patch_of_every_real_scene_can_train_the_weights_in_the_box(scale: int) -> None:
    run = box_run(scale, "real")
    for scene in sensor_scenes():
        assert run.patch <= min(side // scale * scale for side in scene.shape[1:]), scene.name


def test_made_scenes_are_unlike_each_other_and_the_same_again() -> None:
    cubes = [made_cube(seed, 32) for seed in range(6)]
    assert all(cube.shape == (24, 32, 32) and cube.dtype == np.float32 and np.isfinite(cube).all() for cube in cubes)
    assert np.array_equal(made_cube(3, 32), cubes[3])
    assert len({round(float(cube.mean()), 5) for cube in cubes}) == 6
    with pytest.raises(ValueError, match="at least 0 and 16 pixels"):
        made_cube(-1)


def test_an_interrupted_run_ends_with_the_same_bits(small: Run, tmp_path, monkeypatch) -> None:
    whole = train(small, "cpu", lambda line: None)
    assert list(whole.history["epoch"]) == [1, 2, 3]
    weights = whole.model().state_dict()
    monkeypatch.setenv("LKCA_RUNS", str(tmp_path / "again"))
    real = direction_trainer.DirectionTrainer._report

    def interrupted(self):
        real(self)
        if len(self.history) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(direction_trainer.DirectionTrainer, "_report", interrupted)
        train(small, "cpu", lambda line: None)
    resumed = train(small, "cpu", lambda line: None)
    assert all(torch.equal(value, weights[name]) for name, value in resumed.model().state_dict().items())
    assert resumed.metrics == whole.metrics


def test_other_networks_are_refused(small: Run) -> None:
    run = Run(dataset="sensors", reading="made", scale=2, model="lkca-lr", options={"blocks": 1, "channels": 16})
    with pytest.raises(ValueError, match="share no bands: only lkca-any"):
        train(run, "cpu", lambda line: None)


def test_training_from_given_weights_ends_when_no_epoch_has_been_better_for_a_while() -> None:
    trainer = direction_trainer.DirectionTrainer.__new__(direction_trainer.DirectionTrainer)
    for start, validations, ends in (
        ("box", [], False),
        ("box", [1, 2, *[1.5] * 5], False),
        ("box", [1, 2, *[1.5] * 6], True),
        (None, [2, *[1] * 20], False),
    ):
        trainer.start, trainer.history = start, [{"validation": value} for value in validations]
        assert trainer.enough() is ends
