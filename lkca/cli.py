"""The command `lkca`. Slow imports stand inside the commands, so help and wrong arguments are answered at once."""

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence

import lkca
from lkca.studies import profile_names, study_names

MOVED = {"upscale": "sharpen SCENE OUT", "train-on": "sharpen finetune SCENE"}  # commands of version 0.1
SETTINGS = (  # of `train`: setting of lkca.Run, type, default in words, meaning
    ("variant", str, "the dataset's first", "variant of the dataset's protocol (lkca datasets)"),
    ("scale", int, "4", "2, 4 or 8"),
    ("model", str, "lkca-lr", "network (lkca models)"),
    ("seed", int, "0", "seed of all random numbers"),
    ("epochs", int, "300", "maximum number of passes over the training patches"),
    ("batch", int, "32", "patches per step"),
    ("learning_rate", float, "0.0005", "learning rate at the start"),
    ("final_learning_rate", float, "1e-06", "learning rate at the end of the cosine"),
    ("patch", int, "the dataset's", "side of a training patch in HR pixels"),
    ("stride", int, "the dataset's", "HR pixels between patches"),
    ("validation", str, "disjoint", "disjoint, or paper: random patches, which overlap training patches"),
    ("validation_share", float, "0.1", "share of the patches used for validation"),
    ("precision", str, "float32", "float32, or bfloat16: automatic mixed precision"),
    ("sam", float, "0.5", "weight of the spectral angle in the supervised loss"),
    ("gradient", float, "0.1", "weight of the gradient term in the supervised loss"),
    ("patience", int, "8", "epochs without a gain before the rate falls (synthetic_stream, leave_one_out)"),
    ("psf", str, "bicubic", "PSF: bicubic, mean, gaussian:SIGMA, gaussian:SY,SX,ANGLE, or a kernel file"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 0 all done, 1 not all done (the reason is printed), 130 interrupted."""
    try:
        words = sys.argv[1:] if arguments is None else list(arguments)
        if words and words[0] in MOVED:
            raise ValueError(f"lkca {words[0]} has moved: use {MOVED[words[0]]} (see CHANGELOG.md)")
        options = _parser().parse_args(words)
        warnings.showwarning = print_each_warning_once()
        return 0 if options.run(options) is not False else 1
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except MemoryError as error:
        print(f"error: not enough memory ({error}): use a smaller batch, patch or network", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "interrupted: finished results are kept and no file is half-written; run the same command to continue",
            file=sys.stderr,
        )
        return 130


def print_each_warning_once() -> Callable[..., None]:
    """Return a function that prints a warning as one line, and each warning once."""
    printed: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *_: object) -> None:
        developers_only = issubclass(category, DeprecationWarning | PendingDeprecationWarning | FutureWarning)
        if str(message) not in printed and not developers_only:
            printed.add(str(message))
            print(f"warning: {message}", file=sys.stderr)

    return show


# --- arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lkca", description="A reproducible study of LKCA-Net (arXiv 2501.18664).")
    parser.add_argument("--version", action="version", version=f"lkca {lkca.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Callable, text: str, *names: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        shared = {
            "study": (
                ["study"],
                {"nargs": "?", "default": "all", "help": f"all (default), {', '.join(study_names())}"},
            ),
            "profile": (["--profile"], {"default": "quick", "help": f"{', '.join(profile_names())} (default: quick)"}),
            "device": (["--device"], {"default": "auto", "help": "auto (default), cpu or cuda"}),
            "jobs": (["--jobs"], {"type": int, "help": "parallel jobs (default: one per core, or the cluster's)"}),
        }
        for each in names:
            flags, settings = shared[each]
            command.add_argument(*flags, **settings)
        return command

    command = add(
        "train", _train, "train one network on a dataset or a scene file, and compare it with the baselines", "device"
    )
    command.add_argument("dataset", help="a dataset (lkca datasets), or the path of a scene file")
    for name, kind, default, meaning in SETTINGS:
        text = f"{meaning} (default: {default})"
        command.add_argument(f"--{name.replace('_', '-')}", type=kind, default=argparse.SUPPRESS, help=text)
    for name, meaning in (
        ("options", "network options (lkca models)"),
        ("distillation", "fields of lkca.Distillation"),
    ):
        command.add_argument(f"--{name}", nargs="*", default=[], metavar="NAME=VALUE", help=meaning)

    text = "run what is missing of a study: runs, tables and notebooks"
    command = add("study", _study, text, "study", "profile", "device", "jobs")
    command.add_argument("--dry-run", "-n", action="store_true", help="only print what would be done, and why")
    command.add_argument("--fresh", action="store_true", help="train runs again that were made with another recipe")
    command.add_argument("--threads", type=int, default=1, help="CPU threads per run (default: 1)")
    command.add_argument("--gpu-jobs", type=int, default=1, help="runs that share the GPU (default: 1)")
    command.add_argument("--cluster", help="a folder of workflow/profiles, such as slurm (default: this machine)")
    add("status", _status, "show what is done of a study, and why the rest is not", "study", "profile")
    text = "draw tables and figures again from the CSVs, without training"
    add("figures", _figures, text, "study", "profile", "jobs")
    command = add("run", _run, "train runs of the studies, one after another", "profile", "device")
    command.add_argument("names", nargs="+", metavar="NAME", help="name of a run; several print to each one's log.txt")
    command = add("collect", _collect, "write the tables of studies from their finished runs", "profile")
    command.add_argument("names", nargs="+", metavar="STUDY")
    command.add_argument("--keep", action="store_true", help="keep the rows of runs that are not finished here")
    command = add("verify", _verify, "train committed runs again and compare their printed digits", "device")
    command.add_argument("profile", help=", ".join(profile_names()))
    command.add_argument("--runs", type=int, default=12, help="number of runs, at least (default: 12)")
    add("results", _results, "write the generated pages: two in results/, and the table of claims in README.md")
    add("datasets", _datasets, "list the datasets, and whether their files are in place")
    add("models", _models, "list the networks with their options and defaults")
    command = add("fetch", _fetch, "download a dataset, or say how to get it; verify its files")
    command.add_argument("dataset")
    command = add("check-data", _check_data, "check whether a file is the paper's, and by which protocol variant")
    command.add_argument("dataset", help="chikusei, houston2018 or pavia_centre")
    command = add("export", _export, "write trained weights as an ONNX file")
    command.add_argument("weights", help="the folder of a run, or its weights.safetensors")
    command.add_argument("target", help="the file to write, NAME.onnx")
    command.add_argument("--overwrite", action="store_true", help="replace the file if it exists")
    return parser


def _settings(options: argparse.Namespace) -> dict[str, object]:
    """Return the settings of the run that the command line gives."""
    settings = {name: getattr(options, name) for name, *_ in SETTINGS if hasattr(options, name)}
    settings |= {"dataset": options.dataset, "options": _pairs(options.options)}
    if distillation := _pairs(options.distillation):
        settings["distillation"] = distillation
    return settings


def _pairs(texts: Iterable[str]) -> dict[str, object]:
    """Turn ["blocks=4"] into {"blocks": 4}."""
    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"expected NAME=VALUE, got {text!r}")
        try:
            values[name] = json.loads(value)
        except json.JSONDecodeError:
            values[name] = value
    return values


# --- commands


def _train(options: argparse.Namespace) -> None:
    from dataclasses import replace

    import pandas as pd

    from lkca.models import BASELINES
    from lkca.run import Run
    from lkca.studies.tables import formatted
    from lkca.train import train

    try:
        run = Run(**_settings(options))
    except TypeError as error:  # an unknown setting of the distillation
        raise ValueError(f"--distillation: {error}") from error
    result = train(run, options.device)
    baselines = {name: replace(run, model=name, options={}, distillation=None) for name in BASELINES}
    rows = {name: train(each, "cpu").metrics for name, each in baselines.items()} | {run.model: result.metrics}
    table = formatted(pd.DataFrame(rows).T.rename_axis("model").reset_index())
    print(f"\n{run.dataset} x{run.scale}, test images: {', '.join(result.images)}")
    print(table.to_markdown(index=False, disable_numparse=True))
    print(f"\nall files of this run are in {result.folder}")


def _study(options: argparse.Namespace) -> bool:
    _check_names(options.study, options.profile)
    from lkca.studies.batch import run_batch

    names = ("jobs", "device", "threads", "gpu_jobs", "cluster", "dry_run", "fresh")
    return run_batch(options.study, options.profile, **{name: getattr(options, name) for name in names})


def _status(options: argparse.Namespace) -> bool:
    _check_names(options.study, options.profile)
    from lkca.studies.plan import make_plan

    text, done = make_plan(options.study, options.profile).summary()
    print(text)
    return done


def _figures(options: argparse.Namespace) -> bool:
    _check_names(options.study, options.profile)
    from lkca.studies.batch import run_batch

    drawn = run_batch(options.study, options.profile, options.jobs, redraw=True)
    _results(options)
    return drawn


def _check_names(study: str, profile: str) -> None:
    """Refuse a wrong name at once, before anything is imported."""
    for kind, name, known in (("study", study, ("all", *study_names())), ("profile", profile, profile_names())):
        if name not in known:
            raise ValueError(f"unknown {kind} {name!r}: choose one of {', '.join(known)}")


def _run(options: argparse.Namespace) -> bool:
    _check_names("all", options.profile)
    from lkca.studies.batch import train_runs
    from lkca.studies.plan import make_plan
    from lkca.train import train

    plan = make_plan("all", options.profile)
    runs = [plan.find(name) for name in options.names]
    if len(runs) > 1:
        return train_runs(runs, options.device)
    train(runs[0], options.device)
    return True


def _collect(options: argparse.Namespace) -> None:
    for name in options.names:
        _check_names(name, options.profile)
    from lkca.studies.collect import collect

    for name in options.names:
        collect(name, options.profile, options.keep)


def _verify(options: argparse.Namespace) -> bool:
    _check_names("all", options.profile)
    from lkca.verify import verify

    table = verify(options.profile, options.runs, options.device)
    print(table.to_markdown(index=False))
    return bool((table["verdict"] == "equal").all())


def _results(_: argparse.Namespace) -> None:
    from lkca.pages import write_pages

    for path in write_pages():
        print(f"wrote {path}")


def _datasets(_: argparse.Namespace) -> None:
    from lkca.data.datasets import DATASETS
    from lkca.data.loaders import missing_files

    for dataset in DATASETS.values():
        missing = missing_files(dataset)
        print(f"{dataset.name:18} {dataset.title}; variants {', '.join(dataset.variants)}; {missing or 'ready'}")
        if missing:
            how = "downloads it" if all(file in dataset.urls for file in dataset.files) else "says how to get it"
            print(f"{'':18} source: {dataset.source}; `lkca fetch {dataset.name}` {how}")


def _models(_: argparse.Namespace) -> None:
    from lkca.models import MODELS, model_options

    for name, model in MODELS.items():
        options = ", ".join(f"{option}={value}" for option, value in model_options(name).items())
        print(f"{name:15} {options or 'no options'}{'' if model.of_paper else '; not in the paper'}")


def _fetch(options: argparse.Namespace) -> bool:
    from lkca.data.fetch import fetch

    return fetch(options.dataset)


def _check_data(options: argparse.Namespace) -> bool:
    from lkca.files import results_folder
    from lkca.paper.check_data import check_data, write_check

    check = check_data(options.dataset)
    write_check(check, options.dataset)
    print(f"\n{check.verdict()}\n\ntables are in {results_folder() / 'check_data'}")
    return len(check.matching) > 0


def _export(options: argparse.Namespace) -> None:
    from lkca.export import export_onnx

    export_onnx(options.weights, options.target, options.overwrite)
    print(f"wrote {options.target}")
