"""An editable install wins over a folder of the same name."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent


def test_started_from_the_folder_above_a_clone(tmp_path: Path) -> None:
    """The clone's folder is called lkca, too: Python must not take it for the package."""
    pytest.importorskip("setuptools")
    clone, site = tmp_path / "lkca", tmp_path / "site"
    (clone / "lkca").mkdir(parents=True)
    site.mkdir()
    (clone / "lkca" / "__init__.py").write_text("found = True\n")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (clone / name).write_bytes((PROJECT / name).read_bytes())
    build = f"from setuptools.build_meta import build_editable; print(build_editable({str(tmp_path)!r}))"
    said = subprocess.run([sys.executable, "-c", build], cwd=clone, capture_output=True, text=True, check=True).stdout
    with zipfile.ZipFile(tmp_path / said.split()[-1]) as wheel:
        wheel.extractall(site)
    assert "lkca = lkca.__main__:main" in next(site.glob("*.dist-info/entry_points.txt")).read_text()
    look = f"import site; site.addsitedir({str(site)!r}); import lkca; print(lkca.found)"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    found = subprocess.run(
        [sys.executable, "-S", "-c", look], cwd=tmp_path, capture_output=True, text=True, env=environment, check=False
    )
    assert found.stdout.strip() == "True", found.stderr
