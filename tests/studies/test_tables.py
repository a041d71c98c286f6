"""Tables: collected from runs, read back only if they are current, shown with the paper's decimals."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lkca.files import results_folder
from lkca.metrics import METRICS
from lkca.models import model_names
from lkca.run import RECIPE, Run
from lkca.studies import tables
from lkca.studies.benchmark import paper_case
from lkca.studies.collect import collect
from lkca.studies.tables import (
    formatted,
    mark_best,
    over_seeds,
    read_file,
    study_results,
    styled,
    with_baselines,
    write_table,
)
from lkca.train import train
from lkca.trainer import late_gain
from tests.training.tiny import quiet


@pytest.fixture
def study(make_profile: Callable[..., str]) -> Path:
    """Return the path of the table of a finished study of three runs."""
    make_profile(studies={"block_count": {"blocks": [1]}})
    study_results("block_count", "tiny", "cpu")
    return results_folder() / "tiny" / "block_count.csv"


def test_a_row_says_what_the_run_measured_and_where_it_comes_from(study: Path) -> None:
    rows = pd.read_csv(study).set_index("model")
    assert list(rows.index) == ["bicubic", "back-projection", "lkca"]
    row = rows.loc["lkca"]
    run = Run("synthetic", "tiny", epochs=1, batch=4, stride=16, model="lkca", options={"blocks": 1, "channels": 16})
    result = train(run, "cpu", quiet)
    assert row["run"] == run.name and row["recipe"] == RECIPE and row["commit"] == "test"
    assert row["data_checksum"] == result.provenance["data_checksum"] and row["blocks"] == 1
    assert [row[metric] for metric in METRICS] == pytest.approx([result.metrics[metric] for metric in METRICS])
    assert row["MPSNR_bp"] == pytest.approx(result.back_projected["MPSNR"])
    assert row["late_gain_dB"] == pytest.approx(late_gain(result.history)) and np.isnan(rows["late_gain_dB"].iloc[0])
    curves = pd.read_csv(study.with_name("block_count_training.csv"))
    assert curves["run"].tolist() == [run.name] and curves["validation"][0] == pytest.approx(
        result.history["validation"][0], abs=1e-4
    )


def test_rows_of_runs_elsewhere_are_kept_if_their_recipe_is_the_present_one(study: Path) -> None:
    files = [study, study.with_name("block_count_training.csv")]
    before = [path.read_bytes() for path in files]
    frame = pd.read_csv(study)
    shutil.rmtree(next(Path(study.parents[3] / "runs").glob(f"{frame['run'][2]}")))
    with pytest.raises(FileNotFoundError, match="not finished"):
        collect("block_count", "tiny")
    collect("block_count", "tiny", keep=True)
    assert [path.read_bytes() for path in files] == before
    files[1].unlink()  # the epochs of a run elsewhere cannot be made here
    collect("block_count", "tiny", keep=True)
    assert files[0].read_bytes() == before[0] and files[1].read_text() == "run,model,epoch,validation\n"
    frame.assign(recipe=RECIPE - 1).to_csv(study, index=False)
    with pytest.raises(ValueError, match=rf"{study.name}: 1 rows have another recipe"):
        collect("block_count", "tiny", keep=True)


def test_a_current_table_is_read_and_another_is_made_again(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = study.read_text()
    capsys.readouterr()
    monkeypatch.setattr(tables, "train", lambda *_: pytest.fail("the table is current"))
    assert len(study_results("block_count", "tiny", "cpu")) == 3 and not capsys.readouterr().out
    monkeypatch.setattr(tables, "train", train)
    lacks, more = whole[: whole.rindex("synthetic-")], whole + whole.splitlines()[-1].replace("-lkca-", "-another-")
    for damaged in ("", "other,columns\n1,2\n", 'run,MPSNR\n"broken', lacks, more):
        study.write_text(damaged)
        study_results("block_count", "tiny", "cpu")
        assert study.read_text() == whole and "block_count.csv" in capsys.readouterr().out
    study.write_text(pd.read_csv(study).assign(recipe=RECIPE - 1).to_csv(index=False))
    study_results("block_count", "tiny", "cpu")
    assert "3 of 3 rows have another recipe" in capsys.readouterr().out


def test_a_missing_file_names_the_command_that_writes_it() -> None:
    with pytest.raises(FileNotFoundError, match="lkca collect upsamplers --profile quick"):
        read_file("upsamplers", "time", "quick")


def runs(values: dict[str, list[float]]) -> pd.DataFrame:
    """Return rows of runs: MPSNR by model and seed, MPSNR_bp 0.2 dB above; the other metrics are 1."""
    rows = [(model, seed, value) for model, found in values.items() for seed, value in enumerate(found)]
    frame = pd.DataFrame(rows, columns=["model", "seed", "MPSNR"]).assign(blocks=2, params_M=1.0, macs_G=2.0)
    return frame.assign(MPSNR_bp=frame["MPSNR"] + 0.2, SAM_bp=3.0, **dict.fromkeys(METRICS[1:], 1.0))


def test_means_over_seeds_stand_below_the_baselines() -> None:
    frame = runs({"bicubic": [39.0], "back-projection": [39.4], "lkca": [39.1, 40.1, 41.1]})
    table = with_baselines(over_seeds(frame[frame["model"] == "lkca"], ["blocks"]), frame, "blocks")
    assert table["blocks"].tolist() == ["bicubic", "back-projection", 2]
    assert table["MPSNR"].tolist() == pytest.approx([39.0, 39.4, 40.1]) and table["MPSNR_sd"][2] == pytest.approx(1)
    assert table["MPSNR_bp"].tolist() == pytest.approx([39.2, 39.6, 40.3]) and table["seeds"].tolist() == [1, 1, 3]
    shown = formatted(table)
    assert shown["MPSNR"].tolist() == ["39.0000", "39.4000", "40.1000 ± 1.0000"] and shown["params_M"][2] == "1.000"
    assert "MPSNR_sd" not in shown


def test_a_table_is_written_as_csv_and_latex_with_marks() -> None:
    table = paper_case("chikusei", 4).assign(MPSNR_sd=0.1, source="paper")
    write_table(table, "quick/paper", mark_best(table))
    csv, latex = (results_folder() / "quick" / f"paper{end}" for end in (".csv", ".tex"))
    assert pd.read_csv(csv)["MPSNR"].tolist() == table["MPSNR"].tolist()
    assert r"\underline{40.3711 $\pm$ 0.1000}" in latex.read_text()
    assert r"params\_M" in latex.read_text() and r"\textbf{40.6626 $\pm$ 0.1000}" in latex.read_text()
    assert r"\toprule" in latex.read_text() and "font-weight: bold" in styled(table, mark_best(table)).to_html()


def test_best_and_second_follow_the_metric_and_its_source() -> None:
    paper = paper_case("chikusei", 4)
    ours = paper.assign(source="ours", MPSNR=paper["MPSNR"][::-1].to_numpy())
    both = pd.concat([ours, paper.assign(source="paper")], ignore_index=True)
    marks = both[["model", "source"]].join(mark_best(both))
    paper_marks = marks[marks["source"] == "paper"].set_index("model")
    assert paper_marks.index[paper_marks["SAM"] == "second"].tolist() == ["lkca"]
    assert paper_marks.index[paper_marks["RMSE"] == "second"].tolist() == ["sspsr", "lkca"]  # equal values
    ours = marks[marks["source"] == "ours"].set_index("model")
    mirrored = dict(zip(model_names(), reversed(model_names()), strict=True))
    assert ours.index[ours["MPSNR"] == "best"].tolist() == [mirrored["essaformer"]]


def test_a_profile_without_the_study_is_refused(make_profile: Callable[..., str]) -> None:
    with pytest.raises(ValueError, match="'tiny' has no runs for the study 'scenes'"):
        collect("scenes", make_profile(studies={}))
