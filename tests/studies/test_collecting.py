"""Collecting a study's table, also where some of its runs were done elsewhere; what is made of its rows."""

import dataclasses
import shutil

import pandas as pd
import pytest

from lkca.measures.metrics import METRICS
from lkca.paths import results_folder
from lkca.studies.convergence import write_curves
from lkca.studies.results import over_seeds, with_untrained, write_rows
from lkca.training.train import train
from tests.training.tiny_run import TINY


def test_rows_of_runs_that_are_not_here_are_kept_if_the_code_is_that_of_now() -> None:
    here, away = TINY, dataclasses.replace(TINY, seed=1)
    for run in (here, away):
        train(run, "cpu", log=lambda line: None)
    write_curves([here, away], "block_count", "quick")
    write_rows([here, away], "quick/block_count")
    files = [results_folder() / "quick" / f"block_count{end}.csv" for end in ("", "_training")]
    before = [path.read_bytes() for path in files]
    shutil.rmtree(away.folder)
    with pytest.raises(FileNotFoundError, match="not finished"):
        write_rows([here, away], "quick/block_count")
    write_curves([here, away], "block_count", "quick", keep=True)
    frame = write_rows([here, away], "quick/block_count", keep=True)
    assert [path.read_bytes() for path in files] == before and frame["run"].tolist() == [here.name, away.name]
    frame.assign(code="000000-000000").to_csv(files[0], index=False)
    with pytest.raises(ValueError, match="1 rows cannot be kept, other code made them"):
        write_rows([here, away], "quick/block_count", keep=True)


def test_tables_show_what_corrections_bring_and_what_is_to_beat() -> None:
    rows = [("bicubic", 0, 39.0, 39.4), ("back-projection", 0, 39.4, 39.4)]
    rows += [("lkca", seed, 39.1 + seed, 39.3 + seed) for seed in range(3)]
    frame = pd.DataFrame(rows, columns=["model", "seed", "MPSNR", "MPSNR_bp"]).assign(blocks=2, params_M=1, macs_G=1)
    frame = frame.assign(**{metric: 1.0 for metric in METRICS if metric != "MPSNR"}, SAM_bp=3.0)
    table = with_untrained(over_seeds(frame[frame["model"] == "lkca"], ["blocks"]), frame, "blocks")
    assert table["blocks"].tolist() == ["bicubic", "back-projection", 2]
    assert table["MPSNR"].tolist() == pytest.approx([39.0, 39.4, 40.1])
    assert table["MPSNR_bp"].tolist() == pytest.approx([39.4, 39.4, 40.3])
    assert table["SAM_bp"].tolist() == [3.0] * 3 and table["seeds"].tolist() == [1, 1, 3]
    assert "MPSNR_bp" not in over_seeds(frame.drop(columns=["MPSNR_bp", "SAM_bp"]), ["blocks"])
