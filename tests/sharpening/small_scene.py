"""A small scene and weights on disk, and what sharpening them must give."""

from pathlib import Path

import numpy as np
import torch

from lkca.measures.resize import resize
from lkca.models import build_model
from lkca.sharpening.bounds import bounded
from lkca.sharpening.upscale import Upscaled, upscale
from lkca.training.weights import Passport, save_weights

B, H, W = 6, 9, 11
R = 2
PEAK = 900.0
WAVELENGTHS = np.linspace(450, 950, B)
ENVI_TYPES = {"uint8": 1, "int16": 2, "int32": 3, "float32": 4, "float64": 5, "uint16": 12}
OPTIONS = {"blocks": 2, "channels": 16, "groups": 2}


def write_scene(path: Path, cube: np.ndarray, wavelengths=WAVELENGTHS, **fields) -> Path:
    """An ENVI pair, bsq; returns the header."""
    path.with_suffix(".img").write_bytes(np.ascontiguousarray(cube).tobytes())
    bands, lines, samples = cube.shape
    header = {
        "samples": samples, "lines": lines, "bands": bands, "data type": ENVI_TYPES[cube.dtype.name],
        "interleave": "bsq", "byte order": 0, **fields,
    }  # fmt: skip
    if wavelengths is not None:
        header |= {"wavelength units": "Nanometers", "wavelength": "{" + ", ".join(map(str, wavelengths)) + "}"}
    path.with_suffix(".hdr").write_text("\n".join(["ENVI", *(f"{k} = {v}" for k, v in header.items()), ""]))
    return path.with_suffix(".hdr")


def write_weights(path: Path, bands: int = B, **changes) -> Path:
    torch.manual_seed(1)
    model = build_model("lkca-lr", bands, R, **OPTIONS)
    with torch.no_grad():
        for parameter in model.parameters():  # as if trained: what it adds is seen in the numbers
            parameter.add_(0.1 * torch.randn_like(parameter))
    known = {"peak": PEAK, "wavelengths": list(WAVELENGTHS), "patch": 4, "scale_factor": 1.0, "trained_on": "elsewhere"}
    save_weights(path, model, Passport("lkca-lr", bands, R, OPTIONS, **(known | changes)))
    return path


def quiet(*_: object) -> None:
    """For `log`."""


def bicubic(source: Path, target: Path, **settings) -> Upscaled:
    return upscale(source, target, "bicubic", settings.pop("scale", R), log=quiet, **settings)


def expected(cube: np.ndarray, model=None, peak: float = 1.0) -> np.ndarray:
    x = torch.from_numpy(cube.astype(np.float32)) / peak
    with torch.inference_mode():
        return ((resize(x, R) if model is None else bounded(model(x[None])[0], x)[0]) * peak).numpy()
