"""The files that say what to install agree: pyproject.toml, requirements.txt, environment.yml, the Makefile."""

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from lkca.paths import project_root

PROJECT = tomllib.loads((project_root() / "pyproject.toml").read_text())["project"]
LOCK = (project_root() / "requirements.txt").read_text()
PINNED = dict(re.findall(r"^([\w.-]+)==(\S+)$", LOCK, re.MULTILINE))
VERSIONS = {name.lower().replace("_", "-"): version for name, version in PINNED.items()}
ASKED = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]


@pytest.mark.parametrize("line", [line for line in ASKED if not line.startswith("lkca[")])
def test_the_lock_holds_what_the_package_asks_for(line: str) -> None:
    wanted = Requirement(line)
    assert wanted.specifier.contains(VERSIONS[wanted.name.lower()]), f"{wanted.name} {VERSIONS[wanted.name.lower()]}"


def test_every_line_of_the_lock_is_one_version() -> None:
    lines = [line for line in LOCK.splitlines() if line and not line.startswith("#")]
    assert len(lines) == len(PINNED) == len(VERSIONS)


def test_conda_installs_the_lock_on_the_python_it_was_tested_with() -> None:
    environment = yaml.safe_load((project_root() / "environment.yml").read_text())
    packages = [item for item in environment["dependencies"] if isinstance(item, str)]
    (from_pip,) = (item["pip"] for item in environment["dependencies"] if isinstance(item, dict))
    assert "-r requirements.txt" in from_pip and "pip" in packages
    assert not [item for item in from_pip if not item.startswith("-")]  # no version but those of the lock
    (python,) = (item.partition("=")[2] for item in packages if item.startswith("python="))
    assert f"with Python {python}." in LOCK.splitlines()[0]
    assert SpecifierSet(PROJECT["requires-python"]).contains(python)


def test_make_asks_for_the_same_python() -> None:
    least = re.search(r"sys\.version_info < \((\d+), (\d+)\)", (project_root() / "Makefile").read_text())
    assert PROJECT["requires-python"] == f">={'.'.join(least.groups())}"
