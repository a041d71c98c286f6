"""Find the convolutions of a network, of this project or foreign, whose output feeds a PixelShuffle."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lkca.models.upsamplers import CONVOLUTIONS

META_SIZE, CPU_SIZE = 112, 56  # pixels on a side of the probe image: attention windows of 7 and 8 pixels fit
Example = Tensor | Sequence[Tensor] | None


def upsampling_convolutions(model: nn.Module, example: Example = None) -> list[str]:
    """Return the names of the convolutions whose output feeds a PixelShuffle; arguments as in `low_rank`."""
    model = copy_network(model).eval().requires_grad_(False)
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


def copy_network(model: nn.Module) -> nn.Module:
    """Copy a network; of a compiled one, the network inside.

    Old-style weight norm leaves results of computations as attributes, which torch refuses to copy: they are detached.
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

    Each convolution's output becomes a new leaf of autograd's graph. The leaves that a PixelShuffle's input depends on
    are then the nearest convolutions before it; more than one is a sum of branches, or another fork.
    """
    names = {}  # id of a leaf -> name of its convolution
    leaves = []  # keeps the ids valid

    def cut(name: str, output: Tensor) -> Tensor:
        leaves.append(output.detach().requires_grad_())
        names[id(leaves[-1])] = name
        return leaves[-1].clone()  # a leaf itself must not be changed in place

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
    """Collects what is passed to PixelShuffle, be it the module or the function."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[Tensor] = []

    def __torch_function__(self, function, types, args=(), kwargs=None):  # noqa: ANN001, ANN204 (torch's own signature)
        kwargs = kwargs or {}
        if function is torch.pixel_shuffle:
            self.inputs.append(args[0] if args else kwargs["input"])
        return function(*args, **kwargs)
