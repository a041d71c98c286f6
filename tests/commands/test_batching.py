"""`status`, `figures`, `report`: what they say, draw and return. None of them trains."""

from pathlib import Path

import nbformat
import pandas as pd
import pytest

from lkca.__main__ import main
from lkca.batch import plan as batch
from lkca.paths import results_folder
from lkca.studies.catalogue import study_runs

PARAMETERS = "# Parameters of this notebook\nprofile = 'small'"
NOTEBOOK = """from lkca.studies.results import study_results
from lkca.tables import write_table
write_table(study_results("block_count", profile)[["blocks", "MPSNR"]], f"{profile}/drawn")"""


@pytest.fixture
def notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the only notebook there is: a study's, which writes a table."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    cells = [nbformat.v4.new_code_cell(source) for source in (PARAMETERS, NOTEBOOK)]
    cells[0].metadata["tags"] = ["parameters"]
    cells.insert(0, nbformat.v4.new_markdown_cell("# How many blocks?"))
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "block_count.ipynb")
    monkeypatch.setattr(batch, "notebook_folder", lambda: folder)
    return folder


def write_csv(missing: int = 0) -> None:
    """The study's CSV as if its runs had been done, or all but some of them."""
    runs = study_runs("block_count", "quick")
    rows = [{"run": run.name, "blocks": run.options.get("blocks"), "MPSNR": 30.0} for run in runs]
    path = results_folder() / "quick" / "block_count.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows[missing:]).to_csv(path, index=False)


def test_status_counts_says_why_not_and_fails_until_all_is_done(
    notebooks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = study_runs("block_count", "quick")
    assert main(["status", "block_count"]) == 1
    said = capsys.readouterr().out
    assert f"0 of {len(runs)} runs, 0 of 1 tables, 0 of 1 notebooks done" in said
    assert f"run {runs[0].name}: not started" in said and "notebook block_count: needs the table block_count" in said

    for run in runs:
        run.folder.mkdir(parents=True)
        (run.folder / "metrics.json").write_text("{}")
    write_csv()
    plan = batch.make_plan("block_count", "quick")
    plan.log("block_count").parent.mkdir(parents=True)
    plan.log("block_count").write_text("Executing\nNameError: name 'profil' is not defined\n")
    assert main(["status", "block_count"]) == 1
    said = capsys.readouterr().out
    assert f"{len(runs)} of {len(runs)} runs, 1 of 1 tables, 0 of 1 notebooks done" in said
    assert "notebook block_count: NameError: name 'profil' is not defined" in said

    plan.executed("block_count").parent.mkdir(parents=True)
    plan.executed("block_count").write_text("{}")
    assert main(["status", "block_count"]) == 0
    assert "1 of 1 notebooks done" in capsys.readouterr().out


def test_figures_draws_again_without_training(
    notebooks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Snakemake is asked to execute this notebook and nothing else; it is another process, so only asked here."""
    asked = []
    monkeypatch.setattr("lkca.batch.start.subprocess.Popen", lambda command, **_: asked.append(command) or Done())
    write_csv()
    assert main(["figures", "block_count", "--jobs", "1"]) == 0
    (command,) = asked
    assert command[command.index("--allowed-rules") + 1] == command[command.index("--forcerun") + 1] == "notebook"
    assert command[command.index("--") + 1 :] == ["results/quick/notebooks/block_count.ipynb"]
    assert command[command.index("--cores") + 1] == "1"

    write_csv(missing=1)
    assert main(["figures", "block_count"]) == 1
    printed = capfd.readouterr()
    assert "not drawn: block_count;" in printed.out and "holds other runs than the study has now" in printed.out
    assert printed.err.startswith("error: nothing to draw at profile 'quick'") and len(asked) == 1


class Done:
    """A process that has ended well."""

    pid = 1

    def wait(self) -> int:
        return 0


def test_report_says_where_it_is(notebooks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report"]) == 1
    assert capsys.readouterr().err.startswith("error: no executed notebook in ")
    plan = batch.make_plan("all", "quick")
    plan.executed("block_count").parent.mkdir(parents=True)
    nbformat.write(nbformat.read(notebooks / "block_count.ipynb", 4), plan.executed("block_count"))
    assert main(["report"]) == 0
    page = Path(capsys.readouterr().out.removeprefix("open ").strip())
    assert page.name == "index.html" and "How many blocks?" in page.read_text()
    assert (page.parent / "block_count.html").is_file()
