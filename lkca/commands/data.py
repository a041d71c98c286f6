"""What there is: `datasets`, `models`; the paper's scenes: `fetch`, `check-data`."""

import argparse

from lkca.data.datasets import DATASETS
from lkca.data.fetch import URLS, fetch
from lkca.data.files import missing_files
from lkca.models import MODELS, model_options
from lkca.paper.check import check_data, write_check
from lkca.paper.readings import PROTOCOLS
from lkca.paths import results_folder


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("datasets", help="what can be trained on, and whether its files are in place")
    parser.set_defaults(do=_datasets)
    commands.add_parser("models", help="what can be trained, with options and defaults").set_defaults(do=_models)
    parser = commands.add_parser("fetch", help="download a dataset, or say how to get it; verify the files in place")
    parser.add_argument("dataset", help=", ".join(name for name, dataset in DATASETS.items() if dataset.files))
    parser.set_defaults(do=lambda given: fetch(given.dataset))
    parser = commands.add_parser("check-data", help="is your file the paper's? which reading of its protocol?")
    parser.add_argument("dataset", help=", ".join(PROTOCOLS))
    parser.set_defaults(do=_check_data)


def _datasets(_: argparse.Namespace) -> None:
    for dataset in DATASETS.values():
        missing = missing_files(dataset)
        print(f"{dataset.name:14} {dataset.title}; readings {', '.join(dataset.readings)}; {missing or 'ready'}")
        if missing:
            print(f"{'':14} from {dataset.source}")
            what = "downloads it" if all(file in URLS for file in dataset.files) else "says how to get it"
            print(f"{'':14} `python -m lkca fetch {dataset.name}` {what}")


def _check_data(given: argparse.Namespace) -> bool:
    check = check_data(given.dataset)
    write_check(check, given.dataset)
    print(f"\n{check.verdict()}\n\ntables are in {results_folder() / 'check_data'}")
    return len(check.matching) > 0


def _models(_: argparse.Namespace) -> None:
    for name, model in MODELS.items():
        options = ", ".join(f"{option}={value}" for option, value in model_options(name).items())
        print(f"{name:15} {options or 'no options'}{'' if model.of_paper else '; not of the paper'}")
