"""`train`: one run, with one option for every setting."""

import argparse
import dataclasses
import json
import types
import typing
from collections.abc import Sequence

import pandas as pd

from lkca.datasets import DATASETS
from lkca.runs import Distillation, Run
from lkca.tables import formatted
from lkca.training import train


def add(commands: argparse._SubParsersAction) -> None:
    """`train`: one option for every setting of a run."""
    parser = commands.add_parser(
        "train",
        help="train one model on a dataset or a scene file, and measure it against bicubic",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("dataset", help=f"{', '.join(DATASETS)}, or the path of a scene file")
    for setting in dataclasses.fields(Run):
        if setting.name in ("dataset", "options", "distillation"):
            continue
        parser.add_argument(f"--{setting.name.replace('_', '-')}", type=_plain(setting.type), default=setting.default)
    parser.add_argument("--options", nargs="*", default=[], metavar="NAME=VALUE", help="sizes of the model")
    parser.add_argument(
        "--distillation", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the distillation, for lkca-kd"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.set_defaults(do=_train)


def _train(given: argparse.Namespace) -> None:
    settings = {f.name: getattr(given, f.name) for f in dataclasses.fields(Run)}
    settings["options"] = _assignments(given.options)
    distillation = _assignments(given.distillation)
    try:
        settings["distillation"] = Distillation(**distillation) if distillation else None
    except TypeError as error:
        allowed = ", ".join(f.name for f in dataclasses.fields(Distillation))
        raise ValueError(f"--distillation: {error}; it has {allowed}") from error
    run = Run(**settings)
    result = train(run, given.device)
    rows = {run.model: result.metrics}
    if run.model != "bicubic":
        bicubic = dataclasses.replace(run, model="bicubic", options={}, distillation=None)
        rows = {"bicubic": train(bicubic, "cpu").metrics} | rows
    table = pd.DataFrame(rows).T.rename_axis("model").reset_index()
    print(f"\n{run.dataset} x{run.scale}, test images: {', '.join(result.images)}")
    print(formatted(table).to_markdown(index=False))
    print(f"\neverything of this run is in {result.folder}")


def _assignments(pairs: Sequence[str]) -> dict[str, object]:
    """["blocks=4"] -> {"blocks": 4}."""
    values = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"expected NAME=VALUE, got {pair!r}")
        try:
            values[name] = json.loads(value)
        except json.JSONDecodeError:
            values[name] = value
    return values


def _plain(kind: object) -> type:
    """int for `int | None`."""
    if isinstance(kind, types.UnionType):
        return next(member for member in typing.get_args(kind) if member is not type(None))
    return kind
