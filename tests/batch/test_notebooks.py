"""Notebooks as they stand in the folder: what every one of them promises."""

import json
import re

import pytest

from lkca.batch.plan import notebook_folder
from lkca.studies.profiles import PROFILES

NOTEBOOKS = sorted(notebook_folder().glob("*.ipynb"))


def sources(path) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_where_a_profile_is_asked_for_every_one_is_named(path) -> None:
    for comment in re.findall(r"^profile = .*#(.*)$", "\n".join(sources(path)), re.MULTILINE):
        assert not [name for name in PROFILES if not re.search(rf"\b{name}\b", comment)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_modules_keep_their_names(path) -> None:
    assert not re.findall(r"^from lkca.* import \w+ as .*", "\n".join(sources(path)), re.MULTILINE)
