"""Tables: one tidy frame becomes CSV (for machines), Markdown (for pages) and LaTeX (booktabs, for papers)."""

from collections.abc import Mapping

import pandas as pd
from pandas.io.formats.style import Styler

from lkca.paths import results_folder, write_text

DECIMALS = {
    **dict.fromkeys(("MPSNR", "MSSIM", "SAM", "CC", "RMSE", "ERGAS", "MPSNR_bp", "SAM_bp"), 4),
    **dict.fromkeys(("params_M", "macs_G"), 3),
}

# Rows that more than one table or figure knows by name.
PLAIN, TEACHER = "LKCA-LR, not distilled", "teacher"
FULL, CURVE, EQUAL_PARAMS = "full", "curve", "spectral, equal params"  # of the study of upsamplers
DISTILLED = ", distilled"  # ending of a row's name

BEST, SECOND = "best", "second"  # marks of a cell
IN_MARKDOWN = {BEST: "**{}**", SECOND: "<u>{}</u>"}
IN_LATEX = {BEST: "textbf:--rwrap;", SECOND: "underline:--rwrap;"}  # commands that pandas wraps a cell's text in
IN_HTML = {BEST: "font-weight: bold", SECOND: "text-decoration: underline"}


def write_table(frame: pd.DataFrame, name: str, marks: pd.DataFrame | None = None) -> None:
    """Write `frame` (no index) as results/`name`.csv, .md and .tex; `name` may have a folder in it.

    marks : "best", "second" or "" for cells of the same index and columns: bold and underlined in .md and .tex.
    """
    path = results_folder() / name
    shown = formatted(frame)
    plain = shown
    if marks is not None:
        for column in marks.columns.intersection(shown.columns):
            pairs = zip(marks[column], shown[column], strict=True)
            shown = shown.assign(**{column: [IN_MARKDOWN.get(mark, "{}").format(text) for mark, text in pairs]})
    write_text(path.with_name(path.name + ".csv"), frame.to_csv(index=False))
    # numbers are text by now: tabulate would read them as numbers again and drop trailing zeros
    write_text(path.with_name(path.name + ".md"), shown.to_markdown(index=False, disable_numparse=True) + "\n")
    write_text(path.with_name(path.name + ".tex"), latex(plain, marks))


def marked(frame: pd.DataFrame, marks: pd.DataFrame) -> Styler:
    """The table as a notebook shows it, the best in bold, the second best underlined."""
    return _styled(formatted(frame), marks, IN_HTML)


def latex(shown: pd.DataFrame, marks: pd.DataFrame | None = None) -> str:
    """A booktabs table of `formatted` text, special characters escaped."""
    style = _styled(shown, marks, IN_LATEX).format(escape="latex").format_index(escape="latex", axis="columns")
    return style.to_latex(hrules=True).replace("±", r"$\pm$")


def _styled(shown: pd.DataFrame, marks: pd.DataFrame | None, looks: Mapping[str, str]) -> Styler:
    style = shown.style.hide(axis="index")
    if marks is None:
        return style
    marks = marks.reindex(index=shown.index, columns=shown.columns, fill_value="")
    return style.apply(lambda _: marks.apply(lambda column: column.map(looks).fillna("")), axis=None)


def formatted(frame: pd.DataFrame) -> pd.DataFrame:
    """The same table as text, with the paper's number of decimals; missing values are dashes.

    A column `X_sd` is joined to column X: "mean ± sd", or the mean alone where there is no sd (a single seed).
    """
    shown = frame.copy().astype(object)
    for column in frame.columns:
        decimals = DECIMALS.get(column)
        if decimals is not None:
            shown[column] = [f"{v:.{decimals}f}" if pd.notna(v) else "-" for v in frame[column]]
        if (spread := f"{column}_sd") in frame:
            pairs = zip(shown[column], frame[spread], strict=True)
            shown[column] = [f"{v} ± {sd:.{decimals or 4}f}" if pd.notna(sd) else v for v, sd in pairs]
    shown = shown.where(frame.notna(), "-")
    return shown.drop(columns=[f"{column}_sd" for column in frame if f"{column}_sd" in frame])
