"""LKCA-Any: one network for every spectrum, which sharpens a scene one spectral direction at a time.

The study finds that an upsampler needs few spectral directions (notebook `upsamplers`). Here that is taken to its end:
nothing in the network depends on the bands, and so weights trained on one sensor, or on made scenes alone, sharpen
another's. What happens to an LR image (B, h, w):

1. Bands are divided by their standard deviation, so that each counts alike, and the k leading eigenvectors of their
   correlation are the directions. Coefficient images c_i are divided by their standard deviation σ_i.
2. The network sees two channels: one c_i, and the first one as a guide; LKCA blocks, a 3x3 convolution to r² channels,
   PixelShuffle. What comes out is the residual of that direction over bicubic.
3. Residuals are multiplied by σ_i, back-projected (Irani and Peleg 1991), and put back through the directions. What
   lies outside them is bicubic with back-projection.

EigenSR (arXiv 2409.04050) has the same aim with a large network for colour images, fine-tuned on eigenimages.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lkca.measures.back_projection import corrections, shrunk_enlarged
from lkca.measures.resize import resize
from lkca.measures.symmetries import SYMMETRIES, symmetry, unsymmetry
from lkca.models.lkca import LargeKernelBlock
from lkca.models.upsamplers import start_near_zero

REDUCTION = 16  # of the blocks' channel attention: channels are a multiple of it
USUAL = 6.0  # standard deviations: coefficients beyond are shown to the network as this, as rare in training as there
LARGEST = 15.0  # features are kept within ±this between blocks: see `BoundedBlock`
NEIGHBOURS = 5  # LR pixels on a side, whose range bounds a pixel's correction


@dataclass(frozen=True)
class Basis:
    """The spectral directions of an image, from its LR pixels alone.

    mean, spread : (B,) of each band; the spread is 1 for a band that is constant.
    vectors : (B, k), orthonormal. sigma : (k,) standard deviation of the coefficients, 0 where there is no direction
        (fewer pixels or bands than directions, a constant image).
    """

    mean: Tensor
    spread: Tensor
    vectors: Tensor
    sigma: Tensor

    def coefficients(self, lr: Tensor) -> Tensor:
        """(B, h, w) -> (k, h, w), each of standard deviation 1; 0 where there is no direction."""
        standard = (lr - self.mean[:, None, None]) / self.spread[:, None, None]
        inverse = torch.where(self.sigma > 0, 1 / self.sigma.clamp_min(1e-30), 0)
        return ((self.vectors * inverse).T @ standard.flatten(1)).unflatten(1, lr.shape[1:])

    def spectra(self) -> Tensor:
        """(B, k): what one standard deviation of each direction is in the image's own numbers."""
        return self.vectors * self.sigma * self.spread[:, None]


def basis_of(count: float, sums: Tensor, products: Tensor, directions: int) -> Basis:
    """The basis of pixels of which only sums are known, so that an image need not be held.

    Parameters
    ----------
    count : number of pixels. sums : (B,) float64, their sum. products : (B, B) float64, sum of the outer products.
    directions : k; at most B are given.
    """
    mean = sums / max(count, 1)
    covariance = products / max(count, 1) - torch.outer(mean, mean)
    variance = covariance.diagonal()
    # Rounding leaves some 1e-16 of the mean's square: a band that varies less is constant.
    spread = torch.where(variance > 1e-12 * (mean**2 + 1e-30), variance.clamp_min(0).sqrt(), 0)
    inverse = torch.where(spread > 0, 1 / spread.clamp_min(1e-150), 0)
    values, vectors = torch.linalg.eigh(covariance * torch.outer(inverse, inverse))  # ascending
    values, vectors = values.flip(0)[:directions], vectors.flip(1)[:, :directions]
    largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))
    vectors = vectors * largest.sign()
    values = torch.where(values > 1e-9 * values[:1].clamp_min(0), values, 0)
    ones = torch.ones_like(spread)
    return Basis(
        *(t.float() for t in (mean, torch.where(spread > 0, spread, ones), vectors, values.clamp_min(0).sqrt()))
    )


class AnySensor(nn.Module):
    """(n, B, h, w) -> (n, B, r·h, r·w) for any B with the same weights.

    Parameters
    ----------
    bands : ignored; every model of the study takes it.
    scale : r.
    directions : k, spectral directions that the network sharpens.
    blocks : number of large-kernel blocks. channels : feature channels C, a multiple of 16.
    corrections : back-projections, in training too; 0 leaves them out.

    Attributes
    ----------
    symmetries : True takes the mean of a residual over the eight symmetries of the image, at eight times the work.

    Raises
    ------
    ValueError
        If C is not a multiple of 16.
    """

    def __init__(
        self, bands: int, scale: int, directions: int = 8, blocks: int = 6, channels: int = 64, corrections: int = 3
    ) -> None:
        super().__init__()
        if channels % REDUCTION:
            raise ValueError(f"channels must be a multiple of {REDUCTION}, got {channels}")
        self.scale, self.directions, self.corrections = scale, directions, corrections
        self.symmetries = False
        self.head = nn.Conv2d(2, channels, 3, padding=1)
        self.body = nn.Sequential(*(BoundedBlock(channels, 0.0) for _ in range(blocks)))
        self.upsampler = nn.Sequential(nn.Conv2d(channels, scale**2, 3, padding=1), nn.PixelShuffle(scale))
        start_near_zero(list(self.upsampler))

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self._sharpened(image) for image in x])

    def _sharpened(self, lr: Tensor) -> Tensor:
        """One image, (B, h, w) -> (B, r·h, r·w)."""
        basis = self.basis(lr)
        pairs = self.pairs(basis.coefficients(lr))
        residuals = self.residual(pairs)[:, 0]  # (k, r·h, r·w)
        detail = (basis.spectra() @ residuals.flatten(1)).unflatten(1, residuals.shape[1:])
        return detail + self.enlarged(lr)

    @torch.no_grad()
    def basis(self, lr: Tensor) -> Basis:
        """The spectral directions of an image (B, h, w)."""
        pixels = lr.detach().double().flatten(1)
        return basis_of(pixels.shape[1], pixels.sum(1), pixels @ pixels.T, self.directions)

    def pairs(self, coefficients: Tensor) -> Tensor:
        """What the network sees of coefficients (k, h, w): each beside the first, (k, 2, h, w)."""
        return torch.stack([coefficients, coefficients[:1].expand_as(coefficients)], dim=1)

    def residual(self, pairs: Tensor) -> Tensor:
        """(k, 2, h, w), coefficient and guide, -> (k, 1, r·h, r·w): what is added to the enlarged coefficient.

        Training takes this path as well. Inputs are bounded as they are in training, and a correction is no larger than
        the range of the pixel's neighbourhood, so that a hot pixel cannot explode.
        """
        turned = [unsymmetry(self.raw(symmetry(pairs, s)), s) for s in self.turns()]
        return self.consistent(bounded(torch.stack(turned).mean(dim=0), pairs[:, :1], self.scale))

    def turns(self) -> range:
        """The symmetries that a residual is the mean over."""
        return range(SYMMETRIES if self.symmetries else 1)

    def raw(self, pairs: Tensor) -> Tensor:
        """What the network says of (k, 2, h, w), before it is bounded and made consistent: (k, 1, r·h, r·w)."""
        features = self.head(pairs.clamp(-USUAL, USUAL))
        if features.device.type == "cpu":  # see LKCANet.residual
            features = features.contiguous(memory_format=torch.channels_last)
        return self.upsampler(self.body(features).contiguous())

    def consistent(self, residuals: Tensor) -> Tensor:
        """Residuals (..., r·h, r·w) back-projected: shrunk, they shall vanish."""
        if not self.corrections:
            return residuals
        error = -resize(residuals, 1 / self.scale)
        return residuals + resize(corrections(error, self.scale, self.corrections), self.scale)

    def enlarged(self, lr: Tensor) -> Tensor:
        """Bicubic with back-projection: what the residuals are added to."""
        if self.corrections:
            lr = lr + corrections(lr - shrunk_enlarged(lr, self.scale), self.scale, self.corrections)
        return resize(lr, self.scale)


class BoundedBlock(LargeKernelBlock):
    """A large-kernel block whose output is kept within what training hardly ever reaches.

    A block multiplies features with weights made of features, so its output grows with the square of its input, and
    that of six blocks with the 64th power: one bright object on a calm sea would explode.
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).clamp(-LARGEST, LARGEST)


def bounded(residuals: Tensor, lr: Tensor, scale: int) -> Tensor:
    """Residuals (k, 1, r·h, r·w), none larger than the range of its neighbourhood in the LR image (k, 1, h, w)."""
    margin = NEIGHBOURS // 2
    highest, lowest = (F.max_pool2d(sign * lr, NEIGHBOURS, 1, margin) for sign in (1, -1))
    limit = (highest + lowest)[..., :, None, :, None].expand(-1, -1, -1, scale, -1, scale)
    limit = limit.reshape(residuals.shape)
    return torch.minimum(torch.maximum(residuals, -limit), limit)
