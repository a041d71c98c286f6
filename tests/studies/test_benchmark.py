"""The benchmark: which runs it asks for, the paper beside ours, marks, gains by region, what is said to be missing."""

import dataclasses
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import lkca.studies.rows_of_runs
from lkca import tables
from lkca.data.datasets import DATASETS
from lkca.data.loaders import load_dataset
from lkca.figures import benchmark
from lkca.measures.metrics import METRICS
from lkca.models import model_names
from lkca.paper.tables import paper_table
from lkca.studies import benchmark as benchmark_study
from lkca.studies import profiles
from lkca.studies.benchmark import (
    Case,
    best_and_second,
    case_runs,
    cases,
    compare,
    mean_gains,
    paper_case,
    region_gains,
)
from lkca.studies.catalogue import study_runs
from lkca.studies.profiles import PROFILES, Profile

matplotlib.use("Agg")

TINY = Profile(
    name="tiny",
    data="tiny scenes",
    sizes="meaningless numbers",
    settings={"dataset": "synthetic", "reading": "tiny", "epochs": 1, "batch": 8, "stride": 8},
    options={"blocks": 1, "channels": 16},
    seeds=(0, 1),
    blocks=(1,),
    teacher_blocks=2,
    datasets=("synthetic",),
    cases=(("synthetic", 2),),
    models=("bicubic", "vdsr", "lkca-lr", "lkca-kd"),
    baselines={"vdsr": {"options": {"channels": 8, "blocks": 1}, "epochs": 2}},
    once=("vdsr",),
    regions=("synthetic", ("tiny",)),
)


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The profile `tiny`, with folders of its own."""
    monkeypatch.setitem(profiles.PROFILES, "tiny", TINY)
    monkeypatch.setenv("LKCA_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("LKCA_OUTPUT", str(tmp_path))
    monkeypatch.setenv("LKCA_DATA", str(tmp_path))
    return tmp_path


def test_benchmark_asks_for_every_row_with_its_own_settings() -> None:
    for name, profile in PROFILES.items():
        runs = study_runs("benchmark", name)
        found = {(run.dataset, run.scale, run.model) for run in runs}
        assert found == {(*case, model) for case in profile.cases for model in profile.models}
    assert all(
        set(PROFILES[name].models) == {*model_names(), "back-projection"} for name in ("quick", "small", "paper")
    )
    seeds = (
        pd.DataFrame([(r.model, r.scale, r.seed) for r in study_runs("benchmark", "small")]).groupby([0, 1])[2].size()
    )
    assert seeds["lkca-kd"].tolist() == [3, 3] and seeds["sspsr"].tolist() == [1, 1] == seeds["bicubic"].tolist()
    paper = {run.model: run for run in study_runs("benchmark", "paper")}
    assert paper["essaformer"].options["channels"] == 256 and paper["lkca-kd"].options["blocks"] == 16
    vdsr = next(run for run in benchmark_study.benchmark_runs(TINY) if run.model == "vdsr")
    assert (vdsr.epochs, vdsr.options["channels"], vdsr.scale) == (2, 8, 2)


def test_every_region_tests_once_and_the_others_train() -> None:
    runs = study_runs("regions", "quick")
    readings = [DATASETS["synthetic"].readings[name] for name in dict.fromkeys(run.reading for run in runs)]
    assert sorted(tested for _, tested, *_ in readings) == [0, 1, 2, 3]
    assert all({*trained, tested} == {0, 1, 2, 3} and len(trained) == 3 for trained, tested, *_ in readings)
    assert len(runs) == 4 * 6 and study_runs("regions", "paper") == []


def test_cases_narrow_the_profile() -> None:
    assert cases("small") == [("la_aviris", 4), ("la_aviris", 8)]
    assert cases("small", scale=8) == [("la_aviris", 8)]
    assert cases("small", "synthetic") == [("synthetic", 4), ("synthetic", 8)]
    assert cases("quick", "la_aviris", 2) == [("la_aviris", 2)]
    (run,) = case_runs("quick", "synthetic", 4, ["lkca-lr"])
    assert run in study_runs("benchmark", "quick")
    with pytest.raises(ValueError, match="unknown model 'nosuch'"):
        case_runs("quick", "synthetic", 4, ["nosuch"])


def test_paper_rows_have_the_misprint_put_right() -> None:
    for dataset, table in (("houston2018", "table6_houston2018"), ("chikusei", "table5_chikusei")):
        ours = paper_case(dataset, 4).set_index("model")
        printed = paper_table(table).query("scale == 4").set_index("model")
        pd.testing.assert_frame_equal(ours[list(METRICS)], printed[list(METRICS)])
        other = {"vdsr": "3dfcnn", "3dfcnn": "vdsr"} if dataset == "houston2018" else {}
        for model in ours.index.drop("bicubic"):
            assert ours.params_M[model] == printed.params_M[other.get(model, model)]
    assert paper_case("la_aviris", 4) is None and paper_case("chikusei", 2) is None


def made_case(paper: pd.DataFrame | None, **changes: object) -> Case:
    """Ours is the paper's with every number raised by 1."""
    table = paper_case("chikusei", 4)
    numbers = ["params_M", "macs_G", *METRICS]
    ours = table.assign(**{name: table[name] + 1 for name in numbers})
    return dataclasses.replace(Case("chikusei", 4, "title", ours, ours, paper, ()), **changes)


def test_the_paper_stands_beside_ours_with_the_difference() -> None:
    table = made_case(paper_case("chikusei", 4)).table()
    assert table["source"].tolist() == ["ours", "paper", "ours - paper"] * 9
    assert table["model"].tolist() == [model for model in model_names() for _ in range(3)]
    differences = table[table["source"] == "ours - paper"][list(METRICS)]
    assert np.allclose(differences, 1)
    alone = made_case(paper_case("chikusei", 4), ours=pd.DataFrame(columns=["model", *METRICS])).table()
    assert set(alone["source"]) == {"paper"} and len(alone) == 9
    assert "source" not in made_case(None).table()


def test_best_and_second_are_marked_by_the_metrics_direction() -> None:
    table = made_case(paper_case("chikusei", 4)).table()
    marks = best_and_second(table)
    named = table[["model", "source"]].join(marks)
    best = {m: named.loc[(named[m] == "best") & (named.source == "ours"), "model"].tolist() for m in METRICS}
    assert best["MPSNR"] == best["SAM"] == best["ERGAS"] == ["essaformer"]
    assert named.loc[(named.SAM == "second") & (named.source == "paper"), "model"].tolist() == ["lkca"]
    assert named.loc[(named.RMSE == "second") & (named.source == "paper"), "model"].tolist() == ["sspsr", "lkca"]
    assert (marks[table["source"] == "ours - paper"] == "").all(axis=None)


def test_marks_are_bold_and_underlined_in_every_format(tiny: Path) -> None:
    table = paper_case("chikusei", 4)
    marks = best_and_second(table)
    tables.write_table(table, "marked", marks)
    markdown, latex = ((tiny / f"results/marked{suffix}").read_text() for suffix in (".md", ".tex"))
    assert re.search(r"essaformer .*\*\*40\.6626\*\*", markdown) and re.search(r"sspsr .*<u>40\.3711</u>", markdown)
    assert markdown.count("**") == 2 * marks.eq("best").sum(axis=None)
    assert r"\textbf{40.6626}" in latex and r"\underline{40.3711}" in latex
    assert "40.6626" in (tiny / "results/marked.csv").read_text()
    page = tables.marked(table, marks).to_html()
    assert "font-weight: bold" in page and "text-decoration: underline" in page


@pytest.mark.filterwarnings("ignore")
def test_compare_trains_reads_and_says_what_is_missing(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = compare("tiny", "synthetic", 2, log=str)
    assert case.ours["model"].tolist() == list(TINY.models) and case.paper is None
    assert case.ours.set_index("model")["seeds"].to_dict() == {"bicubic": 1, "vdsr": 1, "lkca-lr": 2, "lkca-kd": 2}
    assert case.title.endswith("x2\nmeaningless numbers")
    assert any("sspsr" in note and "'tiny'" in note for note in case.notes)
    path = tiny / "results/tiny/benchmark.csv"
    frame = pd.read_csv(path)
    frame.loc[frame["model"] == "vdsr", "diverged_in_epoch"] = 2
    frame.to_csv(path, index=False)
    monkeypatch.setattr(lkca.studies.rows_of_runs, "train", lambda *a: pytest.fail("all of it is in the table"))
    again = compare("tiny", "synthetic", 2, ["bicubic", "vdsr"])
    assert again.ours["model"].tolist() == ["bicubic", "vdsr"]
    assert "vdsr, seed 0: the loss became NaN in epoch 2" in again.notes[1]


def test_absent_data_leaves_the_papers_rows(tiny: Path) -> None:
    case = compare("quick", "chikusei", 4, log=str)
    assert case.ours.empty and len(case.table()) == 9
    assert "HyperspecVNIR_Chikusei_20140729.mat" in case.notes[0]
    figure = benchmark.quality_against_cost(case.ours, case.paper, "the paper", case.title)
    assert len(figure.axes) == 2


def made_regions(gain: dict[str, float]) -> pd.DataFrame:
    """Bicubic differs by 5 dB from region to region, a network's gain by 0.01."""
    rows = []
    for number, (model, value) in itertools.product(range(4), gain.items()):
        quality = 30 + 5 * number + value + 0.01 * number * (value > 0)
        rows.append({"reading": f"r{number}", "model": model, **dict.fromkeys(METRICS, quality)})
    return pd.DataFrame(rows)


def test_gains_are_paired_by_region() -> None:
    gains = region_gains(made_regions({"bicubic": 0, "lkca-lr": 0.2, "lkca-kd": 0.3}))
    means = mean_gains(gains).set_index(["setting", "metric"])
    assert means["mean"]["lkca-lr", "MPSNR"] == pytest.approx(0.215)
    assert means["mean"]["lkca-kd - lkca-lr", "MPSNR"] == pytest.approx(0.1)
    assert means["sd"]["lkca-lr", "MPSNR"] == pytest.approx(np.std([0, 0.01, 0.02, 0.03], ddof=1))
    # t of 3 degrees of freedom at 97.5 % is 3.1824
    assert means["half_width"]["lkca-lr", "MPSNR"] == pytest.approx(
        3.1824 * np.std([0, 1, 2, 3], ddof=1) / 200, rel=1e-4
    )
    assert means["better_in"]["lkca-lr", "MPSNR"] == 4 and means["better_in"]["lkca-lr", "SAM"] == 0
    assert means["verdict"]["lkca-lr", "MPSNR"] == "more than chance"


def test_figures_show_their_numbers() -> None:
    table = paper_case("chikusei", 4)
    off = table.assign(MPSNR=table.MPSNR.where(table.model != "3dfcnn", 20.0))
    figure = benchmark.quality_against_cost(off, table, "the paper", "title")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["20.0 ↓"] and figure.axes[0].get_ylim()[0] > 25
    gains = region_gains(made_regions({"bicubic": 0, "lkca-lr": 0.2, "lkca-kd": 0.3}))
    figure = benchmark.gains_by_region(gains, mean_gains(gains), "title")
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert labels == ["LKCA-KD - LKCA-LR", "LKCA-KD - bicubic", "LKCA-LR - bicubic"]


def test_pictures_are_of_all_networks_and_one_scale() -> None:
    generator = np.random.default_rng(0)
    truth = generator.random((4, 20, 20))
    images = {name: truth + 0.1 * number for number, name in enumerate(model_names(), 1)}
    figure = benchmark.gallery(images, truth, (2, 1, 0), (4, 6, 8), [(1, 2)], "title")
    shown = [axis for axis in figure.axes if axis.images]
    assert len(shown) == 2 * (len(images) + 1)
    sides = [axis.images[0].get_array().shape[0] for axis in shown]
    assert sides == [*[20] * 5, *[8] * 5] * 2  # whole images, then what is in their boxes
    figure = benchmark.error_maps(images, truth, "title")
    maps = [axis.images[0] for axis in figure.axes if axis.images]
    assert len(maps) == len(images) and len({image.get_clim() for image in maps}) == 1
    assert maps[2].get_array().mean() == pytest.approx(0.3)
    figure = benchmark.spectral_errors(images, truth, None, [(1, 2), (3, 4)], "title")
    curves = [line.get_ydata().mean() for line in figure.axes[0].lines]
    assert curves == pytest.approx([0.1 * number for number in range(1, len(images) + 1)])


@pytest.mark.filterwarnings("ignore")
def test_pictures_take_the_first_seed(tiny: Path) -> None:
    runs = case_runs("tiny", "synthetic", 2, ["bicubic", "lkca-lr"])
    assert [run.seed for run in runs] == [0, 0, 1]
    split = load_dataset("synthetic", "tiny")
    lr, truth, images = benchmark_study.images_of(runs, split, log=str)
    assert list(images) == ["bicubic", "lkca-lr"] and images["lkca-lr"].shape == truth.shape == (8, 48, 48)
    assert lr.shape == (8, 24, 24) and runs[1].folder.exists() and not runs[2].folder.exists()
    with pytest.raises(ValueError, match="image must be 0 to 0 on synthetic, got 1"):
        benchmark_study.images_of(runs, split, 1, log=str)
