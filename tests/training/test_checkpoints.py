"""Weights files: what is written comes back; what is damaged, foreign or does not fit is named."""

import dataclasses
import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from lkca.checkpoints import FORMAT, Metadata, _weights_checksum, load_weights, save_weights
from lkca.models import build_model

METADATA = Metadata(
    "lkca-lr",
    bands=5,
    scale=4,
    options={"blocks": 1, "channels": 16, "groups": 4, "drop_path": 0.0},
    peak=7.5,
    wavelengths=[400.0, 500.0, 600.0, 700.0, 800.0],
    run="run-1",
)


@pytest.fixture
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return build_model(METADATA.model, METADATA.bands, METADATA.scale, **METADATA.options)


@pytest.fixture
def path(tmp_path: Path, model: torch.nn.Module) -> Path:
    save_weights(tmp_path / "weights.safetensors", model, METADATA)
    return tmp_path / "weights.safetensors"


def forge(path: Path, **changes: object) -> None:
    """Change the metadata of a weights file, with a checksum that fits."""
    tensors = safetensors.torch.load_file(path)
    header = json.loads(json.dumps(dataclasses.asdict(METADATA) | changes))
    checksum = _weights_checksum(header, tensors)
    safetensors.torch.save_file(tensors, path, metadata={FORMAT: json.dumps(header | {"sha256": checksum})})


def test_round_trip(path: Path, model: torch.nn.Module) -> None:
    for given in (path, path.parent):
        loaded, metadata = load_weights(given, run="run-1")
        x = torch.rand(2, 5, 6, 6)
        assert metadata == METADATA and not loaded.training and torch.equal(loaded(x), model.eval()(x))


def test_equal_weights_give_equal_files_in_any_memory_layout(path: Path, tmp_path: Path, model) -> None:
    save_weights(tmp_path / "other.safetensors", model.to(memory_format=torch.channels_last), METADATA)
    assert (tmp_path / "other.safetensors").read_bytes() == path.read_bytes()


def test_a_network_of_another_package(tmp_path: Path) -> None:
    network, metadata = torch.nn.Linear(3, 2), Metadata("linear", 3, 1, {"outputs": 2})
    save_weights(tmp_path / "l.safetensors", network, metadata)
    loaded, found = load_weights(tmp_path / "l.safetensors", build=lambda m: torch.nn.Linear(m.bands, **{
        "out_features": m.options["outputs"]}))  # fmt: skip
    assert found == metadata and torch.equal(loaded.weight, network.weight)
    with pytest.raises(ValueError, match="linear"):
        load_weights(tmp_path / "l.safetensors")


@pytest.mark.parametrize("name", ["none.safetensors", ""])
def test_missing(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="safetensors"):
        load_weights(tmp_path / name)


@pytest.mark.parametrize("kept", [0, 100, -10])
def test_cut_short(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match="weights.safetensors"):
        load_weights(path)


@pytest.mark.parametrize(
    "header",
    [
        None,
        {"format": "pt"},
        *({FORMAT: text} for text in ("", "[1]", "{}", '{"model": "lkca", "bands": 5, "scale": 4, "color": 1}')),
        "pickle",
    ],
)
def test_foreign(path: Path, header: dict | str | None) -> None:
    tensors = {"a": torch.ones(2)}
    torch.save(tensors, path) if header == "pickle" else safetensors.torch.save_file(tensors, path, metadata=header)
    with pytest.raises(ValueError, match="weights.safetensors"):
        load_weights(path)


@pytest.mark.parametrize(
    "changes",
    [
        *({"peak": value} for value in (None, float("nan"))),
        *({"wavelengths": value} for value in ("blue", [1, 2], 3)),
        *({"bands": value, "wavelengths": None} for value in (6, 10**9, None)),
        *({"scale": value} for value in ([], 3)),
        *({"model": value} for value in (None, "nosuch")),
        *({"options": {"blocks": value}} for value in (10**6, "many")),
        *({"options": {"blocks": 1, "channels": value}} for value in (32, 4096)),
        {"options": None},
        {"scale_factor": 0},
    ],
)
def test_metadata_that_cannot_be_is_refused_before_memory_is_taken(path: Path, changes: dict) -> None:
    forge(path, **changes)
    with pytest.raises(ValueError, match="weights.safetensors"):
        load_weights(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(value: float, path: Path, model: torch.nn.Module) -> None:
    next(model.parameters()).data.flatten()[0] = value
    with pytest.raises(ValueError, match="weights.safetensors"):
        save_weights(path, model, METADATA)
    safetensors.torch.save_file(dict(model.state_dict()), path)
    forge(path)
    with pytest.raises(ValueError, match="weights.safetensors"):
        load_weights(path)
