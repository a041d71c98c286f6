"""Nothing in a forward pass waits for the device or sends data from one to another, as seen on torch's meta device.

That torch's `eigh` waits on a GPU, for the eigenvectors of LKCA-Any, is not seen there.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lkca.models import MODELS, build_model
from lkca.training.losses import supervised_loss

WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero")  # need values on the host


class Watch(TorchDispatchMode):
    """Notes every operation that needs the host, moves data, or computes elsewhere than on the meta device."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, operation, types, given=(), named=None):  # noqa: ANN001, ANN204 - torch's own form
        named = named or {}
        name = operation.overloadpacket.__name__
        result = operation(*given, **named)
        tensors = [leaf for leaf in tree_leaves((given, named, result)) if isinstance(leaf, torch.Tensor)]
        elsewhere = {t.device.type for t in tensors if t.dim()} - {"meta"}  # a number may come from the host
        if elsewhere or name in WAITS:
            self.found.append(f"{name} on {sorted(elsewhere)}")
        return result


def small(name: str) -> torch.nn.Module:
    options = {"blocks": 1} if "lkca" in name else {}
    with torch.device("meta"):
        return build_model(name, 8, 4, **options)


@pytest.mark.parametrize("name", MODELS)
def test_forward_stays_on_its_device(name: str) -> None:
    model = small(name).eval()
    x = torch.empty(2, 8, 16, 16, device="meta")
    with torch.no_grad():
        model(x)  # what is made once and kept may be made anywhere
        with Watch() as watch:
            y = model(x)
    assert y.shape == (2, 8, 64, 64) and y.device.type == "meta"
    assert watch.found == []


def test_a_training_step_stays_on_its_device() -> None:
    model = small("lkca-lr").train()
    x, truth = (torch.empty(2, 8, side, side, device="meta") for side in (16, 64))
    with Watch() as watch:
        supervised_loss(model(x), truth).backward()
    assert watch.found == []


def test_the_watch_sees_both() -> None:
    with Watch() as watch:
        torch.arange(3)
        torch.ones(()).item()
    assert [line.split()[0] for line in watch.found] == ["arange", "_local_scalar_dense"]
