"""The fingerprint: what changes it and what does not; and what is done with a run that other code began."""

import dataclasses
import json

import pytest

from lkca.data import datasets
from lkca.data.datasets import DATASETS
from lkca.models import MODELS
from lkca.training import fingerprint as module
from lkca.training.fingerprint import SHARED, fingerprint, tree_hash
from lkca.training.run import Run
from lkca.training.run_folder import is_stale, recorded_code
from lkca.training.train import train
from tests.training.tiny_run import TINY, Stop, interrupted_after

CODE = '''"""A module."""
def f(x):
    """What it does."""
    return x + 1
'''


@pytest.mark.parametrize(
    "same",
    [
        CODE.replace("A module", "Another text"),
        CODE.replace('    """What it does."""\n', "    # a comment instead\n\n"),
        CODE.replace("x + 1", "(x\n        + 1)"),
    ],
)
def test_words_and_layout_do_not_count(same: str) -> None:
    assert tree_hash(same) == tree_hash(CODE)


@pytest.mark.parametrize("old, new", [("x + 1", "x + 2"), ("x + 1", "x - 1"), ("f(x)", "f(x, y=0)"), ("x", "z")])
def test_code_counts(old: str, new: str) -> None:
    assert tree_hash(CODE.replace(old, new)) != tree_hash(CODE)


def changed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """As if one more line stood in a module."""
    source = module._source
    monkeypatch.setattr(module, "_source", lambda asked: source(asked) + "\nMORE = 1\n" * (asked == name))
    forget_hashes()


def forget_hashes() -> None:
    for cached in (module._shared, module.module_hash, module._imported):
        cached.cache_clear()


@pytest.fixture(autouse=True)
def own_hashes():
    yield
    forget_hashes()


def codes() -> dict[str, str]:
    return {name: fingerprint(Run(model=name)) for name in MODELS}


@pytest.mark.parametrize("name", SHARED)
def test_shared_code_marks_every_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = codes()
    changed(monkeypatch, name)
    assert all(code.split("-")[0] != before[model].split("-")[0] for model, code in codes().items())


@pytest.mark.parametrize(
    ("name", "marked"),
    [
        ("lkca.models.vdsr", {"vdsr"}),
        ("lkca.models.upsamplers", set(MODELS) - {"bicubic", "back-projection", "3dfcnn"}),
        ("lkca.data.landscape", set(MODELS)),
        ("lkca.training.directions", {"lkca-any"}),
        ("lkca.training.train", set()),
        ("lkca.figures.style", set()),
    ],
)
def test_other_code_marks_what_passes_through_it(name: str, marked: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    before = codes()
    changed(monkeypatch, name)
    assert {model for model, code in codes().items() if code != before[model]} == marked


def test_another_upsampler_brings_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, other = Run(model="sspsr"), Run(model="sspsr", options={"upsampler": "svd", "rank": 4})
    before = fingerprint(plain), fingerprint(other)
    changed(monkeypatch, "lkca.models.low_rank")
    assert fingerprint(plain) == before[0] and fingerprint(other) != before[1]


def test_the_datasets_declaration_counts_but_not_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(dataset="pavia_centre")
    before = fingerprint(run)
    for facts, same in (({"citation": "other", "notes": "more", "sensor": "?"}, True), ({"bands": (0, 100)}, False)):
        monkeypatch.setitem(datasets.DATASETS, "pavia_centre", dataclasses.replace(DATASETS["pavia_centre"], **facts))
        assert (fingerprint(run) == before) is same


def test_it_is_recorded_and_not_in_the_name(log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run = dataclasses.replace(TINY, model="bicubic", options={})
    train(run, "cpu", log.append)
    assert recorded_code(run) == fingerprint(run) and not is_stale(run)
    name = run.name
    changed(monkeypatch, "lkca.measures.metrics")
    assert is_stale(run) and run.name == name


@pytest.mark.parametrize("recorded", ["other", None])
def test_what_other_code_began_is_not_gone_on_with(recorded: str | None, log: list[str], tmp_path, monkeypatch) -> None:
    run = dataclasses.replace(TINY, epochs=2)
    with pytest.raises(Stop):
        train(run, "cpu", interrupted_after(1, run.model))
    path = run.folder / "provenance.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"code": recorded}))
    result = train(run, "cpu", log.append)
    assert "begun by other code" in log[0] and not any("going on" in line for line in log)
    assert len(result.history) == 2 and recorded_code(run) == fingerprint(run)
