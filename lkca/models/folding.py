"""What training needs and inference does not, folded into plain weights: the same output by less arithmetic."""

import copy

import torch
from torch import nn
from torch.nn.utils import parametrize

from lkca.models.lkca import LargeKernelBlock


def folded(model: nn.Module) -> nn.Module:
    """A copy of a network, or of a part of one, as `fold` leaves it; the original stays as it is."""
    return fold(copy.deepcopy(model))


@torch.no_grad()
def fold(model: nn.Module) -> nn.Module:
    """Fold a model in place, and return it in eval mode, its weights fixed.

    Weight normalisation is done once, and the layer scale of LKCA-Net's blocks is multiplied into the convolution
    before it. Memory for a second set of weights is not needed.
    """
    for module in model.modules():
        for name in tuple(getattr(module, "parametrizations", ())):
            # Removing edits the module's class, which a copy shares with its original.
            kind = type(module)
            module.__class__ = type(kind.__name__, kind.__bases__, dict(vars(kind)))
            weight = getattr(module, name).detach()
            parametrize.remove_parametrizations(module, name)
            delattr(module, name)  # without gradients it is left as a bare tensor, which `to` would not move
            module.register_parameter(name, nn.Parameter(weight, requires_grad=False))
    for block in (module for module in model.modules() if isinstance(module, LargeKernelBlock)):
        block.project_out.weight.mul_(block.layer_scale[..., None])
        block.project_out.bias.mul_(block.layer_scale.flatten())
        block.layer_scale.fill_(1)
    return model.requires_grad_(False).eval()
