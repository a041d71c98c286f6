"""The fingerprint of the code that decides a run's outcome: beside its settings, what its numbers depend on.

It has two parts, SHARED-MODEL. The first covers what every run passes through: data, resizing, losses, training,
measuring. The second covers the network's file, with all it imports, and the declaration of the dataset. They are
hashes of the syntax trees: comments, docstrings, formatting and line numbers do not count; a renamed variable does.

What only opens, names and writes files (`lkca.training.train`, `lkca.training.run_folder`, `lkca.scenes`,
`lkca.paths`) is left out; the scene files themselves have their own checksum in each run.
"""

import ast
import dataclasses
import functools
import hashlib
import inspect
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from lkca.data.loaders import find_dataset
from lkca.models import MODELS, OWN
from lkca.training.run import Run

SHARED = (
    "lkca.data.loaders",
    "lkca.data.normalising",
    "lkca.data.patches",
    "lkca.measures.resize",
    "lkca.measures.blur",
    "lkca.measures.back_projection",
    "lkca.measures.metrics",
    "lkca.training.losses",
    "lkca.training.evaluation",
    "lkca.training.trainer",
)
MADE = ("lkca.data.synthetic", "lkca.data.landscape")
OF_KIND = {"made_scenes": MADE, "fresh_scenes": (*MADE, "lkca.training.fresh_trainer")}  # by kind of dataset
# Fields of a declaration that decide nothing, or stand in the run's settings.
LOOKS = {
    "title",
    "source",
    "citation",
    "notes",
    "rgb",
    "sensor",
    "place",
    "pixel_size",
    "wavelengths",
    "patch",
    "stride",
}
TRAINED_BY = {  # besides the shared code, by model
    "lkca-any": ("lkca.training.direction_trainer", "lkca.training.directions", "lkca.data.made_scenes", *MADE),
}
LENGTH = 6  # hexadecimal digits of each part


def fingerprint(run: Run) -> str:
    """The fingerprint of a run as the code is now, such as "3f09ac-b1774e"."""
    dataset = find_dataset(run.dataset)
    model = MODELS[run.model].build
    modules = _imported((model.func if isinstance(model, functools.partial) else model).__module__)
    if "upsampler" not in inspect.signature(model).parameters and run.options.get("upsampler", OWN) != OWN:
        modules |= _imported("lkca.models.low_rank")
    modules = modules.union(TRAINED_BY.get(run.model, ()))
    modules = modules.union(OF_KIND.get(dataset.kind, ()))
    # A field at its default says nothing: a new kind of fact must not change the fingerprints of all other datasets.
    facts = [(f.name, getattr(dataset, f.name), f.default) for f in dataclasses.fields(dataset) if f.name not in LOOKS]
    stated = sorted((name, repr(value)) for name, value, default in facts if value != default)
    of_model = hashlib.sha256(repr(stated).encode())
    for name in sorted(modules.difference(SHARED)):
        of_model.update(module_hash(name).encode())
    return f"{_shared()[:LENGTH]}-{of_model.hexdigest()[:LENGTH]}"


@cache
def _shared() -> str:
    return hashlib.sha256("".join(map(module_hash, SHARED)).encode()).hexdigest()


@cache
def module_hash(module: str) -> str:
    """SHA-256 of a module's syntax tree."""
    return tree_hash(_source(module))


def tree_hash(source: str) -> str:
    """SHA-256 of the syntax tree of Python source, without docstrings."""
    return hashlib.sha256(_written(ast.parse(source)).encode()).hexdigest()


def _written(node: object) -> str:
    """A tree as text. `ast.dump` is not used: it writes one tree in as many ways as there are versions of Python."""
    if isinstance(node, list):
        return f"[{','.join(map(_written, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = dict(ast.iter_fields(node))
    documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    if documented and ast.get_docstring(node, clean=False) is not None:
        fields["body"] = node.body[1:]
    written = (f"{name}={_written(value)}" for name, value in fields.items() if value is not None and value != [])
    return f"{type(node).__name__}({','.join(written)})"


@cache
def _imported(module: str) -> frozenset[str]:
    """The module and all of this package that it imports, directly or not, but the list of all models."""
    reached, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        imports = (node.module or "" for node in ast.walk(ast.parse(_source(name))) if isinstance(node, ast.ImportFrom))
        waiting += [found for found in imports if found.startswith(("lkca.models.", "lkca.measures."))]
    return frozenset(reached)


def _source(module: str) -> str:
    return Path(find_spec(module).origin).read_text(encoding="utf-8")
