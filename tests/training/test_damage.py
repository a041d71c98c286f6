"""Damaged files, diverged training, full disks: what is said, and what is left."""

import dataclasses
import errno
import io
import json
import math
import resource
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import lkca.training.trainer
from lkca.data.split import Split
from lkca.training.record import read_state
from lkca.training.run import Run
from lkca.training.run_folder import load_result
from lkca.training.train import train
from tests.training.tiny_run import KEPT, TINY, Stop, elsewhere, files, interrupted_after, outcome


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"mean": {}}', "\udcff"])
def test_damaged_metrics_are_named_and_measured_again(content: str, split: Split, log: list[str]) -> None:
    train(TINY, "cpu", str, split)
    wanted = outcome(TINY)
    (TINY.folder / "metrics.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match="metrics.json is damaged"):
        load_result(TINY)
    train(TINY, "cpu", log.append, split)
    assert outcome(TINY) == wanted
    assert len(log) == 1 and "metrics.json is damaged" in log[0]  # trained no epoch again


@pytest.mark.parametrize("damage", ["empty", "short", "noise", "foreign", "other run", "dangerous", "list"])
def test_damaged_resume_state(damage: str, split: Split, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        train(TINY, "cpu", interrupted_after(2, "lkca-lr"), split)
    path = TINY.folder / "resume.pt"
    content = path.read_bytes()
    state = torch.load(io.BytesIO(read_state(path)[0]), weights_only=True)
    if damage in ("foreign", "other run", "dangerous", "list"):
        state |= {"other run": {"run": "0123456789"}}.get(damage, {})
        saved = {"foreign": {"a": torch.ones(2)}, "other run": state, "list": [1, 2], "dangerous": Path("code")}
        torch.save(saved[damage], path)
    else:
        path.write_bytes({"empty": b"", "short": content[: len(content) // 2], "noise": b"\x80\x02?" * 999}[damage])
    with pytest.raises(ValueError, match=r"resume.pt cannot be resumed from .*delete it to start the run again"):
        train(TINY, "cpu", str, split)
    path.unlink()
    assert len(train(TINY, "cpu", str, split).history) == 4


def test_weights_lost_or_damaged(split: Split) -> None:
    with pytest.raises(Stop):
        train(TINY, "cpu", interrupted_after(4, "lkca-lr"), split)
    path = TINY.folder / "weights.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="weights.safetensors is not a readable safetensors file"):
        train(TINY, "cpu", str, split)
    path.unlink()
    with pytest.raises(ValueError, match=r"resume.pt cannot be resumed from .*weights.safetensors .* missing"):
        train(TINY, "cpu", str, split)
    assert "metrics.json" not in files(TINY.folder)


def test_diverged_run_keeps_its_best(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    real = lkca.training.trainer.supervised_loss
    train_loss = lkca.training.trainer.Trainer._epoch

    def epoch(self: lkca.training.trainer.Trainer, number: int) -> float:
        factor = math.nan if number == 2 else 1
        monkeypatch.setattr(lkca.training.trainer, "supervised_loss", lambda *a: factor * real(*a))
        return train_loss(self, number)

    monkeypatch.setattr(lkca.training.trainer.Trainer, "_epoch", epoch)
    with pytest.warns(UserWarning, match=r"NaN in epoch 3; the best weights so far are kept; lower learning_rate"):
        result = train(TINY, "cpu", str, split)
    assert len(result.history) == 2 and all(math.isfinite(v) for v in result.metrics.values())
    assert json.loads((result.folder / "metrics.json").read_text())["diverged_in_epoch"] == 3
    assert all(p.isfinite().all() for p in result.model().parameters())


def test_diverged_at_once(split: Split) -> None:
    run = dataclasses.replace(TINY, learning_rate=1e30)
    with pytest.raises(ValueError, match=r"NaN in epoch 1, with no good weights yet; lower learning_rate \(1e\+30\)"):
        train(run, "cpu", str, split)
    assert files(run.folder) == {"settings.json", "provenance.json"}


@pytest.mark.parametrize("too_large", ["settings.json", "weights.safetensors", "resume.pt"])
def test_full_disk(too_large: str, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operating system refuses the last byte of a file; each is larger than those written before it."""
    run = dataclasses.replace(TINY, epochs=1)
    train(run, "cpu", str, split)
    wanted, limit = outcome(run), (run.folder / too_large).stat().st_size - 1
    elsewhere(monkeypatch, tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(OSError, match=f"could not write .*{too_large}: File too large; what stood"):
            train(run, "cpu", str, split)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    order = ["settings.json", "provenance.json", "weights.safetensors", "resume.pt"]
    assert files(run.folder) == set(order[: order.index(too_large)])
    train(run, "cpu", str, split)
    assert outcome(run) == wanted


def test_disk_full_later_leaves_the_last_epoch_to_resume_from(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(TINY, "cpu", str, split)
    wanted = outcome(TINY)
    elsewhere(monkeypatch, tmp_path)
    real, calls = Path.write_bytes, 0

    def write(self: Path, content: bytes) -> int:
        nonlocal calls
        calls += self.suffix == ".pt"
        if calls == 3:
            real(self, content[:1000])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, content)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", write)
        with pytest.raises(OSError, match="could not write .*resume.pt: No space left on device"):
            train(TINY, "cpu", str, split)
    assert len(pd.read_csv(TINY.folder / "history.csv")) == 2
    assert files(TINY.folder) == KEPT - {"checksums.json", "metrics.json"}
    train(TINY, "cpu", str, split)
    assert outcome(TINY) == wanted


def test_what_a_killed_process_left_is_removed(split: Split) -> None:
    TINY.folder.mkdir(parents=True)
    leftover = TINY.folder / ".weights-abc.safetensors"
    leftover.write_bytes(b"half")
    train(TINY, "cpu", lambda _: None, split)
    assert not leftover.exists() and (TINY.folder / ".lock").exists()


def test_own_scene_that_changed_is_not_mistaken_for_the_old_one(tmp_path: Path, log: list[str]) -> None:
    path = tmp_path / "scene.npy"
    np.save(path, np.random.default_rng(0).random((48, 96, 2), np.float32))
    run = Run(dataset=str(path), model="bicubic", patch=16)
    before = train(run, "cpu", log.append)
    assert train(run, "cpu", log.append).metrics == before.metrics
    np.save(path, np.random.default_rng(1).random((48, 96, 2), np.float32))
    with pytest.raises(ValueError, match="was begun with other data"):
        train(run, "cpu", log.append)
