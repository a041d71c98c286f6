"""What distillation gains, and where quality stops growing: the paper beside us, differences seed by seed.

Nothing here knows the outcome: what is said is computed from the numbers that it is about.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lkca.measures.metrics import METRICS
from lkca.paper.tables import paper_table
from lkca.studies.catalogue import distillation_runs
from lkca.studies.intervals import over
from lkca.studies.profiles import find_profile
from lkca.tables import PLAIN, TEACHER

SATURATED = 0.9  # of the whole gain: what is left after it counts as little

TERMS = {"kd_l1": "L1", "kd_gradient": "gradient", "kd_cosine": "cosine"}


@dataclass(frozen=True)
class Question:
    """One question to the distillation.

    varied : "decay", "weight" or "terms". title : in words. table : our table's name, after the paper's.
    printed : the paper's table that asks the same, in `lkca/paper/printed`.
    """

    varied: str
    title: str
    table: str
    printed: str


QUESTIONS = (
    Question("decay", "Decay of the distillation", "table_2_decay", "table2_decay"),
    Question("weight", "Weight of the distillation", "table_3_weight", "table3_kd_weight"),
    Question("terms", "Terms of the distillation loss", "table_4_terms", "table4_kd_terms"),
)


def paper_rows(question: Question) -> pd.DataFrame:
    """The paper's table that asks the same, its rows named as `rows_of` names ours."""
    # Tables II-IV vary LKCA-KD alone; what it is held against stands in Table V.
    table = paper_table(question.printed)
    plain = paper_table("table5_chikusei").query("scale == 4 and model == 'lkca-lr'").assign(setting=PLAIN)
    named = table.rename(columns={"decay": "kd_decay", **{name.removeprefix("kd_"): name for name in TERMS}})
    table = table.assign(setting=_names(named, question))
    columns = ["setting", *(metric for metric in METRICS if metric in table)]
    return pd.concat([plain, table], ignore_index=True)[columns]


def rows_of(frame: pd.DataFrame, question: Question, profile: str) -> pd.DataFrame:
    """The rows of the study `distillation` that answer one question, with a column `setting` that says what each is."""
    names = dict.fromkeys(run.name for run in distillation_runs(find_profile(profile), (question.varied,)))
    rows = frame.set_index("run").loc[list(names)].reset_index()
    others = {"lkca": TEACHER, "lkca-lr": PLAIN}
    named = pd.Series(_names(rows, question), index=rows.index)
    return rows.assign(setting=rows["model"].map(others).fillna(named))


def beside(ours: pd.DataFrame, paper: pd.DataFrame, on: str) -> pd.DataFrame:
    """Both tables as one, with a column `source`; the paper's row of a value of `on` follows ours."""
    both = pd.concat([ours.assign(source="ours"), paper.assign(source="paper")], ignore_index=True)
    order = {value: place for place, value in enumerate(pd.unique(both[on]))}
    both = both.iloc[np.argsort(both[on].map(order), kind="stable")]
    return both[["source", *(column for column in ours if column in both)]].reset_index(drop=True)


def paired_differences(frame: pd.DataFrame) -> pd.DataFrame:
    """Every distilled run minus the LKCA-LR run of the same seed: a row for each setting, seed and metric.

    frame : rows of a study, from `rows_of`. Columns of the result: setting, seed, metric, difference.
    """
    plain = frame[frame["setting"] == PLAIN].set_index("seed")[list(METRICS)]
    distilled = frame[~frame["setting"].isin([PLAIN, TEACHER])].set_index(["setting", "seed"])[list(METRICS)]
    differences = distilled - plain.reindex(distilled.index.get_level_values("seed")).to_numpy()
    return differences.rename_axis(columns="metric").stack().rename("difference").reset_index()


def mean_differences(differences: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds of `paired_differences`, and half of its 95 % t-interval; NaN with a single seed.

    Columns: setting, metric, mean, half_width, seeds.
    """
    return over(differences, "seeds")[["setting", "metric", "mean", "half_width", "seeds"]]


def teacher_ahead(frame: pd.DataFrame) -> float:
    """MPSNR of the teacher minus that of LKCA-LR without it, in dB."""
    quality = frame.groupby("setting")["MPSNR"].mean()
    return float(quality[TEACHER] - quality[PLAIN])


def saturates_at(numbers: Sequence[float], values: Sequence[float]) -> float | None:
    """The smallest number that reaches 90 % of the gain from the first value to the best; None if nothing is gained."""
    gains = np.asarray(values, float) - values[0]
    if gains.max() <= 0:
        return None
    return numbers[int(np.argmax(gains >= SATURATED * gains.max()))]


def growth(table: pd.DataFrame) -> dict[str, float | None]:
    """How far MPSNR grows with the number of blocks: gain from the first N to the best, and where it flattens.

    table : rows of rising `blocks` with MPSNR. "90 % at N" is None where nothing is gained.
    """
    blocks, quality = table["blocks"].tolist(), table["MPSNR"].tolist()
    best = int(np.argmax(quality))
    last = quality[best] - quality[best - 1] if best else None
    return {
        "first N": blocks[0],
        "best N": blocks[best],
        "gain (dB)": quality[best] - quality[0],
        "90 % at N": saturates_at(blocks, quality),
        "last step up (dB)": last,
    }


def _names(frame: pd.DataFrame, question: Question) -> list[str]:
    if question.varied != "terms":
        return [f"{question.varied} {value:g}" for value in frame[f"kd_{question.varied}"]]
    kept = [[name for column, name in TERMS.items() if row[column] > 0] for _, row in frame.iterrows()]
    return [" + ".join(names) for names in kept]
