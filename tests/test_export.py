"""An exported network computes what the network does, at every size."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lkca.checkpoints import FORMAT, Metadata, save_weights
from lkca.models import MODELS, build_model
from lkca.models.lkca import LargeKernelBlock

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


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path]:
    folder = tmp_path_factory.mktemp("onnx")
    model = write_weights(folder / "weights.safetensors", "lkca-lr")
    export_onnx(folder / "weights.safetensors", folder / "network.onnx")
    return model, folder / "network.onnx"


def largest_difference(path: Path, model: nn.Module, size: tuple[int, int, int], channels: int = BANDS) -> float:
    """Return the largest difference of ONNX Runtime from torch, as a share of the largest value."""
    lr = torch.rand(size[0], channels, *size[1:], generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = model(lr).numpy()
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.run(None, {"lr": lr.numpy()})[0]
    return float(np.abs(found - expected).max()) / np.abs(expected).max()


def metadata_of(path: Path) -> Metadata:
    properties = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    return Metadata(**json.loads(properties[FORMAT]))


@pytest.mark.parametrize("size", SIZES)
def test_the_exported_network_equals_torch_at_every_size(exported: tuple[nn.Module, Path], size: tuple) -> None:
    model, path = exported
    assert largest_difference(path, model, size) < 1e-5


@pytest.mark.parametrize("name", [n for n, m in MODELS.items() if m.learned and n not in ("lkca-lr", "lkca-kd")])
def test_every_network_can_be_exported(name: str, tmp_path: Path) -> None:
    model = write_weights(tmp_path / "weights.safetensors", name)
    export_onnx(tmp_path / "weights.safetensors", tmp_path / "network.onnx")
    for size in SIZES:
        assert largest_difference(tmp_path / "network.onnx", model, size) < 1e-5


def test_metadata_is_in_the_file_and_an_existing_file_is_not_replaced(exported: tuple[nn.Module, Path]) -> None:
    _, path = exported
    assert metadata_of(path) == Metadata("lkca-lr", BANDS, SCALE, dict(MODELS["lkca-lr"].small), peak=100.0)
    with pytest.raises(FileExistsError, match=path.name):
        export_onnx(path.with_name("weights.safetensors"), path)


class TwoChannels(nn.Module):
    """As sharpen's network: not of this study, but of its blocks, with a clamp."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.body = nn.Conv2d(2, 16, 3, padding=1), LargeKernelBlock(16, 0.0)
        self.tail = nn.Sequential(nn.Conv2d(16, 4, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.body(self.head(x.clamp(-0.8, 0.8))).clamp(-1, 1))


def test_any_module_can_be_exported(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, metadata = TwoChannels().eval(), Metadata("another", 2, 2)
    export_module(module, tmp_path / "network.onnx", torch.rand(3, 2, 5, 6), metadata)
    assert largest_difference(tmp_path / "network.onnx", module, (4, 7, 5), channels=2) < 1e-5
    assert metadata_of(tmp_path / "network.onnx") == metadata
    assert hasattr(module.body.project_in, "parametrizations")  # not folded: the module is as it was


class DividesByPixels(nn.Module):
    """Its number of pixels becomes a constant of the exported file."""

    def forward(self, x: Tensor) -> Tensor:
        return x / float(np.sqrt(int(x.shape[2]) * int(x.shape[3])))


def test_a_wrong_export_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="DividesByPixels"):
        export_module(DividesByPixels(), tmp_path / "network.onnx", torch.rand(2, 3, 5, 6), Metadata("x", 3, 2))
    assert not list(tmp_path.iterdir())
