"""Ctrl-C, and settings that cannot be: one line of the command line, no traceback."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lkca.__main__ import main
from lkca.commands import data, scenes


@pytest.fixture(autouse=True)
def small_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("in.npy", np.random.default_rng(0).random((8, 9, 3), np.float32))


@pytest.mark.parametrize(
    ("arguments", "then"),
    [
        (["upscale", "in.npy", "out.tif", "--weights", "bicubic"], "begins anew: nothing half-finished was left"),
        (["train-on", "in.npy"], "goes on from the last finished epoch"),
        (["fetch", "pavia_centre"], "goes on from the last byte"),
    ],
)
def test_what_an_interrupted_command_does_when_given_again(
    arguments: list[str], then: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for module, name in ((scenes, "upscale"), (scenes, "open_scene"), (data, "fetch")):
        monkeypatch.setattr(module, name, stopped)
    assert main(arguments) == 130
    assert capsys.readouterr().err == f"interrupted; the same command {then}\n"


def test_interrupted_while_it_is_loading() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "lkca", "models"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    for line in process.stderr:
        if line.rstrip().endswith(" numpy"):  # long before the commands are there
            break
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait() == 130 and "interrupted; the same command" in rest and "Traceback" not in rest


@pytest.mark.parametrize("memory", ["1e999", "0", "-1", "much", "1e30G"])
def test_memory_that_cannot_be(memory: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upscale", "in.npy", "out.tif", "--weights", "bicubic", f"--memory={memory}"]) == 1
    assert "--memory must be a number of bytes" in capsys.readouterr().err


def test_not_enough_memory_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 9 TiB")

    monkeypatch.setattr(scenes, "upscale", full)
    assert main(["upscale", "in.npy", "out.tif", "--weights", "bicubic"]) == 1
    assert capsys.readouterr().err.startswith("error: not enough memory (Unable to allocate 9 TiB)")
