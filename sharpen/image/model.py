"""The eigenimage network: one network for every spectrum, which sharpens a scene one principal component at a time.

The study finds that an upsampler needs few spectral components (notebook `upsamplers`). This network goes further:
nothing in it depends on the bands, so weights trained on one sensor, or on synthetic scenes alone, sharpen the scenes
of another. An LR image (B, h, w) is sharpened in three steps:

1. Bands are divided by their standard deviation, so that all count equally. The k leading eigenvectors of their
   correlation give k eigenimages, each divided by its standard deviation σ_i.
2. Each eigenimage is deconvolved (`sharpen.image.deconvolve`). The network's inputs (`network_inputs` there) are that
   eigenimage, the first one as a guide, the eigenimage before deconvolution, PSF and noise. Large-kernel blocks, a 3x3
   convolution to r² channels and PixelShuffle give the residual over the bicubic image.
3. Residuals are back-projected (Irani and Peleg 1991), multiplied by σ_i and turned back into bands. What lies outside
   the k components is only deconvolved.

EigenSR (arXiv 2409.04050) has the same aim with a large network for colour images, fine-tuned on eigenimages.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lkca.checkpoints import Metadata, load_weights, read_weights
from lkca.degradation import Degradation, sum_updates
from lkca.files import expand
from lkca.models import build_model
from lkca.models.lkca import REDUCTION, LargeKernelBlock
from lkca.models.upsamplers import start_near_zero
from lkca.resize import SCALES, SYMMETRIES, resize, symmetry, undo_symmetry

PRETRAINED = Path(__file__).parent.parent / "pretrained"
NAME = "lkca-any"  # this network's name in the metadata of weights files
FIXED = ("attention", "inputs")  # former options, which weights files still name; ignored
USUAL_SCALE = 4
INPUTS = 5  # channels that the network sees
MAX_COEFFICIENT = 6.0  # standard deviations; coefficients are clamped to ± this, larger ones are rare in training too
MAX_FEATURE = 15.0  # features are clamped to ± this after each block, see `ClampedBlock`
NEIGHBOURHOOD = 5  # LR pixels on a side; their range limits a pixel's residual
BLOCK_RADIUS = 2 + 9  # LR pixels: the 5x5 convolution, then the 7x7 one of dilation 3


@dataclass(frozen=True)
class Basis:
    """The principal components of an LR image.

    mean, spread : (B,) mean and standard deviation of each band; the spread of a constant band is 1.
    vectors : (B, k), orthonormal. sigma : (k,) standard deviation of the coefficients, 0 where there is no component
        (fewer pixels or bands than components, a constant image).
    """

    mean: Tensor
    spread: Tensor
    vectors: Tensor
    sigma: Tensor

    def coefficients(self, lr: Tensor) -> Tensor:
        """Convert bands (B, h, w) to eigenimages (k, h, w) of standard deviation 1; 0 where there is no component."""
        standard = (lr - self.mean[:, None, None]) / self.spread[:, None, None]
        inverse = torch.where(self.sigma > 0, 1 / self.sigma.clamp_min(1e-30), 0)
        return ((self.vectors * inverse).T @ standard.flatten(1)).unflatten(1, lr.shape[1:])

    def spectra(self) -> Tensor:
        """Return the spectra (B, k) of one standard deviation of each component, in the image's unit."""
        return self.vectors * self.sigma * self.spread[:, None]


def principal_components(count: float, sums: Tensor, products: Tensor, components: int) -> Basis:
    """Return the basis of pixels from their sums alone, so that the image need not be in memory.

    Parameters
    ----------
    count : number of pixels. sums : (B,) float64, their sum. products : (B, B) float64, sum of the outer products.
    components : k; at most B are returned.
    """
    mean = sums / max(count, 1)
    covariance = products / max(count, 1) - torch.outer(mean, mean)
    variance = covariance.diagonal()
    # Rounding leaves about 1e-16 of the squared mean: a band that varies less is constant.
    spread = torch.where(variance > 1e-12 * (mean**2 + 1e-30), variance.clamp_min(0).sqrt(), 0)
    inverse = torch.where(spread > 0, 1 / spread.clamp_min(1e-150), 0)
    values, vectors = torch.linalg.eigh(covariance * torch.outer(inverse, inverse))  # ascending
    values, vectors = values.flip(0)[:components], vectors.flip(1)[:, :components]
    largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))
    vectors = vectors * largest.sign()
    values = torch.where(values > 1e-9 * values[:1].clamp_min(0), values, 0)
    spread = torch.where(spread > 0, spread, 1.0)
    return Basis(*(t.float() for t in (mean, spread, vectors, values.clamp_min(0).sqrt())))


class EigenimageNetwork(nn.Module):
    """(k, 5, h, w) -> (k, 1, r·h, r·w): the residuals of k eigenimages, whatever their scene and bands.

    Parameters
    ----------
    scale : r.
    components : k, principal components that the network sharpens.
    blocks : number of large-kernel blocks. channels : feature channels C, a multiple of 16.
    steps : back-projection iterations, in training too; 0 leaves them out.

    Attributes
    ----------
    symmetries : True averages a residual over the eight flips and rotations of the image, at eight times the work.
    radius : LR pixels to each side that an output depends on.

    Raises
    ------
    ValueError
        If C is not a multiple of 16.
    """

    def __init__(self, scale: int, components: int = 8, blocks: int = 6, channels: int = 64, steps: int = 3) -> None:
        super().__init__()
        if channels % REDUCTION:
            raise ValueError(f"channels must be a multiple of {REDUCTION}, got {channels}")
        self.scale, self.components, self.steps = scale, components, steps
        self.symmetries = False
        self.head = nn.Conv2d(INPUTS, channels, 3, padding=1)
        self.body = nn.Sequential(*(ClampedBlock(channels) for _ in range(blocks)))
        self.upsampler = nn.Sequential(nn.Conv2d(channels, scale**2, 3, padding=1), nn.PixelShuffle(scale))
        self.radius = 1 + BLOCK_RADIUS * blocks + 1
        start_near_zero(list(self.upsampler))

    def options(self) -> dict[str, object]:
        """Return the arguments, except the scale, that build this network again."""
        channels = len(self.head.weight)
        return {"components": self.components, "blocks": len(self.body), "channels": channels, "steps": self.steps}

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the residuals (k, 1, r·h, r·w) for inputs (k, 5, h, w) of `sharpen.image.deconvolve.network_inputs`.

        Inputs are clamped as in training. A residual is clamped to the range of its pixel's neighbourhood, so that a
        hot pixel cannot explode.
        """
        return self.back_project(self.limited(inputs))

    def limited(self, inputs: Tensor) -> Tensor:
        """Return the residuals (k, 1, r·h, r·w) before back-projection."""
        turned = [undo_symmetry(self.raw(symmetry(inputs, s)), s) for s in range(SYMMETRIES if self.symmetries else 1)]
        return limit_residuals(torch.stack(turned).mean(dim=0), inputs[:, :1], self.scale)

    def raw(self, inputs: Tensor) -> Tensor:
        """Run only the layers, (k, 5, h, w) -> (k, 1, r·h, r·w), without limits and back-projection."""
        features = self.head(inputs.clamp(-MAX_COEFFICIENT, MAX_COEFFICIENT))
        if features.device.type == "cpu":  # depthwise convolutions are three times faster there in this layout
            features = features.contiguous(memory_format=torch.channels_last)
        return self.upsampler(self.body(features).contiguous())

    def back_project(self, residuals: Tensor, psf: str = "bicubic") -> Tensor:
        """Back-project residuals (..., r·h, r·w), so that they vanish when downsampled."""
        if not self.steps:
            return residuals
        error = -Degradation(psf).downsample(residuals, self.scale)
        return residuals + resize(sum_updates(error, self.scale, self.steps, psf), self.scale)


class ClampedBlock(LargeKernelBlock):
    """A large-kernel block without channel attention; its output is clamped to a range that training hardly leaves.

    A block multiplies features by weights made of features, so its output grows with the square of its input, and that
    of six blocks with the 64th power: one bright object on a calm sea would explode. Channel attention averages over
    the whole image; without it, overlapping tiles are exact, and no quality is lost (docs/any-sensor.md).
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 0.0, channel_attention=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).clamp(-MAX_FEATURE, MAX_FEATURE)


def limit_residuals(residuals: Tensor, lr: Tensor, scale: int) -> Tensor:
    """Clamp residuals (k, 1, r·h, r·w) to the range of their neighbourhood in the LR image (k, 1, h, w)."""
    margin = NEIGHBOURHOOD // 2
    highest, lowest = (F.max_pool2d(sign * lr, NEIGHBOURHOOD, 1, margin) for sign in (1, -1))
    limit = (highest + lowest)[..., :, None, :, None].expand(-1, -1, -1, scale, -1, scale)
    limit = limit.reshape(residuals.shape)
    return torch.minimum(torch.maximum(residuals, -limit), limit)


# --- weights


def load_pretrained(scale: int) -> EigenimageNetwork:
    """Return the network with the pretrained weights of a scale (2, 4 or 8), in eval mode."""
    return load_network(weights_path(None, scale))[0]


def weights_path(weights: str | Path | None, scale: int | None) -> Path:
    """Return the path of weights (a file or the folder of a run); None means the pretrained ones of a scale (or 4).

    Raises
    ------
    ValueError
        If there are no pretrained weights for that scale.
    """
    if weights is not None:
        return expand(weights)
    if scale not in (None, *SCALES):
        raise ValueError(f"no pretrained weights for scale {scale!r}: there are {', '.join(map(str, SCALES))}")
    return PRETRAINED / f"x{scale or USUAL_SCALE}.safetensors"


def export_network(
    target: str | Path, scale: int | None = None, weights: str | Path | None = None, overwrite: bool = False
) -> None:
    """Write a network as an ONNX file.

    An `EigenimageNetwork` maps "lr" (k, 5, h, w), made by `sharpen.image.deconvolve.network_inputs`, to "hr"
    (k, 1, r·h, r·w), residuals before back-projection: ONNX has no eigendecomposition. For other networks, and for the
    errors raised, see `lkca.export.export_onnx`.

    weights, scale : see `weights_path`.
    """
    from lkca.export import export_module, export_onnx  # onnx takes seconds to import

    path = weights_path(weights, scale)
    network, metadata = load_network(path)
    if not isinstance(network, EigenimageNetwork):
        export_onnx(path, target, overwrite)
        return
    network.forward = network.limited
    export_module(network, target, torch.rand(2, INPUTS, 5, 6), metadata, overwrite)


def load_network(path: str | Path) -> tuple[nn.Module, Metadata]:
    """Return the network of a weights file or of a run's folder, in eval mode, and its metadata.

    The file may hold an `EigenimageNetwork` or any network of `lkca`; errors are those of `lkca.load_weights`.
    """
    if Path(path).parent != PRETRAINED:
        return load_weights(path, build=_build)
    metadata, tensors = read_weights(path)  # without the checks of foreign files, which take seconds
    network = _build(metadata)
    network.load_state_dict(tensors)
    return network.eval(), metadata


def _build(metadata: Metadata) -> nn.Module:
    if metadata.model != NAME:
        return build_model(metadata.model, metadata.bands, metadata.scale, **metadata.options)
    options = {name: value for name, value in metadata.options.items() if name not in FIXED}
    return EigenimageNetwork(metadata.scale, **options)
