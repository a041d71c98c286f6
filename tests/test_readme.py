"""Every number that the README states about results is one of results/, and every file that it names is there."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from lkca import build_model
from lkca.batch.results_page import BEGIN, END, with_verdicts
from lkca.data.datasets import DATASETS
from lkca.data.loaders import load_dataset
from lkca.models import UNTRAINED
from lkca.paths import project_root
from lkca.studies import referee, scenes
from lkca.studies.equal_cost import BUDGET
from lkca.studies.sizes import LA_WIDTHS
from lkca.training.evaluation import evaluate, mean_quality

ROOT = project_root()
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "results/README.md",
    *(f"docs/{p.name}" for p in sorted((ROOT / "docs").iterdir())),
]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
WRITTEN = TEXT[TEXT.index(BEGIN) : TEXT.index(END)]  # the verdicts, which no hand has typed
README = " ".join(TEXT.replace(WRITTEN, "").split())
# Numbers that say nothing about results.
OTHERS = (r"Python 3\.11", r"2501\.18664", r"MATLAB 5 and 7\.3", r"95 % intervals")
REAL_CORRECTED = "one real scene, both back-projected"  # a column of the referee's table
NUMBER = r"\d[\d.,]*"
STATED = rf"{NUMBER}(?= ?(?:dB|°|%|degrees|± ))|± ?\d[\d.]*|\d+\.\d+|\d+ times(?: as fast| fewer)"


def cell(table: str, column: str, **where: object) -> float:
    """The one cell of results/`table`.csv whose row has these values."""
    frame = pd.read_csv(ROOT / "results" / f"{table}.csv")
    for name, value in where.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1, f"results/{table}.csv: {len(frame)} rows with {where}, expected one"
    return float(frame[column].iloc[0])


def quality(model: str) -> float:
    return cell("cpu/table_5_to_7_la_aviris_x4", "MPSNR", model=model)


def against_grouped(setting: str, profile: str = "cpu") -> tuple[float, float]:
    """Mean and half width of the 95 % interval, dB."""
    where = {"setting": setting, "metric": "MPSNR"}
    return tuple(cell(f"{profile}/upsamplers_differences", column, **where) for column in ("mean", "half_width"))


def above_the_line() -> tuple[float, float]:
    """LKCA-Net above back-projection on made scenes without end: as trained, and corrected as well, dB."""
    row = {column: partial(cell, "converged/upsamplers_table", column) for column in ("MPSNR", "MPSNR_bp")}
    line = row["MPSNR"](setting="back-projection")
    return row["MPSNR"](setting="full") - line, row["MPSNR_bp"](setting="full") - line


def answered(column: str, difference: str) -> tuple[float, float]:
    """A difference of the referee's table, and half width of its 95 % interval, dB."""
    table = pd.read_csv(ROOT / "results/referee.csv").set_index("difference (dB)")
    return tuple(map(float, table.loc[difference, column].split(" ± ")))


def of_weight(weight: float) -> tuple[float, float]:
    """LKCA-KD of that weight of the distillation minus LKCA-LR, made scenes without end: mean and half width, dB."""
    where = {"setting": f"weight {weight:g}", "metric": "MPSNR"}
    table = "converged/table_3_weight_differences"
    return cell(table, "mean", **where), cell(table, "half_width", **where)


def until_flat(difference: str) -> tuple[float, float]:
    """The same of networks that were trained on made scenes until they stopped rising."""
    table = pd.read_csv(ROOT / "results/converged/until_flat_differences.csv").set_index("difference (dB)")
    return tuple(map(float, table.loc[f"{difference}, until flat", referee.SEEDS].split(" ± ")))


def by_directions(count: int) -> float:
    """Mean gain over bicubic at x4, dB."""
    return cell("cpu/any_sensor_directions", "mean", directions=count, metric="MPSNR")


def over_places(setting: str) -> tuple[float, float]:
    """Mean over places of the difference to back-projection, and half width of its 95 % interval."""
    where = {"setting": f"{setting} - back-projection", "metric": "MPSNR"}
    return tuple(cell("cpu/scenes_gains", column, **where) for column in ("mean", "half_width"))


def won_back() -> float:
    """Median over places of LKCA-KD minus LKCA-LR on the fourteen scenes, dB."""
    x4 = pd.read_csv(ROOT / "results/cpu/scenes.csv").query("scale == 4")
    differences = scenes.paired(x4, "lkca-lr", ["lkca-kd"])
    means = scenes.over_places(differences)
    return float(means.loc[means["metric"] == "MPSNR", "median"].iloc[0])


def best_of_cost(channels: int) -> float:
    """MPSNR of LKCA-best, which must be the best of the networks that cost about as much."""
    table = pd.read_csv(ROOT / "results/cpu/equal_cost_table.csv")
    here = table[(table["model"] == "lkca-best") & (table["channels"] == channels)].iloc[0]
    ratio = table["macs_G"] / here["macs_G"]
    assert here["MPSNR"] == table.loc[(ratio < BUDGET) & (ratio > 1 / BUDGET), "MPSNR"].max()
    return float(here["MPSNR"])


def of_made_cost() -> tuple[float, ...]:
    """MPSNR of LKCA-LR (the best of 0.1 G MACs on made scenes without end), SSPSR, LKCA-Net and VDSR."""
    table = pd.read_csv(ROOT / "results/converged/equal_cost_table.csv")
    here = table[table["macs_G"] < 0.1 * BUDGET].set_index("model")["MPSNR"]
    assert here.idxmax() == "lkca-lr"
    return tuple(here[["lkca-lr", "sspsr", "lkca", "vdsr"]])


def over_scenes(method: str, metric: str = "MPSNR", scale: int = 4) -> tuple[float, float]:
    """Mean over the real scenes of the difference to bicubic, and half width of its 95 % interval."""
    where = {"scale": scale, "method": method, "metric": metric}
    return tuple(cell("cpu/any_sensor_means", column, **where) for column in ("mean", "half_width"))


def real_minus_made() -> tuple[float, float]:
    where = {"counted": "scene", "metric": "MPSNR", "scale": 4}
    return tuple(cell("cpu/any_sensor_real_minus_made", column, **where) for column in ("mean", "half_width"))


def truncated(column: str, rank: int) -> float:
    """Mean over seeds of what was measured of the upsampler cut to a rank."""
    frame = pd.read_csv(ROOT / "results/cpu/upsamplers_truncation.csv")
    found = frame.loc[frame["k"] == rank, column]
    assert len(found) == 3, "the README says: means of three seeds"
    return float(found.mean())


def rank_90(kind: str) -> float:
    """How many singular values of the full upsampler hold nine tenths of their sum, on made scenes without end."""
    return cell("converged/figure_4_ranks", "rank_90", kind=kind)


def gain_kept(rank: int) -> float:
    """Share of its gain over bicubic that the truncated upsampler keeps, %."""
    gains = (truncated("cut_MPSNR", k) - quality("bicubic") for k in (rank, 576))
    return 100 * next(gains) / next(gains)


def best_network() -> float:
    """MPSNR of the best that was trained."""
    names = ("table_5_to_7_la_aviris_x4", "upsamplers_table", "equal_cost_table")
    tables = [pd.read_csv(ROOT / f"results/cpu/{name}.csv") for name in names]
    return max(table.loc[~table.iloc[:, 0].isin(UNTRAINED), "MPSNR"].max() for table in tables)


# What the README says, with its numbers left out, and where they come from.
CLAIMS: list[tuple[str, Callable[[], tuple[float, ...]]]] = [
    ("{:.3f} < {:.3f} < {:.3f} dB; **open**", lambda: tuple(map(quality, ("lkca-lr", "lkca-kd", "lkca")))),
    ("a narrow VDSR has {:.3f} dB", lambda: (quality("vdsr"),)),
    ("cut to rank 16 of 576 keeps {:.0f} % of its gain over bicubic", lambda: (gain_kept(16),)),
    ("Those 16 hold {:.0f} % of the sum of its singular values",
        lambda: (100 * truncated("share", 16),)),
    ("lie in {:.0f} of 288 values at the start, in {:.0f} after 16 epochs, in {:.0f} after 50 and in {:.0f} after 87",
        lambda: tuple(map(rank_90, ("untrained", "after 16 epochs", "trained", "after 87 epochs")))),
    ("an upsampler of rank {:.0f} is better by",
        lambda: (cell("cpu/upsamplers_table", "k", setting="svd"),)),
    ("is better by {:.3f} ± {:.3f} dB, and a spectral one", lambda: against_grouped("svd")),
    ("cheaper still, by {:.3f} ± {:.3f} dB.", lambda: against_grouped("spectral")),
    ("at five times the MACs, is better by {:.3f} ± {:.3f} dB.", lambda: against_grouped("full")),
    ("adds {:.3f} ± {:.3f} dB to the grouped upsampler", lambda: against_grouped("grouped, distilled")),
    ("Distillation adds {:.3f} dB in the median", lambda: (won_back(),)),
    ("LKCA-KD is {:.3f} ± {:.3f} dB below LKCA-LR",
        lambda: tuple(map(abs, answered(REAL_CORRECTED, "LKCA-KD - LKCA-LR")))),
    ("LKCA-LR {:.3f} ± {:.3f} dB above LKCA-Net", lambda: answered(REAL_CORRECTED, "LKCA-LR - LKCA-Net")),
    ("is {:.3f} dB above back-projection after 50 epochs, {:.3f} dB once corrected", above_the_line),
    ("are better than one by {:.3f} ± {:.3f} dB", lambda: answered(referee.SEEDS, "most blocks - one block")),
    ("LKCA-Net is {:.3f} ± {:.3f} dB above VDSR", lambda: until_flat("LKCA-Net - VDSR")),
    ("LKCA-LR {:.3f} ± {:.3f} dB below LKCA-Net", lambda: tuple(map(abs, until_flat("LKCA-LR - LKCA-Net")))),
    ("nothing that can be told: {:.3f} ± {:.3f} dB", lambda: until_flat("LKCA-KD - LKCA-LR")),
    ("the best of five weights, after 50 epochs, {:.3f} ± {:.3f} dB", lambda: of_weight(0.05)),
    ("equal cost** ({:.1f}, {:.1f}, {:.1f} G MACs)", lambda: tuple(LA_WIDTHS)),
    ("LKCA-best is first with {:.3f}, {:.3f}, {:.3f} dB", lambda: tuple(map(best_of_cost, (64, 176, 432)))),
    ("is first with {:.3f} dB at 0.1 G; SSPSR has {:.3f} dB, LKCA-Net {:.3f} dB, VDSR {:.3f} dB", of_made_cost),
    ("{:.0f} % of what grouping costs",
        lambda: (100 * against_grouped("grouped, distilled")[0] / against_grouped("full")[0],)),
    ("scenes it gains {:.3f} ± {:.3f} dB over bicubic", lambda: over_scenes("lkca-any, made")),
    ("needs no training, gains {:.3f} ± {:.3f} dB; its", lambda: over_scenes("back-projection")),
    ("smaller by {:.3f} ± {:.3f}°", lambda: tuple(map(abs, over_scenes("lkca-any, made", metric="SAM")))),
    ("At x2 it gains {:.3f} ± {:.3f} dB", lambda: over_scenes("lkca-any, made", scale=2)),
    ("at x8 {:.3f} ± {:.3f} dB", lambda: over_scenes("lkca-any, made", scale=8)),
    ("changes that by {:.3f} ± {:.3f} dB", real_minus_made),
    ("takes four, for {:.3f} dB less", lambda: (by_directions(8) - by_directions(4),)),
    ("LKCA-Net has {:.3f} ± {:.3f} dB", lambda: over_places("lkca")),
    ("and {:.3f} ± {:.3f} dB with back-projection of its own output", lambda: over_places("lkca + bp")),
    ("SSPSR and MSDformer of its cost have {:.3f} ± {:.3f} and {:.3f} ± {:.3f} dB",
        lambda: (*over_places("sspsr"), *over_places("msdformer"))),
    ("the best network in `results/cpu` reaches {:.3f} dB", lambda: (best_network(),)),
]  # fmt: skip
# Measured where the scenes are at hand, below.
BACK_PROJECTION = "reaches 39.917 dB and 3.532° on airport-3 at x4"


@pytest.mark.parametrize(("words", "values"), CLAIMS, ids=[words[:40] for words, _ in CLAIMS])
def test_the_readme_says_what_results_hold(words: str, values: Callable[[], tuple[float, ...]]) -> None:
    wanted = words.format(*values())
    assert wanted in README, f"README.md does not say {wanted!r}, which is what results/ hold now"


def test_no_other_number_stands_in_the_readme() -> None:
    """A new one needs a line in CLAIMS."""
    known = [re.escape(words.format(*values())) for words, values in CLAIMS] + [re.escape(BACK_PROJECTION), *OTHERS]
    spans = [match.span() for pattern in known for match in re.finditer(pattern, README)]
    found = [
        README[max(0, number.start() - 40) : number.end() + 10]
        for number in re.finditer(STATED, README)
        if not any(start <= number.start() and number.end() <= end for start, end in spans)
    ]
    assert not found, f"numbers in README.md that CLAIMS does not hold: {found}"


@pytest.mark.parametrize("number", ["by 0.3 dB", "of 5°", "12 %", "0.031 ± 0.002", "7 times as fast", "has 39.81 now"])
def test_a_number_would_be_seen(number: str) -> None:
    assert re.search(STATED, f"It is {number}")


def test_words_that_follow_from_the_numbers() -> None:
    """At x8 nothing is above bicubic; the truly low-rank upsamplers are cheaper than the grouped one, and better."""
    x8 = pd.read_csv(ROOT / "results/cpu/table_5_to_7_la_aviris_x8.csv").set_index("model")["MPSNR"]
    assert (x8.drop(["bicubic", "back-projection"], errors="ignore") < x8["bicubic"]).all()
    for table in ("scenes_gains", "scenes_gains_x2", "scenes_gains_x8"):  # no network is above what costs no training
        gains = pd.read_csv(ROOT / f"results/cpu/{table}.csv").query("metric == 'MPSNR'")
        assert (gains["mean"] - gains["half_width"] < 0).all() and set(gains["places"]) == {13}
    x4 = pd.read_csv(ROOT / "results/cpu/scenes.csv").query("scale == 4")
    by_scene = x4.pivot(index="dataset", columns="model", values="MPSNR")
    box = pd.read_csv(ROOT / "results/cpu/any_sensor.csv").query(
        "part == 'far quarter' and scale == 4 and method == 'lkca-any, made' and directions == 8"
    )
    trained = by_scene[["lkca-lr", "lkca-best", "vdsr"]].max(axis=1)
    assert len(by_scene) == 14 and (box.set_index("scene")["MPSNR"].loc[trained.index] > trained).all()
    equal = pd.read_csv(ROOT / "results/cpu/equal_cost_table.csv").set_index("model")["MPSNR"].astype(float)
    assert (equal[["sspsr", "msdformer", "essaformer", "3dfcnn"]] < quality("bicubic")).all()
    assert equal.max() < quality("back-projection")
    mean, half = until_flat("LKCA-best - LKCA-Net")  # at LKCA-LR's cost all of what grouping loses is won back
    lost, won = until_flat("LKCA-LR - LKCA-Net"), until_flat("LKCA-best - LKCA-LR")
    assert abs(mean) < half and abs(mean) < 0.1 * won[0] + 0.02 and won[0] - won[1] > 0 > lost[0] + lost[1]
    weight, decay = (
        pd.read_csv(ROOT / f"results/converged/{table}_differences.csv").query("metric == 'MPSNR'")
        for table in ("table_3_weight", "table_2_decay")
    )
    assert len(weight) == 5 and weight.loc[weight["mean"].idxmax(), "setting"] == "weight 0.05"  # the paper's: 0.01
    assert decay.loc[decay["mean"].idxmax(), "setting"] == "decay 1"
    cost = pd.read_csv(ROOT / "results/cpu/upsamplers_table.csv").set_index("setting")["macs_G"]
    assert cost["spectral"] < cost["svd"] <= cost["grouped"] and round(cost["full"] / cost["grouped"]) == 5
    assert all(mean - half > 0 for mean, half in map(against_grouped, ("svd", "spectral", "full")))


def test_back_projection_as_stated(real_scenes: Callable[..., Path]) -> None:
    real_scenes(*DATASETS["la_aviris"].files)
    split = load_dataset("la_aviris", "airport-3")
    found = mean_quality(evaluate(build_model("back-projection", split.bands, 4, steps=5), split, 4))
    assert f"reaches {found['MPSNR']:.3f} dB and {found['SAM']:.3f}° on airport-3 at x4" == BACK_PROJECTION
    assert BACK_PROJECTION in README and found["MPSNR"] > best_network()


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text(encoding="utf-8"))
    assert all(((ROOT / page).parent / target).exists() for target in targets), targets


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130


def test_the_verdicts_are_those_of_the_results() -> None:
    assert with_verdicts(TEXT, ROOT / "results") == TEXT, "run `python -m lkca results`"
    assert WRITTEN.count("\n| ") == 1 + 5
