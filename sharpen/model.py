"""The eigenimage network: one network for every spectrum, which sharpens a scene one principal component at a time.

The study finds that an upsampler needs few spectral components (notebook `upsamplers`). Here that is taken to its end.
Nothing in the network depends on the bands, so weights trained on one sensor, or on synthetic scenes alone, sharpen the
scenes of another. An LR image (B, h, w) is sharpened in three steps:

1. Bands are divided by their standard deviation, so that each counts alike. The k leading eigenvectors of their
   correlation give k eigenimages, each divided by its standard deviation σ_i.
2. The network sees two channels, one eigenimage and the first one as a guide: large-kernel blocks, a 3x3 convolution to
   r² channels, PixelShuffle. Its output is the residual of that eigenimage over bicubic.
3. Residuals are multiplied by σ_i, back-projected (Irani and Peleg 1991) and turned back into bands. What lies outside
   the k components is bicubic with back-projection.

That is for bicubic LR images without noise. Through other PSFs the pretrained network follows a deconvolution, and sees
three channels more: `sharpen.deconvolve.network_inputs`.

EigenSR (arXiv 2409.04050) has the same aim with a large network for colour images, fine-tuned on eigenimages.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lkca.checkpoints import Metadata, load_weights, read_weights
from lkca.degradation import Degradation, round_trip, sum_corrections
from lkca.files import expand
from lkca.models import build_model
from lkca.models.lkca import REDUCTION, LargeKernelBlock, LargeKernelChannelAttention
from lkca.models.upsamplers import start_near_zero
from lkca.resize import SCALES, SYMMETRIES, resize, symmetry, undo_symmetry

PRETRAINED = Path(__file__).parent / "pretrained"
NAME = "lkca-any"  # of this network in the metadata of weights files
OLD_OPTIONS = {"directions": "components", "corrections": "steps"}  # as weights files of version 0.1 name them
KINDS = ("synthetic", "real")  # what trained the pretrained weights: synthetic scenes alone, or real ones as well
MAX_COEFFICIENT = 6.0  # standard deviations; coefficients are clamped to ± this, larger ones are rare in training too
MAX_FEATURE = 15.0  # features are clamped to ± this after each block, see `ClampedBlock`
NEIGHBOURHOOD = 5  # LR pixels on a side, whose range limits a pixel's residual
BLOCK_RADIUS = 2 + 9  # LR pixels: the 5x5 convolution, then the 7x7 one of dilation 3


@dataclass(frozen=True)
class Basis:
    """The principal components of an image, from its LR pixels alone.

    mean, spread : (B,) mean and standard deviation of each band; the spread of a constant band is 1.
    vectors : (B, k), orthonormal. sigma : (k,) standard deviation of the coefficients, 0 where there is no component
        (fewer pixels or bands than components, a constant image).
    """

    mean: Tensor
    spread: Tensor
    vectors: Tensor
    sigma: Tensor

    def coefficients(self, lr: Tensor) -> Tensor:
        """Turn bands (B, h, w) into eigenimages (k, h, w) of standard deviation 1; 0 where there is no component."""
        standard = (lr - self.mean[:, None, None]) / self.spread[:, None, None]
        inverse = torch.where(self.sigma > 0, 1 / self.sigma.clamp_min(1e-30), 0)
        return ((self.vectors * inverse).T @ standard.flatten(1)).unflatten(1, lr.shape[1:])

    def spectra(self) -> Tensor:
        """Return what one standard deviation of each component is in the image's own unit, (B, k)."""
        return self.vectors * self.sigma * self.spread[:, None]


def principal_components(count: float, sums: Tensor, products: Tensor, components: int) -> Basis:
    """Return the basis of pixels of which only sums are known, so that an image need not be in memory.

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
    """(n, B, h, w) -> (n, B, r·h, r·w) for any B with the same weights.

    Parameters
    ----------
    scale : r.
    components : k, principal components that the network sharpens.
    blocks : number of large-kernel blocks. channels : feature channels C, a multiple of 16.
    steps : back-projection iterations, in training too; 0 leaves them out.
    attention : whether blocks have the channel attention, the one part that looks at the whole image.
    inputs : channels that the network sees: an eigenimage, the first one, and inputs - 2 conditions such as noise.

    Attributes
    ----------
    symmetries : True takes the mean of a residual over the eight symmetries of the image, at eight times the work.
    radius : LR pixels that an output depends on to each side, if there is no channel attention.

    Raises
    ------
    ValueError
        If C is not a multiple of 16.
    """

    def __init__(
        self,
        scale: int,
        components: int = 8,
        blocks: int = 6,
        channels: int = 64,
        steps: int = 3,
        attention: bool = True,
        inputs: int = 2,
    ) -> None:
        super().__init__()
        if channels % REDUCTION:
            raise ValueError(f"channels must be a multiple of {REDUCTION}, got {channels}")
        self.scale, self.components, self.steps, self.attention = scale, components, steps, attention
        self.symmetries = False
        self.head = nn.Conv2d(inputs, channels, 3, padding=1)
        self.body = nn.Sequential(*(ClampedBlock(channels, attention) for _ in range(blocks)))
        self.upsampler = nn.Sequential(nn.Conv2d(channels, scale**2, 3, padding=1), nn.PixelShuffle(scale))
        self.radius = 1 + BLOCK_RADIUS * blocks + 1
        start_near_zero(list(self.upsampler))

    def options(self) -> dict[str, object]:
        """Return the arguments beside the scale that build it again."""
        channels, inputs = self.head.weight.shape[:2]
        return {"components": self.components, "blocks": len(self.body), "channels": channels, "steps": self.steps,
                "attention": self.attention, "inputs": inputs}  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self._sharpen(image) for image in x])

    def _sharpen(self, lr: Tensor) -> Tensor:
        """Sharpen one image, (B, h, w) -> (B, r·h, r·w)."""
        basis = self.basis(lr)
        residuals = self.residual(self.pairs(basis.coefficients(lr)))[:, 0]  # (k, r·h, r·w)
        detail = (basis.spectra() @ residuals.flatten(1)).unflatten(1, residuals.shape[1:])
        return detail + self.upsample(lr)

    @torch.no_grad()
    def basis(self, lr: Tensor) -> Basis:
        """Return the principal components of an image (B, h, w)."""
        pixels = lr.detach().double().flatten(1)
        return principal_components(pixels.shape[1], pixels.sum(1), pixels @ pixels.T, self.components)

    def pairs(self, coefficients: Tensor, conditions: Tensor | None = None) -> Tensor:
        """Return the input of the network for eigenimages (k, h, w): each beside the first, (k, inputs, h, w).

        conditions : (k, inputs - 2), numbers that become constant channels, such as the noise of each eigenimage.
        """
        channels = [coefficients, coefficients[:1].expand_as(coefficients)]
        if conditions is not None:
            channels += [column[:, None, None].expand_as(coefficients) for column in conditions.T]
        return torch.stack(channels, dim=1)

    def residual(self, inputs: Tensor, psf: str = "bicubic") -> Tensor:
        """Return the residuals (k, 1, r·h, r·w) over bicubic of eigenimages (k, inputs, h, w).

        Training uses this method too. Inputs are clamped as in training, and a residual is no larger than the range of
        its pixel's neighbourhood, so that a hot pixel cannot explode.
        """
        return self.back_project(self.limited(inputs), psf)

    def limited(self, inputs: Tensor) -> Tensor:
        """Return the residuals (k, 1, r·h, r·w) before back-projection."""
        turned = [undo_symmetry(self.raw(symmetry(inputs, s)), s) for s in range(SYMMETRIES if self.symmetries else 1)]
        return limit_residuals(torch.stack(turned).mean(dim=0), inputs[:, :1], self.scale)

    def raw(self, inputs: Tensor) -> Tensor:
        """Run the layers alone on (k, inputs, h, w): (k, 1, r·h, r·w), neither limited nor back-projected."""
        features = self.head(inputs.clamp(-MAX_COEFFICIENT, MAX_COEFFICIENT))
        if features.device.type == "cpu":  # depthwise convolutions are three times faster there in this layout
            features = features.contiguous(memory_format=torch.channels_last)
        return self.upsampler(self.body(features).contiguous())

    def back_project(self, residuals: Tensor, psf: str = "bicubic") -> Tensor:
        """Back-project residuals (..., r·h, r·w): downsampled, they shall vanish."""
        if not self.steps:
            return residuals
        return residuals + resize(self.correction(residuals, psf), self.scale)

    def correction(self, residuals: Tensor, psf: str = "bicubic") -> Tensor:
        """Return what back-projection adds to residuals (..., r·h, r·w), at LR size (..., h, w)."""
        error = -Degradation(psf).downsample(residuals, self.scale)
        return sum_corrections(error, self.scale, self.steps, psf) if self.steps else torch.zeros_like(error)

    def upsample(self, lr: Tensor, psf: str = "bicubic") -> Tensor:
        """Upsample by bicubic with back-projection: what the residuals are added to."""
        if self.steps:
            lr = lr + sum_corrections(lr - round_trip(lr, self.scale, psf), self.scale, self.steps, psf)
        return resize(lr, self.scale)


class ClampedBlock(LargeKernelBlock):
    """A large-kernel block whose output is clamped to a range that training hardly ever leaves.

    A block multiplies features by weights made of features, so its output grows with the square of its input, and that
    of six blocks with the 64th power: one bright object on a calm sea would explode.
    """

    def __init__(self, channels: int, attention: bool = True) -> None:
        super().__init__(channels, 0.0)
        if not attention:
            self.attention = LocalAttention(channels)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).clamp(-MAX_FEATURE, MAX_FEATURE)


class LocalAttention(LargeKernelChannelAttention):
    """y · conv1([y, a1, a2]): the block's attention without its channel attention, so that it only looks nearby."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        del self.channel_attention

    def forward(self, y: Tensor) -> Tensor:
        near = self.local(y)
        return y * self.fuse(torch.cat([y, near, self.distant(near)], dim=1))


def limit_residuals(residuals: Tensor, lr: Tensor, scale: int) -> Tensor:
    """Clamp residuals (k, 1, r·h, r·w) to the range of their neighbourhood in the LR image (k, 1, h, w)."""
    margin = NEIGHBOURHOOD // 2
    highest, lowest = (F.max_pool2d(sign * lr, NEIGHBOURHOOD, 1, margin) for sign in (1, -1))
    limit = (highest + lowest)[..., :, None, :, None].expand(-1, -1, -1, scale, -1, scale)
    limit = limit.reshape(residuals.shape)
    return torch.minimum(torch.maximum(residuals, -limit), limit)


# --- weights


def load_pretrained(scale: int, kind: str = "synthetic") -> EigenimageNetwork:
    """Return the network with pretrained weights, ready to use.

    Parameters
    ----------
    scale : 2, 4 or 8.
    kind : "synthetic", weights trained on synthetic scenes alone, or "real", on real ones as well.

    Raises
    ------
    ValueError
        If there are no such weights.
    """
    return load_network(pretrained_path(scale, kind))[0]


def pretrained_path(scale: int, kind: str = "synthetic") -> Path:
    """Return the file of the pretrained weights.

    Raises
    ------
    ValueError
        If there are none for that scale or of that kind.
    """
    if scale not in SCALES or kind not in KINDS:
        raise ValueError(
            f"no pretrained weights for scale {scale!r} of kind {kind!r}: there are scales "
            f"{', '.join(map(str, SCALES))}, each trained on {' or '.join(KINDS)} scenes"
        )
    return PRETRAINED / f"{kind}-x{scale}.safetensors"


def export_network(
    target: str | Path, scale: int | None = None, weights: str | Path = "synthetic", overwrite: bool = False
) -> None:
    """Write a network as an ONNX file.

    An `EigenimageNetwork` maps "lr" (k, inputs, h, w), made by `pairs` or `sharpen.deconvolve.network_inputs`, to "hr"
    (k, 1, r·h, r·w), residuals before back-projection: ONNX has no eigendecomposition. For a network of lkca see
    `lkca.export.export_onnx`, which names the errors too.

    weights : "synthetic" or "real", a weights file or the folder of a run. scale : of pretrained weights, 4 if None.
    """
    from lkca.export import export_module, export_onnx  # onnx takes seconds to import

    path = pretrained_path(scale or 4, str(weights)) if str(weights) in KINDS else expand(weights)
    network, metadata = load_network(path)
    if not isinstance(network, EigenimageNetwork):
        export_onnx(path, target, overwrite)
        return
    network.forward = network.limited
    export_module(network, target, torch.rand(2, network.head.in_channels, 5, 6), metadata, overwrite)


def load_network(path: str | Path) -> tuple[nn.Module, Metadata]:
    """Return the network of a weights file or of a run's folder, in eval mode, and its metadata.

    The file may hold an `EigenimageNetwork` or any network of `lkca`; errors are those of `lkca.load_weights`.
    """
    if Path(path).parent != PRETRAINED:
        return load_weights(path, build=_build)
    metadata, tensors = read_weights(path)  # needs none of the checks of foreign files, which take seconds
    network = _build(metadata)
    network.load_state_dict(tensors)
    return network.eval(), metadata


def _build(metadata: Metadata) -> nn.Module:
    if metadata.model != NAME:
        return build_model(metadata.model, metadata.bands, metadata.scale, **metadata.options)
    options = {OLD_OPTIONS.get(name, name): value for name, value in metadata.options.items()}
    return EigenimageNetwork(metadata.scale, **options)
