"""Figures show the numbers that they are given, nothing is cut off, and missing values do not crash."""

from collections.abc import Callable, Iterator

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from lkca import build_model, cost
from lkca.metrics import METRICS
from lkca.models import MODELS
from lkca.plots import costs, diagrams, differences, pictures, protocol, style, training, upsamplers

matplotlib.use("Agg")
MODEL_NAMES = list(MODELS)
GENERATOR = np.random.default_rng(0)
TITLE = "A title long enough to be wrapped on a narrow figure: synthetic scenes; narrow networks, short training"


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    with plt.rc_context():
        style.use()
        yield
    plt.close("all")


def cut_off(figure: Figure) -> list[str]:
    """Return which sides of the canvas something that is drawn leaves; texts, legends and tick labels included."""
    figure.canvas.draw()  # lays the panels out
    box = figure.get_tightbbox(figure.canvas.get_renderer())
    width, height = figure.get_size_inches()
    beyond = {"left": -box.x0, "bottom": -box.y0, "right": box.x1 - width, "top": box.y1 - height}
    return [side for side, inches in beyond.items() if inches > 0.01]


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def runs(models: list[str]) -> pd.DataFrame:
    """Return a table of one run per model; SSPSR failed, and ESSAformer was not timed."""
    rows = pd.DataFrame({"model": models, "batch": 1, "size": 16})
    rows["macs_G"], rows["params_M"] = np.linspace(0.1, 50, len(rows)), np.linspace(1, 12, len(rows))
    rows["MPSNR"], rows["MPSNR_sd"] = np.linspace(30, 31, len(rows)), np.nan
    rows["milliseconds"], rows["memory_mb"] = 10 * rows["macs_G"], np.nan
    rows.loc[rows["model"] == "sspsr", "MPSNR"] = 12.0
    rows.loc[rows["model"] == "essaformer", "milliseconds"] = np.nan
    return rows.assign(times_faster=9.0, times_fewer_macs=39.0, params=0.5, macs=np.nan)


def paired(half_width: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return single differences and means of many settings; the last one failed by 40 dB."""
    names = ["lkca-lr", "lkca-kd, weight 0.005", "svd, distilled", "essaformer + bp", "vdsr"]
    rows = [(n, m, value) for n in names for m in ("MPSNR", "SAM") for value in (0.01, 0.02, -40.0 * (n == "vdsr"))]
    dots = pd.DataFrame(rows, columns=["setting", "metric", "difference"])
    means = dots.groupby(["setting", "metric"], sort=False)["difference"].mean().rename("mean").reset_index()
    return dots, means.assign(half_width=half_width)


def values(dataset: str) -> pd.DataFrame:
    kinds = ("trained", "untrained", "random", "blocks", "grouped", "after 1 epochs", "after 300 epochs")
    ramp = {"rows": 48, "columns": 24, "index": np.arange(1, 25), "value": np.linspace(1, 0.1, 24)}
    return pd.concat(pd.DataFrame({"dataset": dataset, "kind": kind, **ramp}) for kind in kinds)


def curves() -> pd.DataFrame:
    frame = pd.DataFrame({"epoch": range(1, 9), "validation": np.linspace(20, 30, 8), "loss": np.linspace(1, 0.1, 8)})
    studies = ("benchmark", "upsamplers_elsewhere", "scenes", "regions")
    return pd.concat(frame.assign(study=s, run=f"{s}-{m}", model=m) for s in studies for m in MODEL_NAMES[2:])


def images() -> dict[str, np.ndarray]:
    return {name: GENERATOR.random((6, 32, 32), dtype=np.float32) for name in ["truth", *MODEL_NAMES]}


def cuts() -> pd.DataFrame:
    k = [1, 4, 16, 288]
    run = pd.DataFrame({"k": k, "cut_MPSNR": 30.0, "tuned_MPSNR": 30.1, "share": 0.5, "error": 0.5})
    return pd.concat(run.assign(run=f"seed {seed}", values=288, k90=220, budget=26) for seed in (0, 1))


BP_STEPS = pd.DataFrame(
    [
        (s, d, n, n * 0.1, -n * 0.1)
        for s, d in ((2, "bicubic"), (4, "bicubic"), (4, "bicubic, 30 dB"))
        for n in (0, 5, 20)
    ],
    columns=["scale", "degradation", "steps", "MPSNR", "SAM"],
).assign(MPSNR_half=np.nan, SAM_half=0.1)
BESIDE = pd.DataFrame(
    [
        ("LKCA-LR - LKCA-Net", "paper, Chikusei x4", -0.1, np.nan, np.nan),
        ("LKCA-LR - LKCA-Net", "cpu, scenes", -0.2, -0.3, -0.1),
        ("LKCA-LR - LKCA-Net", "converged, until_converged", -3.0, -5.0, 1.0),  # beyond the axis
        ("with - without the cosine term", "quick, distillation", 0.2, np.nan, np.nan),
    ],
    columns=["comparison", "source", "mean", "low", "high"],
)
BLOCKS = pd.DataFrame({"blocks": [1, 4, 64], "MPSNR": 30.0, "SAM": 4.0, "MPSNR_sd": np.nan, "SAM_sd": 0.1})
CURVES = pd.DataFrame(
    {"upsampler": ["svd", "svd", "grouped"], "params_M": [1, 2, 3], "macs_G": [1, 2, 3], "MPSNR": 30.0}
)
POINT = pd.Series({"params_M": 2.0, "macs_G": 2.0, "MPSNR": 30.5})
PIXELS = [(3, 4), (20, 30), (10, 11)]
PANELS = {"against MACs": "macs_G:MPSNR", "time": "macs_G:milliseconds"}
BASELINES = runs(["bicubic", "back-projection"]).assign(SAM=4.0)
PAPER = {"chikusei": (60, 1152), "houston2018": (60, 1152), "pavia_centre": (130, 1152)}


def _spectra() -> Figure:
    shown = images()
    return pictures.spectra(shown, shown["truth"], None, PIXELS, TITLE)


FIGURES: dict[str, Callable[[], Figure]] = {
    "differences": lambda: differences.differences(*paired(0.05), TITLE, "back-projection", {"lkca-lr": 0.066}),
    "differences, one seed": lambda: differences.differences(*paired(np.nan), TITLE, "its own upsampler"),
    "added": lambda: differences.added_by_networks(
        runs(MODEL_NAMES[2:]).assign(study="upsamplers_elsewhere", scale=4, added_dB=0.1, added_bp_dB=np.nan), TITLE
    ),
    "by epoch": lambda: differences.differences_by_epoch(
        {f"LKCA-{n} - LKCA-Net": pd.DataFrame({"seed": 0, "epoch": [1, 2], "difference": 0.1}) for n in range(4)}, TITLE
    ),
    "beside the paper": lambda: differences.differences_beside_paper(BESIDE, TITLE),
    "steps": lambda: differences.back_projection_steps(BP_STEPS, TITLE),
    "quality": lambda: costs.quality_against_cost({"ours": runs(MODEL_NAMES)}, PANELS, TITLE),
    "time": lambda: costs.time_and_macs(runs(MODEL_NAMES[2:]), TITLE),
    "ratios": lambda: costs.speed_up_bars(runs(["sspsr", "msdformer", "essaformer"]), TITLE),
    "shares": lambda: costs.share_bars(runs(MODEL_NAMES[2:]), "share of the whole network (%)", "The upsampling layer"),
    "training": lambda: training.training_curves(curves(), TITLE),
    "one training": lambda: training.training_curve(curves()[:8], 25.0, TITLE),
    "blocks": lambda: upsamplers.against_blocks(BLOCKS, BASELINES, BLOCKS, TITLE),
    "singular values": lambda: upsamplers.singular_values(values("synthetic_stream"), PAPER, 8, TITLE),
    "curves": lambda: upsamplers.against_cost(CURVES, POINT, POINT, BASELINES, TITLE),
    "cuts": lambda: upsamplers.truncated_upsamplers(cuts(), pd.DataFrame({"k": [4], "MPSNR": [30]}), BASELINES, TITLE),
    "gallery": lambda: pictures.gallery(images(), images()["truth"], (0, 1, 2), (8, 8, 16), TITLE, PIXELS),
    "errors": lambda: pictures.error_maps(images(), images()["truth"], TITLE),
    "spectra": _spectra,
    "overview": lambda: pictures.scene_overview(images()["truth"], (0, 1, 2), np.linspace(400, 2500, 6), PIXELS, TITLE),
    "learned": lambda: pictures.learned_detail(images()["truth"], images()["lkca"], TITLE),
    "network": lambda: diagrams.network(build_model("lkca", 12, 4, blocks=3, channels=32), 12, TITLE),
    "block": lambda: diagrams.block(build_model("lkca", 12, 4, blocks=1, channels=32), 12, TITLE),
}


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_leaves_the_canvas(name: str) -> None:
    assert cut_off(FIGURES[name]()) == []


def test_what_lies_outside_is_noticed() -> None:
    figure, axis = plt.subplots(layout="none")
    axis.text(1.5, 0.5, "far to the right", transform=axis.transAxes)
    assert cut_off(figure) == ["right"]


def test_failures_are_told_in_numbers_and_do_not_squeeze_the_others() -> None:
    figure = differences.differences(*paired(0.05), TITLE, "bicubic", {"lkca-lr": 0.066})
    low, high = figure.axes[0].get_xlim()
    assert -1 < low < -0.02 and 0.066 < high < 1 and "mean -13" in words(figure)
    diamonds = [line for line in figure.axes[0].lines if line.get_marker() == "D" and len(line.get_xdata())]
    assert [list(line.get_xdata()) for line in diamonds] == [[0.066]]
    quality = costs.quality_against_cost({"ours": runs(MODEL_NAMES)}, PANELS, TITLE)
    assert quality.axes[0].get_ylim()[0] > 25 and "12.0" in words(quality)


def test_singular_values_are_shares_and_the_papers_points_are_there() -> None:
    middle = upsamplers.singular_values(values("synthetic"), PAPER, 8, TITLE).axes[1]
    assert (
        max(
            line.get_xdata().max() for line in middle.lines if line.get_linestyle() == "-" and len(line.get_xdata()) > 2
        )
        == 100
    )
    (paper,) = [line for line in middle.lines if line.get_marker() == "D"]
    assert list(paper.get_xdata()) == pytest.approx([100 * 60 / 1152, 100 * 130 / 1152])


def test_diagrams_show_the_network() -> None:
    model = build_model("lkca-lr", 12, 4, blocks=2, channels=32)
    seen, counted = diagrams.observe(model, 12), cost(model, 12)
    assert seen["head"].takes == (12, 16, 16) and seen["upsampler.0"].gives == (12 * 16, 16, 16)
    assert (seen[""].params, seen[""].macs) == (counted.params, counted.macs)
    drawn = words(diagrams.network(build_model("lkca", 128, 4), 128, "paper"))
    assert all(part in drawn for part in ("block 16", "3x3 128 → 2048", "in all 3.71 M params, 867 M MACs"))
    full, grouped = (build_model(name, 8, 4, blocks=1, channels=32) for name in ("lkca", "lkca-lr"))
    matrices = diagrams.upsamplers(full, grouped, 8, "matrices").axes
    assert [np.asarray(axis.images[0].get_array()).mean() for axis in matrices] == [1, 1 / 8]
    assert "5 blocks" in words(
        diagrams.distillation(build_model("lkca", 8, 4, blocks=5, channels=32), grouped, 8, "KD")
    )


def test_protocol_marks_agreement() -> None:
    variants = pd.DataFrame({"crop": ["a", "b"], "tests": "one"})
    rows = [(n, m, s, 0.2 if n == 0 else np.nan, n == 0) for n in (0, 1) for m in METRICS for s in (4, 8)]
    cells = pd.DataFrame(rows, columns=["number", "metric", "scale", "off", "agrees"])
    figure = protocol.deviations(variants, cells, ("crop", "tests"), TITLE)
    assert words(figure).count("✓") == 12 and cut_off(figure) == []


def test_pictures_choose_what_is_worth_a_look() -> None:
    truth = np.zeros((3, 64, 64), np.float32)
    truth[:, 32:48:2, 32:48] = 1  # stripes
    assert pictures.choose_box(truth, 16) == (32, 32, 16)
    assert pictures.rgb(truth, (0, 1, 2)).shape == (64, 64, 3)
    assert len(set(pictures.choose_pixels(GENERATOR.random((5, 64, 64))))) == pictures.PIXELS
