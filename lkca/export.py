"""Write trained networks as ONNX files, for other programs. Needs the packages of `pip install lkca[onnx]`.

On a CPU, OpenVINO was the fastest runtime measured; `benchmarks/bench_inference.py` shows how it loads such a file.
"""

import copy
import json
import logging
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lkca.checkpoints import FORMAT, Metadata, load_weights
from lkca.fast import fold
from lkca.files import atomic_write
from lkca.models.baselines import Bicubic
from lkca.resize import resize

RADIUS = 2  # LR pixels that bicubic upsampling reads on each side
MAX_SIDE = 2**20  # images, rows and columns that the exported network accepts at most
TOLERANCE = 1e-3  # largest difference between torch and the exported network, relative to the largest output


def export_onnx(weights: str | Path, target: str | Path, overwrite: bool = False) -> None:
    """Write trained weights of any network as an ONNX file with its metadata, for any batch, height and width.

    The file maps "lr", float32 (n, B, h, w) with h, w >= 2 and values divided by the peak, to "hr" (n, B, r·h, r·w).

    Parameters
    ----------
    weights : a weights file or the folder of a run, as `load_weights` takes it. target : the file to write.

    Raises
    ------
    FileExistsError
        If `target` exists and `overwrite` is not set.
    ImportError
        If the packages are not installed.
    ValueError
        If the exported network computes other values. `load_weights` raises further errors.
    """
    model, metadata = load_weights(weights)
    export_module(model, target, torch.rand(2, metadata.bands, 5, 6), metadata, overwrite)


def export_module(
    module: nn.Module, target: str | Path, sample: Tensor, metadata: Metadata, overwrite: bool = False
) -> None:
    """Write a module as an ONNX file for any batch, height and width; weight norm and layer scales are folded in.

    The file is kept only if it agrees with the module on an image larger than the sample.

    Parameters
    ----------
    module : maps "lr", float32 like `sample`, to "hr". It is not changed.
    sample : (n, C, h, w) with n, h, w at least 2 and different from each other.
    metadata : written into the file as JSON, under the name `lkca.checkpoints.FORMAT`.

    Raises
    ------
    FileExistsError
        If `target` exists and `overwrite` is not set.
    ImportError
        If the packages are not installed.
    ValueError
        If the exported network computes other values.
    """
    if Path(target).exists() and not overwrite:
        raise FileExistsError(f"{target} exists: choose another name, or overwrite it (--overwrite)")
    try:
        import onnxscript
    except ImportError as error:
        raise ImportError("ONNX needs packages that are not installed: pip install 'lkca[onnx]'") from error
    network = fold(copy.deepcopy(module)).cpu()
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, Bicubic):
                setattr(parent, name, _BicubicConvolution(child.scale))
    images = torch.export.Dim("images", max=MAX_SIDE)
    height, width = (torch.export.Dim(name, min=2, max=MAX_SIDE) for name in ("height", "width"))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of packages that are not needed here
    with warnings.catch_warnings(action="ignore"):  # deprecations inside torch
        program = torch.onnx.export(
            network,
            (sample,),
            input_names=["lr"],
            output_names=["hr"],
            dynamic_shapes=({0: images, 2: height, 3: width},),
            dynamo=True,
            verbose=False,
            custom_translation_table={torch.sym_sqrt: lambda x: onnxscript.opset18.Sqrt(x)},  # torch has none
        )
    program.model.metadata_props[FORMAT] = json.dumps(asdict(metadata))
    with atomic_write(target) as temporary:
        program.save(temporary)
        _check_agreement(temporary, network, sample)


class _BicubicConvolution(nn.Module):
    """`lkca.resize` by r in ONNX's operations: one 5x5 convolution for each of the r² HR pixels in an LR pixel."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        size = 4 * RADIUS + 1
        impulses = resize(torch.eye(size)[:, :, None], scale)[..., 0].unflatten(1, (size, scale))  # (from, to, place)
        taps = impulses[RADIUS:-RADIUS, 2 * RADIUS].T  # (r, 5): how r HR pixels weigh 5 LR pixels
        kernels = torch.einsum("ai,bj->abij", taps, taps).reshape(scale**2, 1, 2 * RADIUS + 1, 2 * RADIUS + 1)
        self.register_buffer("kernels", kernels)

    def forward(self, x: Tensor) -> Tensor:
        n, bands, height, width = x.shape
        x = torch.cat([x[:, :, 1:2], x[:, :, :1], x, x[:, :, -1:], x[:, :, -2:-1]], dim=2)  # mirrored edges
        x = torch.cat([x[..., 1:2], x[..., :1], x, x[..., -1:], x[..., -2:-1]], dim=3)
        y = F.conv2d(x.reshape(n * bands, 1, height + 2 * RADIUS, width + 2 * RADIUS), self.kernels)
        return F.pixel_shuffle(y, self.scale).reshape(n, bands, height * self.scale, width * self.scale)


def _check_agreement(path: Path, network: nn.Module, sample: Tensor) -> None:
    """Raise ValueError if a file and its network differ on an image larger than the sample."""
    import onnxruntime

    x = torch.rand(1, sample.shape[1], sample.shape[2] + 4, sample.shape[3] + 2)
    with torch.inference_mode():
        expected = network(x).numpy()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    try:
        found = session.run(None, {"lr": x.numpy()})[0]
        agree = np.allclose(found, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())
    except Exception:  # ONNX Runtime has its own types
        agree = False
    if not agree:
        raise ValueError(
            f"{type(network).__name__} cannot be exported for every image size: on a size other than the sample's the "
            "ONNX file fails or gives other values. Its forward uses the size as a Python number"
        )
