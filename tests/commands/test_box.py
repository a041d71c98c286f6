"""`weights`: what is put into the package, and what the record beside it says."""

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest

from lkca.box import KINDS, SCALES, box_file
from lkca.commands import weights as command
from lkca.models import build_model
from lkca.training.box_runs import box_run
from lkca.training.run_folder import Result
from lkca.training.weights import Passport, load_weights, save_weights


@pytest.mark.parametrize("kind", KINDS)
def test_the_record_lists_the_scenes_that_trained(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LKCA_RUNS", str(tmp_path))
    monkeypatch.setattr(command, "box_file", lambda scale, kind: tmp_path / f"{scale}-{kind}.safetensors")
    run = box_run(4, kind)
    run.folder.mkdir()
    passport = Passport(run.model, 24, 4, dict(run.options), 1.0, run=run.name)
    save_weights(run.folder / "weights.safetensors", build_model(run.model, 24, 4, **run.options), passport)
    (run.folder / "provenance.json").write_text('{"commit": "abc"}')
    (run.folder / "settings.json").write_text(run.to_json())
    history = pd.DataFrame({"epoch": [1, 2], "validation": [0.1, 0.3]})
    command.put_into_box(Result(run, {}, {}, history), kind)
    record = json.loads((tmp_path / f"4-{kind}.json").read_text())
    assert record["run"] == run.name and record["provenance"] == {"commit": "abc"} and record["epochs"] == 2
    assert record["params"] == 139_544
    assert len(record["real_scenes"]) == (18 if kind == "real" else 0)
    assert ("hysu" in record["real_scenes"]) == (kind == "real")


def test_what_is_in_the_box_is_small_and_as_its_record_says() -> None:
    found = [box_file(scale, kind) for scale in SCALES for kind in KINDS if box_file(scale, kind).is_file()]
    assert {box_file(scale, "made") for scale in SCALES} <= set(found)
    for path in found:
        record = json.loads(path.with_suffix(".json").read_text())
        assert path.stat().st_size < 1.5e6
        assert hashlib.sha256(path.read_bytes()).hexdigest() == record["sha256"]
        assert load_weights(path)[1].run == record["run"]
