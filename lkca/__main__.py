"""Command line: `python -m lkca --help`."""

import argparse
import dataclasses
import json
import sys
import types
import typing
import warnings
from collections.abc import Sequence

import pandas as pd

from lkca import batch
from lkca.datasets import DATASETS
from lkca.models import model_names, model_options
from lkca.paths import data_folder
from lkca.report import make_report
from lkca.results import collect
from lkca.runs import Distillation, Run
from lkca.studies import PROFILES, STUDIES
from lkca.tables import formatted
from lkca.training import train


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0 done, 1 not (all) done, for reasons that were printed."""
    parser = argparse.ArgumentParser(prog="python -m lkca", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    _add_train(commands)
    _add_batch(commands)
    commands.add_parser("datasets", help="what can be trained on, and whether its files are in place").set_defaults(
        do=_datasets
    )
    commands.add_parser("models", help="what can be trained, with options and defaults").set_defaults(do=_models)
    given = parser.parse_args(arguments)
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    try:
        return 0 if given.do(given) is not False else 1
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last finished epoch", file=sys.stderr)
        return 130


def _add_train(commands: argparse._SubParsersAction) -> None:
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


def _add_batch(commands: argparse._SubParsersAction) -> None:
    """The commands of a batch; `run` and `collect` are what its jobs call."""
    for name, do, what in (
        ("study", _study, "do the runs, tables and notebooks of a study, or what is missing of them"),
        ("figures", _figures, "draw tables and figures again from the CSVs, without training"),
        ("status", _status, "what is done of a study, and why the rest is not"),
        ("collect", _collect, "write a study's CSV from its finished runs"),
        ("run", _run, "do one run of the studies"),
        ("report", _report, "make site/index.html of the executed notebooks, tables and figures"),
    ):
        parser = commands.add_parser(name, help=what, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        parser.set_defaults(do=do)
        if name in ("study", "figures", "status"):
            parser.add_argument("study", nargs="?", default="all", help=f"all, {', '.join(STUDIES)}")
        elif name != "report":
            parser.add_argument("name", help="the run's" if name == "run" else "the study's")
        parser.add_argument("--profile", default="quick", help=f"{', '.join(PROFILES)}")
        if name in ("study", "run"):
            parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
        if name in ("study", "figures"):
            parser.add_argument(
                "--jobs", type=int, help="side by side; as many as there are cores, or as a cluster says"
            )
        if name == "study":
            parser.add_argument("--dry-run", "-n", action="store_true", help="only show what would be done, and why")
            parser.add_argument("--threads", type=int, default=1, help="of a run on the CPU")
            parser.add_argument("--gpu-jobs", type=int, default=1, help="runs that share the GPU")
            parser.add_argument("--cluster", help="a folder of workflow/profiles: slurm")


def _study(given: argparse.Namespace) -> bool:
    options = {name: getattr(given, name) for name in ("jobs", "device", "threads", "gpu_jobs", "cluster", "dry_run")}
    return batch.do_batch(batch.make_plan(given.study, given.profile), given.study, **options)


def _figures(given: argparse.Namespace) -> bool:
    return batch.do_batch(batch.make_plan(given.study, given.profile), given.study, given.jobs, redraw=True)


def _status(given: argparse.Namespace) -> bool:
    text, done = batch.summary(batch.make_plan(given.study, given.profile))
    print(text)
    return done


def _collect(given: argparse.Namespace) -> None:
    collect(given.name, given.profile)


def _run(given: argparse.Namespace) -> None:
    train(batch.make_plan("all", given.profile).find(given.name), given.device)


def _report(given: argparse.Namespace) -> None:
    print(f"open {make_report(given.profile)}")


def _datasets(_: argparse.Namespace) -> None:
    for dataset in DATASETS.values():
        missing = [file for file in dataset.files if not (data_folder() / file).is_file()]
        state = f"not in {data_folder()}: {', '.join(missing)}" if missing else "ready"
        print(f"{dataset.name:14} {dataset.title}; readings {', '.join(dataset.readings)}; {state}")
        if missing:
            print(f"{'':14} from {dataset.source}")


def _models(_: argparse.Namespace) -> None:
    for name in model_names():
        options = ", ".join(f"{option}={value}" for option, value in model_options(name).items())
        print(f"{name:11} {options or 'no options'}")


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


if __name__ == "__main__":
    sys.exit(main())
