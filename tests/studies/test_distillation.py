"""What the study's tables and sentences say."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from lkca.measures.metrics import METRICS
from lkca.studies import distillation as c
from lkca.studies.catalogue import study_runs
from lkca.studies.results import over_seeds
from lkca.tables import formatted, write_table


def study_frame(study: str, profile: str = "small") -> pd.DataFrame:
    """Rows as `study_results` makes them, with made metrics: 30 dB, what distillation adds, and noise of the seed."""
    rows = []
    for run in study_runs(study, profile):
        kd = run.settings()["distillation"] or {}
        value = 30 + run.seed + (0.5 + 0.1 * run.seed**2 if kd else 0.0)
        rows.append(
            {"run": run.name, "model": run.model, "seed": run.seed, "blocks": run.options.get("blocks")}
            | {f"kd_{name}": kd.get(name) for name in ("weight", "decay", "l1", "gradient", "cosine")}
            | {"params_M": 1.0, "macs_G": 2.0, **dict.fromkeys(METRICS, value)}
        )
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("study", "settings"),
    [
        ("kd_decay", ["decay 1", "decay 0.75", "decay 0.66", "decay 0.5"]),
        ("kd_weight", ["weight 1", "weight 0.1", "weight 0.05", "weight 0.01", "weight 0.005"]),
        (
            "kd_terms",
            ["L1 + gradient + cosine", "L1 + gradient", "L1 + cosine", "L1", "gradient + cosine", "gradient", "cosine"],
        ),
    ],
)
def test_settings_are_named_and_the_papers_are_among_them(study: str, settings: list[str]) -> None:
    frame = c.with_setting(study_frame(study), study)
    assert frame["setting"].unique().tolist() == [c.TEACHER, c.PLAIN, *settings]
    paper = c.paper_rows(study)
    assert set(paper["setting"]) <= set(frame["setting"])
    default = {"kd_decay": "decay 0.66", "kd_weight": "weight 0.01", "kd_terms": settings[0]}[study]
    assert paper.set_index("setting")["MPSNR"][[c.PLAIN, default]].tolist() == [40.1691, 40.2351]


def test_differences_are_paired_by_seed() -> None:
    frame = c.with_setting(study_frame("kd_decay"), "kd_decay").sample(frac=1, random_state=0)  # order must not matter
    differences = c.paired_differences(frame).query("metric == 'MPSNR' and setting == 'decay 0.5'").set_index("seed")
    assert np.allclose(differences["difference"][[0, 1, 2]], [0.5, 0.6, 0.9])
    means = c.mean_differences(differences.reset_index())
    expected = ttest_rel([30.5, 31.6, 32.9], [30.0, 31.0, 32.0]).confidence_interval(0.95)
    row = means.iloc[0]
    assert (row["mean"] - row.half_width, row["mean"] + row.half_width) == pytest.approx(expected)


def test_gain_in_words_says_what_the_numbers_say() -> None:
    means = pd.DataFrame(
        [("a", "MPSNR", 0.5, 0.1, 3), ("b", "MPSNR", -0.5, 0.6, 3), ("c", "MPSNR", 0.5, np.nan, 1)],
        columns=["setting", "metric", "mean", "half_width", "seeds"],
    )
    clear, unclear, single = c.gain_in_words(means)
    assert "+0.5000 dB ± 0.1000" in clear and "more than the seeds explain" in clear
    assert "-0.5000" in unclear and "cannot be told from zero" in unclear
    assert "no uncertainty" in single


def test_one_seed_has_no_interval() -> None:
    frame = c.with_setting(study_frame("kd_weight", "quick"), "kd_weight")
    means = c.mean_differences(c.paired_differences(frame))
    assert means["half_width"].isna().all() and means["seeds"].eq(1).all()
    assert np.allclose(means["mean"], 0.5)


def test_growth() -> None:
    paper = c.paper_rows("block_count")
    assert c.saturates_at(paper["blocks"].tolist(), paper["MPSNR"].tolist()) == 32
    assert "+0.819 dB from N = 4 to N = 64" in c.growth_in_words("paper", paper)
    falling = pd.DataFrame({"blocks": [1, 2], "MPSNR": [30.2, 30.1]})
    assert "does not grow" in c.growth_in_words("ours", falling)


def test_the_papers_row_follows_ours() -> None:
    ours = pd.DataFrame({"blocks": [4, 8], "MPSNR": [1.0, 2.0], "MPSNR_sd": [0.1, 0.2]})
    both = c.beside(ours, c.paper_rows("block_count"), "blocks")
    assert both["blocks"].tolist() == [4, 4, 8, 8, 16, 32, 48, 64]
    assert both["source"].tolist() == ["ours", "paper", "ours", "paper"] + ["paper"] * 4
    assert formatted(both)["MPSNR"].tolist()[:2] == ["1.0000 ± 0.1000", "39.7607"]


def test_tables_keep_their_decimals_and_are_valid_latex(tmp_path) -> None:
    frame = over_seeds(c.with_setting(study_frame("kd_decay"), "kd_decay"), ["setting"])
    write_table(frame, "quick/kd")
    folder = tmp_path / "output/results/quick"
    markdown = (folder / "kd.md").read_text()
    assert "| 31.0000 ± 1.0000 |" in markdown and "| 1.000 " in markdown
    latex = (folder / "kd.tex").read_text()
    assert r"params\_M" in latex and r"31.0000 $\pm$ 1.0000" in latex and r"\toprule" in latex
    assert pd.read_csv(folder / "kd.csv")["MPSNR_sd"].notna().sum() == 5  # all but the teacher's, which has one seed
