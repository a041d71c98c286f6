"""The study of upsamplers: its runs, what is measured beside them, and tables that follow the numbers."""

from collections.abc import Iterator

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from lkca import build_model
from lkca.figures import upsamplers as plots
from lkca.measures.metrics import METRICS
from lkca.models import UNTRAINED
from lkca.models.folding import folded
from lkca.models.upsamplers import SpectralBasis, fitting_rank
from lkca.paper.tables import bands_of
from lkca.studies import catalogue, profiles
from lkca.studies.results import study_results
from lkca.studies.upsamplers import measured
from lkca.studies.upsamplers import verdict as v
from lkca.training.train import train

matplotlib.use("Agg")
BANDS = {"quick": 48, "cpu": 205, "small": 205, "paper": bands_of("chikusei")}


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.mark.parametrize("profile", BANDS)
def test_the_runs_can_be_built_and_the_rank_is_that_of_equal_params(profile: str) -> None:
    chosen = profiles.find_profile(profile)
    runs = catalogue.study_runs("upsamplers", profile)
    settings = {measured.setting_of(run, profile) for run in runs}
    plan = chosen.upsamplers
    distilled = {f"{kind}, distilled" for kind in plan.distilled}
    assert settings == {*UNTRAINED, "full", "spectral, equal params", "curve", *plan.kinds, *distilled}
    channels, outputs = chosen.options["channels"], BANDS[profile] * 16
    assert plan.spectral_rank == fitting_rank("spectral", channels, outputs, 4, by=("params",))
    everywhere = runs + catalogue.study_runs("upsamplers_elsewhere", profile)
    for run in {(run.model, run.scale, repr(run.options)): run for run in everywhere}.values():  # once for all seeds
        with torch.device("meta"):  # every upsampler fits
            build_model(
                run.model, BANDS[profile], run.scale, **run.options | ({} if run.model in UNTRAINED else {"blocks": 1})
            )


# --- measured beside the runs


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"dataset": "synthetic", "reading": "tiny", "epochs": 1, "batch": 4, "stride": 16}
    profile = vars(profiles.PROFILES["quick"]) | {"settings": settings, "options": {"blocks": 1, "channels": 16}}
    plan = profiles.UpsamplerPlan(("grouped", "svd", "spectral"), ("svd",), 3, groups=(2,), ranks={"svd": (2,)})
    profile |= {"teacher_blocks": 2, "upsamplers": plan}
    monkeypatch.setitem(profiles.PROFILES, "quick", profiles.Profile(**profile))
    for name, few in (("TUNE_EPOCHS", 1), ("TUNE_PATCHES", 8), ("TIMED_ROUNDS", 2)):
        monkeypatch.setattr(measured, name, few)


def test_the_study_from_runs_to_figures(tiny: None) -> None:
    frame = study_results("upsamplers", "quick", "cpu", str)
    frame = measured.with_setting(frame, "quick")
    truncation, times = (measured.read_measured("quick", name) for name in ("truncation", "time"))
    table = v.upsamplers_table(frame, times)
    assert table.set_index("setting").loc[
        "grouped", ["upsampler_params", "upsampler_macs", "upsampler_time"]
    ].tolist() == [1, 1, 1]
    assert table["setting"].tolist() == [
        "full",
        "grouped",
        "svd",
        "spectral",
        "spectral, equal params",
        "svd, distilled",
    ]
    full = frame.set_index("setting").loc["full"]
    assert truncation["cut_MPSNR"].iloc[-1] == pytest.approx(full.MPSNR, abs=1e-4)  # nothing is cut from it
    assert truncation["share"].iloc[-1] == 1 and truncation["error"].iloc[-1] == 0
    assert (truncation["tuned_MPSNR"] != truncation["cut_MPSNR"]).all()

    bicubic = frame.set_index("setting").loc["bicubic", "MPSNR"]
    for figure in (
        plots.at_equal_cost(frame, v.at_equal(table, "params_M"), v.differences(frame, "grouped"), "t"),
        plots.against_cost(frame, "t"),
        plots.truncated_upsamplers(truncation, frame, "t"),
    ):
        figure.draw_without_rendering()
    assert v.cut_table(truncation, bicubic)["k"].is_unique or len(truncation) < 4
    assert v.differences_table(frame)["verdict"].eq("too few for an interval").all()
    measured._path("quick", "time").unlink()
    with pytest.raises(FileNotFoundError, match="collect upsamplers --profile quick"):
        measured.read_measured("quick", "time")


def test_a_truncation_gives_the_same_numbers_again(tiny: None) -> None:
    run = profiles.find_profile("quick").run("lkca", 0)
    train(run, "cpu", str)
    split = measured.load_dataset(run.dataset, run.reading)
    first, second = (measured.truncation(run, split) for _ in range(2))
    assert first.equals(second)


def test_fine_tuning_trains_the_upsampler_alone_and_helps(tiny: None) -> None:
    profile = profiles.find_profile("quick")
    run = profile.run("lkca", 0, epochs=4)
    model = train(run, "cpu", str).model()
    split = measured.load_dataset(run.dataset, run.reading)
    features = measured.Features(model, run, split)
    cut = measured.truncate(model, 1)
    before = {name: value.clone() for name, value in cut.state_dict().items()}
    tuned = features.fine_tuned(cut)
    for name, value in tuned.state_dict().items():
        assert torch.equal(value, before[name]) != name.startswith("upsampler.0.")
        assert torch.equal(cut.state_dict()[name], before[name])
    lr, hr = features._pair([0, 1])
    with torch.no_grad():
        assert torch.allclose(features.features[:2], model.body(model.head(lr))[:2], atol=1e-6)
        assert (tuned(lr) - hr).abs().mean() < (cut(lr) - hr).abs().mean()


def test_times_are_ratios_to_grouped_without_weight_normalisation() -> None:
    table = measured.measured_times(8, 2, 16, ("grouped", "spectral")).set_index("setting")
    assert table.loc["grouped", "ratio"] == 1 and (table > 0).all(axis=None)
    upsampler = build_model("lkca-lr", 8, 2, blocks=1, channels=16, upsampler="spectral").upsampler
    x = torch.rand(1, 16, 4, 4)
    expected = upsampler(x)
    plain = folded(upsampler)
    assert torch.allclose(plain(x), expected, atol=1e-6)
    assert {name for name, _ in plain.named_parameters()} == {"0.weight", "2.weight", "2.bias"}
    assert isinstance(plain[2], SpectralBasis)


# --- tables


def study(values: dict[str, float], seeds: int = 3, spread: float = 0.01) -> pd.DataFrame:
    """Made-up rows: every upsampler of a seed gets its value and what the seed does to all, and a little of its own."""
    random = np.random.default_rng(0)
    rows = []
    for seed in range(seeds):
        for place, (setting, value) in enumerate(values.items()):
            quality = value + 0.3 * seed + spread * random.standard_normal()
            rows.append({"setting": setting, "seed": seed, "run": f"{setting}{seed}", "params_M": 1.0 + place,
                         "macs_G": 2.0, **dict.fromkeys(METRICS, quality)})  # fmt: skip
    return pd.DataFrame(rows)


TIMES = pd.DataFrame({"setting": ["full", "grouped", "svd", "spectral"], "ratio": [4.0, 1.0, 1.1, 0.5]})
VALUES = {"full": 40.0, "grouped": 39.0, "svd": 39.0, "spectral": 39.0, "spectral, equal params": 39.0}


def test_what_is_held_against_what() -> None:
    frame = study({**VALUES, "spectral": 40.0, "svd, distilled": 39.2})
    table = v.differences_table(frame).set_index(["against", "setting"])
    assert list(table.index) == [
        *(("full", name) for name in ("svd", "spectral", "spectral, equal params")),
        *(("grouped", name) for name in ("svd", "spectral")),  # neither full nor what costs more
        ("svd", "svd, distilled"),  # against the same upsampler without a teacher
    ]
    assert table.loc[("full", "svd"), "mean"] == pytest.approx(-1, abs=0.03)
    assert table.loc[("full", "svd"), "verdict"] == "more than chance"
    assert table.loc[("full", "spectral"), "verdict"] == "cannot be told from zero"
    assert table.loc[("svd", "svd, distilled"), "mean"] == pytest.approx(0.2, abs=0.03)
    assert v.differences_table(study(VALUES, seeds=1))["half_width"].isna().all()


def cuts(quality: list[float], share: list[float], k90: int, budget: int = 4) -> pd.DataFrame:
    ranks = [1, 2, 4, 8, 16]
    tuned = [value + 0.1 for value in quality]
    return pd.DataFrame({"k": ranks, "share": share, "error": [0.9, 0.8, 0.5, 0.2, 0.0], "cut_MPSNR": quality,
                         "tuned_MPSNR": tuned, "values": 16, "k90": k90, "budget": budget, "run": "a"})  # fmt: skip


def test_rank_of_the_trained_upsampler() -> None:
    share = [0.1, 0.2, 0.4, 0.9, 1.0]
    low = cuts([30.5, 30.99, 31.0, 31.0, 31.0], share, k90=8)
    assert v.enough_rank(low, 30.0) == 2
    assert "low rank in effect: it needs rank 2" in v.rank_in_words(low, 30.0)
    table = v.cut_table(low, 30.0)
    assert table["k"].tolist() == [2, 4, 8] and table["of"].eq(16).all()
    assert table["share"].tolist() == [0.2, 0.4, 0.9] and table["error"].tolist() == [0.8, 0.5, 0.2]
    assert table["cut"].tolist() == table["tuned"].tolist() == pytest.approx([-0.01, 0, 0])
    high = cuts([30.0, 30.99, 30.2, 30.5, 31.0], share, k90=8)  # one good rank among bad ones is luck
    assert v.enough_rank(high, 30.0) == 16
    assert "not low rank: it needs rank 16" in v.rank_in_words(high, 30.0)
    assert v.enough_rank(low, 31.5) is None and "moot" in v.rank_in_words(low, 31.5)
    seeds = pd.concat([low, high.assign(run="b")])
    assert "not low rank: it needs rank 2, 16 (of 2 seeds)" in v.rank_in_words(seeds, 30.0)
    assert v.cut_table(low, 31.5)["k"].tolist() == [4, 8]


def test_the_spectral_upsampler_stands_once_in_a_table_of_equal_cost() -> None:
    frame = study(VALUES).assign(k=np.nan, upsampler_params_M=1.0, upsampler_macs_G=2.0)
    table = v.upsamplers_table(frame, TIMES)
    assert v.at_equal(table, "params_M")["setting"].tolist() == ["full", "grouped", "svd", "spectral, equal params"]
    assert v.at_equal(table, "macs_G")["setting"].tolist() == ["full", "grouped", "svd", "spectral"]


def test_other_networks_are_held_against_their_own_upsampler() -> None:
    rows = [("bicubic", None, 0, 0.0, 0.0, 29.0),
            ("vdsr", "own", 0, 4.0, 2.0, 30.0), ("vdsr", "own", 1, 4.0, 2.0, 30.2),
            ("vdsr", "grouped", 1, 1.0, 1.0, 29.8), ("vdsr", "grouped", 0, 1.0, 1.0, 29.9),
            ("sspsr", "own", 0, 1.0, 1.0, 28.5), ("sspsr", "grouped", 0, 1.0, 1.0, 28.6)]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["model", "upsampler", "seed", "params_M", "macs_G", "MPSNR"])
    frame = frame.assign(**{metric: 1.0 for metric in METRICS if metric != "MPSNR"})
    table = v.elsewhere_table(frame)
    assert table["difference_dB"].tolist() == pytest.approx([0, -0.25, 0, 0.1])  # -0.1 and -0.4, each of one seed
    # t of 0.975 with one degree of freedom; none for a single seed
    half = 12.7062 * np.std([-0.1, -0.4], ddof=1) / np.sqrt(2)
    assert table["half_width"].tolist() == pytest.approx([0, half, np.nan, np.nan], rel=1e-4, nan_ok=True)
    assert table["over_bicubic_dB"].tolist() == pytest.approx([1.1, 0.85, -0.5, -0.4])
    assert table["seeds"].tolist() == [2, 2, 1, 1]
    assert table["params_saved"].tolist() == [0, 0.75, 0, 0]
    figure = plots.in_other_networks(frame, table, 0.1, "t")
    figure.draw_without_rendering()
    quality, change, _ = figure.axes
    assert [label.get_text() for label in quality.get_yticklabels()][:2] == ["VDSR, own", "VDSR, grouped"]
    assert [line.get_xdata()[0] for line in change.lines if line.get_label() == "0.1 dB less"] == [-0.1]
