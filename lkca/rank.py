"""Measure whether an upsampler is low rank: the singular values of the matrix that it applies to every patch.

The matrix is the convolution's weight (O, C, k, k) reshaped to (O, C·k²); that of a grouped convolution is
block-diagonal. The paper's curve (arXiv 2501.18664, Figure 4) is the cumulative sum of the singular values over their
total.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Values = NDArray[np.float64]  # (n,) singular values, descending
SHARE = 0.90  # of the sum of the singular values; the paper counts how many of the largest reach it
SHARES = (SHARE, 0.95, 0.99)


def upsampler_matrix(model: nn.Module) -> Tensor:
    """Return the matrix (B·r², 9C), float64, that the upsampler of an LKCA network applies to every 3x3 patch.

    The upsampler has to be of kind "grouped". Weight norm is included. Columns are ordered channel, row, column, as
    `torch.nn.functional.unfold` orders a patch.
    """
    convolution = model.upsampler[0]
    weight = convolution.weight.detach().double().cpu()  # (B·r², C/g, 3, 3)
    return torch.block_diag(*weight.flatten(1).chunk(convolution.groups))


def diagonal_blocks(matrix: Tensor, groups: int) -> Tensor:
    """Return the matrix with zeros outside its `groups` diagonal blocks, as if the layer had groups."""
    rows, columns = matrix.shape[0] // groups, matrix.shape[1] // groups
    return matrix * torch.block_diag(*[torch.ones(rows, columns, dtype=matrix.dtype)] * groups)


def singular_values(matrix: Tensor) -> Values:
    """Return the singular values, descending."""
    return torch.linalg.svdvals(matrix).numpy()


def cumulative(values: Values) -> Values:
    """Return the paper's curve: the share of the sum of all singular values in the k largest, k = 1 … n."""
    return np.cumsum(values) / np.sum(values)


def rank_at(values: Values, share: float) -> int:
    """Return how many of the largest singular values hold `share` of their sum."""
    return int(np.searchsorted(cumulative(values), share - 1e-12) + 1)


def truncation_error(values: Values) -> Values:
    """Return the relative Frobenius error of the best matrix of rank k, k = 0 … n (Eckart and Young, 1936)."""
    left = np.append(np.cumsum(values[::-1] ** 2)[::-1], 0.0)
    return np.sqrt(left / left[0])


def error_of_blocks(trained: Values, blocks: Values) -> float:
    """Return the relative Frobenius error of keeping only the diagonal blocks, from the singular values of both."""
    return float(np.sqrt(max(0.0, 1 - np.sum(blocks**2) / np.sum(trained**2))))


def rank_of_equal_size(rows: int, columns: int, groups: int) -> int:
    """Return the largest rank at which two factors have no more weights than a (rows, columns) layer in groups."""
    return math.floor(rows * columns / groups / (rows + columns))
