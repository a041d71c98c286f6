"""Degrade HR images to LR images, and undo the degradation by back-projection.

A degradation is a point spread function (PSF) and a noise level: LR = downsample(PSF * HR) + noise. The study
downsamples by bicubic, as the field does; real sensors blur more and add noise.

Back-projection (M. Irani, S. Peleg, "Improving resolution by image registration", CVGIP 53(3), 1991) corrects an
upsampled image x until it degrades to the LR image y: x ← x + up(y − down(x)). Here up is bicubic (`lkca.resize`) and
down is the degradation without noise. With mirrored edges, up followed by down is a small convolution at LR size, so
any number of iterations costs one downsampling and one upsampling.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from lkca.psf import check_kernel_fits, check_psf, psf_version, psf_weights
from lkca.resize import crop_to_multiple, mirror_indices, resize

BACK_PROJECTION_STEPS = 5  # more iterations hardly improve a bicubic image


@dataclass(frozen=True)
class Degradation:
    """A point spread function and a noise level.

    psf : "bicubic", "mean", "gaussian:S", "gaussian:SY,SX,ANGLE" or the path of a kernel file; see `lkca.psf`.
    noise : signal-to-noise ratio in dB of white noise, relative to the power of each band (mean included); infinite
        for none.

    Raises
    ------
    ValueError
        If the PSF is none of these, its kernel file is unusable, or the noise is not a number.
    FileNotFoundError
        If the kernel file does not exist.
    """

    psf: str = "bicubic"
    noise: float = math.inf

    def __post_init__(self) -> None:
        if isinstance(self.noise, bool) or not isinstance(self.noise, int | float) or not self.noise > -math.inf:
            raise ValueError(f"noise is a signal-to-noise ratio in dB, or infinity for none, got {self.noise!r}")
        check_psf(self.psf)

    def downsample(self, hr: Tensor, scale: int) -> Tensor:
        """Blur and downsample by a whole number, without noise.

        Parameters
        ----------
        hr : (..., H, W), floating point; what H and W have beyond a multiple of the scale is cropped at the bottom and
            the right. Edges are mirrored.

        Returns
        -------
        Tensor (..., ⌊H/r⌋, ⌊W/r⌋)

        Raises
        ------
        ValueError
            If a side of the image is below r pixels, or a kernel file is larger than the image.
        """
        return _downsample(hr, scale, self.psf)

    def __call__(self, hr: Tensor, scale: int, seed: int = 0) -> Tensor:
        """Return the LR image (B, h, w) of an HR image (B, H, W), with noise; equal seeds give equal noise."""
        lr = self.downsample(hr, scale)
        return lr if math.isinf(self.noise) else add_noise(lr, self.noise, seed)


DEGRADATIONS: dict[str, Degradation] = {
    "bicubic": Degradation(),
    "block mean": Degradation("mean"),
    "Gaussian 0.3": Degradation("gaussian:0.3"),
    "Gaussian 0.5": Degradation("gaussian:0.5"),
    "Gaussian 0.65": Degradation("gaussian:0.65"),
    "Gaussian 0.8": Degradation("gaussian:0.8"),
    "bicubic, 40 dB": Degradation("bicubic", 40.0),
    "bicubic, 30 dB": Degradation("bicubic", 30.0),
    "Gaussian 0.5, 30 dB": Degradation("gaussian:0.5", 30.0),
}
"""The degradations of the study `any_sensor`, by their names in its tables; the first is the paper's protocol."""


def add_noise(image: Tensor, snr: float, seed: int = 0) -> Tensor:
    """Add white noise to (B, h, w), `snr` dB below the power of each band (mean included)."""
    power = image.square().mean(dim=(1, 2), keepdim=True)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(image.shape, generator=generator).to(image)
    return image + (power / 10 ** (snr / 10)).sqrt() * noise


# --- back-projection


def back_project(prediction: Tensor, lr: Tensor, steps: int = BACK_PROJECTION_STEPS, psf: str = "bicubic") -> Tensor:
    """Correct an upsampled image towards the LR image that it was made from.

    Parameters
    ----------
    prediction : (..., B, r·h, r·w), any network's output. lr : (..., B, h, w), its input.
    steps : number of iterations; 0 returns the prediction unchanged.
    psf : of the degradation that made the LR image, see `Degradation`.

    Returns
    -------
    Tensor of the prediction's shape. Values may leave the range of the input, as bicubic's do.

    Raises
    ------
    ValueError
        If `steps` is not a whole number of at least 0, or the prediction is no whole multiple of the LR image.
    """
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0:
        raise ValueError(f"back-projection takes a whole number of steps of at least 0, got {steps!r}")
    scale = prediction.shape[-1] // lr.shape[-1]
    if scale < 1 or prediction.shape != (*lr.shape[:-2], scale * lr.shape[-2], scale * lr.shape[-1]):
        raise ValueError(
            f"a prediction of shape {tuple(prediction.shape)} is not {tuple(lr.shape)} upsampled by a whole number"
        )
    if steps == 0:
        return prediction
    return prediction + resize(sum_updates(lr - _downsample(prediction, scale, psf), scale, steps, psf), scale)


def sum_updates(error: Tensor, scale: int, steps: int, psf: str = "bicubic") -> Tensor:
    """Return the sum of the updates of all back-projection iterations, (..., h, w) at LR size.

    Upsampled and added to the prediction, it has the effect of all iterations.

    error : (..., h, w), the LR image minus the downsampled prediction. steps : number of iterations, at least 1.
    """
    total = error
    for _ in range(steps - 1):
        total = total + (error - round_trip(total, scale, psf))
    return total


def round_trip(x: Tensor, scale: int, psf: str = "bicubic") -> Tensor:
    """Upsample (..., h, w) by bicubic and downsample it with the PSF, without an image of HR size."""
    kernels = _round_trip_kernels(scale, psf, psf_version(psf), x.dtype, x.device)
    height, width = x.shape[-2:]
    y = x.reshape(-1, 1, height, width)
    for kernel in kernels:
        rows, columns = (side // 2 for side in kernel.shape[-2:])
        if rows:
            y = y[..., mirror_indices(height, rows, x.device), :]
        if columns:
            y = y[..., mirror_indices(width, columns, x.device)]
        y = F.conv2d(y, kernel)
    return y.reshape(x.shape)


def round_trip_kernel(scale: int, psf: str = "bicubic") -> Tensor:
    """Return the kernel of `round_trip`, (kh, kw) float64 with odd sides, as `conv2d` takes it over mirrored edges.

    If the PSF is symmetric, so is the kernel, and its cosine transform is the transfer function of `round_trip`.
    """
    kernels = _round_trip_kernels(scale, psf, psf_version(psf), torch.float64, torch.device("cpu"))
    if len(kernels) == 1:
        return kernels[0][0, 0].clone()
    return kernels[0][0, 0] * kernels[1][0, 0]  # a column times a row


@lru_cache(maxsize=256)  # by device too, so that a kernel is sent there once
@torch.inference_mode(False)  # a tensor made in inference mode could not serve a gradient later
def _round_trip_kernels(
    scale: int, psf: str, version: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, ...]:
    """Return the kernels (1, 1, kh, kw) to convolve with in turn: a column and a row, or one for both axes.

    They are the response to an impulse, upsampled and downsampled again.
    """
    weights = psf_weights(scale, psf, version)
    # LR pixels: 2 for upsampling, half a pixel, and the margin of the PSF. For bicubic both ways, all beyond 3 is 0.
    radius = 3 if weights is None else int((weights.shape[-1] - scale) / 2 / scale + 2.5)
    separable = weights is None or weights.ndim == 1
    impulse = torch.zeros(1, 4 * radius + 1, 1 if separable else 4 * radius + 1, dtype=torch.float64)
    impulse[0, 2 * radius, impulse.shape[-1] // 2] = 1
    response = _downsample(resize(impulse, scale), scale, psf)[0, radius : 3 * radius + 1]
    if separable:
        taps = response[:, 0].to(device, dtype)
        return taps.view(1, 1, -1, 1), taps.view(1, 1, 1, -1)
    kernel = response[:, radius : 3 * radius + 1].flip(0, 1)  # conv2d correlates, a response convolves
    return (kernel.to(device, dtype)[None, None],)


def _downsample(hr: Tensor, scale: int, psf: str) -> Tensor:
    if psf == "bicubic":
        return resize(hr, 1 / scale)
    weights = psf_weights(scale, psf, psf_version(psf))
    x = crop_to_multiple(hr, scale)
    height, width = x.shape[-2:]
    if 0 in (height, width):
        raise ValueError(f"an image of fewer than {scale} pixels on a side cannot be downsampled {scale} times")
    flat = x.reshape(-1, 1, height, width)
    if psf == "mean":
        y = F.avg_pool2d(flat, scale)
        return y.reshape(*x.shape[:-2], height // scale, width // scale)
    check_kernel_fits(psf, height, width)
    kernel, margin = weights.to(x), (weights.shape[-1] - scale) // 2
    flat = flat[..., mirror_indices(height, margin, x.device), :][..., mirror_indices(width, margin, x.device)]
    if kernel.ndim == 1:
        y = F.conv2d(flat, kernel.view(1, 1, -1, 1), stride=(scale, 1))
        y = F.conv2d(y, kernel.view(1, 1, 1, -1), stride=(1, scale))
    else:
        y = F.conv2d(flat, kernel[None, None], stride=scale)
    return y.reshape(*x.shape[:-2], height // scale, width // scale)
