"""Training: a run is done once, can be killed at any moment, and says what is wrong. On tiny settings."""

import dataclasses
import errno
import json
import math
import os
import resource
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import gaussian_filter

import lkca.training.trainer
from lkca.data.loaders import load_dataset
from lkca.data.patches import Area, split_patches
from lkca.data.split import Split
from lkca.measures.metrics import METRICS, mpsnr
from lkca.measures.resize import resize
from lkca.training.evaluation import evaluate
from lkca.training.run import Distillation, Run
from lkca.training.train import find_device, load_result, train
from lkca.training.trainer import HISTORY

TINY = Run(
    reading="tiny",
    options={"blocks": 1, "channels": 16},
    epochs=4,
    batch=8,
    learning_rate=3e-3,
    stride=8,
)
STUDENT = dataclasses.replace(TINY, model="lkca-kd", distillation=Distillation(weight=1.0, teacher_blocks=2))
KEPT = {"settings.json", "provenance.json", "history.csv", "weights.safetensors", "resume.pt", "metrics.json"}


@pytest.fixture(scope="module")
def split() -> Split:
    return load_dataset("synthetic", "tiny")


@pytest.fixture
def log() -> list[str]:
    return []


def outcome(run: Run) -> tuple[bytes, bytes, bytes]:
    """What must not depend on interruptions: weights and metrics to the bit, history without the seconds."""
    history = pd.read_csv(run.folder / "history.csv").drop(columns="seconds")
    files = ((run.folder / name).read_bytes() for name in ("weights.safetensors", "metrics.json"))
    return *files, history.to_csv().encode()


def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LKCA_RUNS", str(tmp_path / "other runs"))


class Stop(Exception):
    """An interruption."""


def interrupted_after(epoch: int, model: str):
    def log(line: str) -> None:
        if line.startswith(f"{model} ") and f"epoch {epoch}/" in line:
            raise Stop

    return log


def files(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir() if p.name != ".lock"}


# --- one run


def test_a_run_leaves_a_complete_record(split: Split, log: list[str]) -> None:
    result = train(TINY, "cpu", log.append, split)
    assert files(result.folder) == KEPT
    assert Run.from_settings(json.loads((result.folder / "settings.json").read_text())) == TINY
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
    monkeypatch.setattr(lkca.training.train, "build_model", None)
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


@pytest.mark.parametrize("change", [{"seed": 1}, {"sam": 0.0}, {"gradient": 0.0}, {"precision": "bfloat16"}])
def test_settings_reach_the_training(split: Split, change: dict) -> None:
    runs = TINY, dataclasses.replace(TINY, **change)
    losses = [train(run, "cpu", str, split).history["loss"] for run in runs]
    assert not np.allclose(*losses, rtol=1e-7)
    assert np.allclose(*losses, rtol=0.8) and np.isfinite(losses[1]).all()


def test_bfloat16_keeps_its_weights_in_float32(split: Split) -> None:
    run = dataclasses.replace(STUDENT, precision="bfloat16", epochs=2)
    model = train(run, "cpu", str, split).model()
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_three_dimensional_convolutions_train(split: Split) -> None:
    run = dataclasses.replace(TINY, model="3dfcnn", options={}, epochs=1, stride=16)
    assert math.isfinite(train(run, "cpu", str, split).metrics["MPSNR"])


# --- interruption


@pytest.mark.parametrize("run", [TINY, STUDENT], ids=["supervised", "distilled"])
@pytest.mark.parametrize("epoch", [2, 4])
def test_interrupted_between_epochs(
    run: Run, epoch: int, split: Split, log: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(run, "cpu", str, split)
    wanted = outcome(run)
    elsewhere(monkeypatch, tmp_path)
    with pytest.raises(Stop):
        train(run, "cpu", interrupted_after(epoch, run.model), split)
    assert "metrics.json" not in files(run.folder)
    with pytest.raises(FileNotFoundError, match="is not finished"):
        load_result(run)
    torch.rand(7)  # the random state of the world has moved on
    train(run, "cpu", log.append, split)
    assert outcome(run) == wanted
    done = [line for line in log if "validation" in line]
    assert len(done) == run.epochs - epoch  # what was done is not done again, the teacher included


def test_interrupted_teacher(split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(STUDENT, "cpu", str, split)
    wanted = outcome(STUDENT), outcome(STUDENT.teacher())
    elsewhere(monkeypatch, tmp_path)
    with pytest.raises(Stop):
        train(STUDENT, "cpu", interrupted_after(2, "lkca"), split)
    train(STUDENT, "cpu", str, split)
    assert (outcome(STUDENT), outcome(STUDENT.teacher())) == wanted


@pytest.mark.parametrize("call", range(1, 6))
def test_killed_between_any_two_writes(
    call: int, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An epoch writes weights, resume.pt and history.csv: stopped at each of the first writes in turn."""
    run = dataclasses.replace(TINY, epochs=3)
    train(run, "cpu", str, split)
    wanted = outcome(run)
    elsewhere(monkeypatch, tmp_path)
    real, count = Path.replace, 0

    def replace(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == call + 1:  # settings.json comes first
            raise Stop
        return real(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", replace)
        with pytest.raises(Stop):
            train(run, "cpu", str, split)
    train(run, "cpu", str, split)
    assert outcome(run) == wanted and files(run.folder) == KEPT


PROCESS = """
import json, os, signal, sys
import torch
from lkca import Run, train
torch.set_num_threads(1)
kill_after = int(sys.argv[2])

def log(line):
    print(line, flush=True)
    if f"epoch {kill_after}/" in line and line.startswith(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

train(Run.from_settings(json.loads(sys.argv[1])), "cpu", log)
"""


def start(run: Run, kill_after: int = 0, model: str = "-") -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, run.to_json(), str(kill_after), model],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_killed_process_resumes_to_the_same_bits(
    split: Split, log: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(STUDENT, "cpu", str, split)
    wanted = outcome(STUDENT)
    elsewhere(monkeypatch, tmp_path)
    killed = start(STUDENT, 2, "lkca-kd ")
    _, errors = killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL, errors
    train(STUDENT, "cpu", log.append, split)
    assert outcome(STUDENT) == wanted
    assert f"{STUDENT.name}: going on after epoch 2" in log


def test_two_processes(split: Split, log: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first holds the run until it has finished; the second says that it waits, then loads."""
    run = dataclasses.replace(TINY, epochs=25)
    first = start(run)
    assert "epoch 1/25" in first.stdout.readline()
    result = train(run, "cpu", log.append, split)
    _, errors = first.communicate(timeout=60)
    assert first.returncode == 0, errors
    assert log == [f"{run.name}: another process is at it; waiting for it"] and len(result.history) == 25
    wanted = outcome(run)
    elsewhere(monkeypatch, tmp_path)
    train(run, "cpu", str, split)
    assert outcome(run) == wanted


def test_asked_at_the_same_instant(split: Split, log: list[str]) -> None:
    together = threading.Barrier(4)

    def ask(_: int) -> dict[str, float]:
        together.wait(timeout=30)
        return train(TINY, "cpu", log.append, split).metrics

    with ThreadPoolExecutor(4) as pool:
        metrics = list(pool.map(ask, range(4)))
    assert len([line for line in log if "epoch " in line]) == 4  # trained once
    assert all(m == metrics[0] for m in metrics)


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


# --- damage


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
    state = torch.load(path, weights_only=True)
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
    assert files(TINY.folder) == KEPT - {"metrics.json"}
    train(TINY, "cpu", str, split)
    assert outcome(TINY) == wanted


# --- refusals


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gpu_asked_for_and_absent(split: Split) -> None:
    assert find_device("auto").type == "cpu"
    with pytest.raises(ValueError, match="device 'cuda' was asked for, but torch sees no GPU here"):
        train(TINY, "cuda", str, split)
    assert not TINY.folder.exists()


def test_unknown_device(split: Split) -> None:
    with pytest.raises(ValueError, match="device must be auto, cpu or cuda, got 'tpu'"):
        train(TINY, "tpu", str, split)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patch": 64}, r"no 64x64 patch .*synthetic seed 0 48x48.*choose a smaller patch"),
        ({"patch": 48}, "leaves 1 to train on and 1|leaves 0 to train on"),
        ({"options": {"channels": 24}}, "multiple of 16, got 24"),
    ],
)
def test_settings_that_do_not_fit_the_data(change: dict, message: str, split: Split) -> None:
    run = dataclasses.replace(TINY, **change)
    if run.patch == 48:
        split = dataclasses.replace(split, train=split.train[:1])
    with pytest.raises(ValueError, match=message):
        train(run, "cpu", str, split)
    assert not {"metrics.json", "weights.safetensors"} & files(run.folder)


def test_test_image_too_small_is_said_before_training(split: Split, log: list[str]) -> None:
    small = dataclasses.replace(split, test=(Area("small", split.test[0].cube[:, :7, :40]),))
    with pytest.raises(ValueError, match="test image 'small' has 7x40 pixels: too small to be measured at x4"):
        train(TINY, "cpu", log.append, small)
    assert log == [] and files(TINY.folder) == set()


def test_another_dataset_s_split_is_refused(split: Split) -> None:
    run = dataclasses.replace(TINY, reading="default")
    with pytest.raises(ValueError, match=r"a run on synthetic \(default\), but the split given is synthetic \(tiny\)"):
        train(run, "cpu", str, split)
    assert not run.folder.exists()


def test_missing_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LKCA_DATA", str(tmp_path))
    run = Run(dataset="pavia_centre", model="bicubic")
    with pytest.raises(FileNotFoundError, match="Pavia.mat"):
        train(run, "cpu", str)
    assert files(run.folder) == set()


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


def test_own_scene_that_changed_is_not_mistaken_for_the_old_one(tmp_path: Path, log: list[str]) -> None:
    path = tmp_path / "scene.npy"
    np.save(path, np.random.default_rng(0).random((48, 96, 2), np.float32))
    run = Run(dataset=str(path), model="bicubic", patch=16)
    before = train(run, "cpu", log.append)
    assert train(run, "cpu", log.append).metrics == before.metrics
    np.save(path, np.random.default_rng(1).random((48, 96, 2), np.float32))
    with pytest.raises(ValueError, match="was begun with other data"):
        train(run, "cpu", log.append)


def test_what_a_killed_process_left_is_removed(split: Split) -> None:
    TINY.folder.mkdir(parents=True)
    leftover = TINY.folder / ".weights-abc.safetensors"
    leftover.write_bytes(b"half")
    train(TINY, "cpu", lambda _: None, split)
    assert not leftover.exists() and (TINY.folder / ".lock").exists()
