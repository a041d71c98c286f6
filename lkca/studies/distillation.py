"""Does distillation gain more than the variation from seed to seed? (Tables II, III and IV)"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from lkca.metrics import METRICS
from lkca.paper.printed import DECAY, TERMS, WEIGHT, printed_table
from lkca.run import Distillation, Run
from lkca.studies import Study
from lkca.studies.profile import Profile, load_profile

DECAYS = (1.0, 0.75, 0.66, 0.5)  # Table II
WEIGHTS = (1.0, 0.1, 0.05, 0.01, 0.005)  # Table III: the paper's λ
LOSSES = {"l1": "L1", "gradient": "gradient", "cosine": "cosine"}  # Table IV
PLAIN, TEACHER = "LKCA-LR, not distilled", "teacher"  # rows to compare the distilled ones with


@dataclass(frozen=True)
class Question:
    """One setting of the distillation that is varied.

    varied : "decay", "weight" or "terms". title : in words. table : name of our table, after the paper's.
    printed : name of the paper's table, for `printed_table`.
    """

    varied: str
    title: str
    table: str
    printed: str


QUESTIONS = (
    Question("decay", "Decay of the distillation", "table_2_decay", DECAY),
    Question("weight", "Weight of the distillation", "table_3_weight", WEIGHT),
    Question("terms", "Terms of the distillation loss", "table_4_terms", TERMS),
)


def distillation_runs(profile: Profile, varied: Sequence[str] = ("decay", "weight", "terms")) -> list[Run]:
    """Return the runs that vary the decay, weight or terms of the distillation, after the runs to compare them with.

    Those are the teachers, and LKCA-LR of the same settings and seeds, not distilled.
    """
    section = profile.section("distillation")
    distilled = [
        profile.run("lkca-kd", seed, distillation=distillation, **settings)
        for name in varied
        for distillation, settings in _varied(name, section)
        for seed in profile.seeds
    ]
    plain = [replace(run, model="lkca-lr", distillation=None) for run in distilled]
    return list(dict.fromkeys([*(run.teacher() for run in distilled), *plain, *distilled]))


def _varied(name: str, section: dict[str, object]) -> Iterator[tuple[dict[str, float], dict[str, object]]]:
    """Yield the settings of the distillation and those of the run, for each value that is tried."""
    if name == "decay":
        yield from (({"decay": decay}, section.get("decay_settings", {})) for decay in DECAYS)
    elif name == "weight":
        yield from (({"weight": weight}, {}) for weight in WEIGHTS)
    else:  # every subset with at least min_terms; without any term nothing is distilled
        for kept in itertools.product((True, False), repeat=len(LOSSES)):
            if sum(kept) >= section.get("min_terms", 1):
                terms = zip(LOSSES, kept, strict=True)
                yield {term: getattr(Distillation, term) if on else 0.0 for term, on in terms}, {}


def _runs(profile: Profile, _: dict) -> list[Run]:
    return profile.baselines() + distillation_runs(profile)


STUDY = Study("distillation", "Does distillation gain more than the variation between seeds? (Tables II-IV)", _runs)


def rows_of(frame: pd.DataFrame, question: Question, profile: str) -> pd.DataFrame:
    """Return the rows of the study's table that answer a question, named in a column `setting`."""
    names = [run.name for run in distillation_runs(load_profile(profile), (question.varied,))]
    rows = frame.set_index("run").loc[names].reset_index()
    others = rows["model"].map({"lkca": TEACHER, "lkca-lr": PLAIN})
    return rows.assign(setting=others.fillna(_settings(rows, question)))


def paper_rows(question: Question) -> pd.DataFrame:
    """Return the paper's table that answers the question, its rows named as `rows_of` names ours."""
    table = printed_table(question.printed)
    named = table.rename(columns={"decay": "kd_decay", **{term: f"kd_{term}" for term in LOSSES}})
    table = table.assign(setting=_settings(named, question))
    # Tables II-IV list LKCA-KD alone; LKCA-LR stands in Table V.
    plain = printed_table("table5_chikusei").query("scale == 4 and model == 'lkca-lr'").assign(setting=PLAIN)
    columns = ["setting", *(metric for metric in METRICS if metric in table)]
    return pd.concat([plain, table], ignore_index=True)[columns]


def _settings(frame: pd.DataFrame, question: Question) -> pd.Series:
    """Name each row by what is varied, such as "decay 0.66" or "L1 + cosine"."""
    if question.varied != "terms":
        return frame[f"kd_{question.varied}"].map(lambda value: f"{question.varied} {value:g}")
    kept = frame[[f"kd_{term}" for term in LOSSES]].set_axis(list(LOSSES.values()), axis=1) > 0
    return kept.apply(lambda row: " + ".join(row.index[row]), axis=1)
