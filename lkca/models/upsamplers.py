"""Build upsamplers: layers from C features at LR size to B bands at HR size.

The paper's upsampler is one 3x3 convolution C -> B·r² in front of PixelShuffle, in groups to make it cheaper. The paper
calls that low rank, but the matrix of a grouped convolution is block-diagonal and can have full rank. This file also
has upsamplers that *are* low rank, at the same cost:

    grouped          3x3 C -> B·r² in g groups (arXiv 2501.18664); one group is the full upsampler
    grouped-mixed    the same, its input channels shuffled: every group reads features spread over all channels
    grouped-1x1      the same after a 1x1 C -> C, so that every group reads mixtures of all features
    svd              3x3 C -> k, 1x1 k -> B·r²: any matrix (B·r², 9C) of rank k
    spectral         3x3 C -> k·r², PixelShuffle, 1x1 k -> B at HR size: every spectrum is a sum of k basis spectra,
                     initialised as the principal components of the residuals over bicubic on training patches
    spectral-random  the same, with a random orthonormal basis at the start
    separable        3x3 depthwise, 1x1 C -> B·r²

Each reads 3x3 LR pixels. Only the last convolution has a bias: an earlier one would add nothing.
"""

import math
import warnings

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from lkca.cost import Cost

KINDS = ("grouped", "grouped-mixed", "grouped-1x1", "svd", "spectral", "spectral-random", "separable")
GROUPED, SPECTRAL = KINDS[:3], KINDS[4:6]
RANKED = ("svd", *SPECTRAL)  # the kinds that have a rank k
UPSAMPLER_GAIN = 0.01  # factor on the initial weights, so that training starts close to bicubic

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def make_upsampler(channels: int, bands: int, scale: int, groups: int, kind: str, rank: int) -> nn.Sequential:
    """Build the upsampler of an LKCA network, (n, C, h, w) -> (n, B, r·h, r·w): weight-normalised, starting near zero.

    If g does not divide B·r², their greatest common divisor is used, with a warning. Arguments as in `LKCANet`.
    """
    outputs = bands * scale**2
    if outputs % groups:
        possible = math.gcd(groups, outputs)
        warnings.warn(
            f"{groups} groups do not divide the {outputs} outputs of {bands} bands at x{scale}; using {possible}",
            stacklevel=4,
        )
        groups = possible
    rank = choose_rank(kind, rank, channels, outputs, scale, groups)
    full = nn.Conv2d(channels, outputs, 3, padding=1, device="meta")  # only its shapes are read
    modules = build_upsampler(full, scale, kind, groups, rank, normalised=True)
    start_near_zero(modules)
    return nn.Sequential(*modules)


def build_upsampler(
    old: nn.Module,
    shuffle: int,
    kind: str,
    groups: int,
    rank: int,
    normalised: bool,
    device: object = None,
) -> list[nn.Module]:
    """Build modules that replace a convolution and the PixelShuffle after it, with random weights.

    Parameters
    ----------
    old : the full convolution, for the spectral kinds a Conv2d; may be on torch's "meta" device. The new ones have its
        kernel, padding and bias.
    shuffle : the factor r of the PixelShuffle.
    kind : one of `KINDS`. groups : g, of the grouped kinds. rank : k, of the others; see `choose_rank`.
    normalised : whether the new weights are normalised.
    device : of the new weights; None takes torch's default.

    Returns
    -------
    list of modules to run in sequence; the first replaces the convolution, at LR size.
    """
    inputs, outputs = old.in_channels, old.out_channels

    def convolution(c_in: int, c_out: int, like: bool = True, in_groups: int = 1, bias: bool = False) -> nn.Module:
        """Return a convolution with `old`'s kernel, or with a 1x1 kernel."""
        new = like_convolution(old, c_in, c_out, in_groups, bias and old.bias is not None, device, pointwise=not like)
        return weight_norm(new) if normalised else new

    pixel_shuffle = nn.PixelShuffle(shuffle)
    if kind in GROUPED:
        grouped = convolution(inputs, outputs, in_groups=groups, bias=True)
        if kind == "grouped":
            return [grouped, pixel_shuffle]
        if kind == "grouped-mixed":
            return [nn.Sequential(nn.ChannelShuffle(inputs // groups), grouped), pixel_shuffle]
        mix = like_convolution(old, inputs, inputs, 1, False, device, pointwise=True)
        nn.init.orthogonal_(mix.weight)  # keeps the features' variance
        return [nn.Sequential(mix, grouped), pixel_shuffle]
    if kind == "separable":
        depthwise = convolution(inputs, inputs, in_groups=inputs)
        return [nn.Sequential(depthwise, convolution(inputs, outputs, like=False, bias=True)), pixel_shuffle]
    if kind == "svd":
        return [nn.Sequential(convolution(inputs, rank), convolution(rank, outputs, False, bias=True)), pixel_shuffle]
    bands = outputs // shuffle**2
    basis = SpectralBasis(rank, bands, old.bias is not None, kind == "spectral", device, old.weight.dtype)
    return [convolution(inputs, rank * shuffle**2), pixel_shuffle, basis]


class SpectralBasis(nn.Conv2d):
    """1x1 convolution k -> B at HR size: every spectrum is a sum of k basis spectra, which start orthonormal.

    from_data : whether training calls `start_from` before its first step.
    """

    def __init__(self, rank: int, bands: int, bias: bool, from_data: bool, device: object, dtype: torch.dtype) -> None:
        super().__init__(rank, bands, 1, bias=bias, device=device, dtype=dtype)
        self.from_data = from_data
        nn.init.orthogonal_(self.weight)
        if bias:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        # The layout that PixelShuffle gives after the other kinds: a copy is cheaper than losses on mixed layouts.
        return super().forward(x).contiguous()

    @torch.no_grad()
    def start_from(self, residuals: Tensor) -> None:
        """Set the basis to the k largest principal components of residuals (n, B, H, W)."""
        self.weight.copy_(principal_components(residuals, self.in_channels)[:, :, None, None])


def principal_components(residuals: Tensor, count: int) -> Tensor:
    """Return the first principal components (B, count) of the spectra of images (n, B, H, W); float64.

    They are orthonormal, and the entry of largest magnitude in each is positive.
    """
    spectra = residuals.detach().cpu().double().transpose(0, 1).flatten(1)  # (B, n·H·W)
    _, vectors = torch.linalg.eigh(torch.cov(spectra).reshape(len(spectra), -1))  # ascending
    vectors = vectors.flip(1)[:, :count]
    largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))
    return vectors * largest.sign()


def start_near_zero(upsampler: list[nn.Module]) -> None:
    """Scale the upsampler down and clear its bias, so that training starts close to bicubic."""
    modules = [module for part in upsampler for module in part.modules() if isinstance(module, CONVOLUTIONS)]
    scaled = modules[-2] if isinstance(modules[-1], SpectralBasis) else modules[-1]  # the basis stays orthonormal
    normalised = parametrize.is_parametrized(scaled)
    with torch.no_grad():
        weight = scaled.parametrizations.weight.original0 if normalised else scaled.weight
        weight.mul_(UPSAMPLER_GAIN)  # with weight norm, this is the gain, one number per output
        if modules[-1].bias is not None:
            modules[-1].bias.zero_()


def upsampler_cost(
    kind: str,
    inputs: int,
    outputs: int,
    shuffle: int,
    groups: int = 8,
    rank: int = 0,
    taps: int = 9,
    normalised: bool = True,
    bias: bool = True,
) -> Cost:
    """Return the parameters of an upsampler, and its MACs per LR pixel, by formula; they equal what `lkca.cost` counts.

    inputs, outputs : C and B·r². taps : pixels of the kernel, 9 for 3x3. normalised : whether the convolutions have a
    gain per output; the 1x1 ones of grouped-1x1 and spectral never have. Other arguments as in `build_upsampler`.
    """
    biases = outputs if bias else 0
    if kind in GROUPED:
        mix = inputs**2 if kind == "grouped-1x1" else 0
        weights, gains = mix + taps * inputs * outputs // groups, outputs
    elif kind == "separable":
        weights, gains = taps * inputs + inputs * outputs, inputs + outputs
    elif kind == "svd":
        weights, gains = rank * (taps * inputs + outputs), rank + outputs
    else:
        spatial, bands = taps * inputs * rank * shuffle**2, outputs // shuffle**2
        gains = rank * shuffle**2 if normalised else 0
        return Cost(spatial + gains + rank * bands + (bands if bias else 0), spatial + rank * outputs)
    return Cost(weights + (gains if normalised else 0) + biases, weights)


def choose_rank(kind: str, rank: int, inputs: int, outputs: int, shuffle: int, groups: int = 8, **more: object) -> int:
    """Return the rank k of an upsampler; 0 for the kinds without a rank.

    rank : k, or 0 for the largest k that costs no more than the grouped upsampler of `groups` groups, in parameters
        and in MACs, by `upsampler_cost` (other arguments as there). At B = C = 128, x4, g = 8: svd 92, spectral 14.
        Never below 1, even if that costs more (with very few bands).

    Raises
    ------
    ValueError
        If there is no such kind, if a rank is given for a kind without one, or if the rank is above that of an
        unrestricted upsampler: min(B·r², 9C) for svd, B for spectral.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown upsampler {kind!r}: choose one of {', '.join(KINDS)}")
    if kind not in RANKED:
        if rank:
            raise ValueError(f"a {kind} upsampler has no rank, got {rank}: leave it 0")
        return 0
    full = outputs // shuffle**2 if kind in SPECTRAL else min(more.get("taps", 9) * inputs, outputs)
    if rank > full:
        raise ValueError(f"the rank of this {kind} upsampler is at most {full}, got {rank}")
    if rank:
        return rank

    def costs(kind: str, rank: int) -> tuple[int, int]:
        counted = upsampler_cost(kind, inputs, outputs, shuffle, groups, rank, **more)
        return counted.params, counted.macs

    limits, none, one = costs("grouped", 0), costs(kind, 0), costs(kind, 1)
    fitting = min((limit - at_0) // (at_1 - at_0) for limit, at_0, at_1 in zip(limits, none, one, strict=True))
    return max(1, min(fitting, full))


def truncate_convolution(convolution: nn.Module, rank: int) -> nn.Sequential:
    """Return the `svd` upsampler of rank k that is closest to a full convolution in the Frobenius norm.

    The weight as a matrix (O, C·taps) is U S V. The first convolution gets the first k rows of V; the 1x1 after it gets
    the first k columns of U S, and the bias. The error is the root of the sum of the squares of the dropped singular
    values (Eckart and Young, Psychometrika 1, 1936). Weight normalisation is folded in.

    Raises
    ------
    ValueError
        If the convolution is in groups, or the rank is not from 1 to min(O, C·taps).
    """
    if convolution.groups != 1:
        raise ValueError(f"only a convolution without groups can be truncated, this one has {convolution.groups}")
    weight = convolution.weight.detach()
    matrix = weight.double().flatten(1)
    if not 1 <= rank <= min(matrix.shape):
        raise ValueError(f"the rank must be from 1 to {min(matrix.shape)}, got {rank}")
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    device, bias = weight.device, convolution.bias is not None
    first = like_convolution(convolution, convolution.in_channels, rank, 1, False, device)
    second = like_convolution(convolution, rank, len(matrix), 1, bias, device, pointwise=True)
    with torch.no_grad():
        first.weight.copy_(v[:rank].reshape(first.weight.shape))
        second.weight.copy_((u[:, :rank] * s[:rank]).reshape(second.weight.shape))
        if bias:
            second.bias.copy_(convolution.bias)
    return nn.Sequential(first, second)


def like_convolution(
    old: nn.Module, inputs: int, outputs: int, groups: int, bias: bool, device: object, pointwise: bool = False
) -> nn.Module:
    """Return a new convolution with the kernel, padding and dtype of another, or a 1x1 convolution of its dtype."""
    kind = next(kind for kind in CONVOLUTIONS if isinstance(old, kind))
    names = () if pointwise else ("stride", "padding", "dilation", "padding_mode")
    kept = {name: getattr(old, name) for name in names}
    size = 1 if pointwise else old.kernel_size
    return kind(inputs, outputs, size, groups=groups, bias=bias, device=device, dtype=old.weight.dtype, **kept)
