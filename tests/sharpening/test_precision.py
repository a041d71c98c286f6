"""Sharpening in bfloat16: close to float32, chosen only where it changes next to nothing."""

from pathlib import Path

import pytest
import torch

import lkca
from lkca.measures.resize import resize
from lkca.models.precision import PRECISIONS, computing_in, native_bfloat16
from lkca.sharpening import precision_choice
from lkca.sharpening.feature_maps import WholeImage
from lkca.sharpening.precision_choice import chosen_precision
from lkca.sharpening.streaming import upscaled_strips

BANDS, SCALE = 6, 4


def network(strength: float = 1.0, scale: int = SCALE) -> torch.nn.Module:
    torch.manual_seed(0)
    model = lkca.build_model("lkca-lr", BANDS, scale, blocks=2, channels=32).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * strength * torch.randn_like(parameter))
    return model


def image(height: int = 37, width: int = 23) -> torch.Tensor:
    return torch.rand(BANDS, height, width, generator=torch.Generator().manual_seed(1))


def sharpened(model: torch.nn.Module, lr: torch.Tensor, precision: str) -> torch.Tensor:
    return torch.cat([strip for _, strip in upscaled_strips(model, WholeImage(lr), precision=precision)], dim=1)


def test_only_the_residual_is_coarser() -> None:
    model, lr = network(), image()
    exact, coarse = (sharpened(model, lr, precision) for precision in PRECISIONS)
    assert exact.dtype == coarse.dtype == torch.float32
    residual = exact - resize(lr, SCALE)
    difference = (coarse - exact).std() / residual.std()
    assert 0 < difference < 0.02


def test_bicubic_stays_exact() -> None:
    model, lr = network(), image()
    with torch.no_grad():
        for parameter in model.upsampler.parameters():
            parameter.zero_()
        model.upsampler[0].parametrizations.weight.original1.fill_(1)  # a direction, of length zero
    assert torch.equal(sharpened(model, lr, "bfloat16"), sharpened(model, lr, "float32"))


def test_the_caller_is_left_in_its_own_precision() -> None:
    for _ in upscaled_strips(network(), WholeImage(image()), precision="bfloat16"):
        assert not torch.is_autocast_enabled("cpu")


def test_strips_are_the_whole_image_in_that_precision() -> None:
    model, lr = network(), image()
    with torch.inference_mode(), computing_in("bfloat16"):
        whole = model(lr[None])[0]
    residual = whole - resize(lr, SCALE)
    assert (sharpened(model, lr, "bfloat16") - whole).std() < 0.02 * residual.std()


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="precision must be one of float32, bfloat16, got 'half'"):
        next(upscaled_strips(network(), WholeImage(image()), precision="half"))


def test_chosen_where_native_and_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(precision_choice, "native_bfloat16", lambda: True)
    model = network(0.0)  # as training starts: next to bicubic
    assert chosen_precision(model, WholeImage(image(96, 80)), said.append) == "bfloat16"
    assert "dB: computing in bfloat16" in said[0]
    monkeypatch.setattr(precision_choice, "MOST", 0.0)
    assert chosen_precision(model, WholeImage(image(96, 80))) == "float32"
    monkeypatch.setattr(precision_choice, "MOST", 1.0)
    monkeypatch.setattr(precision_choice, "native_bfloat16", lambda: False)
    assert chosen_precision(model, WholeImage(image(96, 80))) == "float32"


def test_too_small_to_say() -> None:
    assert chosen_precision(network(), WholeImage(image(7, 90))) == "float32"


def test_others_than_lkca_net_compute_in_float32() -> None:
    assert chosen_precision(lkca.build_model("bicubic", BANDS, SCALE), WholeImage(image(96, 80))) == "float32"


def test_native_is_an_answer() -> None:
    assert native_bfloat16() in (True, False)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_openvino_computes_the_residual_alone_in_bfloat16(tmp_path: Path, scale: int) -> None:
    pytest.importorskip("openvino", reason="the extra packages of lkca[onnx] are not installed")
    pytest.importorskip("onnxscript")
    from lkca.sharpening.onnx_export import OnnxNetwork, export_onnx
    from lkca.training.weights import Passport, save_weights

    options = {"blocks": 2, "channels": 32}
    model, lr = network(scale=scale), torch.stack([image(9, 8), image(10, 8)[:, 1:]])
    save_weights(tmp_path / "weights.safetensors", model, Passport("lkca-lr", BANDS, scale, options))
    export_onnx(tmp_path / "weights.safetensors", tmp_path / "network.onnx")
    with torch.inference_mode():
        truth = model(lr)
    result = torch.from_numpy(OnnxNetwork(tmp_path / "network.onnx", precision="bfloat16")(lr.numpy()))
    assert (result - truth).std() < 0.02 * (truth - resize(lr, scale)).std()
