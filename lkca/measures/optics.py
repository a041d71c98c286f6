"""Other ways to make an LR image than the protocol's bicubic: the optics and the noise that a real sensor may have.

A network that has only seen bicubic LR images may do harm where the optics are softer, or where there is noise that it
takes for detail.
"""

import math

import torch
from torch import Tensor

from lkca.measures.blur import shrink
from lkca.measures.resize import crop_to_multiple

PROTOCOL = "bicubic"
# As tables call them -> blur as `lkca.measures.blur` has it, signal to noise in dB.
OPTICS: dict[str, tuple[str, float]] = {
    PROTOCOL: ("bicubic", math.inf),
    "block mean": ("mean", math.inf),
    "Gaussian 0.3": ("gaussian-0.3", math.inf),
    "Gaussian 0.5": ("gaussian-0.5", math.inf),
    "Gaussian 0.65": ("gaussian-0.65", math.inf),
    "Gaussian 0.8": ("gaussian-0.8", math.inf),
    "bicubic, 40 dB": ("bicubic", 40.0),
    "bicubic, 30 dB": ("bicubic", 30.0),
    "Gaussian 0.5, 30 dB": ("gaussian-0.5", 30.0),
}


def seen_through(hr: Tensor, scale: int, optics: str, seed: int = 0) -> Tensor:
    """The LR image (B, h, w) of an HR image (B, H, W) by one of `OPTICS`; equal seeds give equal noise.

    Raises
    ------
    ValueError
        If there are no such optics.
    """
    if optics not in OPTICS:
        raise ValueError(f"unknown optics {optics!r}: choose one of {', '.join(OPTICS)}")
    blur, snr = OPTICS[optics]
    lr = shrink(hr, scale, blur)
    return lr if math.isinf(snr) else noisy(lr, snr, seed)


def pair_seen_through(hr: Tensor, scale: int, optics: str = PROTOCOL) -> tuple[Tensor, Tensor]:
    """The LR image, and the HR image (B, H, W) cropped at bottom and right to a multiple of the scale."""
    truth = crop_to_multiple(hr, scale)
    return seen_through(truth, scale, optics), truth


def noisy(image: Tensor, snr: float, seed: int = 0) -> Tensor:
    """(B, h, w) with white noise whose power in each band is that of the band, mean included, `snr` dB lower."""
    power = image.square().mean(dim=(1, 2), keepdim=True)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(image.shape, generator=generator).to(image)
    return image + (power / 10 ** (snr / 10)).sqrt() * noise
