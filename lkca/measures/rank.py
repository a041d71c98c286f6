"""Is a matrix low rank? Singular values of the matrix that a convolution applies to every patch, and what they say.

The matrix is the weight (O, C/g, k, k) reshaped to (O, C·k²/g); one in groups is unfolded to the block-diagonal matrix
that it is. The paper's curve (arXiv 2501.18664, Figure 4) is the cumulative sum of the singular values over their
total.
"""

import math

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Values = NDArray[np.float64]  # (n,) singular values, descending
SHARE = 0.90  # what the paper calls low rank: so few values hold this share of the sum
SHARES = (SHARE, 0.95, 0.99)  # of the sum of the singular values


def unfolded(weight: Tensor, groups: int = 1) -> Tensor:
    """Weight (O, C/g, k, k) of a convolution as the matrix (O, C·k²) that it applies to every k x k patch.

    Columns are ordered channel, row, column, as `torch.nn.functional.unfold` orders a patch.
    """
    return torch.block_diag(*weight.flatten(1).chunk(groups))


def upsampler_matrix(model: nn.Module) -> Tensor:
    """Matrix (B·r², 9C) of an LKCA network's upsampling convolution, weight normalisation folded in; float64."""
    convolution = model.upsampler[0]
    return unfolded(convolution.weight.detach().double().cpu(), convolution.groups)


def diagonal_blocks(matrix: Tensor, groups: int) -> Tensor:
    """The same matrix, all zero outside its `groups` diagonal blocks: what is left of a layer if groups are cut out."""
    rows, columns = matrix.shape[0] // groups, matrix.shape[1] // groups
    return matrix * torch.block_diag(*[torch.ones(rows, columns, dtype=matrix.dtype)] * groups)


def singular_values(matrix: Tensor) -> Values:
    """Singular values, descending."""
    return torch.linalg.svdvals(matrix).numpy()


def cumulative(values: Values) -> Values:
    """The paper's curve: share of the sum of all singular values that the k largest hold, k = 1 … n."""
    return np.cumsum(values) / np.sum(values)


def rank_at(values: Values, share: float) -> int:
    """How many of the largest singular values hold `share` of their sum."""
    return int(np.searchsorted(cumulative(values), share - 1e-12) + 1)


def numerical_rank(values: Values) -> int:
    """How many singular values single precision, in which the weights are kept, tells from zero."""
    return int((values > values[0] * len(values) * np.finfo(np.float32).eps).sum())


def truncation_error(values: Values) -> Values:
    """Relative Frobenius error of the best matrix of rank k, k = 0 … n (Eckart and Young)."""
    left = np.append(np.cumsum(values[::-1] ** 2)[::-1], 0.0)
    return np.sqrt(left / left[0])


def error_of_blocks(trained: Values, blocks: Values) -> float:
    """Relative Frobenius error of a matrix of which only the diagonal blocks are kept, from the values of both."""
    return float(np.sqrt(max(0.0, 1 - np.sum(blocks**2) / np.sum(trained**2))))


def rank_of_equal_size(rows: int, columns: int, groups: int) -> int:
    """Rank of two thin matrices that have, together, as many weights as a (rows, columns) layer in groups."""
    return math.floor(rows * columns / groups / (rows + columns))


def of_kind(values: pd.DataFrame, dataset: str, kind: str) -> Values:
    """Singular values of one matrix out of the study's frame."""
    return values.query("dataset == @dataset and kind == @kind")["value"].to_numpy()
