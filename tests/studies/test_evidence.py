"""The studies that decide: partial tables, leave one place out, twice the training, ablation, rank, rates of hosts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lkca.data.dataset import Dataset, OnePlaceOut
from lkca.data.datasets import DATASETS
from lkca.data.loaders import load_dataset
from lkca.data.synthetic.scenes import synthetic_scene
from lkca.data.wavelengths import resample_bands
from lkca.fast import accelerate, predict
from lkca.files import project_root, results_folder
from lkca.models import BASELINES, build_model
from lkca.resize import resize
from lkca.studies import ablation, study_runs
from lkca.studies.ablation import PARTS, upsample_in_tiles
from lkca.studies.batch import train_runs
from lkca.studies.collect import collect
from lkca.studies.profile import load_profile

CONVERGED = {"models": ["lkca", "lkca-lr", "lkca-kd"], "seeds": 3, "teachers": 2}


def read(name: str) -> pd.DataFrame:
    return pd.read_csv(results_folder() / "tiny" / f"{name}.csv")


# --- partial tables


def test_a_partial_table_holds_complete_comparisons_and_says_what_is_missing(make_profile: Callable[..., str]) -> None:
    profile = make_profile(partial=True, studies={"until_converged": CONVERGED})
    with pytest.raises(FileNotFoundError, match="until_converged"):
        collect("until_converged", profile)
    runs = study_runs("until_converged", profile)
    first = [run for run in runs if run.seed == 0]
    train_runs([*first, next(run for run in runs if run.seed == 1)])  # the comparison of seed 1 is not complete
    table = collect("until_converged", profile)
    assert set(table["run"]) == {run.name for run in first}
    assert set(read("until_converged_missing")["seed"]) == {1, 2} and len(read("until_converged_missing")) == 6
    images = read("until_converged_images")
    means = images.groupby("run")[["MPSNR", "MPSNR_bp"]].mean()
    expected = table.set_index("run")[["MPSNR", "MPSNR_bp"]]
    np.testing.assert_allclose(means.loc[expected.index], expected, atol=1e-4)


def test_a_partial_table_is_continued_elsewhere(
    make_profile: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = {**CONVERGED, "models": ["lkca", "lkca-lr"], "seeds": 2}
    profile = make_profile(partial=True, studies={"until_converged": section})
    runs = study_runs("until_converged", profile)
    train_runs([run for run in runs if run.seed == 0])
    collect("until_converged", profile)
    monkeypatch.setenv("LKCA_RUNS", str(tmp_path / "elsewhere"))
    train_runs([run for run in runs if run.seed == 1])
    table = collect("until_converged", profile, keep=True)
    assert table["run"].tolist() == [run.name for run in runs] and read("until_converged_missing").empty
    assert set(read("until_converged_images")["run"]) == set(table["run"])


# --- leave one place out


@pytest.fixture
def four_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the small real scenes by five tiny ones of four places, each with its own bands and range."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("LKCA_DATA", str(folder))
    places = {"a": "A", "b": "B", "c": "C", "d": "D", "e": "D"}
    for name in [name for name, dataset in DATASETS.items() if dataset.kind == "single_scene"]:
        monkeypatch.delitem(DATASETS, name)
    for number, (name, place) in enumerate(places.items()):
        cube = synthetic_scene(80, 88, 6 + number, number).cube * 1000 * (number + 1)
        np.save(folder / f"{name}.npy", cube.transpose(1, 2, 0))
        scene = Dataset(
            name=name, title=name, place=place, sensor="S", shape=cube.shape, files=(f"{name}.npy",), source="a test",
            variants={"held-out-quarter": None}, patch={4: 32}, stride={4: 16}, kind="single_scene",
        )  # fmt: skip
        monkeypatch.setitem(DATASETS, name, scene)
    variants = {place: OnePlaceOut(place, bands=5) for place in sorted(set(places.values()))}
    files = tuple(f"{name}.npy" for name in places)
    monkeypatch.setitem(DATASETS, "leave_one_out", replace(DATASETS["leave_one_out"], variants=variants, files=files))
    return folder


def test_the_left_out_place_tests_and_leaves_no_trace_in_training(four_places: Path) -> None:
    split = load_dataset("leave_one_out", "D")
    assert [area.name for area in split.test] == ["d", "e"] and [area.name for area in split.train] == ["a", "b", "c"]
    assert {area.name for area in split.validation} == {"a", "c"}
    assert {area.cube.shape[0] for area in (*split.train, *split.test, *split.validation)} == {5}
    assert all(area.cube.min() >= 0 and area.cube.max() == 1 for area in split.test)
    kept, strip = split.train[0].cube, split.validation[0].cube
    assert kept.shape[2] + strip.shape[2] == 88  # no pixel of the strip is trained on
    np.save(four_places / "d.npy", np.load(four_places / "d.npy")[:, ::-1])
    other = load_dataset("leave_one_out", "D")
    assert all(np.array_equal(a.cube, b.cube) for a, b in zip(split.train, other.train, strict=True))
    assert split.checksum != other.checksum


def test_a_network_starts_from_synthetic_weights_and_is_tested_elsewhere(
    four_places: Path, make_profile: Callable[..., str]
) -> None:
    start = {"dataset": "synthetic", "variant": "five-bands", "learning_rate": 1e-3, "epochs": 1}
    scenes = DATASETS["synthetic"].variants["tiny"]._replace(bands=5)
    variants = {**DATASETS["synthetic"].variants, "five-bands": scenes}
    own = {
        "settings": {"dataset": "leave_one_out", "epochs": 2, "batch": 8, "start_from": start},
        "lkca": {"blocks": 1, "channels": 16},
        "compared": ["lkca-lr", "lkca-kd"],
        "teacher_blocks": 1,
        "seeds": 1,
    }
    profile = make_profile(partial=True, studies={"leave_one_out": own})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATASETS, "synthetic", replace(DATASETS["synthetic"], variants=variants))
        places = {name: DATASETS["leave_one_out"].variants[name] for name in ("A", "B")}
        patch.setitem(DATASETS, "leave_one_out", replace(DATASETS["leave_one_out"], variants=places))
        runs = study_runs("leave_one_out", profile)
        assert len({run.start().name for run in runs}) == 4  # one for each model, whatever the place
        assert train_runs(runs)
        table = collect("leave_one_out", profile)
    assert set(table["variant"]) == {"A", "B"} and set(table["model"]) == {*BASELINES, "lkca-lr", "lkca-kd"}
    assert table.groupby("variant")["MPSNR"].nunique().ge(3).all()


def test_bands_are_resampled_by_wavelength_or_number() -> None:
    wavelengths = np.array([400.0, 500.0, 900.0, 800.0])  # not in order, not even
    cube = wavelengths[:, None, None].astype(np.float32) * np.ones((1, 2, 3), np.float32)
    found = resample_bands(cube, wavelengths, 6)[:, 0, 0]
    np.testing.assert_allclose(found, np.linspace(400, 900, 6), rtol=1e-6)  # linear data stay linear
    assert np.array_equal(resample_bands(cube, None, 4), cube)
    np.testing.assert_allclose(resample_bands(cube, None, 7)[1, 0, 0], 450)


# --- twice the training


def test_doubled_runs_belong_to_runs_of_their_study(make_profile: Callable[..., str]) -> None:
    chosen = [{"study": "until_converged", "model": "lkca-lr", "seeds": [1]}]
    profile = make_profile(partial=True, studies={"until_converged": CONVERGED, "doubled": chosen})
    (longer,) = study_runs("doubled", profile)
    (run,) = [r for r in study_runs("until_converged", profile) if (r.model, r.seed) == ("lkca-lr", 1)]
    assert (longer.epochs, longer.patience) == (2 * run.epochs, 2 * run.patience)
    assert replace(longer, epochs=run.epochs, patience=run.patience) == run
    assert train_runs([run, longer])
    collect("doubled", profile)
    gains = read("doubled_gains")
    assert gains[["epochs", "longer_epochs"]].values.tolist() == [[1, 2]] and np.isfinite(gains["gain_dB"]).all()


# --- ablation


@pytest.mark.parametrize("parts", PARTS)
def test_a_network_without_parts_is_smaller_and_as_fast_ones_compute(parts: dict[str, bool]) -> None:
    options = {"blocks": 2, "channels": 16}
    torch.manual_seed(0)
    whole = build_model("lkca", 6, 4, **options)
    torch.manual_seed(0)
    model = build_model("lkca", 6, 4, **options, **parts).eval()
    names = set(model.state_dict())
    assert any("channel_attention" in name for name in names) == parts["channel_attention"]
    assert any("distant" in name for name in names) == parts["large_kernel"]
    if all(parts.values()):
        assert all(torch.equal(whole.state_dict()[name], model.state_dict()[name]) for name in names)
    x = torch.rand(2, 6, 12, 12, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        plain = model(x)
        torch.testing.assert_close(accelerate(model)(x), plain)


def test_only_the_channel_attention_sees_a_whole_image() -> None:
    """Far from its border, a pixel of a large image is that of a small one, if nothing averages over the image."""
    torch.manual_seed(0)
    x = torch.rand(1, 4, 64, 64)
    for attention in (True, False):
        model = build_model("lkca", 4, 2, blocks=1, channels=16, channel_attention=attention).eval()
        with torch.no_grad():
            model.upsampler[0].parametrizations.weight.original0.fill_(1)  # which starts near zero
            large, small = model(x)[..., 40:60, 40:60], model(x[..., :50, :50])[..., 40:60, 40:60]
        assert torch.allclose(large, small, atol=1e-6) != attention


def test_a_scene_in_tiles_is_upsampled_tile_by_tile() -> None:
    truth = torch.from_numpy(synthetic_scene(64, 64, 3, 0).cube)
    model = build_model("lkca-lr", 3, 4, blocks=1, channels=16, groups=8)
    whole = upsample_in_tiles(model, truth, 4, 16)
    assert torch.equal(whole, predict(model, resize(truth, 1 / 4)))
    tiles = upsample_in_tiles(model, truth, 4, 8)
    assert torch.equal(tiles[:, :32, 32:], predict(model, resize(truth[:, :32, 32:], 1 / 4)))


def test_the_ablation_is_measured_at_every_size(
    make_profile: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ablation, "SIZES", (16, 32))
    profile = make_profile(partial=True, studies={"ablation": {"seeds": 1}})
    assert train_runs(study_runs("ablation", profile))
    collect("ablation", profile)
    sizes = read("ablation_sizes")
    assert set(sizes["size"]) == {16, 32} and set(sizes["run"]) == {r.name for r in study_runs("ablation", profile)}
    bicubic = sizes[sizes["model"] == "bicubic"].groupby("size")["MPSNR"].mean()
    assert bicubic[16] != bicubic[32] and abs(bicubic[16] - bicubic[32]) < 0.5  # borders alone differ


# --- rank of the upsampler, rates of the hosts


def test_ranks_stand_beside_their_controls(make_profile: Callable[..., str]) -> None:
    profile = make_profile(partial=True, studies={"upsampler_rank": {"widths": [16, 32], "seeds": 1}})
    assert train_runs(study_runs("upsampler_rank", profile))
    collect("upsampler_rank", profile)
    controls = read("upsampler_rank_controls")
    assert len(controls) == 2 * 2 * 2 and set(controls["channels"]) == {16, 32}
    pointwise = controls[controls["layer"] == "1x1 of the body"]
    assert (pointwise["values"] == pointwise["channels"]).all() and controls["share"].between(0.05, 1).all()
    cuts = read("upsampler_rank_truncation")
    assert {3, 6, 12} <= set(cuts["k"]) and cuts.groupby("run")["k"].max().tolist() == [128, 128]


def test_the_profile_has_the_rates_that_validated_best() -> None:
    path = project_root() / "results" / "evidence" / "host_rates_validation.csv"
    if not path.is_file():
        pytest.skip("the rates have not been compared yet")
    models = load_profile("evidence").models
    means = pd.read_csv(path).groupby(["model", "learning_rate"])["validation"].mean()
    for host, rates in means.groupby("model"):
        assert models[host]["learning_rate"] == rates.idxmax()[1], host
