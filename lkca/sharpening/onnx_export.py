"""LKCA-Net as an ONNX file, for other programs and for a faster forward pass on a CPU.

Needs the extra packages of `pip install lkca[onnx]`. OpenVINO runs it because it was the fastest of what was measured
(`benchmarks/bench_inference.py`). Whole scenes go through `lkca.upscale`, which bounds the memory; this does not.
"""

import dataclasses
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lkca.measures.resize import resize
from lkca.models.any_sensor import USUAL, AnySensor, bounded
from lkca.models.folding import folded
from lkca.models.lkca import DilatedDepthwise, LKCANet, Pointwise
from lkca.models.precision import check_precision
from lkca.paths import written_whole
from lkca.sharpening.streaming import REACH, bicubic_weights
from lkca.training.weights import FORMAT, Passport, load_weights

AS_ONE = {2: np.int32, 4: np.int64, 8: np.complex128}  # r numbers of 16 bits side by side are moved as one
INSTALL = "ONNX needs packages that are not installed: pip install 'lkca[onnx]'"


def export_onnx(weights: str | Path, path: str | Path, overwrite: bool = False) -> None:
    """Write trained weights as an ONNX file of free batch, height and width, their passport inside.

    The file maps "lr" (n, B, h, w), float32, 1 for the scene's peak, h and w at least 2, to "hr" (n, B, r·h, r·w).

    Of LKCA-Any it holds the network alone: "lr" (k, 2, h, w), coefficient images beside the first of them, to "hr"
    (k, 1, r·h, r·w), their residuals before back-projection. Directions need an eigendecomposition, which ONNX has not:
    `lkca.models.any_sensor.Basis` makes the coefficients, and puts the residuals back.

    Parameters
    ----------
    weights : a weights file of LKCA-Net, one of its variants or LKCA-Any, as `load_weights` takes it.
    path : the file to write.

    Raises
    ------
    ValueError
        If the weights are of another network. ImportError: without the packages.
    FileExistsError
        If `path` exists and `overwrite` is not set.
    """
    if Path(path).exists() and not overwrite:
        raise FileExistsError(f"{path} exists: choose another name, or overwrite it (--overwrite)")
    model, passport = load_weights(weights)
    if not isinstance(model, LKCANet | AnySensor):
        raise ValueError(
            f"{weights} are weights of {passport.model}; only LKCA-Net, its variants and LKCA-Any can be exported"
        )
    try:
        import onnxscript  # noqa: F401 - what torch exports with
    except ImportError as error:
        raise ImportError(INSTALL) from error
    length = torch.export.Dim("length", min=2, max=2**20)
    shapes = {"x": {0: torch.export.Dim("n", max=2**20), 2: length, 3: torch.export.Dim("width", min=2, max=2**20)}}
    channels = 2 if isinstance(model, AnySensor) else passport.bands
    example = torch.zeros(2, channels, 5, 6)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of packages that nothing here uses
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of deprecations inside torch
        program = torch.onnx.export(
            (_ExportableDirections if isinstance(model, AnySensor) else _Exportable)(model).eval(),
            (example,),
            input_names=["lr"],
            output_names=["hr"],
            dynamic_shapes=shapes,
            dynamo=True,
            verbose=False,
        )
    program.model.metadata_props[FORMAT] = json.dumps(dataclasses.asdict(passport))
    with written_whole(path) as temporary:
        program.save(temporary)


class OnnxNetwork:
    """An exported network, run by OpenVINO on the CPU. A new image size takes a moment: it is compiled for it.

    Parameters
    ----------
    path : what `export_onnx` wrote. threads : as many as torch's, unless said.
    precision : "float32", or "bfloat16" for the network's residual; bicubic and the sum stay float32.

    Attributes
    ----------
    passport : what the weights are for.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it was not written by `export_onnx`. ImportError: without the packages.
    """

    def __init__(self, path: str | Path, threads: int | None = None, precision: str = "float32") -> None:
        try:
            import onnx
            import openvino
        except ImportError as error:
            raise ImportError(INSTALL) from error
        if not Path(path).is_file():
            raise FileNotFoundError(f"no file {path}: write it with `python -m lkca export WEIGHTS {path}`")
        try:
            properties = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
            self.passport = Passport(**json.loads(properties[FORMAT]))
        except Exception as error:  # protobuf's own types
            raise ValueError(f"{path} was not written by `python -m lkca export`, or is damaged ({error!r})") from error
        check_precision(precision)
        self._core, self._path, self._compiled, self._precision = openvino.Core(), str(path), {}, precision
        self._settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
            "INFERENCE_NUM_THREADS": threads or torch.get_num_threads(),
        }

    def __call__(self, lr: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, B, h, w) to (n, B, r·h, r·w)."""
        if lr.shape not in self._compiled:
            network = self._core.read_model(self._path)
            network.reshape(list(lr.shape))
            if self._precision == "bfloat16":
                network = _residual_alone(network)
            self._compiled = {lr.shape: self._core.compile_model(network, "CPU", self._settings)}  # the last one only
        result = self._compiled[lr.shape](lr)[0]
        if self._precision == "float32":
            return result
        r = self.passport.scale
        return resize(torch.from_numpy(np.ascontiguousarray(lr)), r).add_(_shuffled(result, r)).numpy()


def _residual_alone(network: Any) -> Any:  # noqa: ANN401 - openvino's Model
    """The part of an exported network that bfloat16 is good enough for: all but bicubic and the last sum.

    Where it ends in a PixelShuffle, that stays out as well: what comes before it is handed out in bfloat16, channels
    last, as it is. OpenVINO takes three passes over the HR image, two of them in float32, for what `_shuffled` does.
    """
    import openvino
    from openvino import Layout, Type

    total = network.outputs[0].get_node().input_value(0).get_node()
    if total.get_type_name() != "Add":
        raise ValueError(f"the exported network ends in {total.get_type_name()}, not in a sum: export it again")
    residual = total.input_value(0)  # it stands first in the sum
    if residual.get_node().get_type_name() != "DepthToSpace":
        return openvino.Model([residual], network.get_parameters())
    network = openvino.Model([residual.get_node().input_value(0)], network.get_parameters())
    ending = openvino.preprocess.PrePostProcessor(network)
    ending.output().model().set_layout(Layout("NCHW"))
    ending.output().tensor().set_layout(Layout("NHWC")).set_element_type(Type.bf16)
    return ending.build()


def _shuffled(result: NDArray, r: int) -> Tensor:
    """The residual (n, B, r·h, r·w), float32: as it is, or PixelShuffle of bfloat16 (n, h, w, B·r²)."""
    if result.dtype == np.float32:
        return torch.from_numpy(result)
    n, h, w, _ = result.shape
    y = torch.from_numpy(result.view(AS_ONE[r])).view(n, h, w, -1, r).permute(0, 3, 1, 4, 2)  # (n, B, h, r, w)
    return y.contiguous().view(torch.bfloat16).view(n, -1, r * h, r * w).float()


def _plain(model: nn.Module) -> nn.Module:
    """A folded copy whose convolutions are torch's own: their other order of the sums is torch's alone."""
    network = folded(model).cpu()
    for module in network.modules():
        if isinstance(module, DilatedDepthwise | Pointwise):
            module.__class__ = nn.Conv2d
    return network


class _ExportableDirections(nn.Module):
    """The network of a folded LKCA-Any in operations that ONNX has."""

    def __init__(self, model: AnySensor) -> None:
        super().__init__()
        self.network = _plain(model)

    def forward(self, x: Tensor) -> Tensor:
        network = self.network
        raw = network.upsampler(network.body(network.head(x.clamp(-USUAL, USUAL))))
        return bounded(raw, x[:, :1], network.scale)


class _Exportable(nn.Module):
    """A folded LKCA-Net in operations that ONNX has."""

    def __init__(self, model: LKCANet) -> None:
        super().__init__()
        self.network = _plain(model)
        self.scale = model.scale
        taps = bicubic_weights(1, self.scale)  # (r, 5)
        kernels = torch.einsum("ai,bj->abij", taps, taps).reshape(self.scale**2, 1, 5, 5)
        self.register_buffer("kernels", kernels)

    def forward(self, x: Tensor) -> Tensor:
        network = self.network
        return network.upsampler(network.body(network.head(x))) + self._bicubic(x)

    def _bicubic(self, x: Tensor) -> Tensor:
        """`lkca.resize` by r: one 5x5 convolution for each of the r² places inside a pixel, the edges mirrored."""
        n, bands, height, width = x.shape
        x = torch.cat([x[:, :, 1:2], x[:, :, :1], x, x[:, :, -1:], x[:, :, -2:-1]], dim=2)
        x = torch.cat([x[..., 1:2], x[..., :1], x, x[..., -1:], x[..., -2:-1]], dim=3)
        y = F.conv2d(x.reshape(n * bands, 1, height + 2 * REACH, width + 2 * REACH), self.kernels)
        return F.pixel_shuffle(y, self.scale).reshape(n, bands, height * self.scale, width * self.scale)
