"""A notebook opened by hand reads the study's tables and leaves results/ and figures/ as they are."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lkca import paths
from lkca.paths import project_root, results_folder, runs_folder, write_apart, write_text

RUN_ALL = """
import sys, nbformat
from nbclient import NotebookClient
for name in sys.argv[1:]:
    notebook = nbformat.read(f"notebooks/{name}.ipynb", 4)
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": "notebooks"}}).execute()
"""


@pytest.fixture
def by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder in which nothing says where results go."""
    monkeypatch.setattr(paths, "project_root", lambda: tmp_path / "project")
    monkeypatch.delenv("LKCA_BATCH", raising=False)
    monkeypatch.setenv("LKCA_OUTPUT", "")  # put back after the test, whatever it becomes
    return tmp_path / "project"


def test_tables_are_read_and_written_apart(by_hand: Path) -> None:
    study = by_hand / "results" / "quick" / "scenes.csv"
    write_text(study, "a study's\n")
    write_apart()
    own = results_folder() / "quick" / "scenes.csv"
    assert results_folder() == runs_folder() / "own" / "results" and own.read_text() == "a study's\n"
    write_text(own, "made by hand\n")
    os.environ["LKCA_OUTPUT"] = ""  # the next notebook
    write_apart()
    assert (own.read_text(), study.read_text()) == ("made by hand\n", "a study's\n")
    os.environ["LKCA_OUTPUT"] = ""
    write_text(study, "a newer study's\n")
    os.utime(study, (own.stat().st_mtime + 9,) * 2)
    write_apart()
    assert own.read_text() == "a newer study's\n"


@pytest.mark.parametrize("variable", ["LKCA_BATCH", "LKCA_OUTPUT"])
def test_batch_and_user_say_where(variable: str, by_hand: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, str(by_hand / "elsewhere"))
    before = results_folder()
    write_apart()
    assert results_folder() == before and not (runs_folder() / "own").exists()


def test_run_all_changes_no_tracked_file(tmp_path: Path) -> None:
    project = tmp_path / "project"
    for name in ("lkca", "notebooks", "results"):
        shutil.copytree(project_root() / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(project_root() / "pyproject.toml", project)
    before = contents(project)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LKCA_")}
    environment |= {"PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1", "IPYTHONDIR": str(tmp_path / "ipython")}
    command = [sys.executable, "-c", RUN_ALL, "verdicts", "architecture"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    after = contents(project)
    new = {path for path, content in after.items() if before.get(path) != content}
    assert before.keys() <= after.keys() and new
    assert {path.parts[:2] for path in new} == {("runs", "own")}
    made = {path.relative_to("runs/own").as_posix() for path in new}
    assert {"figures/architecture/distillation.png", "results/verdicts.csv"} <= made


def contents(folder: Path) -> dict[Path, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
