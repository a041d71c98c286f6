"""The upsampler's matrix and its singular values."""

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d, unfold

from lkca import rank
from lkca.models import build_model


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("groups", [1, 4])
def test_the_matrix_acts_as_the_convolution(groups: int) -> None:
    model = build_model("lkca", 6, 2, blocks=1, channels=16, groups=groups)
    convolution = model.upsampler[0]
    torch.nn.init.normal_(convolution.parametrizations.weight.original0)  # gains all different
    x = torch.randn(2, 16, 5, 7)
    by_matrix = rank.upsampler_matrix(model).float() @ unfold(x, 3, padding=1)  # (n, B·r², h·w)
    by_convolution = conv2d(x, convolution.weight, padding=1, groups=groups)
    assert torch.allclose(by_matrix.view(by_convolution.shape), by_convolution, atol=1e-5)


def test_a_grouped_matrix_is_block_diagonal_and_has_full_rank() -> None:
    matrix = rank.upsampler_matrix(build_model("lkca-lr", 8, 4, blocks=1, channels=32))
    assert matrix.shape == (128, 288)
    assert (matrix != 0).sum() == 128 * 288 // 8
    assert torch.equal(rank.diagonal_blocks(matrix, 8), matrix)
    assert rank.singular_values(matrix).min() > 1e-3 * rank.singular_values(matrix).max()


def test_errors_are_those_of_the_truncated_matrix() -> None:
    matrix = torch.randn(30, 20, dtype=torch.float64)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    values = rank.singular_values(matrix)
    for k in (0, 1, 5, 19, 20):
        best = (u[:, :k] * s[:k]) @ v[:k]
        expected = (torch.linalg.norm(matrix - best) / torch.linalg.norm(matrix)).item()
        assert rank.truncation_error(values)[k] == pytest.approx(expected)
    blocks = rank.diagonal_blocks(matrix, 10)
    expected = (torch.linalg.norm(matrix - blocks) / torch.linalg.norm(matrix)).item()
    assert rank.error_of_blocks(values, rank.singular_values(blocks)) == pytest.approx(expected)


def test_rank_at_a_share() -> None:
    values = np.array([5.0, 3.0, 1.0, 1.0])
    assert [rank.rank_at(values, share) for share in (0.1, 0.5, 0.51, 0.8, 0.9, 0.95, 1.0)] == [1, 1, 2, 2, 3, 4, 4]


def test_the_rank_of_equal_size_is_the_papers() -> None:
    assert rank.rank_of_equal_size(128 * 16, 9 * 128, 8) == 92
