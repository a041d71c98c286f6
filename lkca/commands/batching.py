"""The commands of a batch; `run` and `collect` are what its jobs call."""

import argparse

from lkca.batch.in_turn import do_in_turn
from lkca.batch.plan import make_plan
from lkca.batch.results_page import write_results_page
from lkca.batch.start import do_batch
from lkca.batch.state import summary
from lkca.commands import Defaults
from lkca.studies.catalogue import STUDIES
from lkca.studies.profiles import PROFILES
from lkca.studies.results import collect
from lkca.training.train import train


def add(commands: argparse._SubParsersAction) -> None:
    for name, do, what in (
        ("study", _study, "do the runs, tables and notebooks of a study, or what is missing of them"),
        ("figures", _figures, "draw tables and figures again from the CSVs, without training"),
        ("status", _status, "what is done of a study, and why the rest is not"),
        ("collect", _collect, "write a study's CSV from its finished runs"),
        ("run", _run, "do one run of the studies, or several one after another"),
        ("report", _report, "make site/index.html of the executed notebooks, tables and figures"),
        ("results", _results, "write results/README.md anew from the files beside it"),
    ):
        parser = commands.add_parser(name, help=what, formatter_class=Defaults)
        parser.set_defaults(do=do)
        if name in ("study", "figures", "status"):
            parser.add_argument("study", nargs="?", default="all", help=f"all, {', '.join(STUDIES)}")
        elif name == "run":
            parser.add_argument("name", nargs="+", help="the run's; several write to the log.txt of each")
        elif name == "collect":
            parser.add_argument("name", help="the study's")
            parser.add_argument(
                "--keep",
                action="store_true",
                help="rows of runs that are not here stay, where the code that made them is that of now",
            )
        parser.add_argument("--profile", default="quick", help=f"{', '.join(PROFILES)}")
        if name in ("study", "run"):
            parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
        if name in ("study", "figures"):
            parser.add_argument(
                "--jobs", type=int, help="side by side (default: as many as there are cores, or as a cluster says)"
            )
        if name == "study":
            parser.add_argument("--dry-run", "-n", action="store_true", help="only show what would be done, and why")
            parser.add_argument("--fresh", action="store_true", help="do the runs again that other code made")
            parser.add_argument("--threads", type=int, default=1, help="of a run on the CPU")
            parser.add_argument("--gpu-jobs", type=int, default=1, help="runs that share the GPU")
            parser.add_argument(
                "--cluster", help="a folder of workflow/profiles, such as slurm (default: this machine)"
            )


def _study(given: argparse.Namespace) -> bool:
    names = ("jobs", "device", "threads", "gpu_jobs", "cluster", "dry_run", "fresh")
    options = {name: getattr(given, name) for name in names}
    done = do_batch(make_plan(given.study, given.profile), given.study, **options)
    if not given.dry_run:
        write_results_page()
    return done


def _figures(given: argparse.Namespace) -> bool:
    done = do_batch(make_plan(given.study, given.profile), given.study, given.jobs, redraw=True)
    write_results_page()
    return done


def _status(given: argparse.Namespace) -> bool:
    text, done = summary(make_plan(given.study, given.profile))
    print(text)
    return done


def _collect(given: argparse.Namespace) -> None:
    collect(given.name, given.profile, given.keep)


def _run(given: argparse.Namespace) -> bool:
    plan = make_plan("all", given.profile)
    runs = [plan.find(name) for name in given.name]
    if len(runs) > 1:
        return do_in_turn(runs, given.device)
    train(runs[0], given.device)
    return True


def _report(given: argparse.Namespace) -> None:
    from lkca.batch.report import make_report  # nbformat takes as long to import as torch, and a run is short

    print(f"open {make_report(given.profile)}")


def _results(_: argparse.Namespace) -> None:
    print(f"wrote {write_results_page()}")
