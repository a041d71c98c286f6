"""Tables: one tidy frame becomes CSV (for machines), Markdown (for pages) and LaTeX (booktabs, for papers)."""

import pandas as pd

from lkca.paths import results_folder, write_text

DECIMALS = {"MPSNR": 4, "MSSIM": 4, "SAM": 4, "CC": 4, "RMSE": 4, "ERGAS": 4, "params_M": 3, "macs_G": 3}


def write_table(frame: pd.DataFrame, name: str) -> None:
    """Write `frame` (no index) as results/`name`.csv, .md and .tex; `name` may have a folder in it."""
    path = results_folder() / name
    shown = formatted(frame)
    write_text(path.with_name(path.name + ".csv"), frame.to_csv(index=False))
    # numbers are text by now: tabulate would read them as numbers again and drop trailing zeros
    write_text(path.with_name(path.name + ".md"), shown.to_markdown(index=False, disable_numparse=True) + "\n")
    write_text(path.with_name(path.name + ".tex"), latex(shown))


def latex(shown: pd.DataFrame) -> str:
    """A booktabs table of `formatted` text, special characters escaped."""
    style = shown.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis="columns")
    return style.to_latex(hrules=True).replace("±", r"$\pm$")


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
