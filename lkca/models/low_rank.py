"""Put the paper's "low-rank" upsampling layer, or layers that really are low rank, into any network.

The paper splits the convolution in front of PixelShuffle into groups in its own network (LKCA-LR), and says that most
other networks can do the same without any other change (Section III). `low_rank` does this: weights and MACs of those
convolutions fall to 1/groups. It also puts in the other upsamplers of `lkca.models.upsamplers`, at no more cost.
"""

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.weight_norm import WeightNorm
from torch.overrides import TorchFunctionMode

from lkca.models.upsamplers import (
    CONVOLUTIONS,
    GROUPED,
    SPECTRAL,
    build_upsampler,
    choose_rank,
    start_near_zero,
    truncate_convolution,
    upsampler_cost,
)

META_SIZE, CPU_SIZE = 112, 56  # sides of the probe image in pixels: multiples of attention windows of 7 and 8
Example = Tensor | Sequence[Tensor] | None


def low_rank(
    model: nn.Module, groups: int = 8, example: Example = None, kind: str = "grouped", rank: int = 0
) -> nn.Module:
    """Copy a network and replace every convolution that feeds a PixelShuffle by a cheaper upsampler.

    The new weights are random (`lkca.models.upsamplers.build_upsampler`). Everything else keeps its weights, and the
    model passed in is not changed. Weight normalisation is kept, and so is the start near zero of LKCA-Net and VDSR. A
    convolution used under several names becomes one new module under all of them. A convolution that already has that
    many groups stays. No replacement has more parameters or MACs than the convolution had.

    Running the network once shows which convolutions feed a PixelShuffle. The run is on torch's "meta" device, which
    computes shapes only, or on the CPU if that fails. Between convolution and PixelShuffle there may be anything with
    one input (an activation, a norm, a reshape), but no sum of two branches.

    Parameters
    ----------
    model : any of `build_model`, or any module that maps images (n, B, h, w) by `torch.nn` convolutions and
        PixelShuffle (module or function). A network from `torch.compile` is returned uncompiled.
    groups : groups g of each new convolution; must divide its input and its output channels. For a kind with a rank,
        rank 0 takes the cost of g groups as the limit.
    example : an input for the run; only its shape and type matter. A tuple for a network with several inputs. Default:
        one image with `model.bands` bands, or as many as the model's first convolution reads.
    kind : one of `lkca.models.upsamplers.KINDS`. The spectral ones need a Conv2d directly before a PixelShuffle that
        gives the bands themselves, as in LKCA-Net and VDSR.
    rank : rank k of each new upsampler, for the kinds that have one; 0 takes the largest that costs no more than g
        groups.

    Returns
    -------
    torch.nn.Module of the same class, on the same device.

    Raises
    ------
    ValueError
        If no convolution feeds a PixelShuffle, or all that do have that many groups; if g does not divide the channels
        of one (the message names it and the possible g); if its weight is reparametrised other than by weight norm; if
        the replacement would cost more; if the network cannot be copied or run (the message says what to do); if the
        kind or the rank does not fit.
    """
    if not isinstance(groups, int) or isinstance(groups, bool) or groups < 1:
        raise ValueError(f"groups must be a whole number of at least 1, got {groups!r}")
    result = _copy_network(model)
    found = _find(result, example)
    replaced = {name: old for name, old in found.items() if kind not in GROUPED or old.groups < groups}
    if not replaced:
        counts = ", ".join(f"{name} already has {old.groups} groups" for name, old in found.items())
        raise ValueError(f"nothing to replace in {type(model).__name__}: {counts}; ask for more than that")
    before = _count(result)
    for name, old in replaced.items():
        _replace(result, old, _build(result, name, old, groups, kind, rank))
    if _count(result) > before:
        raise ValueError(
            f"{type(model).__name__} shares weights of {next(iter(found))} with another layer, so that replacing it "
            "adds parameters: give the layers weights of their own first"
        )
    return result


def truncate(model: nn.Module, rank: int) -> nn.Module:
    """Copy a trained network and replace each convolution that feeds a PixelShuffle by its best rank-k approximation.

    See `lkca.models.upsamplers.truncate_convolution`; nothing is trained.

    Raises
    ------
    ValueError
        If no convolution feeds a PixelShuffle, one that does is grouped, or it cannot have that rank.
    """
    result = _copy_network(model)
    for old in _find(result).values():
        _replace(result, old, [truncate_convolution(old, rank).train(old.training)])
    return result


def _find(model: nn.Module, example: Example = None) -> dict[str, nn.Module]:
    """Return the convolutions that feed a PixelShuffle, by name; raise ValueError if there are none."""
    names = upsampling_convolutions(model, example)
    if not names:
        raise ValueError(
            f"no convolution feeds a PixelShuffle in {type(model).__name__}: nothing to replace (a shuffle "
            "written as a reshape is not recognised, nor one after a sum of two branches)"
        )
    return {name: model.get_submodule(name) for name in names}


def _build(model: nn.Module, name: str, old: nn.Module, groups: int, kind: str, rank: int) -> list[nn.Module]:
    """Build the replacement of a convolution, as `build_upsampler` returns it."""
    where = f"{type(model).__name__}.{name}"
    normalised = _has_weight_norm(old, where)
    if kind in GROUPED:
        _check_divides(old, where, groups)
    shuffle = _shuffle_after(model, old, where) if kind in SPECTRAL else 1  # other kinds do not touch the PixelShuffle
    sizes = old.in_channels, old.out_channels, shuffle
    details = {"taps": math.prod(old.kernel_size), "normalised": normalised, "bias": old.bias is not None}
    k = choose_rank(kind, rank, *sizes, groups, **details)
    before = upsampler_cost("grouped", *sizes, old.groups, **details)
    after = upsampler_cost(kind, *sizes, groups, k, **details)
    if after.params > before.params or after.macs > before.macs:
        raise ValueError(
            f"{where} has {before.params} parameters and {before.macs} MACs a pixel; a {kind} upsampler of "
            f"{f'rank {k}' if k else f'{groups} groups'} would have {after.params} and {after.macs}: choose a smaller "
            "rank, more groups or another kind"
        )
    upsampler = build_upsampler(old, shuffle, kind, groups, k, normalised, old.weight.device)
    if getattr(model, "starts_at_bicubic", False):
        start_near_zero(upsampler)
    return [new.train(old.training) for new in upsampler]


def _replace(model: nn.Module, old: nn.Module, upsampler: list[nn.Module]) -> None:
    """Put an upsampler in the place of a convolution, under all its names."""
    for parent in _parents(model, old):
        for name in [name for name, child in parent._modules.items() if child is old]:
            setattr(parent, name, upsampler[0])
        for after_shuffle in upsampler[2:]:
            parent.append(after_shuffle)


def _parents(model: nn.Module, old: nn.Module) -> list[nn.Module]:
    return [parent for parent in model.modules() if any(child is old for child in parent.children())]


def _shuffle_after(model: nn.Module, old: nn.Module, where: str) -> int:
    """Return the factor of the PixelShuffle that gives the network's bands right after a convolution."""
    first = next(m for m in model.modules() if isinstance(m, CONVOLUTIONS))
    bands = getattr(model, "bands", first.in_channels)
    factors = set()
    for parent in _parents(model, old):
        last = list(parent)[-2:] if isinstance(parent, nn.Sequential) else []
        fits = len(last) == 2 and last[0] is old and isinstance(last[1], nn.PixelShuffle)
        factors.add(last[1].upscale_factor if fits else 0)
    factor = factors.pop() if len(factors) == 1 else 0
    if not factor or not isinstance(old, nn.Conv2d) or old.out_channels != bands * factor**2:
        raise ValueError(
            f"a spectral upsampler does not fit {where}: it replaces a Conv2d and the PixelShuffle right after it, "
            f"which must give the {bands} bands themselves; choose another kind"
        )
    return factor


def _has_weight_norm(convolution: nn.Module, where: str) -> bool:
    """Return whether the weight has weight norm, torch's new or old kind; refuse any other reparametrisation."""
    if parametrize.is_parametrized(convolution, "weight"):
        normalised = hasattr(convolution.parametrizations.weight, "original1")
    else:
        normalised = any(isinstance(hook, WeightNorm) for hook in convolution._forward_pre_hooks.values())
    if not normalised and not isinstance(vars(convolution)["_parameters"].get("weight"), nn.Parameter):
        raise ValueError(
            f"the weight of {where} is reparametrised by something other than weight_norm (spectral norm, pruning): "
            "remove that first, and put it on the new convolution if you need it"
        )
    return normalised


def _check_divides(convolution: nn.Module, where: str, groups: int) -> None:
    inputs, outputs = convolution.in_channels, convolution.out_channels
    if inputs % groups or outputs % groups:
        possible = ", ".join(str(g) for g in range(1, inputs + 1) if inputs % g == outputs % g == 0)
        raise ValueError(
            f"{groups} groups do not divide the {inputs} input and {outputs} output channels of {where}; "
            f"possible: {possible}"
        )


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# --- which convolutions feed a PixelShuffle


def upsampling_convolutions(model: nn.Module, example: Example = None) -> list[str]:
    """Return the names of the convolutions whose output feeds a PixelShuffle; arguments as in `low_rank`."""
    model = _copy_network(model).eval().requires_grad_(False)
    for device, size in (("meta", META_SIZE), ("cpu", CPU_SIZE)):
        inputs = _inputs(model, example, size, device)
        try:
            with torch.compiler.set_stance("force_eager"):
                return _run(copy.deepcopy(model).to(device), inputs)
        except Exception as error:  # whatever a foreign network raises
            reason = f"{type(error).__name__}: {(str(error) or '-').splitlines()[0]}"
    shapes = ", ".join(str(tuple(each.shape)) for each in inputs)
    raise ValueError(
        f"{type(model).__name__} could not be run on {shapes}, neither on the meta device nor on the CPU ({reason}): "
        "pass example=, an input that it takes, or a tuple of its inputs"
    )


def _copy_network(model: nn.Module) -> nn.Module:
    """Copy a network; from a compiled one, copy the network inside.

    Old-style weight norm leaves computed tensors as attributes, which torch refuses to copy: they are detached.
    """
    model = getattr(model, "_orig_mod", model)
    if isinstance(model, torch.jit.ScriptModule):
        raise ValueError(
            "a scripted or traced network cannot be changed: pass the network that it was made from, and script the "
            "result"
        )
    tensors = [value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor)]
    detached = {id(tensor): tensor.detach().clone() for tensor in tensors if not tensor.is_leaf}
    try:
        return copy.deepcopy(model, detached)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{type(model).__name__} cannot be copied by copy.deepcopy ({error})") from error


def _inputs(model: nn.Module, example: Example, size: int, device: str) -> list[Tensor]:
    if example is None:
        first = next((m for m in model.modules() if isinstance(m, CONVOLUTIONS)), None)
        if first is None:
            raise ValueError(f"no convolution in {type(model).__name__}: nothing to replace")
        bands = getattr(model, "bands", first.in_channels)
        return [torch.zeros(1, bands, size, size, dtype=first.weight.dtype, device=device)]
    return [each.to(device) for each in ([example] if isinstance(example, Tensor) else example)]


def _run(model: nn.Module, inputs: list[Tensor]) -> list[str]:
    """Run a model whose parameters need no gradients; return the names of the convolutions that feed a PixelShuffle.

    Each convolution's output becomes a new leaf of autograd's graph. So the leaves that a PixelShuffle's input depends
    on are the nearest convolutions before it; more than one means that branches meet.
    """
    names = {}  # id of a leaf -> name of its convolution
    leaves = []  # keeps the ids valid

    def cut(name: str, output: Tensor) -> Tensor:
        leaves.append(output.detach().requires_grad_())
        names[id(leaves[-1])] = name
        return leaves[-1].clone()  # because a leaf must not be changed in place

    for name, module in model.named_modules():
        if isinstance(module, CONVOLUTIONS):
            module.register_forward_hook(lambda _, __, output, name=name: cut(name, output))
    with _ShuffleInputs() as shuffles, torch.enable_grad():
        model(*inputs)
    sources = [_leaves_before(x) for x in shuffles.inputs]
    return list(dict.fromkeys(names[id(leaf)] for found in sources if len(found) == 1 for leaf in found))


def _leaves_before(x: Tensor) -> list[Tensor]:
    """Return the leaves of autograd's graph that a tensor depends on."""
    found, seen, nodes = [], set(), [x.grad_fn]
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        found += [node.variable] if hasattr(node, "variable") else []
        nodes += [before for before, _ in node.next_functions]
    return found


class _ShuffleInputs(TorchFunctionMode):
    """Collect the inputs of PixelShuffle, both the module and the function."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[Tensor] = []

    def __torch_function__(self, function, types, args=(), kwargs=None):  # noqa: ANN001, ANN204 (torch's own signature)
        kwargs = kwargs or {}
        if function is torch.pixel_shuffle:
            self.inputs.append(args[0] if args else kwargs["input"])
        return function(*args, **kwargs)
