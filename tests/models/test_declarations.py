"""A model is declared once: names, looks, figures and the command that lists them follow."""

import re

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.colors import is_color_like
from torch import nn

from lkca.__main__ import main
from lkca.figures.benchmark import quality_against_cost
from lkca.figures.style import COLOURS, LABELS, MARKERS
from lkca.models import MODELS, Model, build_model, model_names, model_options
from lkca.models.vdsr import VDSR

matplotlib.use("Agg")


def test_every_model_has_its_looks() -> None:
    assert all(is_color_like(COLOURS[name]) and MARKERS[name] and LABELS[name] for name in MODELS)
    for looks in (COLOURS, LABELS):
        assert len(set(looks.values())) == len(looks) == len(MODELS) + 1  # with the truth, and no two alike
    with pytest.raises(KeyError):
        LABELS["nothing"]
    assert LABELS.get("nothing", "as it is") == "as it is"


def test_a_declaration_is_all_that_a_new_model_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(MODELS, "new", Model(VDSR, "New-Net", "#123456", "*", of_paper=False, small={"blocks": 1}))
    assert "new" not in model_names() and model_options("new")["upsampler"] == "own"
    assert isinstance(build_model("new", 3, 2, blocks=1, channels=16, upsampler="grouped", groups=4), nn.Module)
    main(["models"])
    lines = capsys.readouterr().out.splitlines()
    assert [re.split(r"\s{1,}", line)[0] for line in lines] == list(MODELS)
    assert lines[-1].endswith("not of the paper") and "channels=64" in lines[-1]
    table = pd.DataFrame({"model": list(MODELS), "MPSNR": 30.0, "macs_G": 1.0, "params_M": 1.0})
    figure = quality_against_cost(table, table[:0], "the paper", "title")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()].count("New-Net") == 1
    assert {text.get_text() for text in legend.get_texts()} == {model.label for model in MODELS.values()}
    plt.close(figure)
