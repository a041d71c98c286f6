"""What the study's tables and sentences say."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from lkca.measures.metrics import METRICS
from lkca.paper.tables import paper_table
from lkca.studies import distillation as c
from lkca.studies.catalogue import distillation_runs, study_runs
from lkca.studies.intervals import with_verdict
from lkca.studies.profiles import PROFILES
from lkca.studies.results import over_seeds
from lkca.tables import formatted, write_table
from lkca.training.losses import decayed_weight

QUESTIONS = {question.varied: question for question in c.QUESTIONS}


def study_frame(profile: str) -> pd.DataFrame:
    """Rows as `study_results` makes them, with made metrics: 30 dB, what distillation adds, and noise of the seed."""
    rows = []
    for run in study_runs("distillation", profile):
        kd = run.settings()["distillation"] or {}
        value = 30 + run.seed + (0.5 + 0.1 * run.seed**2 if kd else 0.0)
        rows.append(
            {"run": run.name, "model": run.model, "seed": run.seed, "blocks": run.options.get("blocks")}
            | {f"kd_{name}": kd.get(name) for name in ("weight", "decay", "l1", "gradient", "cosine")}
            | {"params_M": 1.0, "macs_G": 2.0, **dict.fromkeys(METRICS, value)}
        )
    return pd.DataFrame(rows).sample(frac=1, random_state=1)  # a table's order must not matter


def rows_of(varied: str, profile: str = "small") -> pd.DataFrame:
    return c.rows_of(study_frame(profile), QUESTIONS[varied], profile)


@pytest.mark.parametrize("profile", PROFILES)
def test_runs_that_vary_the_decay_are_long_enough_for_one(profile: str) -> None:
    for run in distillation_runs(PROFILES[profile], ("decay",)):
        if run.distillation and run.distillation.decay < 1:
            assert decayed_weight(1, run.distillation.decay, run.epochs - 1) < 1


def test_every_distilled_run_is_held_against_one_with_its_settings() -> None:
    runs = distillation_runs(PROFILES["cpu"])
    plain = {(run.seed, run.stride, run.epochs) for run in runs if run.model == "lkca-lr"}
    distilled = {(run.seed, run.stride, run.epochs) for run in runs if run.distillation}
    assert plain == distilled and len(plain) == 6
    assert {run.teacher() for run in runs if run.distillation} <= set(runs)


@pytest.mark.parametrize(
    ("varied", "settings"),
    [
        ("decay", ["decay 1", "decay 0.75", "decay 0.66", "decay 0.5"]),
        ("weight", ["weight 1", "weight 0.1", "weight 0.05", "weight 0.01", "weight 0.005"]),
        (
            "terms",
            ["L1 + gradient + cosine", "L1 + gradient", "L1 + cosine", "L1", "gradient + cosine", "gradient", "cosine"],
        ),
    ],
)
def test_settings_are_named_and_the_papers_are_among_them(varied: str, settings: list[str]) -> None:
    frame = rows_of(varied)
    assert frame["setting"].unique().tolist() == [c.TEACHER, c.PLAIN, *settings]
    paper = c.paper_rows(QUESTIONS[varied])
    assert set(paper["setting"]) <= set(frame["setting"])
    default = {"decay": "decay 0.66", "weight": "weight 0.01", "terms": settings[0]}[varied]
    assert paper.set_index("setting")["MPSNR"][[c.PLAIN, default]].tolist() == [40.1691, 40.2351]


def test_differences_are_paired_by_seed() -> None:
    frame = rows_of("decay").sample(frac=1, random_state=0)  # order must not matter
    differences = c.paired_differences(frame).query("metric == 'MPSNR' and setting == 'decay 0.5'").set_index("seed")
    assert np.allclose(differences["difference"][[0, 1, 2]], [0.5, 0.6, 0.9])
    means = c.mean_differences(differences.reset_index())
    expected = ttest_rel([30.5, 31.6, 32.9], [30.0, 31.0, 32.0]).confidence_interval(0.95)
    row = means.iloc[0]
    assert (row["mean"] - row.half_width, row["mean"] + row.half_width) == pytest.approx(expected)


def test_a_verdict_follows_its_interval() -> None:
    means = pd.DataFrame({"mean": [0.5, -0.5, -0.7, 0.5], "half_width": [0.1, 0.6, 0.6, np.nan]})
    verdicts = with_verdict(means)["verdict"].tolist()
    assert verdicts == ["more than chance", "cannot be told from zero", "more than chance", "too few for an interval"]


def test_one_seed_has_no_interval() -> None:
    frame = rows_of("weight", "quick")
    means = c.mean_differences(c.paired_differences(frame))
    assert means["half_width"].isna().all() and means["seeds"].eq(1).all()
    assert np.allclose(means["mean"], 0.5)


def test_growth() -> None:
    paper = paper_table("table1_blocks")
    assert c.saturates_at(paper["blocks"].tolist(), paper["MPSNR"].tolist()) == 32
    told = c.growth(paper)
    assert (told["first N"], told["best N"], told["90 % at N"]) == (4, 64, 32)
    assert told["gain (dB)"] == pytest.approx(0.819, abs=5e-4)
    falling = c.growth(pd.DataFrame({"blocks": [1, 2], "MPSNR": [30.2, 30.1]}))
    assert (falling["best N"], falling["gain (dB)"], falling["90 % at N"], falling["last step up (dB)"]) == (
        1,
        0,
        None,
        None,
    )


def test_the_teacher_is_held_against_its_student_without_it() -> None:
    frame = pd.DataFrame({"setting": [c.TEACHER, c.PLAIN, c.PLAIN, "decay 1"], "MPSNR": [31.0, 30.0, 31.0, 50.0]})
    assert c.teacher_ahead(frame) == 0.5


def test_the_papers_row_follows_ours() -> None:
    ours = pd.DataFrame({"blocks": [4, 8], "MPSNR": [1.0, 2.0], "MPSNR_sd": [0.1, 0.2]})
    both = c.beside(ours, paper_table("table1_blocks"), "blocks")
    assert both["blocks"].tolist() == [4, 4, 8, 8, 16, 32, 48, 64]
    assert both["source"].tolist() == ["ours", "paper", "ours", "paper"] + ["paper"] * 4
    assert formatted(both)["MPSNR"].tolist()[:2] == ["1.0000 ± 0.1000", "39.7607"]


def test_tables_keep_their_decimals_and_are_valid_latex(tmp_path) -> None:
    frame = over_seeds(rows_of("decay"), ["setting"])
    write_table(frame, "quick/kd")
    folder = tmp_path / "output/results/quick"
    markdown = (folder / "kd.md").read_text()
    assert "| 31.0000 ± 1.0000 |" in markdown and "| 1.000 " in markdown
    latex = (folder / "kd.tex").read_text()
    assert r"params\_M" in latex and r"31.0000 $\pm$ 1.0000" in latex and r"\toprule" in latex
    assert pd.read_csv(folder / "kd.csv")["MPSNR_sd"].notna().sum() == 5  # all but the teacher's, which has one seed
