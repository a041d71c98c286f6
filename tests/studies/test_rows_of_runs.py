"""A table is read only where it holds exactly the runs that are asked for."""

from pathlib import Path

import pandas as pd
import pytest

from lkca.studies import rows_of_runs
from lkca.studies.rows_of_runs import read_or_train, read_rows
from lkca.training.run import Run

ONE, TWO, THREE = (Run("synthetic", model="lkca-lr", seed=seed) for seed in range(3))


def write(path: Path, *runs: Run) -> None:
    pd.DataFrame({"run": [run.name for run in runs], "MPSNR": [run.seed for run in runs]}).to_csv(path, index=False)


def test_rows_are_of_exactly_these_runs(tmp_path: Path) -> None:
    path = tmp_path / "study.csv"
    assert read_rows(path, [ONE]) is None  # missing
    write(path, TWO, ONE)
    assert read_rows(path, [ONE, TWO])["MPSNR"].tolist() == [1, 0]
    assert read_rows(path, [ONE]) is None and read_rows(path, [ONE, TWO, THREE]) is None
    assert read_rows(path, [ONE], among_others=True)["MPSNR"].tolist() == [0]
    assert read_rows(path, [ONE, THREE], among_others=True) is None


@pytest.mark.parametrize("damage", ["", "other,columns\n1,2\n", 'run,MPSNR\n"broken', "\0\xff"])
def test_a_damaged_table_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    path, trained, said = tmp_path / "study.csv", [], []
    path.write_bytes(damage.encode("latin-1"))
    monkeypatch.setattr(rows_of_runs, "train", lambda run, *_: trained.append(run))
    frame = read_or_train(path, [ONE, TWO], lambda: pd.DataFrame({"made": [1]}), "cpu", said.append)
    assert trained == [ONE, TWO] and list(frame) == ["made"] and "damaged" in said[0]
    write(path, ONE, TWO)
    assert len(read_or_train(path, [ONE, TWO], lambda: pytest.fail("it is there"))) == 2 and len(trained) == 2
