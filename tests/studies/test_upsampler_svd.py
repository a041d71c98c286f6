"""The upsampler's matrix and its singular values."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import conv2d, unfold

from lkca import build_model
from lkca.figures.studies import spectra_of_matrices
from lkca.studies import catalogue, profiles
from lkca.studies import upsampler_svd as svd
from lkca.studies.results import collect
from lkca.training.train import train


@pytest.mark.parametrize("groups", [1, 4])
def test_matrix_does_what_the_convolution_does(groups: int) -> None:
    torch.manual_seed(0)
    model = build_model("lkca", 6, 2, blocks=1, channels=16, groups=groups)
    convolution = model.upsampler[0]
    torch.nn.init.normal_(convolution.parametrizations.weight.original0)  # gains all different
    x = torch.randn(2, 16, 5, 7)
    by_matrix = svd.upsampler_matrix(model).float() @ unfold(x, 3, padding=1)  # (n, B·r², h·w)
    by_convolution = conv2d(x, convolution.weight, padding=1, groups=groups)
    assert torch.allclose(by_matrix.view(by_convolution.shape), by_convolution, atol=1e-5)


def test_grouped_matrix_is_zero_outside_its_blocks_and_full_rank() -> None:
    torch.manual_seed(0)
    matrix = svd.upsampler_matrix(build_model("lkca-lr", 8, 4, blocks=1, channels=32))
    assert matrix.shape == (128, 288)
    assert (matrix != 0).sum() == 128 * 288 // 8
    assert torch.equal(svd.diagonal_blocks(matrix, 8), matrix)
    assert svd.numerical_rank(svd.singular_values(matrix)) == 128


def test_a_planted_rank_is_found() -> None:
    torch.manual_seed(0)
    matrix = (torch.randn(60, 7) @ torch.randn(7, 40)).double()  # float32 rounding, as in weights
    values = svd.singular_values(matrix)
    assert svd.numerical_rank(values) == 7
    assert svd.rank_at(values, 1 - 1e-5) == 7
    assert svd.truncation_error(values)[7] < 1e-5 < svd.truncation_error(values)[6]


def test_truncation_error_is_that_of_the_truncated_matrix() -> None:
    torch.manual_seed(0)
    matrix = torch.randn(30, 20, dtype=torch.float64)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    error = svd.truncation_error(svd.singular_values(matrix))
    for k in (0, 1, 5, 19, 20):
        best = (u[:, :k] * s[:k]) @ v[:k]
        assert error[k] == pytest.approx((torch.linalg.norm(matrix - best) / torch.linalg.norm(matrix)).item())


def test_rank_at_a_share() -> None:
    values = np.array([5.0, 3.0, 1.0, 1.0])
    assert [svd.rank_at(values, share) for share in (0.1, 0.5, 0.51, 0.8, 0.9, 0.95, 1.0)] == [1, 1, 2, 2, 3, 4, 4]


def test_equal_size_is_the_papers() -> None:
    assert svd.rank_of_equal_size(128 * 16, 9 * 128, 8) == 92


def test_the_study_writes_its_singular_values(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"dataset": "synthetic", "reading": "tiny", "epochs": 2, "batch": 4, "stride": 16}
    changed = {"settings": settings, "options": {"blocks": 1, "channels": 16}, "other_epochs": (1,)}
    tiny = profiles.Profile(**{**vars(profiles.PROFILES["quick"]), **changed})
    monkeypatch.setitem(profiles.PROFILES, "quick", tiny)
    for run in catalogue.study_runs("upsampler_svd", "quick"):
        train(run, "cpu", lambda _: None)
    collect("upsampler_svd", "quick")
    path = svd.results_folder() / "quick" / "upsampler_svd_values.csv"
    stamp = path.stat().st_mtime_ns

    values = svd.study_singular_values("quick", "cpu")
    assert path.stat().st_mtime_ns == stamp  # read, not made again
    assert set(values["kind"]) == {*svd.KINDS, "after 1 epochs"}
    assert len(spectra_of_matrices(values, 8, "").axes) == 3
    assert values.groupby("kind")["index"].max().eq(128).all()  # 8 bands · 4²; 9 · 16 columns
    torch.manual_seed(0)
    start = svd.singular_values(svd.upsampler_matrix(build_model("lkca", 8, 4, blocks=1, channels=16)))
    assert np.allclose(svd.of_kind(values, "synthetic", "untrained"), start, rtol=1e-4)

    pd.read_csv(path).assign(run="another").to_csv(path, index=False)
    messages: list[str] = []
    assert svd.study_singular_values("quick", "cpu", messages.append).equals(values)
    assert "other runs" in messages[0]
