"""The command line: one message for the person, and an exit status."""

import pytest

from lkca.__main__ import main

TINY = ["--reading", "tiny", "--patch", "32", "--epochs", "1", "--options", "blocks=1", "channels=16"]


def test_train_prints_the_model_beside_bicubic(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "synthetic", "--model", "lkca-lr", *TINY]) == 0
    printed = capsys.readouterr().out
    assert "epoch 1/1" in printed
    rows = [line.split("|")[1].strip() for line in printed.splitlines() if line.startswith("| ")]
    assert rows == ["model", "bicubic", "lkca-lr"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "nowhere"], "unknown dataset 'nowhere'"),
        (["train", "nowhere.mat"], "nowhere.mat: no such file"),
        (["train", "synthetic", "--model", "lkca-xl"], "unknown model 'lkca-xl'"),
        (["train", "synthetic", "--options", "blocs=4"], "no option 'blocs'"),
        (["train", "synthetic", "--options", "blocks"], "expected NAME=VALUE"),
        (["train", "synthetic", "--model", "lkca-kd", "--distillation", "wieght=1"], "wieght"),
        (["train", "synthetic", "--epochs", "0"], "epochs must be a whole number of at least 1, got 0"),
        (["study", "no_such_study"], "unknown study 'no_such_study'"),
        (["study", "block_count", "--profile", "huge"], "unknown profile 'huge'"),
    ],
)
def test_errors_are_one_message_and_status_1(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and message in said and "Traceback" not in said


def test_datasets_says_what_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setenv("LKCA_DATA", str(tmp_path))
    assert main(["datasets"]) == 0
    printed = capsys.readouterr().out
    assert "HyperspecVNIR_Chikusei_20140729.mat" in printed and "synthetic" in printed
