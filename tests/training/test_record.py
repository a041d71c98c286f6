"""Damage to a run's files: nothing of it passes for a result, and what can be made anew is."""

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

from lkca.data.split import Split
from lkca.models import build_model
from lkca.training import record
from lkca.training.evaluation import predict
from lkca.training.run import Distillation, Run
from lkca.training.run_folder import load_result
from lkca.training.train import train
from lkca.training.weights import FORMAT, Passport, load_weights, save_weights

TINY = Run(reading="tiny", options={"blocks": 1, "channels": 16}, epochs=2, batch=8, learning_rate=3e-3, stride=16)
HEALED = ("settings.json", "provenance.json", "history.csv", "metrics.json", "checksums.json")


def flip(path: Path, place: float = 0.5) -> None:
    """Turn one bit of a file."""
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", HEALED)
def test_one_bit_of_a_finished_run(name: str, split: Split) -> None:
    wanted = train(TINY, "cpu", str, split).metrics
    flip(TINY.folder / name)
    with pytest.raises(ValueError, match=name):
        load_result(TINY)
    said: list[str] = []
    assert train(TINY, "cpu", said.append, split).metrics == wanted  # the healthy weights measured again
    assert name in said[0] and not any("epoch 1/" in line for line in said)
    load_result(TINY)


def test_every_bit_of_the_state_counts(split: Split) -> None:
    train(TINY, "cpu", str, split)
    (TINY.folder / "metrics.json").unlink()
    (TINY.folder / "checksums.json").unlink()
    state = TINY.folder / "resume.pt"
    healthy = state.read_bytes()
    for place in np.linspace(0, 1, 40):
        state.write_bytes(healthy)
        flip(state, place)
        with pytest.raises(ValueError, match=r"resume.pt cannot be resumed from"):
            train(TINY, "cpu", str, split)


def test_weights_of_a_finished_run_are_missing_or_of_another(split: Split) -> None:
    other = dataclasses.replace(TINY, seed=1)
    train(TINY, "cpu", str, split)
    theirs = (train(other, "cpu", str, split).folder / "weights.safetensors").read_bytes()
    path = TINY.folder / "weights.safetensors"
    path.write_bytes(theirs)
    for use in (lambda: load_weights(path), lambda: load_weights(path, run=TINY.name)):
        with pytest.raises(ValueError, match=rf"weights.safetensors has the weights of run '{other.name}'"):
            use()
    with pytest.raises(ValueError, match="weights.safetensors is damaged, or of another run"):
        load_result(TINY)
    with pytest.raises(ValueError, match="weights.safetensors has the weights of run"):
        train(TINY, "cpu", str, split)
    path.unlink()
    with pytest.raises(ValueError, match="weights.safetensors is missing, though the run was finished"):
        load_result(TINY)
    with pytest.raises(ValueError, match=r"the weights.safetensors beside it is missing\): delete it to start"):
        train(TINY, "cpu", str, split)
    (TINY.folder / "resume.pt").unlink()
    assert train(TINY, "cpu", str, split).model() is not None


def test_a_run_of_an_older_version_loads(split: Split) -> None:
    wanted = train(TINY, "cpu", str, split)
    (TINY.folder / "checksums.json").unlink()
    assert load_result(TINY).metrics == wanted.metrics
    said: list[str] = []
    assert train(TINY, "cpu", said.append, split).metrics == wanted.metrics
    assert len(said) == 1 and "no checksum recorded" in said[0]
    state = TINY.folder / "resume.pt"
    state.write_bytes(record.read_state(state)[0])
    (TINY.folder / "metrics.json").unlink()
    said.clear()
    assert train(TINY, "cpu", said.append, split).metrics == wanted.metrics
    assert "resume.pt: no checksum recorded" in said[0]


@pytest.mark.parametrize("epochs", [1, 2])
def test_killed_before_the_history_was_written(epochs: int, split: Split) -> None:
    run = dataclasses.replace(TINY, epochs=epochs)
    train(run, "cpu", str, split)
    path = run.folder / "history.csv"
    wanted = path.read_bytes()
    for name in ("metrics.json", "checksums.json"):
        (run.folder / name).unlink()
    path.write_text("".join(wanted.decode().splitlines(keepends=True)[:epochs])) if epochs > 1 else path.unlink()
    assert len(train(run, "cpu", str, split).history) == epochs and path.read_bytes() == wanted


def test_empty_history_is_named(split: Split) -> None:
    train(TINY, "cpu", str, split)
    (TINY.folder / "checksums.json").unlink()  # as an older version left it
    (TINY.folder / "history.csv").write_text("")
    with pytest.raises(ValueError, match=r"history.csv is damaged .*delete it"):
        load_result(TINY)
    assert len(train(TINY, "cpu", str, split).history) == 2


def test_damaged_record_of_the_data_is_set_aside(split: Split) -> None:
    run = dataclasses.replace(TINY, model="bicubic", options={})
    train(run, "cpu", str, split)
    (run.folder / "provenance.json").write_text('{"data_checksum": "12')
    (run.folder / "metrics.json").unlink()
    said: list[str] = []
    train(run, "cpu", said.append, split)
    assert "provenance.json is damaged" in said[0] and "set aside as provenance.damaged.json" in said[0]


def test_state_of_other_data_is_refused(split: Split) -> None:
    train(TINY, "cpu", str, split)
    for name in ("metrics.json", "provenance.json", "checksums.json"):
        (TINY.folder / name).unlink()
    with pytest.raises(ValueError, match="resume.pt cannot be resumed from .it was trained on data of checksum"):
        train(TINY, "cpu", str, dataclasses.replace(split, checksum="0" * 64))


@pytest.mark.parametrize("history", [None, 3, "text", [1], [{"epoch": 1}], {}])
def test_history_of_a_wrong_type(history: object, split: Split) -> None:
    train(TINY, "cpu", str, split)
    (TINY.folder / "metrics.json").unlink()
    (TINY.folder / "checksums.json").unlink()
    path = TINY.folder / "resume.pt"
    state = torch.load(io.BytesIO(record.read_state(path)[0]), weights_only=True)
    torch.save(state | {"history": history}, path)
    with pytest.raises(ValueError, match="resume.pt cannot be resumed from .its history is not that of a training"):
        train(TINY, "cpu", str, split)


# --- weights

PASSPORT = Passport("lkca-lr", 5, 4, {"blocks": 1, "channels": 16}, 7.5, None, "made", "run-1")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    save_weights(tmp_path / "weights.safetensors", build_model("lkca-lr", 5, 4, **PASSPORT.options), PASSPORT)
    return tmp_path / "weights.safetensors"


def test_one_bit_of_the_weights(weights: Path) -> None:
    healthy = weights.read_bytes()
    for place in np.linspace(0, 1, 60):
        weights.write_bytes(healthy)
        flip(weights, place)
        with pytest.raises(ValueError, match="weights.safetensors"):
            load_weights(weights)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(value: float, tmp_path: Path) -> None:
    model = build_model("lkca-lr", 5, 4, **PASSPORT.options)
    next(model.parameters()).data.flatten()[0] = value
    with pytest.raises(ValueError, match="1 of its weights are NaN or infinite"):
        save_weights(tmp_path / "w.safetensors", model, PASSPORT)
    said = json.dumps(dataclasses.asdict(PASSPORT))
    safetensors.torch.save_file(dict(model.state_dict()), tmp_path / "w.safetensors", metadata={FORMAT: said})
    with (
        pytest.warns(UserWarning, match="no checksum recorded"),
        pytest.raises(ValueError, match="w.safetensors: 1 of its weights are NaN or infinite"),
    ):
        load_weights(tmp_path / "w.safetensors")


def test_an_output_that_is_no_number_is_no_result() -> None:
    class Broken(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * float("nan")

    with pytest.raises(ValueError, match="Broken made NaN or infinite values"):
        predict(Broken(), torch.rand(3, 8, 8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peak": None}, "peak of a passport is None"),
        ({"peak": float("nan")}, "peak of a passport is nan"),
        ({"options": None}, "options of a passport is None"),
        ({"scale_factor": 0}, "scale_factor of a passport is 0"),
        ({"wavelengths": "blue"}, "wavelengths of a passport is 'blue'"),
        ({"wavelengths": [1, 2]}, "as many numbers as there are bands"),
        ({"bands": 10**9}, "more than it has weights"),
        ({"bands": None}, "bands of a passport is None"),
        ({"scale": []}, "scale must be one of"),
        ({"model": None}, "model of a passport is None"),
        ({"model": "nosuch"}, "weights.safetensors names a network that cannot be: unknown model"),
        ({"options": {"blocks": 10**6}}, "its passport says 1000000 blocks, it has"),
        ({"options": {"blocks": 1, "channels": 10**5}}, "channels must be at most"),
        ({"options": {"blocks": "many"}}, "blocks must be a whole number"),
    ],
)
def test_passports_that_cannot_be(weights: Path, changes: dict, message: str) -> None:
    tensors = safetensors.torch.load_file(weights)
    said = json.dumps(dataclasses.asdict(PASSPORT) | changes)
    safetensors.torch.save_file(tensors, weights, metadata={FORMAT: said})
    with pytest.raises(ValueError, match=message) as caught:
        load_weights(weights)
    assert "weights.safetensors" in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": 1e300},
        {"seed": 2**64},
        {"options": {"channels": 100_000}},
        {"model": "lkca-kd", "distillation": Distillation(), "options": {"blocks": 10**6}},
    ],
)
def test_settings_beyond_what_can_be_computed(settings: dict) -> None:
    with pytest.raises(ValueError, match="must be at most"):
        dataclasses.replace(TINY, **settings)


def test_history_is_read_as_numbers(split: Split) -> None:
    assert pd.api.types.is_integer_dtype(train(TINY, "cpu", str, split).history["epoch"])
