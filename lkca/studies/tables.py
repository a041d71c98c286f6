"""From finished runs to one tidy CSV per study, and back; and tables as CSV, Markdown and LaTeX.

A row of a study's CSV is a run: its settings, its metrics before and after back-projection, and where they come from
(run name with hash, recipe, commit, versions, device, checksum of the data). Notebooks read the CSVs alone.
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from pandas.io.formats.style import Styler

from lkca.checkpoints import load_result, read_history
from lkca.files import Log, results_folder, runs_folder, write_text
from lkca.metrics import HIGHER_IS_BETTER, METRICS
from lkca.models import BASELINES
from lkca.run import RECIPE, Run
from lkca.studies import find_study, study_names, study_runs
from lkca.studies.finished import IMAGE_COLUMNS, PROJECTED, complete_runs, finished, image_rows
from lkca.studies.profile import load_profile
from lkca.train import train
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
DECIMALS = {**dict.fromkeys((*METRICS, *PROJECTED), 4), "params_M": 3, "macs_G": 3}  # as the paper prints
BEST, SECOND = "best", "second"  # marks of a cell
MARKDOWN = {BEST: "**{}**", SECOND: "<u>{}</u>"}
LATEX = {BEST: "textbf:--rwrap;", SECOND: "underline:--rwrap;"}  # commands that pandas wraps a cell's text in
HTML = {BEST: "font-weight: bold", SECOND: "text-decoration: underline"}


# --- from runs to CSV


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
    path, partial = _path(study, profile), load_profile(profile).partial
    keep = keep and (path.is_file() or not partial)
    kept = _kept_rows(path, runs) if keep else pd.DataFrame(columns=["run"])
    if partial:
        every, runs = runs, complete_runs(runs, set(kept["run"]), declared.comparison)
        if not runs:
            raise FileNotFoundError(f"no comparison of the study {study!r} is finished in {runs_folder()}")
        kept = kept[kept["run"].isin([run.name for run in runs])]
        missing = [(run.name, run.model, run.seed) for run in every if run not in set(runs)]
        _write_csv(pd.DataFrame(missing, columns=["run", "model", "seed"]), _path(f"{study}_missing", profile))
    here = [run for run in runs if run.name not in set(kept["run"])]
    rows = pd.DataFrame([row(run) for run in here])  # before anything is written: it fails if a run is not finished

    def write(suffix: str, parts: Sequence[pd.DataFrame], columns: list[str], digits: str) -> None:
        beside = _path(f"{study}_{suffix}", profile)
        if len(kept) and beside.is_file():
            old = pd.read_csv(beside)
            parts = [*parts, old[old["run"].isin(kept["run"])]]
        joined = pd.concat([part[columns] for part in parts if len(part)] or [pd.DataFrame(columns=columns)])
        _write_csv(_in_order(joined, runs), beside, digits)

    for suffix, compute in declared.files.items():
        computed = compute(load_profile(profile))
        if partial:  # rows of runs in the table alone: more may have been finished meanwhile
            ours = computed["run"].isin([run.name for run in here])
            write(suffix, [computed[ours]], list(computed), "%.6g")
        else:
            _write_csv(computed, _path(f"{study}_{suffix}", profile), "%.6g")
    curves = [read_history(run.folder).assign(run=run.name, model=run.model) for run in here]
    write("training", curves, ["run", "model", "epoch", "validation"], "%.4f")
    if declared.images:
        write("images", [image_rows(run) for run in here], list(IMAGE_COLUMNS), "%.4f")
    frame = _in_order(pd.concat([part for part in (kept, rows) if len(part)]), runs)
    _write_csv(frame, path)  # last: where the study's CSV is, all that belongs to it is
    return frame


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


def _write_csv(frame: pd.DataFrame, path: Path, float_format: str | None = None) -> None:
    write_text(path, frame.to_csv(index=False, float_format=float_format))


# --- from CSV to notebooks


def study_results(study: str, profile: str, device: str = "auto", log: Log = print) -> pd.DataFrame:
    """Return the study's table: read if its CSV holds exactly the study's runs, else the missing runs are trained."""
    runs = study_runs(study, profile)
    path = _path(study, profile)
    frame = read_rows(path, runs)
    if frame is None:
        if path.is_file():
            log(f"{path.name} is damaged or holds other runs than the study now has: training what is missing")
        _train_missing(runs, device, log)
        frame = collect(study, profile)
    if count := int(stale_rows(frame).sum()):
        log(f"{path.name}: {count} of {len(frame)} rows have another recipe than the code now has")
    return frame


def rows_of_runs(study: str, profile: str, runs: Sequence[Run], device: str = "auto", log: Log = print) -> pd.DataFrame:
    """Return the rows of some runs, from the study's table if it has them all; else the missing runs are trained."""
    frame = read_rows(_path(study, profile), runs, among_others=True)
    if frame is not None:
        return frame
    _train_missing(runs, device, log)
    return pd.DataFrame([row(run) for run in runs])


def read_rows(path: Path, runs: Sequence[Run], among_others: bool = False) -> pd.DataFrame | None:
    """Return the rows of a CSV if its column `run` names exactly these runs; None if not, or if it is unreadable.

    among_others : the CSV may hold other runs as well; their rows are left out.
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

    ending : of their files, such as "_training"; by default the studies' own tables.
    """
    paths = {study: _path(f"{study}{ending}", profile) for study in study_names()}
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
    path = _path(f"{study}_{suffix}", profile)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: `lkca collect {study} --profile {profile}` writes it")
    return pd.read_csv(path)


def _train_missing(runs: Sequence[Run], device: str, log: Log) -> None:
    for number, run in enumerate(runs, 1):
        log(f"run {number} of {len(runs)}: {run.name}")
        train(run, device, log)


def _path(name: str, profile: str) -> Path:
    return results_folder() / profile / f"{name}.csv"


# --- tables to show


def over_seeds(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Average over seeds: a row for each value of the columns `by`, in order of appearance.

    Columns: BY, params_M, macs_G, each metric and its standard deviation METRIC_sd, MPSNR_bp and SAM_bp after
    back-projection where the frame has them, seeds.
    """
    groups = frame.groupby(list(by), sort=False, dropna=False)
    table = groups[["params_M", "macs_G"]].first()
    for metric in METRICS:
        table[metric], table[f"{metric}_sd"] = groups[metric].mean(), groups[metric].std()
    for column in PROJECTED:
        if column in frame:
            table[column] = groups[column].mean()
    return table.assign(seeds=groups.size()).reset_index()


def with_baselines(table: pd.DataFrame, frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Put a row for each baseline of the frame above a table from `over_seeds`; `column` names it."""
    rows = over_seeds(frame[frame["model"].isin(BASELINES)], ["model"]).rename(columns={"model": column})
    return pd.concat([rows, table], ignore_index=True)[list(table.columns)]


def write_table(frame: pd.DataFrame, name: str, marks: pd.DataFrame | None = None) -> None:
    """Write a frame, without its index, as results/NAME.csv, .md and .tex; the name may contain a folder.

    marks : BEST, SECOND or "" for cells of the same index and columns: bold and underlined in .md and .tex.
    """
    path = results_folder() / name
    plain = shown = formatted(frame)
    if marks is not None:
        for column in marks.columns.intersection(shown.columns):
            pairs = zip(marks[column], shown[column], strict=True)
            shown = shown.assign(**{column: [MARKDOWN.get(mark, "{}").format(text) for mark, text in pairs]})
    _write_csv(frame, path.with_name(f"{path.name}.csv"))
    # Numbers are text by now: tabulate would read them as numbers again and drop trailing zeros.
    write_text(path.with_name(f"{path.name}.md"), shown.to_markdown(index=False, disable_numparse=True) + "\n")
    style = _styled(plain, marks, LATEX).format(escape="latex").format_index(escape="latex", axis="columns")
    write_text(path.with_name(f"{path.name}.tex"), style.to_latex(hrules=True).replace("±", r"$\pm$"))


def mark_best(table: pd.DataFrame) -> pd.DataFrame:
    """Return marks for `write_table`: best and second best of each metric, apart for "ours" and "paper" in `source`.

    Equal values share a mark; without a column `source` all rows are ours.
    """
    marks = pd.DataFrame("", index=table.index, columns=list(METRICS))
    sources = table["source"] if "source" in table else pd.Series("ours", table.index)
    for source, metric in itertools.product(("ours", "paper"), METRICS):
        values = table.loc[sources == source, metric].astype(float).dropna()
        ranked = values.drop_duplicates().sort_values(ascending=not HIGHER_IS_BETTER[metric])
        for mark, value in zip((BEST, SECOND), ranked, strict=False):
            marks.loc[values.index[values == value], metric] = mark
    return marks


def formatted(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table as text with the paper's number of decimals; missing values are dashes.

    A column X_sd is joined to column X as "mean ± sd", or the mean alone where there is no sd (a single seed).
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


def styled(frame: pd.DataFrame, marks: pd.DataFrame | None = None) -> Styler:
    """Return a table as a notebook shows it: formatted, without index, the best bold and the second best underlined."""
    return _styled(formatted(frame), marks, HTML)


def _styled(shown: pd.DataFrame, marks: pd.DataFrame | None, styles: Mapping[str, str]) -> Styler:
    style = shown.style.hide(axis="index")
    if marks is None:
        return style
    marks = marks.reindex(index=shown.index, columns=shown.columns, fill_value="")
    return style.apply(lambda _: marks.apply(lambda column: column.map(styles).fillna("")), axis=None)
