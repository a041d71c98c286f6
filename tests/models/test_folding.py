"""A folded network computes the same; its original goes on as it was, also after both were used."""

import torch

from lkca.models import build_model
from lkca.models.folding import fold, folded


def test_a_folded_copy_computes_the_same_and_the_original_stays() -> None:
    torch.manual_seed(0)
    model = build_model("lkca-lr", 6, 2, blocks=2, channels=16).eval()
    with torch.no_grad():
        for block in model.body:
            block.layer_scale.uniform_(0.5, 2.0)  # as training leaves it; at 1 it would hide a fault
            block.project_out.parametrizations.weight.original0.mul_(1.5)
    x, names = torch.rand(1, 6, 8, 8), list(model.state_dict())
    with torch.no_grad():
        expected = model(x)
        copy = folded(model)
        assert torch.allclose(copy(x), expected, atol=1e-5)
        assert torch.equal(model(x), expected)
    assert list(model.state_dict()) == names
    assert {
        name.replace("parametrizations.", "").replace(".original0", "") for name in names if "original1" not in name
    } == {*copy.state_dict()}
    assert all((block.layer_scale == 1).all() for block in copy.body)
    assert not copy.training and not any(p.requires_grad for p in copy.parameters())
    model.train()(x).mean().backward()  # the original can still be trained
    assert model.head.weight.grad is not None


def test_fold_needs_no_second_set_of_weights() -> None:
    model = build_model("vdsr", 6, 2, channels=16, blocks=2)
    assert fold(model) is model
