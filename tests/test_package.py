"""What `import lkca` and `import sharpen` give, and that pinned versions are up to date."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

import lkca
import sharpen

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("package", [lkca, sharpen])
def test_every_public_name_is_there(package):
    assert all(callable(getattr(package, name)) for name in package.__all__)


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("upscale", "sharpen_file"),
        ("sharpen", "sharpen"),
        ("open_scene", "open_scene"),
        ("any_sensor", "load_pretrained"),
    ],
)
def test_a_moved_name_says_where_it_went(name, home):
    with pytest.raises(AttributeError, match=f"sharpen.{home}"):
        getattr(lkca, name)
    assert hasattr(sharpen, home)


def test_functions_stay_functions_after_their_modules_are_imported():
    import lkca.cost
    import lkca.resize
    import lkca.train  # noqa: F401

    assert lkca.resize(np.zeros((8, 8)), 2).shape == (16, 16)
    assert callable(lkca.cost)
    assert callable(lkca.train)


@pytest.mark.parametrize("package", ["lkca", "sharpen", "lkca.cli", "sharpen.cli"])
def test_importing_a_package_or_its_commands_does_not_import_torch(package):
    heavy = "{'torch', 'pandas', 'matplotlib', 'xarray'} & set(sys.modules)"
    code = f"import sys, {package}; sys.exit(len({heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_dependency_is_pinned_within_its_range():
    """What `make` installs has to be within what the package asks for."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pinned = {name.lower().replace("_", "-"): version for name, _, version in (line.partition("==") for line in lines)}
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    for requirement in map(Requirement, wanted):
        if requirement.name != "lkca":
            version = pinned.get(requirement.name.lower())
            assert version and version in requirement.specifier, requirement
