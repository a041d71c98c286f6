"""Train committed runs again and compare their metrics with the committed tables."""

import os
import shutil
from collections.abc import Mapping

import pandas as pd
import torch

from lkca.data.datasets import find_dataset
from lkca.files import Log, results_folder, runs_folder, write_text
from lkca.metrics import METRICS
from lkca.provenance import commit, cpu
from lkca.run import Run
from lkca.studies import study_names, study_runs
from lkca.studies.tables import all_rows
from lkca.train import train

DECIMALS = 4  # of the metrics that are compared
COMPARED = (*METRICS, *(f"{metric}_bp" for metric in METRICS))  # the network's own output, and back-projected


def verify(profile: str, runs: int = 12, device: str = "cpu", log: Log = print) -> pd.DataFrame:
    """Train runs of results/`profile` again, from scratch, and compare their metrics at the printed digits.

    `choose_runs` takes at least one of each network and of each kind of dataset. They are trained in a folder of their
    own, named after the commit; after an interruption, the same call continues there. At the end, the table
    results/verify/`profile`.csv is written and the folder removed. Another CPU model may give other last digits, so the
    table names both CPUs.

    Parameters
    ----------
    profile : whose tables are verified.
    runs : how many; more if covering every network and kind of dataset takes more.

    Returns
    -------
    The table. Column `verdict` is "equal", or "differs by" the largest difference and its metric.

    Raises
    ------
    FileNotFoundError
        If results/`profile` has no table of runs.
    """
    by_name = {run.name: run for study in study_names() for run in study_runs(study, profile)}
    committed = all_rows(profile)
    if committed.empty:
        raise FileNotFoundError(f"{results_folder() / profile} has no table of runs: run `lkca study` first")
    committed = committed[committed["run"].isin(by_name)].drop_duplicates("run").set_index("run")
    chosen = choose_runs(committed, by_name, runs)
    code = commit()
    before, folder = os.environ.get("LKCA_RUNS"), runs_folder() / f"verify-{code}"
    log(f"verify {profile}: {len(chosen)} runs")
    rows = []
    os.environ["LKCA_RUNS"] = str(folder)
    try:
        for number, name in enumerate(chosen, 1):
            log(f"run {number} of {len(chosen)}: {name}")
            rows.append(_compare(by_name[name], committed.loc[name], code, device, log))
            log(f"{name}: {rows[-1]['verdict']}")
    finally:
        del os.environ["LKCA_RUNS"]
        if before is not None:
            os.environ["LKCA_RUNS"] = before
    table = pd.DataFrame(rows)
    write_text(results_folder() / "verify" / f"{profile}.csv", table.to_csv(index=False))
    shutil.rmtree(folder, ignore_errors=True)
    return table


def choose_runs(committed: pd.DataFrame, runs: Mapping[str, Run], count: int) -> list[str]:
    """Return the names of the runs to train again, those of this CPU model first, then by cost, teachers included.

    At least one of each network and of each kind of dataset is taken, then the cheapest of the others.
    """
    seconds = committed["seconds"].to_dict()
    cost = {
        name: seconds[name] + (seconds.get(runs[name].teacher().name, 0) if runs[name].distillation else 0)
        for name in committed.index
    }
    elsewhere = committed["cpu"] != cpu()  # another CPU model may round differently
    cheapest = sorted(cost, key=lambda name: (elsewhere[name], cost[name], name))
    first: dict[object, str] = {}
    for name in cheapest:
        first.setdefault(runs[name].model, name)
        first.setdefault(find_dataset(runs[name].dataset).kind, name)
    required = list(dict.fromkeys(first.values()))
    others = [name for name in cheapest if name not in required]
    return sorted([*required, *others[: max(0, count - len(required))]], key=cheapest.index)


def _compare(run: Run, committed: pd.Series, code: str, device: str, log: Log) -> dict[str, object]:
    torch.set_num_threads(int(committed["threads"]))  # another number may round differently
    result = train(run, device, log)
    new = result.metrics | {f"{metric}_bp": value for metric, value in result.back_projected.items()}
    differences = {
        metric: abs(round(new[metric], DECIMALS) - round(committed[metric], DECIMALS)) for metric in COMPARED
    }
    largest = max(differences, key=differences.get)
    equal = differences[largest] < 0.5 * 10**-DECIMALS
    return {
        "run": run.name,
        "model": run.model,
        "dataset": run.dataset,
        "variant": run.variant,
        "scale": run.scale,
        **{f"{metric}_{which}": values[metric] for metric in COMPARED for which, values in
           (("committed", committed), ("new", new))},
        "cpu_committed": committed["cpu"],
        "cpu_new": cpu(),
        "seconds": result.provenance["seconds"],
        "commit": code,
        "verdict": "equal" if equal else f"differs by {differences[largest]:.{DECIMALS}f} in {largest}",
    }  # fmt: skip
