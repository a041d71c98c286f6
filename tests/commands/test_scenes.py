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


@pytest.fixture
def own(tmp_path: Path) -> Path:
    from lkca.data.synthetic import synthetic_scene

    made = synthetic_scene(48, 140, 4, seed=3)
    return write_scene(tmp_path / "own.hdr", (1000 * made.cube).astype(np.int16), made.wavelengths)


def command_in(printed: str, tmp_path: Path) -> list[str]:
    return printed.split("python -m lkca ")[1].split("\n")[0].replace("OUT.tif", str(tmp_path / "out.hdr")).split()


@pytest.mark.filterwarnings("ignore")
def test_train_on_ends_with_the_command_that_goes_on(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["--model", "lkca-lr", "--scale", "2", "--epochs", "1", "--stride", "16"]
    assert main(["train-on", str(own), *settings, "--options", "blocks=1", "channels=16"]) == 0
    printed = capsys.readouterr().out
    assert "| bicubic" in printed and "| back-projection" in printed and "| lkca-lr" in printed
    assert "training takes about" in printed and "measured on one of them" in printed
    command = command_in(printed, tmp_path)
    assert command[:2] == ["upscale", str(own)]
    assert main(command) == 0
    assert open_scene(tmp_path / "out.hdr").shape == (4, 96, 280)
    # One epoch of a tiny network is worse than back-projection, and that is what is recommended.
    assert "WORSE than back-projection" in printed and command[3:] == ["--weights", "back-projection", "--scale", "2"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("worth", "kept"), [(0.2, False), (-100.0, True)])
def test_training_goes_on_from_the_box_and_is_kept_only_where_it_gains(
    own: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    worth: float,
    kept: bool,
) -> None:
    from lkca.training import direction_trainer, directions

    for module, name, value in (
        (direction_trainer, "STEPS", 1), (direction_trainer, "WORTH", worth), (direction_trainer, "PATIENCE", 2),
        (directions, "POOL", 1), (directions, "FRESH", 1), (directions, "MADE_SIDE", {4: 64}),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    assert main(["train-on", str(own), "--epochs", "2", "--batch", "2"]) == 0
    printed = capsys.readouterr().out
    assert "the weights in the box validate at" in printed and "training takes about" in printed
    command = command_in(printed, tmp_path)
    if kept:
        passport = load_weights(Path(command[4]) / "weights.safetensors")[1]
        assert (passport.model, passport.patch) == ("lkca-any", 8)
    else:
        assert "training further gained nothing" in printed and "--weights" not in command
    assert main(command) == 0
    assert open_scene(tmp_path / "out.hdr").shape == (4, 192, 560)


@pytest.mark.parametrize(
    ("gain", "angle", "word"), [(0.3, -0.1, "Better"), (-0.1, 0.2, "WORSE"), (0.3, 0.1, "Mixed"), (-0.1, -0.1, "WORSE")]
)
def test_the_gain_is_said_honestly(gain: float, angle: float, word: str) -> None:
    from lkca.commands.train_on import _gain_in_words

    line = {"MPSNR": 30.0, "SAM": 4.0}
    metrics = {"bicubic": line, "back-projection": line, "lkca-lr": {"MPSNR": 30 + gain, "SAM": 4 + angle}}
    assert all(text.startswith(word) for text in _gain_in_words("lkca-lr", metrics, None).split("\n"))
    assert "gained nothing" in _gain_in_words("lkca-lr", metrics, False)
