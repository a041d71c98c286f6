"""Folders and writing a file whole or not at all."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lkca import paths
from lkca.paths import write_text, written_whole


@pytest.mark.parametrize(
    ("variable", "function", "below"),
    [
        ("LKCA_DATA", paths.data_folder, "data"),
        ("LKCA_RUNS", paths.runs_folder, "runs"),
        ("LKCA_OUTPUT", paths.results_folder, "results"),
        ("LKCA_OUTPUT", paths.figures_folder, "figures"),
    ],
)
def test_folders(variable: str, function, below: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = tmp_path / "moved"
    monkeypatch.setattr(paths, "project_root", lambda: tmp_path / "project")
    for value, wanted in ((str(moved), moved), ("", tmp_path / "project"), (None, tmp_path / "project")):
        monkeypatch.delenv(variable) if value is None else monkeypatch.setenv(variable, value)
        last = "" if value and variable != "LKCA_OUTPUT" else below
        assert function() == wanted / last
        assert function().is_dir() == (variable == "LKCA_OUTPUT")  # made where something is written
    monkeypatch.setenv(variable, "~/somewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path / "somewhere" in (function(), function().parent)


def test_the_project_is_this_checkout() -> None:
    assert paths.project_root() == Path(__file__).resolve().parent.parent


def test_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "table.csv"
    with written_whole(target) as temporary:
        assert temporary.parent == target.parent and temporary.suffix == ".csv" and temporary != target
        temporary.write_text("a")
        assert not target.exists()
    assert target.read_text() == "a" and list(target.parent.iterdir()) == [target]
    write_text(target, "µ")
    assert target.read_text(encoding="utf-8") == "µ"
    assert target.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("error", [RuntimeError("stop"), KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
@pytest.mark.parametrize("existing", [True, False])
def test_or_not_at_all(tmp_path: Path, error: BaseException, existing: bool) -> None:
    target = tmp_path / "table.csv"
    if existing:
        target.write_text("before")
    with pytest.raises(type(error)) as caught, written_whole(target) as temporary:
        temporary.write_text("half")
        raise error
    assert [p.read_text() for p in tmp_path.iterdir()] == (["before"] if existing else [])
    if isinstance(error, OSError):
        assert "table.csv" in str(caught.value) and "No space left" in str(caught.value)


def test_killed_while_writing(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    target.write_text("before")
    code = (
        "import os, runpy, signal, sys\n"
        "written_whole = runpy.run_path(sys.argv[2])['written_whole']\n"  # alone: the package imports torch
        "with written_whole(sys.argv[1]) as t:\n"
        "    t.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(target), paths.__file__], env=dict(os.environ))
    assert done.returncode == -9
    assert target.read_text() == "before"


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write_text(tmp_path / "file" / "table.csv", "a")


def test_what_a_killed_writing_left_is_removed_by_the_next(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    code = "import os, sys; from lkca.paths import written_whole\nwith written_whole(sys.argv[1]) as t: os._exit(1)"
    subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".table-")
    (tmp_path / ".table-another_machine-1-abc.csv").touch()
    with written_whole(target) as mine:  # a living process's own stay
        assert not left.exists() and paths.remove_dead(target) == [] and mine.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"table.csv", ".table-another_machine-1-abc.csv"}


def test_home_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LKCA_RUNS", "~no such user/runs")
    with pytest.raises(ValueError, match="~no such user/runs: there is no such user"):
        paths.runs_folder()
