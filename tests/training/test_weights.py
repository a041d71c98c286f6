"""Weights files: what is written comes back, what is damaged or foreign is named."""

import errno
import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from lkca.models import build_model
from lkca.training.weights import FORMAT, Passport, load_weights, save_weights

PASSPORT = Passport(
    "lkca-lr",
    5,
    4,
    {"blocks": 1, "channels": 16, "groups": 4, "drop_path": 0.0},
    7.5,
    [400.0, 500.0, 600.0, 700.0, 800.0],
    "made",
    "run-1",
)


@pytest.fixture
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return build_model(PASSPORT.model, PASSPORT.bands, PASSPORT.scale, **PASSPORT.options)


@pytest.fixture
def path(tmp_path: Path, model: torch.nn.Module) -> Path:
    save_weights(tmp_path / "weights.safetensors", model, PASSPORT)
    return tmp_path / "weights.safetensors"


def test_round_trip(path: Path, model: torch.nn.Module) -> None:
    loaded, passport = load_weights(path)
    assert passport == PASSPORT
    assert not loaded.training
    x = torch.rand(2, 5, 6, 6)
    assert torch.equal(loaded(x), model.eval()(x))
    assert loaded.upsampler[0].groups == 4


def test_layout_in_memory_does_not_matter(path: Path, tmp_path: Path, model: torch.nn.Module) -> None:
    save_weights(tmp_path / "other.safetensors", model.to(memory_format=torch.channels_last), PASSPORT)
    assert (tmp_path / "other.safetensors").read_bytes() == path.read_bytes()


def test_a_model_without_weights(tmp_path: Path) -> None:
    save_weights(tmp_path / "b.safetensors", build_model("bicubic", 5, 4), Passport("bicubic", 5, 4))
    loaded, _ = load_weights(tmp_path / "b.safetensors")
    assert loaded(torch.rand(1, 5, 3, 3)).shape == (1, 5, 12, 12)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no weights at .*none.safetensors.*train the run first"):
        load_weights(tmp_path / "none.safetensors")
    with pytest.raises(FileNotFoundError, match="no weights at"):
        load_weights(tmp_path)


@pytest.mark.parametrize("damage", ["empty", "short", "header only", "noise", "pickle"])
def test_damaged(path: Path, damage: str) -> None:
    content = path.read_bytes()
    if damage == "pickle":
        torch.save({"a": torch.ones(2)}, path)
    else:
        damaged = {
            "empty": b"",
            "short": content[:-10],
            "header only": content[:100],
            "noise": bytes(range(256)) * 40,
        }
        path.write_bytes(damaged[damage])
    with pytest.raises(ValueError, match=r"weights.safetensors is not a readable safetensors file .*train again"):
        load_weights(path)


def test_foreign(path: Path) -> None:
    safetensors.torch.save_file({"a": torch.ones(2)}, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=f"not written by lkca: its header holds 'format', expected '{FORMAT}'"):
        load_weights(path)
    safetensors.torch.save_file({"a": torch.ones(2)}, path)
    with pytest.raises(ValueError, match="not written by lkca: its header holds nothing"):
        load_weights(path)


@pytest.mark.parametrize("passport", ["", "{", "[1]", "{}", '{"model": "lkca", "bands": 5, "scale": 4, "color": 1}'])
def test_unreadable_passport(path: Path, passport: str) -> None:
    safetensors.torch.save_file({"a": torch.ones(2)}, path, metadata={FORMAT: passport})
    with pytest.raises(ValueError, match="does not say what its weights are for"):
        load_weights(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bands": 6}, "does not fit model 'lkca-lr' as it is now"),
        ({"options": {"blocks": 2, "channels": 16}}, "does not fit model 'lkca-lr' as it is now"),
        ({"model": "lkca-xl"}, "unknown model 'lkca-xl'"),
    ],
)
def test_weights_of_another_network(path: Path, model: torch.nn.Module, changes: dict, message: str) -> None:
    values = {"model": "lkca-lr", "bands": 5, "scale": 4, "options": PASSPORT.options} | changes
    safetensors.torch.save_file(dict(model.state_dict()), path, metadata={FORMAT: json.dumps(values)})
    with pytest.raises(ValueError, match=message):
        load_weights(path)


def test_full_disk_keeps_what_stood_there(path: Path, model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="could not write .*weights.safetensors: No space left on device"):
        save_weights(path, model, PASSPORT)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
