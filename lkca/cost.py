"""Count parameters and multiply-accumulates of a model, by the rules behind the paper's "Params" and "FLOPs" columns.

The paper's "FLOPs" are multiply-accumulates (MACs) of one forward pass at input (1, B, 16, 16), counted as fvcore
counts them: convolutions and matrix products 1 per MAC (bias free), global average pooling 1 per input element,
layer norm 5 per element; activations, softmax, sums, products, resizing and sampling 0. These rules give every cost
of Tables I and V-VII to the last printed digit, two swapped cells aside (see `notebooks/cost.ipynb`).
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

INPUT_SIZE = 16  # LR pixels on a side: a 64x64 patch at x4, a 128x128 patch at x8
LAYER_NORM_MACS = 5  # per element


@dataclass(frozen=True)
class Cost:
    """Parameters and MACs of one model.

    params : number of values in `model.parameters()`.
    macs : multiply-accumulates of one forward pass on one image.
    """

    params: int
    macs: int

    @property
    def params_m(self) -> float:
        """Millions of parameters, to the three decimals of the paper's tables."""
        return round(self.params / 1e6, 3)

    @property
    def macs_g(self) -> float:
        """Billions of MACs, to the three decimals of the paper's tables."""
        return round(self.macs / 1e9, 3)


def cost(model: nn.Module, bands: int, size: int = INPUT_SIZE) -> Cost:
    """Count the parameters and the MACs of one forward pass at input (1, bands, size, size).

    The pass runs on a copy of the model on torch's "meta" device, which computes shapes and no values: counting the
    heaviest network takes milliseconds.
    """
    return Cost(params=sum(p.numel() for p in model.parameters()), macs=macs_by_module(model, bands, size)[""])


def macs_by_module(model: nn.Module, bands: int, size: int = INPUT_SIZE) -> dict[str, int]:
    """Return the MACs of each submodule by its name, summed over its uses; "" is the whole model."""
    shapes_only = copy.deepcopy(model).to("meta").eval()
    counter = FlopCounterMode(display=False, custom_mapping=_EXTRA_RULES)
    x = torch.zeros(1, bands, size, size, device="meta")
    with torch.no_grad():
        shapes_only(x)  # fills caches (the back-projection kernel) that a pass only reads
        with counter:
            shapes_only(x)
    prefix = type(model).__name__  # of torch's module names; the total is called "Global"
    # torch counts a MAC as two operations: halved here, and doubled in the extra rules below
    return {
        "" if name == "Global" else name.removeprefix(prefix).removeprefix("."): sum(counts.values()) // 2
        for name, counts in ({"Global": {}} | counter.get_flop_counts()).items()
        if name != prefix
    }


def _pooling(x: Tensor, dim: list[int] | None = None, keepdim: bool = False, *, out_val: Tensor, **_) -> int:
    """Count a mean over both image axes of a (n, C, h, w) tensor: torch runs global average pooling as one."""
    over_image = x.ndim == 4 and dim is not None and {d % 4 for d in dim} == {2, 3}
    return 2 * x.numel() if over_image else 0


def _layer_norm(x: Tensor, *_, out_val: object, **__) -> int:
    return 2 * LAYER_NORM_MACS * x.numel()


_pooling._get_raw = _layer_norm._get_raw = True  # torch then passes tensors rather than shapes

_EXTRA_RULES = {torch.ops.aten.mean: _pooling, torch.ops.aten.native_layer_norm: _layer_norm}
