"""The generated pages: every printed number, ours beside it, and whether a page is out of date."""

import pytest

from lkca.files import project_root, results_folder
from lkca.metrics import METRICS
from lkca.pages import BEGIN, END, pages, with_claims, write_pages
from lkca.paper.beside import agreement, differences_beside_paper
from lkca.paper.beside_page import beside_page
from lkca.paper.evidence import difference
from lkca.paper.printed import COSTS, TABLES, printed_table
from lkca.paper.verdicts import verdicts
from tests.paper.results_made import run, write, write_table

SEEDS = range(3)
MAX_INDEX_LINES = 150


def distilled() -> list[dict[str, object]]:
    """Return LKCA-LR at 30.7 dB and LKCA-KD: 30.75 dB, less without the cosine term, most at λ = 0.05."""
    changes = [({}, 30.75), ({"kd_cosine": 0.0}, 30.71), ({"kd_weight": 0.05}, 30.8), ({"kd_decay": 1.0}, 30.7)]
    kd = [
        run("lkca-kd", q + s / 1000 * (1 + n), seed=s, **change) for n, (change, q) in enumerate(changes) for s in SEEDS
    ]
    return [*kd, *(run("lkca-lr", 30.7, seed=seed) for seed in SEEDS)]


def rows_of(page: str, section: str) -> list[list[str]]:
    """Return the cells of every table row in a section of the page."""
    text = page.split(f"\n## {section}", 1)[1].split("\n## ", 1)[0]
    return [
        [cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.splitlines() if line.startswith("|")
    ]


def test_every_printed_number_has_a_row_with_ours_beside_it() -> None:
    write("distillation", distilled())
    write("block_count", [run("lkca", 31.25, blocks=4, seed=seed) for seed in SEEDS])
    costs = [{"blocks": 4, "params_M": 2.81, "macs_G": 0.7}]
    write_table("cost/table_1_costs", costs)
    page = beside_page(verdicts())
    for number, name in TABLES.items():
        printed = [row[:2] for row in rows_of(page, f"Table {number}:")]
        for metric, values in printed_table(name).filter([*COSTS, *METRICS]).items():
            cells = [value for label, value in printed if label.endswith(f": {metric}")]
            assert cells == [f"{value:.{3 if metric in COSTS else 4}f}" for value in values.dropna()]
    table = {row[0]: row for row in rows_of(page, "Table I:")}
    assert table["N = 4: MPSNR"][1:] == ["39.7607", "-", "31.2500 ± 0.0000", "-", "dB; seeds -, 3, -", "open"]
    assert table["N = 4: params_M"][1:5] == 4 * ["2.810"] and table["N = 4: params_M"][-1] == "confirmed"
    assert table["N = 4: macs_G"][-1] == "open"  # ours is another number
    decay = {row[0]: row for row in rows_of(page, "Table II:")}["decay 1 - 0.66"]
    assert decay[1] == "Chikusei x4 -0.0631" and decay[3].startswith("-0.047") and decay[-1] == "confirmed"


def test_differences_are_the_papers_points_and_ours_with_intervals() -> None:
    write("distillation", distilled())
    frame = differences_beside_paper().set_index(["comparison", "source"])
    assert len(frame.loc["LKCA-KD - LKCA-LR"]) == 6  # none of ours
    cosine = frame.loc["with - without the cosine term"]
    assert cosine.loc["paper, Chikusei x4", "mean"] == pytest.approx(0.0348)
    ours = cosine.loc["converged, distillation"]
    assert ours["low"] < ours["mean"] < ours["high"] and ours["n"] == 3


def test_the_best_weight_is_corrected_for_the_choice() -> None:
    write("distillation", distilled())
    gains = [0.1 + seed * 0.003 for seed in SEEDS]
    lines = [line for line in beside_page(verdicts()).splitlines() if "best of" in line]
    assert len(lines) == 1 and lines[0].startswith("- `converged`: the best of 2 weights, λ = 0.05")
    assert f"{difference(gains, 'seeds', comparisons=2)} dB, 3 seeds" in lines[0]


@pytest.mark.parametrize(
    ("printed", "ours", "word"),
    [
        ([0.066, 0.033, -0.0265], [0.05, 0.06, 0.055], "confirmed"),  # of the sign of the printed mean
        ([0.066], [-0.05, -0.06, -0.055], "refuted"),
        ([0.066], [0.001, 0.0, -0.001], "weakened"),
        ([0.01], [0.001, 0.0, -0.001], "confirmed"),
        ([0.066], [0.5, -0.5, 0.1], "open"),
        ([0.066], [0.5], "open"),
    ],
)
def test_agreement(printed: list[float], ours: list[float], word: str) -> None:
    assert agreement(printed, difference(ours, "seeds")) == word


def test_pages_are_written_and_change_with_the_tables() -> None:
    write("distillation", distilled())
    readme = (project_root() / "README.md").read_bytes()
    written = write_pages()
    assert written == [results_folder() / "paper-beside-ours.md", results_folder() / "README.md"]
    assert (project_root() / "README.md").read_bytes() == readme  # these results are not the project's
    assert [path.read_text() for path in written] == list(pages().values())
    write("distillation", [row | {"MPSNR": row["MPSNR"] + 0.1 * row["seed"]} for row in distilled()])
    assert written[0].read_text() != pages()[written[0]]


def test_the_table_goes_between_its_marks() -> None:
    readme = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert with_claims(readme, "| new |") == f"before\n{BEGIN}\n| new |\n{END}\nafter\n"
    with pytest.raises(ValueError, match="README.md"):
        with_claims(f"before\n{BEGIN}\n", "| new |")


def test_the_committed_pages_are_up_to_date_and_the_links_of_the_short_index_lead_somewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("LKCA_OUTPUT")
    texts = pages()
    stale = [path.name for path, text in texts.items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run `lkca results` and commit what it writes"
    page = texts[results_folder() / "README.md"]
    assert len(page.splitlines()) <= MAX_INDEX_LINES
    targets = [part.split(")")[0].split("#")[0] for part in page.split("](")[1:]]
    assert [t for t in targets if not (results_folder() / t).exists() and t != "paper-beside-ours.md"] == []
