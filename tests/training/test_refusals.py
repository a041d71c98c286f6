"""What cannot be trained is said before anything is."""

import dataclasses
from pathlib import Path

import pytest
import torch

from lkca.data.patches import Area
from lkca.data.split import Split
from lkca.training.machine import find_device
from lkca.training.run import Run
from lkca.training.train import train
from tests.training.tiny_run import TINY, files


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
