"""Folders and atomic writing: after a kill or a full disk, the old content stands."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lkca import files
from lkca.files import atomic_write, use_own_output, write_text

KILLED_WHILE_WRITING = """
import os, runpy, signal, sys
atomic_write = runpy.run_path(sys.argv[1])["atomic_write"]  # the file alone: the package's imports take seconds
with atomic_write(sys.argv[2]) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("variable", "function", "below"),
    [
        ("LKCA_DATA", files.data_folder, "data"),
        ("LKCA_RUNS", files.runs_folder, "runs"),
        ("LKCA_OUTPUT", files.results_folder, "results"),
        ("LKCA_OUTPUT", files.figures_folder, "figures"),
    ],
)
def test_environment_variables_move_folders(variable, function, below, tmp_path, monkeypatch) -> None:
    moved = tmp_path / "moved"
    monkeypatch.setattr(files, "project_root", lambda: tmp_path / "project")
    for value, expected in ((str(moved), moved), ("", tmp_path / "project"), (None, tmp_path / "project")):
        monkeypatch.delenv(variable) if value is None else monkeypatch.setenv(variable, value)
        last = "" if value and variable != "LKCA_OUTPUT" else below
        assert function() == expected / last
        assert function().is_dir() == (variable == "LKCA_OUTPUT")  # made where something is written
    monkeypatch.setenv(variable, "~/somewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path / "somewhere" in (function(), function().parent)
    monkeypatch.setenv(variable, "~no such user/runs")
    with pytest.raises(ValueError, match="~no such user/runs"):
        function()


def test_content_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "table.csv"
    with atomic_write(target) as temporary:
        assert temporary.parent == target.parent and temporary.suffix == ".csv"
        temporary.write_text("a")
        assert not target.exists()
    assert target.read_text() == "a" and list(target.parent.iterdir()) == [target]
    write_text(target, "µ")
    assert target.read_text(encoding="utf-8") == "µ" and target.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("error", [RuntimeError("stop"), KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
@pytest.mark.parametrize("existing", [True, False])
def test_an_error_leaves_what_stood_there(tmp_path: Path, error: BaseException, existing: bool) -> None:
    target = tmp_path / "table.csv"
    if existing:
        target.write_text("before")
    with pytest.raises(type(error)) as caught, atomic_write(target) as temporary:
        temporary.write_text("half")
        raise error
    assert [path.read_text() for path in tmp_path.iterdir()] == (["before"] if existing else [])
    if isinstance(error, OSError):
        assert "table.csv" in str(caught.value) and "No space left" in str(caught.value)


def test_kill_leaves_the_old_content_and_the_next_write_tidies_up(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    target.write_text("before")
    done = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, files.__file__, str(target)])
    assert done.returncode == -signal.SIGKILL
    assert target.read_text() == "before"
    (left,) = (path for path in tmp_path.iterdir() if path != target)
    other_machine = tmp_path / ".table-another_machine-1-abc.csv"
    other_machine.touch()
    with atomic_write(target) as outer:
        write_text(target, "inner")  # a living process's own temporary file stays
        assert outer.exists() and not left.exists()
        outer.write_text("after")
    assert target.read_text() == "after" and set(tmp_path.iterdir()) == {target, other_machine}


def test_a_notebook_opened_by_hand_changes_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LKCA_OUTPUT")
    monkeypatch.delenv("LKCA_BATCH", raising=False)
    monkeypatch.setattr(files, "project_root", lambda: tmp_path / "project")
    write_text(tmp_path / "project" / "results" / "quick" / "table.csv", "of the study")
    use_own_output()
    own = files.runs_folder() / "own"
    assert files.results_folder() == own / "results"
    assert (own / "results" / "quick" / "table.csv").read_text() == "of the study"
    write_text(files.results_folder() / "quick" / "table.csv", "mine")
    assert (tmp_path / "project" / "results" / "quick" / "table.csv").read_text() == "of the study"
