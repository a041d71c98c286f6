"""`models` and `export`."""

import sys
from pathlib import Path

import pytest
import torch

from lkca.__main__ import main
from lkca.models import build_model, model_names, model_options
from lkca.sharpening.onnx_export import OnnxNetwork
from lkca.training.weights import Passport, save_weights

OPTIONS = {"blocks": 1, "channels": 16, "groups": 8}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "weights.safetensors"
    save_weights(path, build_model("lkca-lr", 4, 4, **OPTIONS), Passport("lkca-lr", 4, 4, OPTIONS, peak=100.0))
    return path


def test_models_shows_every_model_with_its_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    shown = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(model_names()) <= set(shown)
    for name in model_names():
        for option, value in model_options(name).items():
            assert f"{option}={value}" in shown[name], name
    assert "groups=8" in shown["lkca-lr"] and "no options" in shown["bicubic"]


def test_export_writes_a_file_and_does_not_replace_it(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    target = tmp_path / "network.onnx"
    assert main(["export", str(weights), str(target)]) == 0
    assert f"wrote {target}" in capsys.readouterr().out
    assert [tensor.name for tensor in onnx.load(target).graph.output] == ["hr"]
    before = target.read_bytes()
    assert main(["export", str(weights), str(target)]) == 1
    assert "network.onnx exists" in capsys.readouterr().err and target.read_bytes() == before


def test_export_without_its_packages_says_what_to_install(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("onnxscript", "onnx", "openvino"):
        monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    assert main(["export", str(weights), str(tmp_path / "network.onnx")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ONNX needs packages that are not installed: pip install 'lkca[onnx]'")
    assert not (tmp_path / "network.onnx").exists()
    with pytest.raises(ImportError, match="pip install"):
        OnnxNetwork(tmp_path / "network.onnx")
