"""`upscale` and `train-on`: what they write and say."""

from pathlib import Path

import numpy as np
import pytest

from lkca.__main__ import main
from lkca.commands.scenes import _bytes
from lkca.scenes import open_scene
from lkca.training.weights import load_weights
from tests.sharpening.small_scene import B, H, W, write_scene


def test_upscale_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = write_scene(tmp_path / "scene.hdr", np.full((B, H, W), 500, np.int16))
    out = str(tmp_path / "out.hdr")
    assert main(["upscale", str(scene), out, "--weights", "bicubic", "--scale", "2", "--memory", "1.5G"]) == 0
    printed = capsys.readouterr().out
    assert "6 bands of 18 x 22 pixels (from 9 x 11), int16" in printed and "0 values clipped" in printed
    assert main(["upscale", str(scene), out, "--weights", "bicubic", "--scale", "2"]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_memory_in_words() -> None:
    assert [_bytes(text) for text in ("2G", "500M", "1.5gb", "2e9", " 64 K ")] == [2e9, 5e8, 1.5e9, 2e9, 64e3]
    for text in ("", "much", "2T", "1.2.3"):
        with pytest.raises(ValueError, match="--memory must be a number of bytes"):
            _bytes(text)


@pytest.mark.filterwarnings("ignore")
def test_train_on_ends_with_the_command_that_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lkca.data.synthetic import synthetic_scene

    made = synthetic_scene(48, 140, 4, seed=3)
    source = write_scene(tmp_path / "own.hdr", (1000 * made.cube).astype(np.int16), made.wavelengths)
    settings = ["--scale", "2", "--epochs", "1", "--stride", "16", "--options", "blocks=1", "channels=16"]
    assert main(["train-on", str(source), *settings]) == 0
    printed = capsys.readouterr().out
    assert "| bicubic" in printed and "| lkca-lr" in printed and "dB, SAM" in printed
    command = printed.split("python -m lkca ")[1].split("\n")[0].replace("OUT.tif", str(tmp_path / "out.hdr")).split()
    assert command[:2] == ["upscale", str(source)]
    assert main(command) == 0
    passport = load_weights(Path(command[-1]) / "weights.safetensors")[1]
    assert (passport.patch, passport.scale_factor) == (16, 1.0)
    assert open_scene(tmp_path / "out.hdr").shape == (4, 96, 280)


@pytest.mark.parametrize(
    ("gain", "angle", "word"), [(0.3, -0.1, "Gained"), (-0.1, 0.2, "NOTHING GAINED"), (0.3, 0.1, "Mixed")]
)
def test_the_gain_is_said_honestly(gain: float, angle: float, word: str) -> None:
    from types import SimpleNamespace

    from lkca.commands.scenes import _gain_in_words

    metrics = {"bicubic": {"MPSNR": 30.0, "SAM": 4.0}, "lkca-lr": {"MPSNR": 30 + gain, "SAM": 4 + angle}}
    assert _gain_in_words(SimpleNamespace(run=SimpleNamespace(model="lkca-lr")), metrics).startswith(word)
