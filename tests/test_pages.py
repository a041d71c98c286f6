"""The generated pages: every printed number, ours beside it, and whether a page is out of date."""

from pathlib import Path

import pytest

from lkca.files import project_root, results_folder
from lkca.pages import BEGIN, END, results_page, stale_pages, with_claims, write_pages
from lkca.paper.beside import agreement, best_of_weights, differences_beside_paper
from lkca.paper.beside_page import beside_page
from lkca.paper.evidence import difference
from lkca.paper.printed import printed_numbers
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
    page = beside_page()
    for number, values in printed_numbers().groupby("table"):
        printed = [row[1] for row in rows_of(page, f"Table {number}:") if len(row) == 7]
        for metric, value in zip(values["metric"], values["value"], strict=True):
            assert (f"{value:.3f}" if metric in ("params_M", "macs_G") else f"{value:.4f}") in printed
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
    best, found = best_of_weights("converged", [0.05, 0.01])
    assert best == 0.05 and found.comparisons == 2
    assert best_of_weights("cpu", [0.05, 0.01]) is None


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


def test_pages_are_stale_until_written_and_after_a_table_changes() -> None:
    write("distillation", distilled())
    assert set(stale_pages()) == {"README.md", "paper-beside-ours.md"}
    readme = (project_root() / "README.md").read_bytes()
    assert {path.parent for path in write_pages()} == {results_folder()}
    assert (project_root() / "README.md").read_bytes() == readme  # these results are not the project's
    assert stale_pages() == []
    write("distillation", [row | {"MPSNR": row["MPSNR"] + 0.1 * row["seed"]} for row in distilled()])
    assert "paper-beside-ours.md" in stale_pages()


def test_the_table_goes_between_its_marks() -> None:
    readme = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert with_claims(readme, "| new |") == f"before\n{BEGIN}\n| new |\n{END}\nafter\n"
    with pytest.raises(ValueError, match="README.md"):
        with_claims(f"before\n{BEGIN}\n", "| new |")


def test_the_index_of_the_committed_results_is_short_and_its_links_lead_somewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LKCA_OUTPUT", str(project_root()))
    page = results_page(verdicts())
    assert len(page.splitlines()) <= MAX_INDEX_LINES
    targets = [part.split(")")[0].split("#")[0] for part in page.split("](")[1:]]
    assert [t for t in targets if not (results_folder() / t).exists() and t != "paper-beside-ours.md"] == []
    assert Path(results_folder() / "converged").is_dir()
