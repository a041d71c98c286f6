"""Collect finished runs into one tidy CSV per study.

A row of a study's CSV is a run: its settings, its metrics before and after back-projection, and its provenance (run
name with hash, recipe, commit, versions, device, checksum of the data). Notebooks read only the CSVs.
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
from lkca.studies.profile import Profile, load_profile
from lkca.trainer import late_gain

# Settings that become several columns or none.
NESTED = ("options", "distillation", "psf", "patience", "start_from")
RENAMED = {"sam": "loss_sam", "gradient": "loss_gradient"}  # weights of loss terms, not metrics
OPTIONS = ("blocks", "channels", "upsampler", "groups", "rank")
DISTILLATION = ("weight", "decay", "l1", "gradient", "cosine")
PROVENANCE = (
    *("recipe", "commit", "torch", "device", "gpu", "cpu", "threads", "data_checksum"),
    *("seconds", "peak_memory_mb", "started"),
)
PROJECTED = ("MPSNR_bp", "SAM_bp")  # the metrics after back-projection that tables show
FORMATS = {"training": "%.4f", "images": "%.4f"}  # of numbers in these further files; "%.6g" in the others


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
        If one of its files is damaged; the message says which.
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
        **{name: result.provenance.get(name) for name in PROVENANCE},
        **{f"{metric}_bp": result.back_projected[metric] for metric in METRICS},
    }


def collect(study: str, profile: str, keep: bool = False) -> pd.DataFrame:
    """Write results/PROFILE/STUDY.csv, STUDY_training.csv (validation by epoch) and the study's further files.

    All runs have to be finished, unless the profile's tables may be partial. Then the runs of complete comparisons are
    written, and STUDY_missing.csv lists the others. keep : keep the table's rows of runs that are not finished here, so
    that a study can be continued on another machine.

    Raises
    ------
    FileNotFoundError
        If a run is not finished, or no comparison where the table may be partial.
    ValueError
        If the profile has no runs for the study, or a kept row has another recipe than the code.
    """
    runs, declared = study_runs(study, profile), find_study(study)
    if not runs:
        raise ValueError(f"profile {profile!r} has no runs for the study {study!r}: see lkca/studies/profiles")
    path, chosen = table_path(study, profile), load_profile(profile)
    kept = _kept_rows(path, runs) if keep and path.is_file() else pd.DataFrame(columns=["run"])
    if chosen.partial:
        every, runs = runs, _complete_runs(runs, set(kept["run"]), declared.comparison)
        if not runs:
            raise FileNotFoundError(f"no comparison of the study {study!r} is finished in {runs_folder()}")
        kept = kept[kept["run"].isin([run.name for run in runs])]
        missing = [(run.name, run.model, run.seed) for run in every if run not in set(runs)]
        write_csv(pd.DataFrame(missing, columns=["run", "model", "seed"]), table_path(f"{study}_missing", profile))
    here = [run for run in runs if run.name not in set(kept["run"])]
    rows = pd.DataFrame([row(run) for run in here])  # before anything is written: it fails if a run is not finished
    further = {"training": _curves, **declared.files} if here else {}
    for suffix, compute in further.items():
        computed, beside = compute(chosen, here), table_path(f"{study}_{suffix}", profile)
        if "run" in computed:
            old = pd.read_csv(beside) if len(kept) and beside.is_file() else computed[:0]
            computed = _joined(computed, old[old["run"].isin(kept["run"])], runs)
        write_csv(computed, beside, FORMATS.get(suffix, "%.6g"))
    frame = _joined(rows, kept, runs)
    write_csv(frame, path)  # last: where the study's CSV exists, its further files do too
    return frame


def _joined(new: pd.DataFrame, kept: pd.DataFrame, runs: Sequence[Run]) -> pd.DataFrame:
    """Return the rows of both tables in the order of the runs."""
    order = {run.name: place for place, run in enumerate(runs)}
    frame = pd.concat([part for part in (new, kept) if len(part)] or [new])
    return frame.sort_values("run", key=lambda names: names.map(order), kind="stable").reset_index(drop=True)


def _curves(_: Profile, runs: Sequence[Run]) -> pd.DataFrame:
    """Return the validation MPSNR (dB) of every epoch of finished runs."""
    curves = [read_history(run.folder).assign(run=run.name, model=run.model) for run in runs]
    return pd.concat([curve for curve in curves if len(curve)] or curves)[["run", "model", "epoch", "validation"]]


def _complete_runs(runs: Sequence[Run], kept: set[str], comparison: Callable[[Run], object]) -> list[Run]:
    """Return the runs of complete comparisons; baselines belong to every comparison.

    kept : names of unfinished runs whose rows are kept; they count as finished. comparison : the study's.
    """
    present = {run for run in runs if finished(run) or run.name in kept}
    lacking = {comparison(run) for run in runs if run not in present}
    return [run for run in runs if run in present and (run.model in BASELINES or comparison(run) not in lacking)]


def image_rows(_: Profile, runs: Sequence[Run]) -> pd.DataFrame:
    """Return the metrics of every test image of finished runs, before and after back-projection (a further file)."""
    tables = []
    for run in runs:
        result = load_result(run)
        projected = pd.DataFrame(result.record["back_projected"]["images"]).T.add_suffix("_bp")
        images = pd.DataFrame(result.images).T.join(projected).rename_axis("image").reset_index()
        tables.append(images.assign(run=run.name, variant=run.variant, model=run.model, seed=run.seed))
    return pd.concat(tables)[["run", "variant", "model", "seed", "image", *METRICS, *PROJECTED]]


def _kept_rows(path: Path, runs: Sequence[Run]) -> pd.DataFrame:
    """Return the table's rows of runs that are not finished here."""
    away = [run.name for run in runs if not finished(run)]
    frame = pd.read_csv(path)
    frame = frame[frame["run"].isin(away)]
    stale = frame.loc[stale_rows(frame), "run"].tolist()
    if stale:
        raise ValueError(
            f"{path}: {len(stale)} rows have another recipe than the code ({RECIPE}), the first is {stale[0]}: "
            "train these runs again"
        )
    return frame


def stale_rows(frame: pd.DataFrame) -> pd.Series:
    """Return which rows of a study's table have another recipe than the code."""
    return frame["recipe"] != RECIPE


def write_csv(frame: pd.DataFrame, path: Path, float_format: str | None = None) -> None:
    """Write a frame as CSV, without its index."""
    write_text(path, frame.to_csv(index=False, float_format=float_format))


def table_path(name: str, profile: str) -> Path:
    """Return the path of a table, results/PROFILE/NAME.csv."""
    return results_folder() / profile / f"{name}.csv"
