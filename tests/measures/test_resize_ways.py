"""Small images are resized as products of matrices, large ones by torch: alike."""

import pytest
import torch

from lkca.measures import resize as module
from lkca.measures.resize import resize


@pytest.mark.parametrize("factor", [2, 4, 1 / 2, 1 / 8])
def test_both_ways_agree(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    x = torch.rand(2, 3, 40, 24)
    small = resize(x, factor)
    monkeypatch.setattr(module, "DENSE", 0)
    large = resize(x, factor)
    assert not torch.equal(small, large), "both went the same way"
    assert (small - large).abs().max() < 1e-6


def test_exact_under_autocast() -> None:
    x = torch.rand(2, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(resize(x, 4), resize(x, 4).float())
        inside = resize(x, 4)
    assert torch.equal(inside, resize(x, 4))


def test_first_used_in_inference_it_still_has_a_gradient() -> None:
    module._matrix.cache_clear()
    with torch.inference_mode():
        resize(torch.rand(5, 7), 2)
    x = torch.rand(5, 7, requires_grad=True)
    resize(x, 2).square().sum().backward()
    assert x.grad is not None
