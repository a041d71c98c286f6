"""Upsamplers: what turns C features at LR size into B bands at HR size.

The paper's upsampler is one 3x3 convolution C -> B·r² in front of PixelShuffle, in groups to make it cheaper. The paper
calls that low rank; unfolded, a grouped convolution is a block-diagonal matrix of up to full rank. Here it stands
beside upsamplers that *are* low rank at the same cost:

    grouped          3x3 C -> B·r² in g groups (arXiv 2501.18664); one group is the full upsampler
    grouped-mixed    the same, its input channels shuffled: every group reads a spread of the features
    grouped-1x1      the same behind a 1x1 C -> C, so that every group reads a mixture of all features
    svd              3x3 C -> k, 1x1 k -> B·r²: any matrix (B·r², 9C) of rank k
    spectral         3x3 C -> k·r², PixelShuffle, 1x1 k -> B at HR size: spectra out of k, whose start is the principal
                     components of what bicubic leaves on the training patches
    spectral-random  the same, from a random start
    separable        3x3 depthwise, 1x1 C -> B·r²

Each sees 3x3 LR pixels and no more. A bias stands behind the last convolution only: one further in would be the same.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from lkca.measures.cost import Cost

KINDS = ("grouped", "grouped-mixed", "grouped-1x1", "svd", "spectral", "spectral-random", "separable")
GROUPED, SPECTRAL = KINDS[:3], KINDS[4:6]
RANKED = ("svd", *SPECTRAL)  # the kinds that have a rank k
UPSAMPLER_GAIN = 0.01  # of the upsampler's initial gain, so that training starts at bicubic plus something small

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def build_upsampler(old: nn.Module, shuffle: int, kind: str, groups: int, rank: int, device: object = None) -> list:
    """Modules that take the place of a convolution and of the PixelShuffle behind it, with fresh weights.

    Parameters
    ----------
    old : the full convolution; may be on torch's "meta" device. Its kernel, padding, bias and weight normalisation are
        those of the new ones.
    shuffle : the factor r of the PixelShuffle.
    kind : one of `KINDS`. groups : g, of the grouped kinds. rank : k, of the others; see `fitting_rank`.
    device : of the new weights; torch's default where None.

    Returns
    -------
    list of modules, to be used in a row; the first is the convolution or what stands for it, at LR size.

    Raises
    ------
    ValueError
        For an unknown kind, or one that does not fit.
    """
    check_kind(kind)
    inputs, outputs = old.in_channels, old.out_channels

    def convolution(c_in: int, c_out: int, like: bool = True, in_groups: int = 1, bias: bool = False) -> nn.Module:
        """One with `old`'s kernel, else with a 1x1 kernel; normalised as `old` is."""
        made = like_convolution(old, c_in, c_out, in_groups, bias and old.bias is not None, device, pointwise=not like)
        return weight_norm(made) if parametrize.is_parametrized(old) else made

    pixel_shuffle = nn.PixelShuffle(shuffle)
    if kind in GROUPED:
        grouped = convolution(inputs, outputs, in_groups=groups, bias=True)
        if kind == "grouped":
            return [grouped, pixel_shuffle]
        if kind == "grouped-mixed":
            return [nn.Sequential(nn.ChannelShuffle(inputs // groups), grouped), pixel_shuffle]
        mix = like_convolution(old, inputs, inputs, 1, False, device, pointwise=True)
        nn.init.orthogonal_(mix.weight)  # neither enlarges nor shrinks what the groups read
        return [nn.Sequential(mix, grouped), pixel_shuffle]
    if kind == "separable":
        depthwise = convolution(inputs, inputs, in_groups=inputs)
        return [nn.Sequential(depthwise, convolution(inputs, outputs, like=False, bias=True)), pixel_shuffle]
    if kind == "svd":
        return [nn.Sequential(convolution(inputs, rank), convolution(rank, outputs, False, bias=True)), pixel_shuffle]
    bands = outputs // shuffle**2
    if not isinstance(old, nn.Conv2d):
        raise ValueError(f"a {kind} upsampler takes the place of a Conv2d, not of a {type(old).__name__}")
    basis = SpectralBasis(rank, bands, old.bias is not None, kind == "spectral", device, old.weight.dtype)
    return [convolution(inputs, rank * shuffle**2), pixel_shuffle, basis]


class SpectralBasis(nn.Conv2d):
    """1x1 convolution k -> B at HR size: every spectrum is a sum of k. They start orthonormal.

    from_data : `start_from` shall be called before the first step of training.
    """

    def __init__(self, rank: int, bands: int, bias: bool, from_data: bool, device: object, dtype: torch.dtype) -> None:
        super().__init__(rank, bands, 1, bias=bias, device=device, dtype=dtype)
        self.from_data = from_data
        nn.init.orthogonal_(self.weight)
        if bias:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        # As PixelShuffle leaves it behind the others: bicubic and losses mix two layouts slower than a copy takes.
        return super().forward(x).contiguous()

    @torch.no_grad()
    def start_from(self, residuals: Tensor) -> None:
        """Take the k largest principal components of residuals (n, B, H, W) as the basis."""
        self.weight.copy_(principal_components(residuals, self.in_channels)[:, :, None, None])


def principal_components(residuals: Tensor, count: int) -> Tensor:
    """The orthonormal spectra (B, count) along which images (n, B, H, W) vary most, the largest first; float64.

    The sign of each is such that its largest entry is positive.
    """
    spectra = residuals.detach().cpu().double().transpose(0, 1).flatten(1)  # (B, n·H·W)
    _, vectors = torch.linalg.eigh(torch.cov(spectra).reshape(len(spectra), -1))  # ascending
    vectors = vectors.flip(1)[:, :count]
    largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))
    return vectors * largest.sign()


def data_started(model: nn.Module) -> list[SpectralBasis]:
    """The parts of a network that start from the training data: each has `start_from(residuals)`."""
    return [module for module in model.modules() if isinstance(module, SpectralBasis) and module.from_data]


def start_near_zero(upsampler: list) -> None:
    """Scale the upsampler down and clear its bias, so that training begins at bicubic plus something small."""
    modules = [module for part in upsampler for module in part.modules() if isinstance(module, CONVOLUTIONS)]
    scaled = modules[-2] if isinstance(modules[-1], SpectralBasis) else modules[-1]  # the basis stays orthonormal
    normalised = parametrize.is_parametrized(scaled)
    with torch.no_grad():
        weight = scaled.parametrizations.weight.original0 if normalised else scaled.weight
        weight.mul_(UPSAMPLER_GAIN)  # the gain, one number an output, where there is one
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
    """Parameters of an upsampler, and its MACs for one LR pixel, by formula: what `lkca.cost` counts.

    inputs, outputs : C and B·r². taps : pixels of the kernel, 9 for 3x3. normalised : a gain for each output of each
    convolution but the 1x1 ones of grouped-1x1 and spectral. Other parameters as in `build_upsampler`.
    """
    check_kind(kind)
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


def fitting_rank(
    kind: str, inputs: int, outputs: int, shuffle: int, groups: int = 8, by: tuple = ("params", "macs"), **more: object
) -> int:
    """The largest rank k with which an upsampler costs no more than the grouped one of `groups` groups.

    by : what may not cost more, parameters or MACs or both. Other parameters as in `upsampler_cost`, which counts,
    gains and biases included. At B = C = 128, x4, g = 8: svd 92; spectral 14, by parameters alone 16. At least 1, even
    where that costs more (very few bands), and at most `full_rank`.
    """

    def costs(which: str, rank: int) -> list[int]:
        counted = upsampler_cost(which, inputs, outputs, shuffle, groups, rank, **more)
        return [getattr(counted, what) for what in by]

    limits, none, one = costs("grouped", 0), costs(kind, 0), costs(kind, 1)
    rank = min((limit - at_0) // (at_1 - at_0) for limit, at_0, at_1 in zip(limits, none, one, strict=True))
    return max(1, min(rank, full_rank(kind, inputs, outputs, shuffle, more.get("taps", 9))))


def chosen_rank(kind: str, rank: int, inputs: int, outputs: int, shuffle: int, groups: int = 8, **more: object) -> int:
    """The rank of an upsampler: the one given, or where it is 0 `fitting_rank`; 0 for the kinds that have none.

    Raises
    ------
    ValueError
        If there is no such kind, or a rank is given that is too large for it, or for a kind that has none.
    """
    check_kind(kind)
    if kind not in RANKED:
        if rank:
            raise ValueError(f"a {kind} upsampler has no rank, got {rank}: leave it 0")
        return 0
    full = full_rank(kind, inputs, outputs, shuffle, more.get("taps", 9))
    if rank > full:
        raise ValueError(f"the rank of this {kind} upsampler is at most {full}, got {rank}")
    return rank or fitting_rank(kind, inputs, outputs, shuffle, groups, **more)


def full_rank(kind: str, inputs: int, outputs: int, shuffle: int, taps: int = 9) -> int:
    """The rank at which an upsampler can be any: min(B·r², 9C) for svd, B for spectral."""
    return outputs // shuffle**2 if kind in SPECTRAL else min(taps * inputs, outputs)


def truncated(convolution: nn.Module, rank: int) -> nn.Sequential:
    """The `svd` upsampler of rank k that comes closest to a full convolution: in the Frobenius norm none is closer.

    The weight as a matrix (O, C·taps) is U S V; the first convolution gets the first k rows of V, the 1x1 behind it the
    first k columns of U S and the bias. The error is the root of the sum of the squared singular values left out
    (Eckart and Young, Psychometrika 1, 1936). Weight normalisation is folded in.

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
    """A convolution with the kernel, padding and number type of another, or a 1x1 one."""
    kind = next(kind for kind in CONVOLUTIONS if isinstance(old, kind))
    names = () if pointwise else ("stride", "padding", "dilation", "padding_mode")
    kept = {name: getattr(old, name) for name in names}
    size = 1 if pointwise else old.kernel_size
    return kind(inputs, outputs, size, groups=groups, bias=bias, device=device, dtype=old.weight.dtype, **kept)


def check_kind(kind: object) -> None:
    """ValueError unless it is one of `KINDS`."""
    if kind not in KINDS:
        raise ValueError(f"unknown upsampler {kind!r}: choose one of {', '.join(KINDS)}")
