"""An exported network computes what the network does, at every size."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lkca.checkpoints import FORMAT, Metadata, save_weights
from lkca.models import MODELS, build_model

onnx = pytest.importorskip("onnx", reason="the packages of lkca[onnx] are not installed")
ort = pytest.importorskip("onnxruntime")

from lkca.export import export_module, export_onnx  # noqa: E402

BANDS, SCALE = 5, 4
SIZES = [(1, 8, 8), (2, 2, 3), (1, 21, 10)]


def write_weights(path: Path, name: str) -> nn.Module:
    torch.manual_seed(0)
    options = dict(MODELS[name].small)
    model = build_model(name, BANDS, SCALE, **options).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.03 * torch.randn_like(parameter))
    save_weights(path, model, Metadata(name, BANDS, SCALE, options, peak=100.0))
    return model


def largest_difference(path: Path, model: nn.Module, size: tuple[int, int, int]) -> float:
    """Return the largest difference of ONNX Runtime from torch, as a share of the largest value."""
    lr = torch.rand(size[0], BANDS, *size[1:], generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = model(lr).numpy()
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.run(None, {"lr": lr.numpy()})[0]
    return float(np.abs(found - expected).max()) / np.abs(expected).max()


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if model.learned and name != "lkca-kd"])
def test_an_exported_network_equals_torch_at_every_size(name: str, tmp_path: Path) -> None:
    model = write_weights(tmp_path / "weights.safetensors", name)
    export_onnx(tmp_path / "weights.safetensors", tmp_path / "network.onnx")
    for size in SIZES:
        assert largest_difference(tmp_path / "network.onnx", model, size) < 1e-5
    properties = {entry.key: entry.value for entry in onnx.load(tmp_path / "network.onnx").metadata_props}
    expected = Metadata(name, BANDS, SCALE, dict(MODELS[name].small), peak=100.0)
    assert Metadata(**json.loads(properties[FORMAT])) == expected
    with pytest.raises(FileExistsError, match="network.onnx"):
        export_onnx(tmp_path / "weights.safetensors", tmp_path / "network.onnx")


class DividesByPixels(nn.Module):
    """Its number of pixels becomes a constant of the exported file."""

    def forward(self, x: Tensor) -> Tensor:
        return x / float(np.sqrt(int(x.shape[2]) * int(x.shape[3])))


def test_a_wrong_export_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="DividesByPixels"):
        export_module(DividesByPixels(), tmp_path / "network.onnx", torch.rand(2, 3, 5, 6), Metadata("x", 3, 2))
    assert not list(tmp_path.iterdir())
