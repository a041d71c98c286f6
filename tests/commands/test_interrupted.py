"""Ctrl-C, and settings that cannot be: one line of the command line, no traceback."""

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

    for module, name in ((scenes, "upscale"), (scenes.SceneView, "open"), (data, "fetch")):
        monkeypatch.setattr(module, name, stopped)
    assert main(arguments) == 130
    assert capsys.readouterr().err == f"interrupted; the same command {then}\n"


def test_interrupted_while_it_is_loading(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Interrupted:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "lkca.commands.batching":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "lkca.commands.batching")
    monkeypatch.delattr("lkca.commands.batching")
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    assert main(["models"]) == 130
    assert "interrupted; the same command" in capsys.readouterr().err


def test_nothing_slow_is_loaded_before_an_interruption_is_answered() -> None:
    code = "import sys, lkca, lkca.__main__; sys.exit('numpy' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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
