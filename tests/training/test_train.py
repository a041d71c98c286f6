"""Training: a run leaves a complete record and is trained once, its settings count, and it learns."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from lkca.checkpoints import HISTORY, load_result, load_state
from lkca.data.patches import split_patches
from lkca.data.split import Area, Split
from lkca.degradation import back_project
from lkca.evaluate import evaluate, low_resolution
from lkca.fast import predict
from lkca.metrics import METRICS, mpsnr, quality
from lkca.models import MODELS
from lkca.resize import resize
from lkca.run import RECIPE, Distillation
from lkca.train import initial_model, train
from lkca.trainer import MIN_GAIN, PATIENCE
from tests.training.tiny import BEGUN, FILES, STREAM, STUDENT, TINY, TRAIN, files, move_runs, outcome, quiet

# --- one run


def test_a_run_leaves_a_complete_record(split: Split, log: list[str]) -> None:
    result = train(TINY, "cpu", log.append, split)
    assert files(result.folder) == FILES
    assert json.loads((result.folder / "settings.json").read_text()) == TINY.settings()
    assert tuple(result.history.columns) == HISTORY and list(result.history["epoch"]) == [1, 2, 3, 4]
    cosine = [1e-6 + (3e-3 - 1e-6) * (1 + math.cos(math.pi * i / 3)) / 2 for i in range(4)]
    assert list(result.history["learning_rate"]) == pytest.approx(cosine)
    assert len(log) == 4 and all(f"epoch {i}/4" in line for i, line in enumerate(log, 1))
    assert result.record["params"] == sum(p.numel() for p in result.model().parameters())
    assert result.record["macs"] > 0 and result.record["diverged_in_epoch"] is None
    provenance = result.provenance
    assert provenance["commit"] == "test" and provenance["data_checksum"] == split.checksum
    assert provenance["recipe"] == RECIPE and provenance["device"] == "cpu" and provenance["threads"] == 1
    assert provenance["peak_memory_mb"] > 50 and provenance["seconds"] > 0
    assert {"lkca", "python", "torch", "numpy", "scipy", "scikit-image", "system", "cpu", "started"} <= set(provenance)


@pytest.mark.parametrize("model", ["lkca-lr", "bicubic"])
def test_metrics_are_those_of_the_kept_weights_before_and_after_back_projection(model: str, split: Split) -> None:
    result = train(dataclasses.replace(TINY, model=model, options=MODELS[model].small), "cpu", quiet, split)
    assert tuple(result.metrics) == METRICS and result.images == evaluate(result.model(), split, 4)[0]
    assert list(result.images) == [area.name for area in split.test]
    assert result.history.empty == (model == "bicubic") and tuple(result.history.columns) == HISTORY
    lr, truth = low_resolution(split.test[0], 4)
    projected = quality(back_project(predict(result.model(), lr), lr, 5), truth, 4)
    assert result.back_projected == pytest.approx(projected)


def test_a_finished_run_is_loaded_without_its_data(split: Split, log: list[str], monkeypatch) -> None:
    first = train(TINY, "cpu", quiet, split)
    before = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in first.folder.iterdir() if p.name != ".lock"}
    monkeypatch.setattr(TRAIN, "load_dataset", None)
    again = train(TINY, "cpu", log.append)
    assert log == [] and again.metrics == first.metrics and again.history.equals(first.history)
    assert {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in before} == before


@pytest.mark.parametrize("model", ["3dfcnn", "sspsr"])
def test_other_networks_train(split: Split, model: str) -> None:
    run = dataclasses.replace(TINY, model=model, options=MODELS[model].small, epochs=1, stride=16)
    assert math.isfinite(train(run, "cpu", quiet, split).metrics["MPSNR"])


def test_training_sees_no_test_pixels(split: Split, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    train(TINY, "cpu", quiet, split)
    weights = outcome(TINY)[0]
    move_runs(monkeypatch, tmp_path)
    train(TINY, "cpu", quiet, dataclasses.replace(split, test=(Area("other", 1 - split.test[0].cube),)))
    assert outcome(TINY)[0] == weights


# --- settings reach the training


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"validation": "paper"}, {"learning_rate": 2e-3}, {"batch": 4}, {"psf": "mean"}, {"sam": 0.0},
     {"gradient": 0.0}],
)  # fmt: skip
def test_settings_change_the_loss(split: Split, change: dict) -> None:
    runs = (dataclasses.replace(run, epochs=2) for run in (TINY, dataclasses.replace(TINY, **change)))
    losses = [train(run, "cpu", quiet, split).history["loss"] for run in runs]
    assert not np.allclose(*losses, rtol=1e-4)


def test_bfloat16_changes_little_and_keeps_weights_in_float32(split: Split) -> None:
    full, half = (train(dataclasses.replace(TINY, precision=p), "cpu", quiet, split) for p in ("float32", "bfloat16"))
    assert not np.allclose(full.history["loss"], half.history["loss"], rtol=1e-6)
    assert np.allclose(full.history["loss"], half.history["loss"], rtol=0.01)
    assert np.allclose(full.history["validation"], half.history["validation"], atol=0.05)  # dB
    assert {p.dtype for p in half.model().parameters()} == {torch.float32}


def test_spectral_upsampler_starts_from_the_training_data(split: Split) -> None:
    options = {"blocks": 1, "channels": 16, "upsampler": "spectral"}
    run = dataclasses.replace(TINY, options=options, epochs=1, learning_rate=1e-6)  # hardly leaves its start
    trained, initial = train(run, "cpu", quiet, split).model(), initial_model(run, split.bands)
    hr = split_patches(split.train, run.patch, run.stride)[0].cut(range(9))
    residuals = (hr - resize(resize(hr, 1 / 4), 4)).transpose(0, 1).flatten(1)

    def share(model: torch.nn.Module) -> float:
        """Return the share of the residuals' power that lies in the span of the first spectrum."""
        spectrum = model.upsampler[-1].weight[:, 0, 0, 0].detach()
        return float((spectrum @ residuals).square().sum() / residuals.square().sum())

    assert share(trained) > 2 * share(initial)


def test_a_run_begins_with_the_weights_of_another_and_keeps_them_if_it_finds_no_better() -> None:
    hopeless = dataclasses.replace(BEGUN, learning_rate=1e-30, final_learning_rate=1e-30)
    kept = train(hopeless, "cpu", quiet).model().state_dict()
    first = load_result(hopeless.start()).model().state_dict()
    assert all(torch.equal(tensor, first[name]) for name, tensor in kept.items())
    improved = dataclasses.replace(BEGUN, epochs=3, start_from={"epochs": 1, "learning_rate": 0.1})  # from bad weights
    validation = train(improved, "cpu", quiet).history["validation"].max()
    assert validation > load_result(improved.start()).history["validation"].max() + 0.1


def test_teacher_and_student_begin_with_their_own_weights() -> None:
    student = dataclasses.replace(STUDENT, epochs=1, start_from={"epochs": 1, "stride": 16})
    train(student, "cpu", quiet)
    for run in (student.start(), student.teacher(), student.teacher().start(), student.start().teacher()):
        assert load_result(run).run == run
    assert student.start().teacher() == student.teacher().start()


# --- scenes generated on the fly


def test_a_stream_keeps_the_mean_of_the_weights_and_ends_when_validation_has_converged(monkeypatch) -> None:
    monkeypatch.setattr(TRAIN, "STREAM_STEPS", 1)
    run = dataclasses.replace(STREAM, epochs=200, learning_rate=1e-6)  # gains nothing
    result = train(run, "cpu", quiet)
    assert len(result.history) == 1 + 2 * PATIENCE and result.record["diverged_in_epoch"] is None
    assert result.history["validation"].max() <= result.history["validation"][0] + MIN_GAIN
    assert result.history["learning_rate"][PATIENCE + 2] == pytest.approx(run.learning_rate / 4)
    state = load_state(result.folder / "resume.pt")
    mean, last = state["mean"]["module.head.weight"], state["model"]["head.weight"]
    assert not torch.equal(mean, last) and torch.allclose(mean, last, atol=0.01)


# --- distillation


def test_a_teacher_is_trained_once(split: Split, log: list[str]) -> None:
    train(STUDENT, "cpu", log.append, split)
    assert [line.split(" ")[0] for line in log] == [STUDENT.teacher().name] * 4 + [STUDENT.name] * 4
    assert load_result(STUDENT.teacher()).run.options["blocks"] == 2
    log.clear()
    sibling = dataclasses.replace(STUDENT, seed=1)
    train(sibling, "cpu", log.append, split)
    assert [line.split(" ")[0] for line in log] == [sibling.name] * 4


def test_distillation_adds_its_loss(split: Split) -> None:
    without = dataclasses.replace(STUDENT, distillation=Distillation(weight=0.0, teacher_blocks=2))
    plain = dataclasses.replace(TINY, model="lkca-lr")
    a, b, c = (train(run, "cpu", quiet, split).history["loss"] for run in (plain, without, STUDENT))
    assert np.allclose(a, b, rtol=1e-5) and (c > a + 1e-6).all()


# --- it learns


def sharp_area(seed: int, side: int) -> Area:
    """Return two materials with sharp edges, which bicubic blurs and a network soon learns to sharpen."""
    blobs = gaussian_filter(np.random.default_rng(seed).standard_normal((side, side)), 3) > 0
    spectra = np.linspace(0.2, 0.8, 8), np.linspace(0.6, 0.3, 8)
    return Area(f"sharp {seed}", np.where(blobs, *(s[:, None, None] for s in spectra)).astype(np.float32))


def test_a_network_beats_bicubic(split: Split) -> None:
    """After seconds, on validation patches and on a test image that it did not train on."""
    toy = dataclasses.replace(split, train=tuple(sharp_area(seed, 96) for seed in range(3)), test=(sharp_area(3, 64),))
    options = {"blocks": 1, "channels": 32, "drop_path": 0.0}
    run = dataclasses.replace(TINY, options=options, epochs=8, batch=4, learning_rate=1e-2, sam=0.0, gradient=0.0)
    bicubic = train(dataclasses.replace(run, model="bicubic", options={}), "cpu", quiet, toy)
    result = train(run, "cpu", quiet, toy)
    _, held_out = split_patches(toy.train, run.patch, run.stride)
    hr = held_out.cut(range(len(held_out)))
    upsampled = resize(resize(hr, 1 / 4), 4)
    validation = np.mean([mpsnr(u.numpy(), h.numpy()) for u, h in zip(upsampled, hr, strict=True)])
    assert result.history["validation"].max() > validation + 0.5
    assert result.metrics["SAM"] < bicubic.metrics["SAM"]
    assert result.metrics["MPSNR"] > bicubic.metrics["MPSNR"] + 0.5


# --- what cannot be trained is refused before anything is trained


@pytest.mark.parametrize("device", ["tpu", pytest.param("cuda", marks=pytest.mark.skipif(
    torch.cuda.is_available(), reason="there is a GPU"))])  # fmt: skip
def test_absent_devices_are_refused(device: str, split: Split) -> None:
    with pytest.raises(ValueError, match=device):
        train(TINY, device, quiet, split)
    assert not TINY.folder.exists()


@pytest.mark.parametrize(
    ("change", "size", "named"),
    [
        ({"patch": 64}, (48, 48), "48x48"),
        ({"patch": 48}, (48, 48), "patch"),
        ({"options": {"channels": 24}}, (48, 48), "24"),
        ({"variant": "default"}, (48, 48), "tiny"),
        ({}, (7, 40), "small"),
    ],
)
def test_settings_that_do_not_fit_the_data_are_refused(change: dict, size: tuple, named: str, split: Split) -> None:
    run = dataclasses.replace(TINY, **change)
    test = Area("small", split.test[0].cube[:, : size[0], : size[1]])
    with pytest.raises(ValueError, match=named):
        train(run, "cpu", quiet, dataclasses.replace(split, train=split.train[:1], test=(test,)))
    assert not run.folder.exists() or not {"metrics.json", "history.csv", "weights.safetensors"} & files(run.folder)
