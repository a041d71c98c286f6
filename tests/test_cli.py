"""The command line: fast help, one line for an error, exit statuses."""

import dataclasses
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest

from lkca.cli import SETTINGS, main
from lkca.models import model_names, model_options
from lkca.run import Run
from lkca.studies import study_names

TINY = ["--variant", "tiny", "--patch", "32", "--epochs", "1", "--options", "blocks=1", "channels=16"]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["train", "--help"], 0),
        (["study", "--help"], 0),
        (["nosuch"], 2),
        (["train", "synthetic", "--epochs", "many"], 2),
        (["study", "nosuch"], 1),
        (["status", "--profile", "huge"], 1),
    ],
)
def test_help_and_wrong_arguments_import_nothing_slow(arguments: list[str], status: int) -> None:
    code = f"""import sys
from lkca.cli import main
try:
    status = main({arguments})
except SystemExit as end:
    status = end.code
slow = {{"torch", "numpy", "pandas", "scipy", "matplotlib", "snakemake"}} & set(sys.modules)
print(status, *slow)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == str(status)


def test_settings_of_train_are_those_of_a_run() -> None:
    fields = {field.name: field.default for field in dataclasses.fields(Run)}
    for name in ("dataset", "options", "distillation", "start_from"):  # not of this kind
        del fields[name]
    documented = {name: default for name, _, default, _ in SETTINGS}
    assert set(documented) == set(fields)
    assert {name: str(value) for name, value in fields.items() if value is not None} == {
        name: default for name, default in documented.items() if fields[name] is not None
    }


def test_train_compares_with_the_baselines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "synthetic", "--model", "lkca-lr", *TINY]) == 0
    rows = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert rows == ["model", "bicubic", "back-projection", "lkca-lr"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "nowhere"], "unknown dataset 'nowhere'"),
        (["train", "nowhere.mat"], "nowhere.mat"),
        (["train", "synthetic", "--model", "lkca-xl"], "unknown model 'lkca-xl'"),
        (["train", "synthetic", "--options", "blocs=4"], "'blocs'"),
        (["train", "synthetic", "--options", "blocks"], "expected NAME=VALUE"),
        (["train", "synthetic", "--model", "lkca-kd", "--distillation", "wieght=1"], "wieght"),
        (["train", "synthetic", "--epochs", "0"], "epochs"),
        (["run", "nosuch"], "no study has a run 'nosuch'"),
        (["study", "scenes", "--profile", "converged"], "converged.yaml"),
        (["study", "block_count", "--cluster", "nosuch"], "nosuch"),
        (["collect", "block_count"], "not finished"),
        (["collect", "cost"], "has no runs for the study 'cost'"),
        (["fetch", "nosuch"], "unknown dataset 'nosuch'"),
        (["check-data", "nosuch"], "nosuch"),
        (["export", "nosuch", "network.onnx"], "nosuch"),
    ],
)
def test_an_error_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("error: ") and message in printed and "Traceback" not in printed


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [(KeyboardInterrupt(), 130, "interrupted"), (MemoryError("9 TiB"), 1, "9 TiB")],
)
def test_interruptions_and_want_of_memory_are_one_line(
    raised: BaseException, status: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise raised

    monkeypatch.setattr(import_module("lkca.train"), "train", fail)
    assert main(["train", "synthetic"]) == status
    printed = capsys.readouterr().err
    assert said in printed and printed.count("\n") == 1


def test_a_warning_is_printed_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def warn(*_: object) -> bool:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            for _ in range(3):
                warnings.warn("cropped", stacklevel=1)
        return True

    monkeypatch.setattr("lkca.data.fetch.fetch", warn)
    assert main(["fetch", "pavia_centre"]) == 0
    assert capsys.readouterr().err == "warning: cropped\n"


def test_lists_name_everything(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LKCA_DATA", str(tmp_path))
    assert main(["datasets"]) == 0
    printed = capsys.readouterr().out
    assert "HyperspecVNIR_Chikusei_20140729.mat" in printed and "synthetic_stream" in printed
    assert main(["models"]) == 0
    shown = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    for name in model_names():
        assert all(f"{option}={value}" in shown[name] for option, value in model_options(name).items())
    with pytest.raises(SystemExit):
        main(["study", "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert all(name in printed for name in study_names())
