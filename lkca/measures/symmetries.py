"""The eight symmetries of a square grid, on the last two axes of a tensor."""

import torch
from torch import Tensor

SYMMETRIES = 8  # four rotations, each with and without a flip


def symmetry(x: Tensor, s: int) -> Tensor:
    """Symmetry s = 0 … 7 of (..., H, W): a rotation by s % 4 quarters, then, if s >= 4, a flip."""
    x = torch.rot90(x, s % 4, (-2, -1))
    return x.flip(-1) if s >= 4 else x


def unsymmetry(x: Tensor, s: int) -> Tensor:
    """What `symmetry(x, s)` came from."""
    return torch.rot90(x.flip(-1) if s >= 4 else x, -(s % 4), (-2, -1))
