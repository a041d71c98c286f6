"""Back-projection at test time: measured with every run, and later for runs that lack it."""

import dataclasses
import json

import pytest

from lkca.measures.back_projection import back_project
from lkca.measures.metrics import quality
from lkca.training.corrected import corrected_metrics
from lkca.training.evaluation import low_resolution, predict
from lkca.training.train import train
from tests.training.tiny_run import TINY

BICUBIC = dataclasses.replace(TINY, model="bicubic", options={})


def test_every_run_records_it(split, log) -> None:
    result = train(BICUBIC, "cpu", log.append)
    lr, truth = low_resolution(split.test[0], 4)
    wanted = quality(back_project(predict(result.model(), lr), lr, 5), truth, 4)
    assert corrected_metrics(BICUBIC) == pytest.approx(wanted) and wanted["MPSNR"] > result.metrics["MPSNR"]
    # corrected bicubic is the model of that name
    alone = train(dataclasses.replace(BICUBIC, model="back-projection"), "cpu", log.append)
    assert alone.metrics["MPSNR"] == pytest.approx(wanted["MPSNR"], abs=1e-4)


def test_measured_later_where_it_lacks_and_kept(log) -> None:
    train(BICUBIC, "cpu", log.append)
    recorded = corrected_metrics(BICUBIC)
    path = BICUBIC.folder / "metrics.json"
    content = json.loads(path.read_text())
    content.pop("corrected")
    path.write_text(json.dumps(content))
    assert corrected_metrics(BICUBIC) == pytest.approx(recorded)
    (BICUBIC.folder / "weights.safetensors").unlink()
    assert corrected_metrics(BICUBIC) == pytest.approx(recorded)  # kept beside it
    (BICUBIC.folder / "corrected.json").unlink()
    assert corrected_metrics(BICUBIC) == {}
