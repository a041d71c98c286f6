"""Collecting a study's table where some of its runs were done elsewhere."""

import dataclasses
import shutil

import pytest

from lkca.paths import results_folder
from lkca.studies.convergence import write_curves
from lkca.studies.results import write_rows
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
