"""The paper's "low-rank" upsampling layer, and those that are low rank, put into any network.

The paper groups the convolution in front of PixelShuffle in its own network (LKCA-LR) and says that the same fits most
others without touching the rest (Section III); `low_rank` does it. What it saves: parameters and MACs of those
convolutions fall to 1/groups. The other upsamplers of `lkca.models.upsamplers` go the same way, at no more cost.
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.overrides import TorchFunctionMode

from lkca.measures.cost import Cost, macs_by_module
from lkca.models.lkca import LKCANet
from lkca.models.upsamplers import (
    CONVOLUTIONS,
    GROUPED,
    SPECTRAL,
    build_upsampler,
    check_kind,
    chosen_rank,
    start_near_zero,
    truncated,
)
from lkca.models.vdsr import VDSR

START_NEAR_ZERO = (LKCANet, VDSR)  # models whose upsampler starts near zero, to begin at bicubic
PROBE_SIZE = 16  # pixels on a side of the image that finds the upsampling convolutions


def low_rank(
    model: nn.Module, groups: int = 8, example: Tensor | None = None, kind: str = "grouped", rank: int = 0
) -> nn.Module:
    """Copy a network with every convolution that feeds a PixelShuffle replaced by a cheaper upsampler, freshly started.

    Everything else keeps its weights. The new convolutions start as torch starts any; weight normalisation is kept
    where it was, and so is the start near zero of LKCA-Net and VDSR. The model given is left as it is.

    Which convolutions feed a PixelShuffle is seen by running the network once without arithmetic (on a copy, on
    torch's "meta" device), so it does not matter how they are written down. Between convolution and shuffle there may
    be anything that takes one tensor: an activation, a norm, a reshape; not a sum of two branches.

    Parameters
    ----------
    model : any of `build_model`, or any module that maps images (n, B, h, w) by `torch.nn` convolutions and
        PixelShuffle (module or function) and can run on the meta device.
    groups : groups g of each new convolution; must divide its input and its output channels. For a kind with a rank:
        what it may cost at most.
    example : an input for the run, only its shape and type are used. Default: (1, B, 16, 16), B taken from
        `model.bands`, else from the model's first convolution.
    kind : one of `lkca.models.upsamplers.KINDS`. The spectral ones fit where the PixelShuffle gives the bands
        themselves, as in LKCA-Net and VDSR, and nothing stands between it and its 2-D convolution.
    rank : rank k of each new upsampler, of the kinds that have one; 0: the largest that costs no more than the groups.

    Returns
    -------
    torch.nn.Module of the same class, on the same device.

    Raises
    ------
    ValueError
        If no convolution feeds a PixelShuffle; if g does not divide the channels of one that does (the message names
        it and the possible g; 3DFCNN's reads 9 channels, so 8 never fit); if its weight is reparametrised other than
        by `weight_norm`; if there is no such kind, or it or the rank does not fit (the message says where).
    """
    check_kind(kind)
    result = copy.deepcopy(model)
    for name in _found(model, example):
        old = result.get_submodule(name)
        where = f"{type(model).__name__}.{name}"
        _check_groups(where, old, groups, kind in GROUPED)
        shuffle = _shuffle_behind(result, name, where) if kind in SPECTRAL else 1  # the others leave it as it is
        taps, normalised, bias = math.prod(old.kernel_size), parametrize.is_parametrized(old), old.bias is not None
        size = {"taps": taps, "normalised": normalised, "bias": bias}
        k = chosen_rank(kind, rank, old.in_channels, old.out_channels, shuffle, groups, **size)
        upsampler = build_upsampler(old, shuffle, kind, groups, k, old.weight.device)
        if isinstance(model, START_NEAR_ZERO):
            start_near_zero(upsampler)
        _replace(result, name, upsampler[0].train(old.training))
        if kind in SPECTRAL:
            result.get_submodule(name.rpartition(".")[0]).append(upsampler[2].train(old.training))
    return result


def truncate(model: nn.Module, rank: int, example: Tensor | None = None) -> nn.Module:
    """Copy a trained network with every convolution that feeds a PixelShuffle replaced by its best of rank k.

    See `lkca.models.upsamplers.truncated`; nothing is trained again. `example` as in `low_rank`.

    Raises
    ------
    ValueError
        If no convolution feeds a PixelShuffle, one that does is in groups, or the rank is too large for it.
    """
    result = copy.deepcopy(model)
    for name in _found(model, example):
        old = result.get_submodule(name)
        _replace(result, name, truncated(old, rank).train(old.training))
    return result


def _found(model: nn.Module, example: Tensor | None) -> list[str]:
    """`upsampling_convolutions`; ValueError where there are none."""
    names = upsampling_convolutions(model, example)
    if not names:
        raise ValueError(f"no convolution feeds a PixelShuffle in {type(model).__name__}: nothing to replace")
    return names


def _replace(model: nn.Module, name: str, new: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, new)


def _shuffle_behind(model: nn.Module, name: str, where: str) -> int:
    """Factor of the PixelShuffle that gives the network's bands right behind a convolution; ValueError if none does."""
    old, parent = model.get_submodule(name), model.get_submodule(name.rpartition(".")[0])
    last = list(parent)[-2:] if isinstance(parent, nn.Sequential) else []
    first = next(m for m in model.modules() if isinstance(m, CONVOLUTIONS))
    bands = getattr(model, "bands", first.in_channels)
    follows = len(last) == 2 and last[0] is old and isinstance(old, nn.Conv2d) and isinstance(last[1], nn.PixelShuffle)
    if follows and old.out_channels == bands * last[1].upscale_factor ** 2:
        return last[1].upscale_factor
    raise ValueError(
        f"a spectral upsampler does not fit {where}: it takes the place of a Conv2d and the PixelShuffle right behind, "
        f"which must give the {bands} bands themselves; choose another kind"
    )


def upsampling_convolutions(model: nn.Module, example: Tensor | None = None) -> list[str]:
    """Names of the convolutions of a model whose output goes into a PixelShuffle; arguments as in `low_rank`."""
    probe = copy.deepcopy(model).to("meta").eval().requires_grad_()
    if example is None:
        convolutions = [m for m in probe.modules() if isinstance(m, CONVOLUTIONS)]
        if not convolutions:
            return []
        bands = getattr(model, "bands", convolutions[0].in_channels)
        example = torch.empty(1, bands, PROBE_SIZE, PROBE_SIZE, dtype=convolutions[0].weight.dtype)
    made_by = {}  # autograd node of a convolution's output -> the convolution's name
    for name, module in probe.named_modules():
        if isinstance(module, CONVOLUTIONS):
            module.register_forward_hook(lambda _, __, y, name=name: made_by.update({y.grad_fn: name}))
    with _ShuffleInputs() as shuffles, torch.enable_grad():
        probe(example.to("meta"))
    found = (_nearest(x.grad_fn, made_by) for x in shuffles.inputs)
    return list(dict.fromkeys(name for name in found if name))  # once each, in the order of the run


def upsampling_cost(model: nn.Module, bands: int) -> Cost:
    """The part of `lkca.cost` that the convolutions feeding a PixelShuffle have: the paper's Figure 1."""
    names = upsampling_convolutions(model)
    macs = macs_by_module(model, bands)
    params = sum(p.numel() for name in names for p in model.get_submodule(name).parameters())
    return Cost(params, sum(macs[name] for name in names))


class _ShuffleInputs(TorchFunctionMode):
    """Notes what is handed to PixelShuffle, be it the module or the function."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[Tensor] = []

    def __torch_function__(self, function, types, args=(), kwargs=None):  # noqa: ANN001, ANN204 (torch's own signature)
        kwargs = kwargs or {}
        if function is torch.pixel_shuffle:
            self.inputs.append(args[0] if args else kwargs["input"])
        return function(*args, **kwargs)


def _nearest(node: object, made_by: dict[object, str]) -> str | None:
    """Walk autograd's graph back from a tensor to the convolution that it comes from; None at a fork or at the end."""
    while node is not None and node not in made_by:
        back = [n for n, _ in node.next_functions if n is not None and type(n).__name__ != "AccumulateGrad"]
        node = back[0] if len(back) == 1 else None
    return made_by.get(node)


def _check_groups(name: str, convolution: nn.Module, groups: int, must_divide: bool) -> None:
    if not isinstance(groups, int) or isinstance(groups, bool) or groups < 1:
        raise ValueError(f"groups must be a whole number of at least 1, got {groups!r}")
    inputs, outputs = convolution.in_channels, convolution.out_channels
    if must_divide and (inputs % groups or outputs % groups):
        possible = ", ".join(str(g) for g in range(1, inputs + 1) if inputs % g == outputs % g == 0)
        raise ValueError(
            f"{groups} groups do not divide the {inputs} input and {outputs} output channels of {name}; "
            f"possible: {possible}"
        )
    if parametrize.is_parametrized(convolution) and not hasattr(convolution.parametrizations.weight, "original1"):
        raise ValueError(f"the weight of {name} is reparametrised by something other than weight_norm")
