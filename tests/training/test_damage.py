"""Damaged and foreign files, diverged training, full disks: no wrong result, and an error that names the file."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from lkca.checkpoints import RECORDED, load_result, load_state, save_state
from lkca.data.split import Split
from lkca.losses import supervised_loss
from lkca.run import Run
from lkca.train import train
from tests.training.tiny import FILES, TINY, TRAIN, Stop, files, quiet, stop_after

SHORT = dataclasses.replace(TINY, epochs=2, stride=16)


@pytest.mark.parametrize("name", [*RECORDED, "checksums.json"])
@pytest.mark.parametrize("damage", ["noise", "missing"])
def test_damaged_files_of_a_finished_run_are_named(name: str, damage: str, split: Split) -> None:
    path = train(SHORT, "cpu", quiet, split).folder / name
    path.unlink() if damage == "missing" else path.write_bytes(b"noise")
    unfinished = (name, damage) == ("metrics.json", "missing")
    with pytest.raises(FileNotFoundError if unfinished else ValueError, match=name):
        load_result(SHORT)
    if unfinished:
        assert train(SHORT, "cpu", quiet, split).metrics
    else:
        with pytest.raises(ValueError, match=name):
            train(SHORT, "cpu", quiet, split)


def test_weights_of_another_run_are_refused(split: Split) -> None:
    other = dataclasses.replace(SHORT, seed=1)
    theirs = (train(other, "cpu", quiet, split).folder / "weights.safetensors").read_bytes()
    result = train(SHORT, "cpu", quiet, split)
    (result.folder / "weights.safetensors").write_bytes(theirs)
    for use in (lambda: load_result(SHORT), result.model):
        with pytest.raises(ValueError, match="weights.safetensors"):
            use()


def interrupted(split: Split) -> Path:
    with pytest.raises(Stop):
        train(TINY, "cpu", stop_after(2, TINY), split)
    return TINY.folder / "resume.pt"


@pytest.mark.parametrize("damage", ["empty", "short", "pickle", "list", "nothing in it", "other run", "other data"])
def test_damaged_states_are_not_resumed_from(damage: str, split: Split) -> None:
    path = interrupted(split)
    content, state = path.read_bytes(), load_state(path)
    changed = {
        "list": [1, 2],
        "nothing in it": {},
        "other run": state | {"identity": state["identity"] | {"run": "0123456789"}},
        "other data": state | {"identity": state["identity"] | {"data": "0" * 64}},
    }
    if damage == "pickle":
        torch.save(Path("code"), path)
    elif damage in changed:
        save_state(path, changed[damage])
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "short" else b"")
    with pytest.raises(ValueError, match="resume.pt"):
        train(TINY, "cpu", quiet, split)
    path.unlink()
    assert len(train(TINY, "cpu", quiet, split).history) == 4


@pytest.mark.parametrize("damage", ["noise", "missing", "other run"])
def test_a_state_needs_its_weights(damage: str, split: Split) -> None:
    theirs = (train(SHORT, "cpu", quiet, split).folder / "weights.safetensors").read_bytes()
    path = interrupted(split).with_name("weights.safetensors")
    path.unlink() if damage == "missing" else path.write_bytes(theirs if damage == "other run" else b"nothing")
    with pytest.raises(ValueError, match="weights.safetensors"):
        train(TINY, "cpu", quiet, split)
    assert "metrics.json" not in files(TINY.folder)


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("recipe", [0, None])
def test_a_run_of_another_recipe_starts_over(finished: bool, recipe: int | None, split: Split, log: list[str]) -> None:
    train(TINY, "cpu", quiet, split) if finished else interrupted(split)
    path = TINY.folder / "provenance.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"recipe": recipe}))
    train(TINY, "cpu", log.append, split)
    assert str(recipe) in log[0] and len([line for line in log if "epoch " in line]) == 4
    assert files(TINY.folder) == FILES and load_result(TINY).metrics


def test_a_run_begun_with_other_data_is_refused(split: Split) -> None:
    interrupted(split)
    with pytest.raises(ValueError, match="0" * 64):
        train(TINY, "cpu", quiet, dataclasses.replace(split, checksum="0" * 64))


def test_a_users_scene_that_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scene.npy"
    np.save(path, np.random.default_rng(0).random((48, 96, 2), np.float32))
    run = Run(dataset=str(path), model="bicubic", patch=16)
    assert train(run, "cpu", quiet).metrics == train(run, "cpu", quiet).metrics
    np.save(path, np.random.default_rng(1).random((48, 96, 2), np.float32))
    with pytest.raises(ValueError, match="other data"):
        train(run, "cpu", quiet)


# --- diverged


def test_a_diverged_run_keeps_its_best_weights(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(1000))
    monkeypatch.setattr(
        TRAIN, "supervised_loss", lambda *given: supervised_loss(*given) * (math.nan if next(calls) > 3 else 1)
    )
    with pytest.warns(UserWarning, match="NaN"):
        result = train(TINY, "cpu", quiet, split)
    assert 0 < len(result.history) < 4 and all(math.isfinite(value) for value in result.metrics.values())
    assert result.record["diverged_in_epoch"] == len(result.history) + 1


def test_a_run_that_diverges_at_once_leaves_no_result(split: Split) -> None:
    run = dataclasses.replace(TINY, learning_rate=1e30)
    with pytest.raises(ValueError, match="learning_rate"):
        train(run, "cpu", quiet, split)
    assert files(run.folder) == {"settings.json", "provenance.json"}


def test_leftovers_of_a_killed_process_are_removed(split: Split) -> None:
    TINY.folder.mkdir(parents=True)
    leftover = TINY.folder / ".weights-abc.safetensors"
    leftover.write_bytes(b"half")
    train(TINY, "cpu", quiet, split)
    assert not leftover.exists()
