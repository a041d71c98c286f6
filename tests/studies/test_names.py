"""Names of runs are those of the committed results: a changed name is a run to be trained anew."""

from pathlib import Path

import pandas as pd
import pytest

from lkca.studies.catalogue import STUDIES, study_runs

RESULTS = Path(__file__).parents[2] / "results"
TABLES = [path for name in STUDIES for path in sorted(RESULTS.glob(f"*/{name}.csv"))]


@pytest.mark.parametrize("path", TABLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_runs_of_a_study_have_the_names_of_its_table(path: Path) -> None:
    named = [run.name for run in study_runs(path.stem, path.parent.name)]
    assert len(named) == len(set(named)) and set(named) == set(pd.read_csv(path)["run"])
