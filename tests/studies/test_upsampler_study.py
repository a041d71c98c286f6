"""The study of upsamplers: its runs, what is measured beside them, and sentences that follow the numbers."""

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
    for run in runs + catalogue.study_runs("upsamplers_elsewhere", profile):
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
    truncation, times = (measured.beside("quick", name) for name in ("truncation", "time"))
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
    for sentence in (v.suffices_in_words(v.differences(frame, "full")), *v.rank_in_words(truncation, bicubic)):
        assert "nan" not in sentence
    measured._path("quick", "time").unlink()
    with pytest.raises(FileNotFoundError, match="collect upsamplers --profile quick"):
        measured.beside("quick", "time")


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


# --- words


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


def test_low_rank_suffices_or_not() -> None:
    bad = v.suffices_in_words(v.differences(study(VALUES), "full"))
    assert bad.startswith("Low rank does not suffice: trained as such, 0 of 3") and "svd -1.0" in bad
    good = v.suffices_in_words(v.differences(study({**VALUES, "spectral": 40.0}), "full"))
    assert good.startswith("Low rank suffices: trained as such, 1 of 3")
    assert "One seed" in v.suffices_in_words(v.differences(study(VALUES, seeds=1), "full"))


@pytest.mark.parametrize(
    ("svd", "spectral", "expected"),
    [
        (39.0, 39.5, "The grouped convolution is not the best use of its cost: spectral +0.49"),
        (
            38.0,
            39.0,
            "No upsampler is better than grouped at its cost beyond what seeds do, and svd are behind it: best spec",
        ),
    ],
)
def test_whether_grouped_is_the_right_way(svd: float, spectral: float, expected: str) -> None:
    frame = study({**VALUES, "svd": svd, "spectral": spectral, "spectral, equal params": 45.0})
    sentence = v.budget_in_words(v.differences(frame, "grouped"), TIMES)
    assert sentence.startswith(expected) and "0.50 times as long" in sentence  # neither full nor what costs more
    single = v.budget_in_words(v.differences(study({**VALUES, "svd": svd}, 1), "grouped"), TIMES)
    assert "one seed tells no more" in single


def cuts(quality: list[float], share: list[float], k90: int, budget: int = 4) -> pd.DataFrame:
    ranks = [1, 2, 4, 8, 16]
    tuned = [value + 0.1 for value in quality]
    return pd.DataFrame({"k": ranks, "share": share, "error": [0.9, 0.8, 0.5, 0.2, 0.0], "cut_MPSNR": quality,
                         "tuned_MPSNR": tuned, "values": 16, "k90": k90, "budget": budget})  # fmt: skip


def test_rank_of_the_trained_upsampler() -> None:
    share = [0.1, 0.2, 0.4, 0.9, 1.0]
    low = cuts([30.5, 30.99, 31.0, 31.0, 31.0], share, k90=8)
    assert v.enough_rank(low, 30.0) == 2
    first, second, third = v.rank_in_words(low, 30.0)
    assert "low rank in effect: cut to rank 2 of 16" in first and "pays for rank 4" in first
    assert "hold 20% of the sum" in second and "takes 8 values, far more than" in second and "+0.0000 dB" in second
    assert third.startswith("Cut to rank 4 it changes by +0.0000 dB")
    high = cuts([30.0, 30.99, 30.2, 30.5, 31.0], share, k90=8)  # one good rank among bad ones is luck
    assert v.enough_rank(high, 30.0) == 16
    assert "not low rank: cut to rank 16" in v.rank_in_words(high, 30.0)[0]
    assert "about what" in v.rank_in_words(cuts([30.0, 30.5, 30.6, 31.0, 31.0], share, k90=8), 30.0)[1]
    assert v.enough_rank(low, 31.5) is None and "moot" in v.rank_in_words(low, 31.5)[0]


def test_distillation_is_measured_against_the_same_upsampler() -> None:
    frame = study({**VALUES, "svd, distilled": 39.2}, spread=0.0)
    assert v.distillation_in_words(frame) == ["Distilling adds to svd: +0.2000 ± 0.0000 dB."]


def test_the_spectral_upsampler_stands_once_in_a_table_of_equal_cost() -> None:
    frame = study(VALUES).assign(k=np.nan, upsampler_params_M=1.0, upsampler_macs_G=2.0)
    table = v.upsamplers_table(frame, TIMES)
    assert v.at_equal(table, "params_M")["setting"].tolist() == ["full", "grouped", "svd", "spectral, equal params"]
    assert v.at_equal(table, "macs_G")["setting"].tolist() == ["full", "grouped", "svd", "spectral"]


def test_other_networks_are_held_against_their_own_upsampler() -> None:
    rows = [("bicubic", None, 0.0, 0.0, 29.0), ("vdsr", "own", 4.0, 2.0, 30.0), ("vdsr", "grouped", 1.0, 1.0, 29.9),
            ("sspsr", "own", 1.0, 1.0, 28.5)]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["model", "upsampler", "params_M", "macs_G", "MPSNR"])
    frame = frame.assign(**{metric: 1.0 for metric in METRICS if metric != "MPSNR"})
    table = v.elsewhere_table(frame)
    assert table["difference_dB"].tolist() == pytest.approx([0, -0.1, 0])
    assert table["over_bicubic_dB"].tolist() == pytest.approx([1, 0.9, -0.5])
    assert table["params_saved"].tolist() == [0, 0.75, 0]
    first, second = v.elsewhere_in_words(table)
    assert "0.500 dB below bicubic here" in second
    assert first == "vdsr: grouped saves 75% of the parameters and 50% of the MACs at -0.1000 dB (one seed)."
