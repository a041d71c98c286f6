"""`train`: one run, with one option for every setting."""

import argparse
import dataclasses
import json
import types
import typing
from collections.abc import Sequence

import pandas as pd

from lkca.commands import Defaults
from lkca.data.datasets import DATASETS
from lkca.tables import formatted
from lkca.training.run import Distillation, Run
from lkca.training.run_folder import Result
from lkca.training.train import train


def add(commands: argparse._SubParsersAction) -> None:
    """`train`: one option for every setting of a run."""
    parser = commands.add_parser(
        "train",
        help="train one model on a dataset or a scene file, and measure it against bicubic",
        formatter_class=Defaults,
    )
    parser.add_argument("dataset", help=f"{', '.join(DATASETS)}, or the path of a scene file")
    add_settings(parser)
    parser.set_defaults(do=_train)


def add_settings(parser: argparse.ArgumentParser, **defaults: object) -> None:
    """One option for every setting of a run but its dataset; `defaults` are other ones than the run's own."""
    for setting in dataclasses.fields(Run):
        if setting.name in ("dataset", "options", "distillation", "view"):
            continue
        default = defaults.get(setting.name, setting.default)
        name = f"--{setting.name.replace('_', '-')}"
        shown = "default: the dataset's" if default is None else "default: %(default)s"
        parser.add_argument(name, type=_plain(setting.type), default=default, help=shown)
    pairs = {"nargs": "*", "default": [], "metavar": "NAME=VALUE"}
    parser.add_argument("--options", **pairs, help="sizes of the model (default: its own, see `models`)")
    parser.add_argument("--distillation", **pairs, help="settings, for lkca-kd (default: its own)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.set_defaults(view=None)


def _train(given: argparse.Namespace) -> None:
    result, _ = train_and_compare(given)
    print(f"\neverything of this run is in {result.folder}")


def train_and_compare(
    given: argparse.Namespace, lines: Sequence[str] = ("bicubic",), **options: object
) -> tuple[Result, dict[str, dict[str, float]]]:
    """Train as the options of `add_settings` say, print the table of metrics; the result, and each model's metrics.

    `lines` are the models without weights that it is held against, `options` sizes of the model that hold unless others
    are given.
    """
    run = run_of(given, **options)
    result = train(run, given.device)
    rows = {}
    for line in lines:
        rows[line] = train(dataclasses.replace(run, model=line, options={}, distillation=None), "cpu").metrics
    rows[run.model] = result.metrics
    table = pd.DataFrame(rows).T.rename_axis("model").reset_index()
    print(f"\n{run.dataset} x{run.scale}, test images: {', '.join(result.images)}")
    print(formatted(table).to_markdown(index=False))
    return result, rows


def run_of(given: argparse.Namespace, **options: object) -> Run:
    """The run that the options of `add_settings` say; `options` as in `train_and_compare`."""
    settings = {f.name: getattr(given, f.name) for f in dataclasses.fields(Run)}
    settings["options"] = options | _assignments(given.options)
    distillation = _assignments(given.distillation)
    try:
        settings["distillation"] = Distillation(**distillation) if distillation else None
    except TypeError as error:
        allowed = ", ".join(f.name for f in dataclasses.fields(Distillation))
        raise ValueError(f"--distillation: {error}; it has {allowed}") from error
    return Run(**settings)


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
