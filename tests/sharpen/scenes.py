"""Small scenes and small networks of the tests of `sharpen`."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lkca.checkpoints import Metadata, save_weights
from lkca.models import build_model
from sharpen.image.model import NAME, EigenimageNetwork

B, H, W = 6, 20, 22
WAVELENGTHS = [450.0, 550.0, 650.0, 750.0, 850.0, 950.0]
MAP_INFO = "{UTM, 1, 1, 500000, 5400000, 30, 30, 32, North, WGS-84, units=Meters}"
TYPES = {"uint8": 1, "int16": 2, "float32": 4, "float64": 5, "uint16": 12}


def mixture(bands: int = B, height: int = H, width: int = W, seed: int = 0) -> NDArray[np.float32]:
    """Return a cube (B, H, W) of a few spectra, mixed smoothly in space, from about 300 to 900."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    maps = np.stack([np.sin(x / (3 + k) + k) * np.cos(y / (4 + k)) for k in range(3)])
    cube = np.tensordot(rng.uniform(0.2, 1, (bands, 3)), maps, 1)
    return (600 + 150 * cube + rng.normal(0, 1, cube.shape)).astype(np.float32)


def write_envi(path: Path, cube: NDArray, **fields: object) -> Path:
    """Write an ENVI pair, bsq, with a georeference; return the header."""
    path.with_suffix(".img").write_bytes(np.ascontiguousarray(cube).tobytes())
    bands, lines, samples = cube.shape
    header = {"samples": samples, "lines": lines, "bands": bands, "data type": TYPES[cube.dtype.name],
              "interleave": "bsq", "byte order": 0, "map info": MAP_INFO, **fields}  # fmt: skip
    if bands == len(WAVELENGTHS):
        header |= {"wavelength units": "Nanometers", "wavelength": "{" + ", ".join(map(str, WAVELENGTHS)) + "}"}
    text = "\n".join(["ENVI", *(f"{name} = {value}" for name, value in header.items() if value is not None), ""])
    path.with_suffix(".hdr").write_text(text)
    return path.with_suffix(".hdr")


def small_network(scale: int = 2, **options: object) -> EigenimageNetwork:
    """Return a network of two blocks whose residual is not near zero as that of a new one is."""
    torch.manual_seed(0)
    network = EigenimageNetwork(scale, **{"components": 3, "blocks": 2, "channels": 16, **options})
    with torch.no_grad():
        network.upsampler[0].weight.mul_(30)
    return network.eval()


def write_network(path: Path, **options: object) -> Path:
    """Write the weights of `small_network`."""
    network = small_network(**options)
    save_weights(path, network, Metadata(NAME, 1, network.scale, network.options()))
    return path


def write_run_weights(path: Path, **metadata: object) -> Path:
    """Write weights of the study's LKCA-LR for the scene's own bands, whose unit has 900 as 1."""
    options = {"blocks": 1, "channels": 16, "groups": 2}
    torch.manual_seed(1)
    model = build_model("lkca-lr", B, 2, **options)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    known = {"peak": 900.0, "wavelengths": WAVELENGTHS, "trained_on": "elsewhere", **metadata}
    save_weights(path, model, Metadata("lkca-lr", B, 2, options, **known))
    return path
