"""LKCA-Any exported: its network, of free number of directions, height and width, answers as torch's does."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lkca import any_sensor
from lkca.box import box_weights
from lkca.data.made_scenes import made_cube


def test_the_exported_network_answers_as_the_model_does(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    from lkca.sharpening.onnx_export import export_onnx

    export_onnx(box_weights(2), tmp_path / "any.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "any.onnx", providers=["CPUExecutionProvider"])
    model = any_sensor(2)
    model.corrections = 0
    for size in (16, 21):
        lr = torch.from_numpy(made_cube(7, size, 6))
        pairs = model.pairs(model.basis(lr).coefficients(lr))
        with torch.inference_mode():
            expected = model.residual(pairs).numpy()
        found = session.run(None, {"lr": pairs.numpy()})[0]
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max() + 1e-5
