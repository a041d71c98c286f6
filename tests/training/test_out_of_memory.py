"""A GPU out of memory: training goes on with smaller parts of the same batch, evaluation on the CPU.

There is no GPU here: a fake refuses what would not fit.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

import lkca.training.trainer
from lkca import build_model
from lkca.data.loaders import load_dataset
from lkca.data.split import Split
from lkca.training.evaluation import predict
from lkca.training.run import Run
from lkca.training.train import train

# no drop path: its random numbers fall differently on parts of a batch
RUN = Run(
    reading="tiny",
    options={"blocks": 1, "channels": 16, "drop_path": 0.0},
    epochs=2,
    batch=8,
    learning_rate=3e-3,
    stride=8,
)


@pytest.fixture(scope="module")
def split() -> Split:
    return load_dataset("synthetic", "tiny")


def refusing(work: Callable, limit: int) -> Callable:
    """`work` as on a GPU that holds at most `limit` patches."""

    def fits(self: lkca.training.trainer.Trainer, hr: Tensor, epoch: int) -> Tensor:
        if len(hr) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has")
        return work(self, hr, epoch)

    return fits


def test_parts_of_a_batch_give_the_same_step(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(RUN, "cpu", str, split)
    seed = dataclasses.replace(RUN, validation_share=0.1000001)  # another folder, the same outcome
    monkeypatch.setattr(lkca.training.trainer.Trainer, "_loss", refusing(lkca.training.trainer.Trainer._loss, 3))
    with pytest.warns(UserWarning, match=r"batch of 8 .*CUDA out of memory.* at most 2 go through") as said:
        parted = train(seed, "cpu", str, split)
    assert len(said) == 2  # 4, then 2; and not again in the second epoch
    for one, other in zip(whole.model().parameters(), parted.model().parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    assert np.allclose(whole.history["loss"], parted.history["loss"], rtol=1e-4)


@pytest.mark.filterwarnings("ignore:.*too large for the GPU")
def test_not_even_one_patch(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    run = dataclasses.replace(RUN, seed=1)
    monkeypatch.setattr(lkca.training.trainer.Trainer, "_loss", refusing(lkca.training.trainer.Trainer._loss, 0))
    with pytest.raises(ValueError, match=r"not even one patch fits .*smaller patch \(now 32\).*device cpu"):
        train(run, "cpu", str, split)


def test_validation_takes_smaller_parts_too(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    run, real, parts = dataclasses.replace(RUN, seed=2, epochs=1), lkca.training.trainer.patch_mpsnr, []

    def fits(model: object, patches: object, scale: int, batch: int, *others: object) -> float:
        parts.append(batch)
        if batch > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(model, patches, scale, batch, *others)

    monkeypatch.setattr(lkca.training.trainer, "patch_mpsnr", fits)
    with pytest.warns(UserWarning, match="at most 4 go through"):
        train(run, "cpu", str, split)
    assert parts == [8, 4]


def test_an_image_too_large_is_done_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model, lr = build_model("lkca-lr", 8, 2, blocks=1, channels=16), torch.rand(8, 12, 12)
    wanted, real, calls = predict(model, lr), model.head.forward, []

    def fails_once(x: Tensor) -> Tensor:
        calls.append(x.shape)
        if len(calls) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(x)

    monkeypatch.setattr(model.head, "forward", fails_once)
    with pytest.warns(UserWarning, match="12x12 LR pixels is too large .*done on the CPU"):
        assert torch.equal(predict(model, lr), wanted)
    assert model.training and not any(p.is_inference() for p in model.parameters())
    monkeypatch.undo()
    model(lr[None]).sum().backward()  # still trainable
