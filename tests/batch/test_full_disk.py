"""A study on a full disk names the cause, and names that Snakemake reads otherwise are refused."""

from pathlib import Path

import pytest

from lkca.batch.plan import make_plan
from lkca.batch.start import do_batch
from lkca.batch.state import last_words
from lkca.paths import project_root


@pytest.mark.parametrize("last", ["    ^^^^^^^", "  ~~~~^^^^"])
def test_a_log_that_breaks_off_in_an_error_says_what_is_left_on_the_disk(tmp_path: Path, last: str) -> None:
    log = tmp_path / "log.txt"
    log.write_text(f"Traceback (most recent call last):\n    write(x)\n{last}\n")
    said = last_words(log)
    assert "^" not in said and "MB are free on that disk" in said and str(log) in said


@pytest.mark.parametrize("variable", ["LKCA_RUNS", "LKCA_OUTPUT"])
def test_braces_in_a_folder_are_refused(tmp_path: Path, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LKCA_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("LKCA_OUTPUT", str(tmp_path / "out"))
    monkeypatch.setenv(variable, str(tmp_path / "a{run}b"))
    with pytest.raises(ValueError, match=f"{variable}: .* has braces in its name"):
        do_batch(make_plan("block_count", "quick"), "block_count", device="cpu", dry_run=True)


def test_what_a_user_names_is_quoted_for_the_shell() -> None:
    commands = (project_root() / "Snakefile").read_text()
    assert "--device {DEVICE:q}" in commands and "{PYTHON}" not in commands and "> {log}" not in commands
