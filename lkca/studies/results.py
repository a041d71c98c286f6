"""From finished runs to one tidy CSV a study, and back: notebooks draw from the CSV alone.

A row is a run: its settings, its six metrics, and what is needed to trace them (run name with hash, commit, versions,
device, data checksum).
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lkca.measures.metrics import METRICS
from lkca.models import UNTRAINED
from lkca.paths import Log, results_folder, write_text
from lkca.studies.catalogue import study_runs
from lkca.studies.convergence import write_curves
from lkca.studies.rows_of_runs import read_or_train
from lkca.studies.upsampler_svd import collect_singular_values
from lkca.studies.upsamplers.measured import collect_upsamplers
from lkca.training.corrected import corrected_metrics
from lkca.training.fingerprint import fingerprint
from lkca.training.run import Run
from lkca.training.run_folder import load_result

NESTED = ("options", "distillation", "view")  # settings that become several columns
CORRECTED = ("MPSNR_bp", "SAM_bp")  # of the metrics after back-projection, those that tables show
COLUMNS = {"sam": "loss_sam", "gradient": "loss_gradient"}  # weights, not to be taken for the metrics
BESIDE = {"upsampler_svd": collect_singular_values, "upsamplers": collect_upsamplers}  # files beside a study's CSV
TRACE = (
    "code",
    "commit",
    "torch",
    "device",
    "gpu",
    "cpu",
    "threads",
    "data_checksum",
    "seconds",
    "peak_memory_mb",
    "started",
)


def row(run: Run) -> dict[str, object]:
    """A finished run as one row of a table.

    Raises
    ------
    FileNotFoundError
        If the run is not finished. ValueError: if one of its files is damaged; which.
    """
    result = load_result(run)
    record = _json(run.folder / "metrics.json")
    trace = _json(run.folder / "provenance.json")
    settings = run.settings()
    distillation = settings["distillation"] or {}
    return {
        "run": run.name,
        **{COLUMNS.get(name, name): value for name, value in settings.items() if name not in NESTED},
        **{name: run.options.get(name) for name in ("blocks", "channels", "upsampler", "groups", "rank")},
        **{f"kd_{name}": distillation.get(name) for name in ("weight", "decay", "l1", "gradient", "cosine")},
        "teacher_blocks": distillation.get("teacher_blocks"),
        "params_M": record["params"] / 1e6,
        "macs_G": record["macs"] / 1e9,
        **{metric: result.metrics[metric] for metric in METRICS},
        "late_rise_dB": late_rise(result.history),
        "diverged_in_epoch": record.get("diverged_in_epoch"),
        **{name: trace.get(name) for name in TRACE},
    }


def late_rise(history: pd.DataFrame) -> float | None:
    """By how much the best validation rose in the last tenth of the epochs, in dB; None where nothing was trained."""
    if history.empty:
        return None
    best = history["validation"].cummax()
    return float(best.iloc[-1] - best.iloc[max(0, len(best) - 1 - -(-len(best) // 10))])


def _json(path: Path) -> dict[str, object]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{path} is missing or damaged ({error}): train the run again, it is made anew") from error


def _corrected(run: Run) -> dict[str, object]:
    """The metrics after back-projection at test time, as columns MPSNR_bp and so on; None where unknown."""
    corrected = corrected_metrics(run)
    return {f"{metric}_bp": corrected.get(metric) for metric in METRICS}


def stale_rows(frame: pd.DataFrame, runs: Sequence[Run]) -> pd.Series:
    """Which rows of a study's table come from other code than there is now, or from code that nobody recorded."""
    now = {run.name: fingerprint(run) for run in runs}
    code = frame["code"] if "code" in frame else pd.Series(None, frame.index, dtype=object)
    return code != frame["run"].map(now)


def write_rows(runs: Sequence[Run], name: str, keep: bool = False) -> pd.DataFrame:
    """Write results/`name`.csv, a row a run, all of which must be finished.

    keep : rows of the present table stay for runs whose folders are not here.

    Raises
    ------
    ValueError
        If such a row was made by other code than there is now.
    """
    path = results_folder() / f"{name}.csv"
    kept = _rows_to_keep(path, runs) if keep else pd.DataFrame(columns=["run"])
    made = pd.DataFrame([{**row(run), **_corrected(run)} for run in runs if run.name not in set(kept["run"])])
    frame = pd.concat([part for part in (kept, made) if len(part)]).set_index("run").loc[[run.name for run in runs]]
    frame = frame.reset_index()
    write_text(path, frame.to_csv(index=False))
    return frame


def _rows_to_keep(path: Path, runs: Sequence[Run]) -> pd.DataFrame:
    """The table's rows of runs that are not finished here; their code must be that of now."""
    away = [run for run in runs if not (run.folder / "metrics.json").is_file()]
    frame = pd.read_csv(path)
    frame = frame[frame["run"].isin([run.name for run in away])]
    stale = frame.loc[stale_rows(frame, away), "run"].tolist()
    if stale:
        raise ValueError(
            f"{path}: {len(stale)} rows cannot be kept, other code made them than there is now "
            f"({', '.join(stale[:3])}{' ...' if len(stale) > 3 else ''}): train these runs again"
        )
    return frame


def collect(study: str, profile: str, keep: bool = False) -> pd.DataFrame:
    """Write results/`profile`/`study`.csv from the study's runs, all of which must be finished.

    Of some studies also what else their notebooks draw: see `BESIDE`.

    keep : runs whose folders are not here, but whose rows are in the present table and of the code that there is now,
        count as finished: a study can be gone on with on another machine.
    """
    if study in BESIDE:
        BESIDE[study](profile)
    runs = study_runs(study, profile)
    write_curves(runs, study, profile, keep)
    # Last: where the study's CSV is, all that belongs to the study is.
    return write_rows(runs, f"{profile}/{study}", keep)


def study_results(study: str, profile: str, device: str = "auto", log: Log = print) -> pd.DataFrame:
    """The study's table: read where its CSV holds exactly the study's runs, else the missing runs are trained first."""
    runs = study_runs(study, profile)
    path = results_folder() / profile / f"{study}.csv"
    frame = read_or_train(path, runs, lambda: collect(study, profile), device, log)
    if count := int(stale_rows(frame, runs).sum()):
        log(f"{path.name}: {count} of {len(frame)} rows are stale: other code made them (study --fresh renews)")
    return frame


def over_seeds(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Mean and standard deviation (over seeds) of each metric, a row for each value of `by`, in order of appearance.

    MPSNR_bp, SAM_bp : means after back-projection at test time, where the frame has them.
    """
    groups = frame.groupby(list(by), sort=False, dropna=False)
    table = groups[["params_M", "macs_G"]].first()
    for metric in METRICS:
        table[metric] = groups[metric].mean()
        table[f"{metric}_sd"] = groups[metric].std()
    for column in CORRECTED:
        if column in frame:
            table[column] = groups[column].mean()
    table["seeds"] = groups.size()
    return table.reset_index()


def with_untrained(table: pd.DataFrame, frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """A table from `over_seeds`, above it a row for each model of the frame that learns nothing, named in `column`."""
    rows = over_seeds(frame[frame["model"].isin(UNTRAINED)], ["model"]).rename(columns={"model": column})
    return pd.concat([rows, table], ignore_index=True)[list(table.columns)]
