"""The exported network is the network."""

import pytest
import torch

import lkca
from lkca.training.weights import Passport, save_weights

pytest.importorskip("openvino", reason="the extra packages of lkca[onnx] are not installed")
ort = pytest.importorskip("onnxruntime")

from lkca.sharpening.onnx_export import OnnxNetwork, export_onnx  # noqa: E402

OPTIONS = {"blocks": 1, "channels": 16, "groups": 8}


def write_weights(path, model="lkca-lr", options=OPTIONS):
    torch.manual_seed(0)
    network = lkca.build_model(model, 4, 4, **options).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    save_weights(path, network, Passport(model, 4, 4, options, peak=100.0))
    return network


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    network = write_weights(folder / "weights.safetensors")
    export_onnx(folder / "weights.safetensors", folder / "network.onnx")
    return network, folder / "network.onnx"


@pytest.mark.parametrize("shape", [(1, 4, 8, 8), (2, 4, 2, 3), (1, 4, 21, 10)])
def test_equal_to_torch_at_every_size(exported, shape):
    network, path = exported
    lr = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        truth = network(lr).numpy()
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert abs(session.run(None, {"lr": lr.numpy()})[0] - truth).max() < 1e-5
    assert abs(OnnxNetwork(path)(lr.numpy()) - truth).max() < 1e-5


def test_the_passport_travels(exported):
    assert OnnxNetwork(exported[1]).passport == Passport("lkca-lr", 4, 4, OPTIONS, peak=100.0)


def test_errors(exported, tmp_path):
    with pytest.raises(FileExistsError, match="--overwrite"):
        export_onnx(exported[1].parent / "weights.safetensors", exported[1])
    write_weights(tmp_path / "vdsr.safetensors", "vdsr", {})
    with pytest.raises(ValueError, match="weights of vdsr"):
        export_onnx(tmp_path / "vdsr.safetensors", tmp_path / "out.onnx")
    (tmp_path / "other.onnx").write_bytes(b"no network")
    with pytest.raises(ValueError, match="not written by"):
        OnnxNetwork(tmp_path / "other.onnx")
    with pytest.raises(FileNotFoundError, match="lkca export"):
        OnnxNetwork(tmp_path / "none.onnx")
