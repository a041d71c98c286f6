"""Training: a run leaves a complete record and is done once, its settings count, and it learns. On tiny settings."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

import lkca.training.trainer
from lkca.data.patches import Area, split_patches
from lkca.data.split import Split
from lkca.measures.metrics import METRICS, mpsnr
from lkca.measures.resize import resize
from lkca.training.evaluation import evaluate
from lkca.training.run_folder import load_result
from lkca.training.train import train
from lkca.training.trainer import HISTORY
from tests.training.tiny_run import KEPT, STUDENT, TINY, elsewhere, files, outcome

# --- one run


def test_a_run_leaves_a_complete_record(split: Split, log: list[str]) -> None:
    result = train(TINY, "cpu", log.append, split)
    assert files(result.folder) == KEPT
    assert json.loads((result.folder / "settings.json").read_text()) == TINY.settings()
    assert tuple(result.metrics) == METRICS and list(result.images) == [a.name for a in split.test]
    assert all(math.isfinite(value) for value in result.metrics.values())
    assert tuple(result.history.columns) == HISTORY and list(result.history["epoch"]) == [1, 2, 3, 4]
    rates = result.history["learning_rate"]
    assert (rates.iloc[0], rates.iloc[-1]) == pytest.approx((TINY.learning_rate, TINY.final_learning_rate))
    cosine = [1e-6 + (3e-3 - 1e-6) * (1 + math.cos(math.pi * i / 3)) / 2 for i in range(4)]
    assert list(rates) == pytest.approx(cosine)
    assert len(log) == 4 and all(f"epoch {i}/4" in line for i, line in enumerate(log, 1))
    # the weights are those of the best epoch, and the metrics are theirs
    assert evaluate(result.model(), split, 4) == result.images
    record = json.loads((result.folder / "metrics.json").read_text())
    assert record["params"] == sum(p.numel() for p in result.model().parameters()) and record["macs"] > 0
    assert record["diverged_in_epoch"] is None


def test_provenance(split: Split) -> None:
    record = json.loads((train(TINY, "cpu", str, split).folder / "provenance.json").read_text())
    assert record["commit"] == "test" and record["data_checksum"] == split.checksum
    assert record["torch"] == torch.__version__.split("+")[0] or record["torch"] == torch.__version__
    assert record["device"] == "cpu" and record["threads"] == 1 and record["peak_memory_mb"] > 50
    assert {"lkca", "python", "numpy", "scipy", "scikit-image", "system", "cpu", "started", "seconds"} <= set(record)


def test_asked_again_it_loads(split: Split, log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    first = train(TINY, "cpu", str, split)
    before = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in first.folder.iterdir() if p.name != ".lock"}
    monkeypatch.setattr(lkca.training.train, "load_dataset", None)  # not even the data is looked at
    monkeypatch.setattr(lkca.training.train, "fresh_model", None)
    again = train(TINY, "cpu", log.append)
    assert log == [] and again.metrics == first.metrics and again.history.equals(first.history)
    assert {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in before} == before
    assert load_result(TINY).images == first.images


def test_best_epoch_by_validation_is_kept(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the last nor the best on the test images."""
    saved = []
    values = iter([20.0, 22.0, 21.0, 21.5])
    monkeypatch.setattr(lkca.training.trainer.Trainer, "_validate", lambda self: next(values))
    real = lkca.training.trainer.save_weights

    def save(path: Path, model: torch.nn.Module, passport: object) -> None:
        saved.append([p.detach().clone() for p in model.parameters()])
        real(path, model, passport)

    monkeypatch.setattr(lkca.training.trainer, "save_weights", save)
    result = train(TINY, "cpu", str, split)
    assert len(saved) == 2
    assert all(torch.equal(a, b) for a, b in zip(saved[1], result.model().parameters(), strict=True))


def test_training_sees_no_test_pixels(split: Split, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    train(TINY, "cpu", str, split)
    weights = outcome(TINY)[0]
    elsewhere(monkeypatch, tmp_path)
    other = dataclasses.replace(split, test=(Area("other", 1 - split.test[0].cube),))
    train(TINY, "cpu", str, other)
    assert outcome(TINY)[0] == weights


def test_bicubic_needs_no_training(split: Split, log: list[str]) -> None:
    result = train(dataclasses.replace(TINY, model="bicubic", options={}), "cpu", log.append, split)
    assert log == [] and result.history.empty and tuple(result.history.columns) == HISTORY
    assert evaluate(result.model(), split, 4) == result.images


@pytest.mark.parametrize("change", [{"seed": 1}, {"validation": "paper"}, {"learning_rate": 2e-3}, {"batch": 4}])
def test_settings_reach_the_training(split: Split, change: dict) -> None:
    runs = TINY, dataclasses.replace(TINY, **change)
    losses = [train(run, "cpu", str, split).history["loss"] for run in runs]
    assert not np.allclose(*losses, rtol=1e-4)


@pytest.mark.parametrize("term", ["sam", "gradient"])
def test_a_term_of_weight_0_is_left_out_of_the_loss(split: Split, term: str) -> None:
    with_it, without = (train(run, "cpu", str, split) for run in (TINY, dataclasses.replace(TINY, **{term: 0.0})))
    assert (without.history["loss"] < 0.99 * with_it.history["loss"]).all()


def test_bfloat16_reaches_the_training_and_changes_little(split: Split) -> None:
    runs = TINY, dataclasses.replace(TINY, precision="bfloat16")
    full, half = (train(run, "cpu", str, split).history for run in runs)
    assert not np.allclose(full["loss"], half["loss"], rtol=1e-6)
    assert np.allclose(full["loss"], half["loss"], rtol=0.01)
    assert np.allclose(full["validation"], half["validation"], atol=0.05)  # dB


def test_bfloat16_keeps_its_weights_in_float32(split: Split) -> None:
    run = dataclasses.replace(STUDENT, precision="bfloat16", epochs=2)
    model = train(run, "cpu", str, split).model()
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_three_dimensional_convolutions_train(split: Split) -> None:
    run = dataclasses.replace(TINY, model="3dfcnn", options={}, epochs=1, stride=16)
    assert math.isfinite(train(run, "cpu", str, split).metrics["MPSNR"])


# --- distillation


def test_a_student_trains_its_teacher_once(split: Split, log: list[str]) -> None:
    train(STUDENT, "cpu", log.append, split)
    assert [line.split(" ")[0] for line in log] == ["lkca"] * 4 + ["lkca-kd"] * 4
    assert load_result(STUDENT.teacher()).run.options["blocks"] == 2
    log.clear()
    sibling = dataclasses.replace(STUDENT, seed=1)
    train(sibling, "cpu", log.append, split)
    assert [line.split(" ")[0] for line in log] == ["lkca-kd"] * 4


def test_the_teacher_s_coming_does_not_matter(split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained just now or loaded: the student is the same."""
    train(STUDENT, "cpu", str, split)
    wanted = outcome(STUDENT)
    elsewhere(monkeypatch, tmp_path)
    train(STUDENT.teacher(), "cpu", str, split)
    train(STUDENT, "cpu", str, split)
    assert outcome(STUDENT) == wanted


def test_distillation_reaches_the_training(split: Split) -> None:
    plain = dataclasses.replace(TINY, model="lkca-lr")
    without = dataclasses.replace(STUDENT, distillation=dataclasses.replace(STUDENT.distillation, weight=0.0))
    a, b = (train(run, "cpu", str, split).history["loss"] for run in (plain, without))
    assert np.allclose(a, b, rtol=1e-5)  # of weight 0 nothing is left but the supervised loss
    assert (train(STUDENT, "cpu", str, split).history["loss"] > a + 1e-6).all()


# --- it learns


def sharp(seed: int, side: int) -> Area:
    """Two materials with sharp edges, which bicubic blurs and a network soon learns to sharpen."""
    blobs = gaussian_filter(np.random.default_rng(seed).standard_normal((side, side)), 3) > 0
    spectra = np.linspace(0.2, 0.8, 8), np.linspace(0.6, 0.3, 8)
    cube = np.where(blobs, *(s[:, None, None] for s in spectra))
    return Area(f"sharp {seed}", cube.astype(np.float32))


def test_a_network_beats_bicubic(split: Split) -> None:
    """After a few seconds, on the validation patches and on the test image, none of which it trained on."""
    toy = dataclasses.replace(split, train=tuple(sharp(seed, 96) for seed in range(3)), test=(sharp(3, 64),))
    options = {"blocks": 1, "channels": 32, "drop_path": 0.0}
    run = dataclasses.replace(TINY, options=options, epochs=8, batch=4, learning_rate=1e-2, sam=0.0, gradient=0.0)
    bicubic = train(dataclasses.replace(run, model="bicubic", options={}), "cpu", str, toy)
    result = train(run, "cpu", str, toy)
    _, held_out = split_patches(toy.train, run.patch, run.stride)
    hr = held_out.cut(range(len(held_out)))
    enlarged = resize(resize(hr, 1 / 4), 4)
    validation = np.mean([mpsnr(e.numpy(), h.numpy()) for e, h in zip(enlarged, hr, strict=True)])
    assert result.history["validation"].max() > validation + 0.5
    assert result.metrics["SAM"] < bicubic.metrics["SAM"]
    assert result.metrics["MPSNR"] > bicubic.metrics["MPSNR"] + 0.5
