"""What the study's tables say: the paper beside us, the gain of distillation seed by seed, and both in words.

Nothing here knows the outcome: a sentence is made from the numbers that it is about.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from lkca.measures.metrics import METRICS
from lkca.paper.tables import paper_table
from lkca.studies.catalogue import STUDIES
from lkca.tables import PLAIN, TEACHER

CONFIDENCE = 0.95
SATURATED = 0.9  # of the whole gain: what is left after it counts as little

TERMS = {"kd_l1": "L1", "kd_gradient": "gradient", "kd_cosine": "cosine"}


def paper_rows(study: str) -> pd.DataFrame:
    """The paper's table that asks what the study asks, its rows named as `with_setting` names ours."""
    table = paper_table(STUDIES[study].table)
    if study == "block_count":
        return table
    # Tables II-IV vary LKCA-KD alone; what it is held against stands in Table V.
    family = paper_table("table5_chikusei").query("scale == 4")
    if study == "kd_terms":
        named = table[["l1", "gradient", "cosine"]].set_axis(list(TERMS), axis=1)
    else:
        named = table.rename(columns={"decay": "kd_decay"})[["kd_decay", "kd_weight"]]
    table = table.assign(setting=_names(named, study))
    plain = family.query("model == 'lkca-lr'").assign(setting=PLAIN)
    columns = ["setting", *(metric for metric in METRICS if metric in table)]
    return pd.concat([plain, table], ignore_index=True)[columns]


def with_setting(frame: pd.DataFrame, study: str) -> pd.DataFrame:
    """The rows of a distillation study with a column `setting` that says what each is."""
    others = {"lkca": TEACHER, "lkca-lr": PLAIN}
    return frame.assign(setting=frame["model"].map(others).fillna(pd.Series(_names(frame, study), index=frame.index)))


def beside(ours: pd.DataFrame, paper: pd.DataFrame, on: str) -> pd.DataFrame:
    """Both tables as one, with a column `source`; the paper's row of a value of `on` follows ours."""
    both = pd.concat([ours.assign(source="ours"), paper.assign(source="paper")], ignore_index=True)
    order = {value: place for place, value in enumerate(pd.unique(both[on]))}
    both = both.iloc[np.argsort(both[on].map(order), kind="stable")]
    return both[["source", *(column for column in ours if column in both)]].reset_index(drop=True)


def paired_differences(frame: pd.DataFrame) -> pd.DataFrame:
    """Every distilled run minus the LKCA-LR run of the same seed: a row for each setting, seed and metric.

    frame : rows of a study, from `with_setting`. Columns of the result: setting, seed, metric, difference.
    """
    plain = frame[frame["setting"] == PLAIN].set_index("seed")[list(METRICS)]
    distilled = frame[~frame["setting"].isin([PLAIN, TEACHER])].set_index(["setting", "seed"])[list(METRICS)]
    differences = distilled - plain.reindex(distilled.index.get_level_values("seed")).to_numpy()
    return differences.rename_axis(columns="metric").stack().rename("difference").reset_index()


def mean_differences(differences: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds of `paired_differences`, and half the width of its 95 % t-interval; NaN with a single seed.

    Columns: setting, metric, mean, half_width, seeds.
    """
    groups = differences.groupby(["setting", "metric"], sort=False)["difference"]
    table = groups.agg(["mean", "std", "size"]).reset_index()
    n = table["size"].where(table["size"] > 1)
    half = student_t.ppf((1 + CONFIDENCE) / 2, n - 1) * table["std"] / np.sqrt(n)
    return table[["setting", "metric", "mean"]].assign(half_width=half, seeds=table["size"])


def gain_in_words(means: pd.DataFrame, metric: str = "MPSNR", unit: str = "dB") -> list[str]:
    """One sentence for each setting: is the difference from plain LKCA-LR larger than what the seeds do?"""
    sentences = []
    for row in means[means["metric"] == metric].itertuples():
        what = f"{row.setting}: {metric} {row.mean:+.4f} {unit}"
        if np.isnan(row.half_width):
            sentences.append(f"{what} (one seed, so no uncertainty can be given)")
            continue
        clear = abs(row.mean) > row.half_width
        verdict = "more than the seeds explain" if clear else "cannot be told from zero"
        sentences.append(f"{what} ± {row.half_width:.4f} (95 %, {row.seeds} seeds): {verdict}")
    return sentences


def teacher_in_words(frame: pd.DataFrame) -> str:
    """One sentence: is the teacher better than the student is without it?"""
    plain = frame.loc[frame["setting"] == PLAIN, "MPSNR"]
    ahead = frame.loc[frame["setting"] == TEACHER, "MPSNR"].mean() - plain.mean()
    verdict = "better than" if ahead > 0 else "no better than"
    spread = f", whose seeds differ by {plain.std():.4f} dB (standard deviation)" if len(plain) > 1 else ""
    return f"The teacher is {verdict} LKCA-LR without it: {ahead:+.4f} dB{spread}."


def saturates_at(numbers: Sequence[float], values: Sequence[float]) -> float | None:
    """The smallest number that reaches 90 % of the gain from the first value to the best; None if nothing is gained."""
    gains = np.asarray(values, float) - values[0]
    if gains.max() <= 0:
        return None
    return numbers[int(np.argmax(gains >= SATURATED * gains.max()))]


def growth_in_words(who: str, table: pd.DataFrame) -> str:
    """One sentence: how far MPSNR grows with the number of blocks, and where it has (almost) stopped growing."""
    blocks, quality = table["blocks"].tolist(), table["MPSNR"].tolist()
    best = int(np.argmax(quality))
    knee = saturates_at(blocks, quality)
    if knee is None:
        return f"{who}: MPSNR does not grow, {quality[0]:.3f} dB at N = {blocks[0]} is the best."
    steps = np.diff(quality[: best + 1])
    text = (
        f"{who}: {quality[best] - quality[0]:+.3f} dB from N = {blocks[0]} to N = {blocks[best]}, where it is best; "
        f"90 % of that is reached at N = {knee}"
    )
    text += f", the last step up brings {steps[-1]:+.3f} dB"
    spread = table.get("MPSNR_sd", pd.Series(dtype=float)).max()
    return text + (f"; seeds differ by {spread:.3f} dB (largest standard deviation)." if spread > 0 else ".")


def _names(frame: pd.DataFrame, study: str) -> list[str]:
    if study == "kd_decay":
        return [f"decay {value:g}" for value in frame["kd_decay"]]
    if study == "kd_weight":
        return [f"weight {value:g}" for value in frame["kd_weight"]]
    kept = [[name for column, name in TERMS.items() if row[column] > 0] for _, row in frame.iterrows()]
    return [" + ".join(names) for names in kept]
