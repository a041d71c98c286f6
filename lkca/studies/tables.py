"""Read the CSVs of studies, train the runs that they lack, and show and write tables."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from pandas.io.formats.style import Styler

from lkca.files import results_folder, write_text
from lkca.metrics import HIGHER_IS_BETTER, METRICS
from lkca.models import BASELINES
from lkca.run import Run
from lkca.studies import study_names, study_runs
from lkca.studies.collect import PROJECTED, collect, row, stale_rows, table_path, write_csv
from lkca.train import train

DECIMALS = {**dict.fromkeys((*METRICS, *PROJECTED), 4), "params_M": 3, "macs_G": 3}  # as the paper prints
BEST, SECOND = "best", "second"  # marks of a table's cell
LATEX = {BEST: "textbf:--rwrap;", SECOND: "underline:--rwrap;"}  # commands that pandas wraps a cell's text in
HTML = {BEST: "font-weight: bold", SECOND: "text-decoration: underline"}


# --- from CSV to notebooks


def study_results(study: str, profile: str, device: str = "auto", runs: Sequence[Run] = ()) -> pd.DataFrame:
    """Return the study's table: read its CSV if that holds exactly the study's runs, else train the missing runs.

    runs : return the rows of these runs instead; the CSV is read if it has all of them. The study need not have them.
    """
    path, asked = table_path(study, profile), runs or study_runs(study, profile)
    frame = read_rows(path, asked, among_others=bool(runs))
    if frame is None:
        if path.is_file():
            print(f"{path.name} is damaged or holds other runs: training what is missing")
        for number, run in enumerate(asked, 1):
            print(f"run {number} of {len(asked)}: {run.name}")
            train(run, device)
        frame = pd.DataFrame([row(run) for run in runs]) if runs else collect(study, profile)
    if count := int(stale_rows(frame).sum()):
        print(f"{path.name}: {count} of {len(frame)} rows have another recipe than the code")
    return frame


def read_rows(path: Path, runs: Sequence[Run], among_others: bool = False) -> pd.DataFrame | None:
    """Return the rows of a CSV if its column `run` has exactly these runs; None if not, or if it cannot be read.

    among_others : the CSV may have other runs too; their rows are left out.
    """
    names = {run.name for run in runs}
    try:
        frame = pd.read_csv(path)
        if among_others:
            frame = frame[frame["run"].isin(names)].reset_index(drop=True)
        return frame if set(frame["run"]) == names else None
    except (OSError, ValueError, KeyError):
        return None


def all_rows(profile: str, ending: str = "") -> pd.DataFrame:
    """Return the tables of all studies of a profile as one, with a column `study`; empty if there are none.

    ending : of the files' names, such as "_training"; by default the studies' own tables are read.
    """
    paths = {study: table_path(f"{study}{ending}", profile) for study in study_names()}
    frames = [pd.read_csv(path).assign(study=study) for study, path in paths.items() if path.is_file()]
    frames = [frame for frame in frames if "run" in frame]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def read_file(study: str, suffix: str, profile: str) -> pd.DataFrame:
    """Return a further file of a study, results/PROFILE/STUDY_SUFFIX.csv.

    Raises
    ------
    FileNotFoundError
        If it does not exist.
    """
    path = table_path(f"{study}_{suffix}", profile)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: `lkca collect {study} --profile {profile}` writes it")
    return pd.read_csv(path)


# --- tables to show


def over_seeds(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Average over seeds: a row for each value of the columns `by`, in order of appearance.

    Columns: BY, params_M, macs_G, each metric and its standard deviation METRIC_sd, MPSNR_bp and SAM_bp after
    back-projection, seeds.
    """
    groups = frame.groupby(list(by), sort=False, dropna=False)
    table = groups[["params_M", "macs_G"]].first()
    for metric in METRICS:
        table[metric], table[f"{metric}_sd"] = groups[metric].mean(), groups[metric].std()
    projected = groups[list(PROJECTED)].mean()
    return table.join(projected).assign(seeds=groups.size()).reset_index()


def with_baselines(table: pd.DataFrame, frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Put a row for each baseline of the frame above a table from `over_seeds`. column : gets the baseline's name."""
    rows = over_seeds(frame[frame["model"].isin(BASELINES)], ["model"]).rename(columns={"model": column})
    return pd.concat([rows, table], ignore_index=True)[list(table.columns)]


def write_table(frame: pd.DataFrame, name: str, marks: pd.DataFrame | None = None) -> None:
    """Write a frame, without its index, as results/NAME.csv and .tex; the name may contain a folder.

    marks : BEST (bold in .tex), SECOND (underlined) or "" for each cell, with the same index and columns.
    """
    path = results_folder() / name
    write_csv(frame, path.with_name(f"{path.name}.csv"))
    style = styled(frame, marks, LATEX).format(escape="latex").format_index(escape="latex", axis="columns")
    write_text(path.with_name(f"{path.name}.tex"), style.to_latex(hrules=True).replace("±", r"$\pm$"))


def mark_best(table: pd.DataFrame) -> pd.DataFrame:
    """Return marks for `write_table`: the best and second best of each metric among rows of the same `source`.

    Equal values share a mark.
    """
    marks = pd.DataFrame("", index=table.index, columns=list(METRICS))
    for (_, rows), metric in itertools.product(table.groupby("source"), METRICS):
        values = rows[metric].astype(float).dropna()
        ranked = values.drop_duplicates().sort_values(ascending=not HIGHER_IS_BETTER[metric])
        for mark, value in zip((BEST, SECOND), ranked, strict=False):
            marks.loc[values.index[values == value], metric] = mark
    return marks


def formatted(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table as text with the paper's number of decimals; missing values are dashes.

    A column X_sd is joined to column X as "mean ± sd"; where there is no sd (a single seed), the mean stands alone.
    """
    shown = frame.copy().astype(object)
    for column in frame.columns:
        decimals = DECIMALS.get(column)
        if decimals is not None:
            shown[column] = [f"{value:.{decimals}f}" if pd.notna(value) else "-" for value in frame[column]]
        if (spread := f"{column}_sd") in frame:
            pairs = zip(shown[column], frame[spread], strict=True)
            shown[column] = [f"{value} ± {sd:.{decimals or 4}f}" if pd.notna(sd) else value for value, sd in pairs]
    shown = shown.where(frame.notna(), "-")
    return shown.drop(columns=[f"{column}_sd" for column in frame if f"{column}_sd" in frame])


def styled(frame: pd.DataFrame, marks: pd.DataFrame | None = None, styles: Mapping[str, str] = HTML) -> Styler:
    """Return a table as a notebook shows it: formatted, without index, the best bold and the second best underlined.

    marks : as in `write_table`. styles : mark -> style of the cell.
    """
    style = formatted(frame).style.hide(axis="index")
    if marks is None:
        return style
    cells = marks.reindex(index=style.index, columns=style.columns, fill_value="").replace(styles)
    return style.apply(lambda _: cells, axis=None)
