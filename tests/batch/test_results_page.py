"""results/README.md: of the files as they are, and what it says of numbers that are known."""

from pathlib import Path

import pandas as pd

from lkca.__main__ import main
from lkca.batch.results_page import results_page, title
from lkca.paths import project_root, results_folder
from lkca.tables import write_table


def test_the_page_is_that_of_the_files() -> None:
    folder = project_root() / "results"
    said = (folder / "README.md").read_text(encoding="utf-8")
    assert said == results_page(folder), "results/README.md is not of the files beside it: `python -m lkca results`"


def test_what_it_says_of_known_numbers() -> None:
    write_table(pd.DataFrame({"model": ["bicubic", "lkca"], "MPSNR": [30.0, 31.5]}), "cpu/table_5_to_7_made_x4")
    write_table(pd.DataFrame({"setting": ["full", "grouped"], "MPSNR": [40.0, 39.0]}), "cpu/upsamplers_table")
    folder = results_folder() / "cpu"
    rows = [("full", 0.2, 0.1), ("grouped, distilled", 0.05, None)]
    differences = pd.DataFrame([(s, m, v, h) for s, v, h in rows for m in ("MPSNR", "SAM", "CC")],
                               columns=["setting", "metric", "mean", "half_width"])  # fmt: skip
    write_table(differences, "cpu/upsamplers_differences")
    pd.DataFrame({"model": ["bicubic", "lkca"], "MPSNR": [30.0, 40.0]}).to_csv(folder / "upsamplers.csv")
    cut = {"k": [1, 2, 4], "cut_MPSNR": [39.4, 39.7, 40.0], "share": [0.3, 0.6, 1.0], "k90": 4, "budget": 2}
    other = {**cut, "cut_MPSNR": [39.4, 39.5, 40.0], "share": [0.3, 0.4, 1.0]}
    seeds = pd.concat([pd.DataFrame(one).assign(run=run) for run, one in (("a", cut), ("b", other))])
    seeds.to_csv(folder / "upsamplers_truncation.csv")
    page = results_page(results_folder())
    assert "- Over bicubic (30.000 dB): lkca +1.500 dB." in page
    assert "| full               | +0.200 ± 0.100 | +0.200 ± 0.100 |" in page
    assert "| grouped, distilled | +0.050         | +0.050         |" in page
    assert "wins back 25 % of what grouping costs" in page
    assert "cut to rank 2 of 4 keeps 96 % of its gain" in page and "hold 50 % of the sum" in page
    assert "(rank 2) the cut loses 0.400 dB" in page


def test_titles() -> None:
    assert title("table_5_to_7_la_aviris_x4") == "Tables V-VII: the networks (la aviris x4)"
    assert title("upsamplers_table") == "Upsamplers of LKCA-Net" and title("something_else") == "something else"


def test_the_command_writes_it(capsys) -> None:
    write_table(pd.DataFrame({"model": ["bicubic"], "MPSNR": [30.0]}), "quickstart/made")
    assert main(["results"]) == 0
    page = Path(capsys.readouterr().out.removeprefix("wrote ").strip())
    assert page == results_folder() / "README.md" and "| bicubic | 30.0000 |" in page.read_text(encoding="utf-8")
