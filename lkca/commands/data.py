"""What there is: `datasets`, `models`."""

import argparse

from lkca.datasets import DATASETS
from lkca.models import model_names, model_options
from lkca.paths import data_folder


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("datasets", help="what can be trained on, and whether its files are in place")
    parser.set_defaults(do=_datasets)
    commands.add_parser("models", help="what can be trained, with options and defaults").set_defaults(do=_models)


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
