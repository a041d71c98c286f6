"""From finished runs to one tidy CSV per study.

A row of a study's CSV is a run: its settings, its metrics before and after back-projection, and where they come from
(run name with hash, recipe, commit, versions, device, checksum of the data). Notebooks read the CSVs alone.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from lkca.checkpoints import load_result, read_history
from lkca.files import results_folder, runs_folder, write_text
from lkca.metrics import METRICS
from lkca.models import BASELINES
from lkca.run import RECIPE, Run
from lkca.studies import find_study, study_runs
from lkca.studies.profile import load_profile
from lkca.trainer import late_gain

# Settings that become several columns, or none.
NESTED = ("options", "distillation", "psf", "patience", "start_from")
RENAMED = {"sam": "loss_sam", "gradient": "loss_gradient"}  # weights of the loss, not to be taken for metrics
OPTIONS = ("blocks", "channels", "upsampler", "groups", "rank")
DISTILLATION = ("weight", "decay", "l1", "gradient", "cosine")
TRACE = (
    *("recipe", "commit", "torch", "device", "gpu", "cpu", "threads", "data_checksum"),
    *("seconds", "peak_memory_mb", "started"),
)
PROJECTED = ("MPSNR_bp", "SAM_bp")  # of the metrics after back-projection, those that tables show
IMAGE_COLUMNS = ("run", "variant", "model", "seed", "image", *METRICS, *PROJECTED)


def finished(run: Run) -> bool:
    """Say whether a run is finished."""
    return (run.folder / "metrics.json").is_file()


def row(run: Run) -> dict[str, object]:
    """Return a finished run as one row of a table.

    Raises
    ------
    FileNotFoundError
        If the run is not finished.
    ValueError
        If one of its files is damaged; which one.
    """
    result = load_result(run)
    settings, distillation = run.settings(), run.settings()["distillation"] or {}
    return {
        "run": run.name,
        **{RENAMED.get(name, name): value for name, value in settings.items() if name not in NESTED},
        **{name: run.options.get(name) for name in OPTIONS},
        **{f"kd_{name}": distillation.get(name) for name in DISTILLATION},
        "teacher_blocks": distillation.get("teacher_blocks"),
        "params_M": result.record["params"] / 1e6,
        "macs_G": result.record["macs"] / 1e9,
        **{metric: result.metrics[metric] for metric in METRICS},
        "late_gain_dB": late_gain(result.history),
        "diverged_in_epoch": result.record["diverged_in_epoch"],
        **{name: result.provenance.get(name) for name in TRACE},
        **{f"{metric}_bp": result.back_projected[metric] for metric in METRICS},
    }


def collect(study: str, profile: str, keep: bool = False) -> pd.DataFrame:
    """Write results/PROFILE/STUDY.csv, STUDY_training.csv (validation by epoch) and the study's further files.

    All runs have to be finished, unless the profile's tables may be partial: then those of complete comparisons are
    written, and STUDY_missing.csv lists the other runs. keep : rows of the present tables stay for runs that are not
    finished here, so that a study can be continued on another machine.

    Raises
    ------
    FileNotFoundError
        If a run is not finished.
    ValueError
        If a kept row has another recipe than the code has now.
    """
    runs, declared = study_runs(study, profile), find_study(study)
    if not runs:
        raise ValueError(f"profile {profile!r} has no runs for the study {study!r}: see lkca/studies/profiles")
    path, partial = table_path(study, profile), load_profile(profile).partial
    keep = keep and (path.is_file() or not partial)
    kept = _kept_rows(path, runs) if keep else pd.DataFrame(columns=["run"])
    if partial:
        every, runs = runs, _complete_runs(runs, set(kept["run"]), declared.comparison)
        if not runs:
            raise FileNotFoundError(f"no comparison of the study {study!r} is finished in {runs_folder()}")
        kept = kept[kept["run"].isin([run.name for run in runs])]
        missing = [(run.name, run.model, run.seed) for run in every if run not in set(runs)]
        write_csv(pd.DataFrame(missing, columns=["run", "model", "seed"]), table_path(f"{study}_missing", profile))
    here = [run for run in runs if run.name not in set(kept["run"])]
    rows = pd.DataFrame([row(run) for run in here])  # before anything is written: it fails if a run is not finished

    def write(suffix: str, parts: Sequence[pd.DataFrame], columns: list[str], digits: str) -> None:
        beside = table_path(f"{study}_{suffix}", profile)
        if len(kept) and beside.is_file():
            old = pd.read_csv(beside)
            parts = [*parts, old[old["run"].isin(kept["run"])]]
        joined = pd.concat([part[columns] for part in parts if len(part)] or [pd.DataFrame(columns=columns)])
        write_csv(_in_order(joined, runs), beside, digits)

    for suffix, compute in declared.files.items():
        computed = compute(load_profile(profile))
        if partial:  # rows of runs in the table alone: more may have been finished meanwhile
            ours = computed["run"].isin([run.name for run in here])
            write(suffix, [computed[ours]], list(computed), "%.6g")
        else:
            write_csv(computed, table_path(f"{study}_{suffix}", profile), "%.6g")
    curves = [read_history(run.folder).assign(run=run.name, model=run.model) for run in here]
    write("training", curves, ["run", "model", "epoch", "validation"], "%.4f")
    if declared.images:
        write("images", [_image_rows(run) for run in here], list(IMAGE_COLUMNS), "%.4f")
    frame = _in_order(pd.concat([part for part in (kept, rows) if len(part)]), runs)
    write_csv(frame, path)  # last: where the study's CSV is, all that belongs to it is
    return frame


def _complete_runs(runs: Sequence[Run], kept: set[str], comparison: Callable[[Run], object] | None) -> list[Run]:
    """Return the runs of complete comparisons; baselines belong to every comparison.

    kept : names of runs that count as finished although they are not here. comparison : of the study.
    """
    present = {run for run in runs if finished(run) or run.name in kept}
    lacking = {comparison(run) for run in runs if run not in present} if comparison else set()
    return [
        run
        for run in runs
        if run in present and (run.model in BASELINES or not comparison or comparison(run) not in lacking)
    ]


def _image_rows(run: Run) -> pd.DataFrame:
    """Return the metrics of every test image of a finished run, before and after back-projection."""
    result = load_result(run)
    images = pd.DataFrame(result.images).T
    projected = pd.DataFrame(result.record["back_projected"]["images"]).T.add_suffix("_bp")
    return (
        images.join(projected)
        .rename_axis("image")
        .reset_index()
        .assign(run=run.name, variant=run.variant, model=run.model, seed=run.seed)
    )


def _kept_rows(path: Path, runs: Sequence[Run]) -> pd.DataFrame:
    """Return the table's rows of runs that are not finished here."""
    away = [run.name for run in runs if not finished(run)]
    frame = pd.read_csv(path)
    frame = frame[frame["run"].isin(away)]
    stale = frame.loc[stale_rows(frame), "run"].tolist()
    if stale:
        raise ValueError(
            f"{path}: {len(stale)} rows have another recipe than the code now has ({RECIPE}), the first is {stale[0]}: "
            "train these runs again"
        )
    return frame


def stale_rows(frame: pd.DataFrame) -> pd.Series:
    """Return which rows of a study's table were made by another recipe than the code now has."""
    return frame["recipe"] != RECIPE


def _in_order(frame: pd.DataFrame, runs: Sequence[Run]) -> pd.DataFrame:
    order = {run.name: place for place, run in enumerate(runs)}
    return frame.sort_values("run", key=lambda names: names.map(order), kind="stable").reset_index(drop=True)


def write_csv(frame: pd.DataFrame, path: Path, float_format: str | None = None) -> None:
    """Write a frame without its index."""
    write_text(path, frame.to_csv(index=False, float_format=float_format))


def table_path(name: str, profile: str) -> Path:
    """Return the path of a table, results/PROFILE/NAME.csv."""
    return results_folder() / profile / f"{name}.csv"
