"""The studies of upsamplers: what is measured beside the runs, and tables that follow the numbers."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch

from lkca.checkpoints import load_result
from lkca.data.loaders import load_dataset
from lkca.metrics import METRICS
from lkca.models import build_model
from lkca.models.low_rank import truncate
from lkca.rank import singular_values, upsampler_matrix
from lkca.studies import truncation, upsamplers
from lkca.studies.collect import PROJECTED
from lkca.studies.profile import load_profile
from lkca.studies.tables import read_file, study_results
from lkca.studies.truncation import truncate_and_tune
from lkca.studies.upsampler_svd import KINDS
from lkca.studies.upsamplers import differences_table, elsewhere_table, upsamplers_table, with_setting
from lkca.train import train
from tests.training.tiny import quiet

SECTION = {
    "kinds": ["grouped", "svd", "spectral"],
    "distilled": ["svd"],
    "spectral_rank": 3,
    "groups": [2],
    "ranks": {"svd": [2]},
}


@pytest.fixture
def tiny(make_profile: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(upsamplers, "TIMED_ROUNDS", 2)
    monkeypatch.setattr(truncation, "TUNE_EPOCHS", 1)
    monkeypatch.setattr(truncation, "TUNE_PATCHES", 8)
    return make_profile(
        studies={"upsamplers": SECTION, "upsampler_svd": {"datasets": ["synthetic"], "other_epochs": [2]}}
    )


def test_the_study_from_runs_to_tables(tiny: str) -> None:
    frame = with_setting(study_results("upsamplers", tiny, "cpu"), tiny)
    cuts, times = (read_file("upsamplers", name, tiny) for name in ("truncation", "time"))
    table = upsamplers_table(frame, times).set_index("setting")
    assert list(table.index) == ["full", "grouped", "svd", "spectral", "spectral, equal params", "svd, distilled"]
    assert table.loc["grouped", ["upsampler_params", "upsampler_macs", "upsampler_time"]].tolist() == [1, 1, 1]
    assert table.loc["full", "upsampler_macs"] == pytest.approx(8) and table.loc["spectral, equal params", "k"] == 3
    assert (frame["setting"] == "curve").sum() == 4
    full = frame.set_index("setting").loc["full"]
    assert cuts["cut_MPSNR"].iloc[-1] == pytest.approx(full["MPSNR"], abs=1e-4)  # nothing is cut from it
    assert cuts["share"].iloc[-1] == 1 and cuts["error"].iloc[-1] == 0
    assert (cuts["tuned_MPSNR"] != cuts["cut_MPSNR"]).all() and cuts["share"].is_monotonic_increasing
    assert differences_table(frame)["verdict"].eq("too few for an interval").all()


@pytest.mark.parametrize("dataset", ["synthetic", "synthetic_stream"])
def test_fine_tuning_trains_the_upsampler_alone_helps_and_repeats(tiny: str, dataset: str) -> None:
    run = load_profile(tiny).run("lkca", dataset=dataset, epochs=4)
    split = load_dataset(dataset, "tiny")
    model = train(run, "cpu", quiet, split).model()
    tuning = truncation._FineTuning(model, run, split)
    cut = truncate(model, 1)
    before = {name: value.clone() for name, value in cut.state_dict().items()}
    tuned = tuning.tuned(cut)
    for name, value in tuned.state_dict().items():
        assert torch.equal(value, before[name]) != name.startswith("upsampler.0.")
        assert torch.equal(cut.state_dict()[name], before[name])
    lr, hr = tuning._pair(tuning.chosen)
    with torch.no_grad():
        change = ((tuned(lr) - hr).abs().mean() - (cut(lr) - hr).abs().mean()).item()
    assert change < (0 if dataset == "synthetic" else 1e-4)  # on a stream the rate is a sixteenth
    assert truncate_and_tune(run, split, 8).equals(truncate_and_tune(run, split, 8))


def test_singular_values_are_those_of_the_networks(tiny: str) -> None:
    frame = study_results("upsampler_svd", tiny, "cpu")
    values = read_file("upsampler_svd", "values", tiny)
    assert set(values["kind"]) == {*KINDS, "after 2 epochs"} and set(values["run"]) == set(frame["run"])
    assert values.groupby("kind")["index"].max().eq(128).all()  # 8 bands · 4², of 9 · 16 columns
    torch.manual_seed(0)
    start = singular_values(upsampler_matrix(build_model("lkca", 8, 4, blocks=1, channels=16)))
    assert np.allclose(values.loc[values["kind"] == "untrained", "value"], start, rtol=1e-4)
    run = load_profile(tiny).run("lkca")
    trained = singular_values(upsampler_matrix(load_result(run).model()))
    assert np.allclose(values.loc[values["kind"] == "trained", "value"], trained, rtol=1e-4)
    assert not np.allclose(trained, start, rtol=1e-4)


def study(values: dict[str, float], seeds: int = 3) -> pd.DataFrame:
    """Return rows of every setting and seed: its value, what the seed does to all, and a little of its own."""
    random = np.random.default_rng(0)
    rows = []
    for seed in range(seeds):
        for setting, value in values.items():
            quality = value + 0.3 * seed + 0.01 * random.standard_normal()
            rows.append({"setting": setting, "seed": seed, **dict.fromkeys(METRICS, quality)})
    return pd.DataFrame(rows)


def test_each_upsampler_is_compared_with_its_counterpart() -> None:
    values = {"bicubic": 38, "full": 40, "grouped": 39, "svd": 39, "spectral": 40, "spectral, equal params": 39}
    frame = study({**values, "svd, distilled": 39.2})
    table = differences_table(frame).set_index(["against", "setting"])
    assert list(table.index) == [
        *(("full", name) for name in ("svd", "spectral", "spectral, equal params")),
        *(("grouped", name) for name in ("svd", "spectral")),
        ("svd", "svd, distilled"),
    ]
    assert table.loc[("full", "svd"), "mean"] == pytest.approx(-1, abs=0.03)
    assert table.loc[("full", "svd"), "verdict"] == "more than chance"
    assert table.loc[("full", "spectral"), "verdict"] == "cannot be told from zero"
    assert table.loc[("svd", "svd, distilled"), "mean"] == pytest.approx(0.2, abs=0.03)
    assert differences_table(study(values, seeds=1))["half_width"].isna().all()


def test_other_networks_are_compared_with_their_own_upsampler() -> None:
    rows = [("bicubic", None, 0, 0.0, 0.0, 29.0),
            ("vdsr", "own", 0, 4.0, 2.0, 30.0), ("vdsr", "own", 1, 4.0, 2.0, 30.2),
            ("vdsr", "grouped", 1, 1.0, 1.0, 29.8), ("vdsr", "grouped", 0, 1.0, 1.0, 29.9),
            ("sspsr", "own", 0, 1.0, 1.0, 28.5), ("sspsr", "grouped", 0, 1.0, 1.0, 28.6)]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["model", "upsampler", "seed", "params_M", "macs_G", "MPSNR"])
    table = elsewhere_table(frame.assign(**dict.fromkeys((*METRICS[1:], *PROJECTED), 1.0)))
    assert table["difference_dB"].tolist() == pytest.approx([0, -0.25, 0, 0.1])  # -0.1 and -0.4, one of each seed
    half = 12.7062 * np.std([-0.1, -0.4], ddof=1) / np.sqrt(2)  # t of 0.975 with one degree of freedom
    assert table["half_width"].tolist() == pytest.approx([0, half, np.nan, np.nan], rel=1e-4, nan_ok=True)
    assert table["over_bicubic_dB"].tolist() == pytest.approx([1.1, 0.85, -0.5, -0.4])
    assert table["seeds"].tolist() == [2, 2, 1, 1] and table["params_saved"].tolist() == [0, 0.75, 0, 0]
