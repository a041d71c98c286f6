"""Was it trained enough? Validation against epochs of every run of a study, and how many were stopped while rising."""

from collections.abc import Sequence

import pandas as pd

from lkca.paths import results_folder, write_text
from lkca.studies.catalogue import STUDIES
from lkca.studies.profiles import find_profile
from lkca.studies.verdicts import MATTERS
from lkca.training.run import Run
from lkca.training.run_folder import folder_history


def write_curves(runs: Sequence[Run], study: str, profile: str, keep: bool = False) -> None:
    """Write results/`profile`/`study`_training.csv: run, model, epoch, validation (MPSNR, dB), a row an epoch.

    keep : the present file's rows stay for runs whose folders are not here.
    """
    path = results_folder() / profile / f"{study}_training.csv"
    away = {run.name for run in runs if keep and not (run.folder / "metrics.json").is_file()}
    there = pd.read_csv(path) if away else pd.DataFrame(columns=["run"])
    kept = dict(list(there[there["run"].isin(away)].groupby("run")))
    frames = [
        kept[run.name]
        if run.name in kept
        else folder_history(run.folder)[["epoch", "validation"]].assign(run=run.name, model=run.model)
        for run in runs
    ]
    rows = pd.concat(frames, ignore_index=True)[["run", "model", "epoch", "validation"]]
    rows = rows.astype({"epoch": int, "validation": float})  # of objects where a frame is empty
    write_text(path, rows.to_csv(index=False, float_format="%.4f"))


def curves(profile: str) -> pd.DataFrame:
    """The curves of every study that the profile has: study, run, model, epoch, validation."""
    paths = {study: results_folder() / profile / f"{study}_training.csv" for study in STUDIES}
    frames = [pd.read_csv(path).assign(study=study) for study, path in paths.items() if path.is_file()]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["study", "run", "model", "epoch"])


def stopped_while_rising(profile: str) -> pd.DataFrame:
    """A row for each study of the profile: trained runs, epochs, and how much validation rose in their last tenth.

    Columns: study, runs, epochs (the most of any run), late_rise_dB (median), still_rising (share of the runs that rose
    by more than `lkca.studies.verdicts.MATTERS`; NaN where older code did not record it).
    """
    rows = []
    for study in STUDIES:
        path = results_folder() / profile / f"{study}.csv"
        if not path.is_file():
            continue
        frame = pd.read_csv(path)
        if study == "upsampler_svd" and "epochs" in frame:
            frame = frame[~frame["epochs"].isin(find_profile(profile).other_epochs)]  # stopped early on purpose
        rise = frame["late_rise_dB"].dropna() if "late_rise_dB" in frame else pd.Series(dtype=float)
        if rise.empty:
            rows.append((study, 0, None, None, None))
            continue
        trained = frame.loc[rise.index]
        rows.append((study, len(rise), trained["epochs"].max(), rise.median(), (rise > MATTERS).mean()))
    return pd.DataFrame(rows, columns=["study", "runs", "epochs", "late_rise_dB", "still_rising"])
