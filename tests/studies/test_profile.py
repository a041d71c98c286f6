"""Profiles: what their runs are, and that the committed tables are of these runs."""

import math
from collections.abc import Callable
from functools import cache

import pytest
import torch

from lkca.cost import cost
from lkca.data.datasets import DATASETS
from lkca.files import project_root
from lkca.losses import decayed_weight
from lkca.models import BASELINES, build_model
from lkca.models.upsamplers import upsampler_cost
from lkca.studies import find_study, profile_names, studies, study_runs
from lkca.studies.distillation import distillation_runs
from lkca.studies.equal_cost import MAX_RATIO, options_of
from lkca.studies.profile import load_profile
from lkca.studies.tables import read_rows

WITH_TABLES = [study.name for study in studies().values() if study.runs]
BANDS = {"quick": 48, "cpu": 205, "small": 205, "paper": 128, "converged": 48}
STEPS = {"vdsr": 4, "3dfcnn": 2, "sspsr": 4, "msdformer": 3, "essaformer": 4}  # of widths; 16 of LKCA networks
NARROWEST = {"vdsr": 4, "3dfcnn": 2, "sspsr": 16, "msdformer": 18, "essaformer": 4}


@pytest.mark.parametrize("profile", ["quick", "converged", "cpu"])
def test_committed_tables_hold_exactly_the_runs_of_their_study(profile: str) -> None:
    for study in WITH_TABLES:
        if runs := study_runs(study, profile):
            assert read_rows(project_root() / "results" / profile / f"{study}.csv", runs) is not None, study


@pytest.mark.parametrize("profile", profile_names())
def test_every_run_can_be_built(profile: str) -> None:
    runs = [run for study in WITH_TABLES for run in study_runs(study, profile)]
    for run in {(run.model, run.scale, repr(run.options)): run for run in runs}.values():
        one_block = {"blocks": 1} if "blocks" in run.options else {}  # depth fits always, and takes time to build
        with torch.device("meta"):
            build_model(run.model, BANDS.get(profile, 64), run.scale, **run.options | one_block)
    students = [run for run in runs if run.distillation]
    assert students and all(run.teacher().options["blocks"] >= run.options["blocks"] for run in students)


@pytest.mark.parametrize("profile", BANDS)
def test_the_decay_of_the_distillation_acts_and_every_distilled_run_has_its_counterpart(profile: str) -> None:
    decays = distillation_runs(load_profile(profile), ("decay",))
    decayed = [run for run in decays if run.distillation and run.distillation.decay < 1]
    assert all(decayed_weight(1, run.distillation.decay, run.epochs - 1) < 1 for run in decayed)
    runs = distillation_runs(load_profile(profile))
    plain = {(run.seed, run.stride, run.epochs) for run in runs if run.model == "lkca-lr"}
    assert plain == {(run.seed, run.stride, run.epochs) for run in runs if run.distillation}
    assert {run.teacher() for run in runs if run.distillation} <= set(runs)


@pytest.mark.parametrize("profile", BANDS)
def test_the_spectral_rank_is_that_of_equal_parameters(profile: str) -> None:
    chosen = load_profile(profile)
    sizes, rank = (chosen.lkca["channels"], BANDS[profile] * 16, 4), chosen.section("upsamplers")["spectral_rank"]
    grouped, spectral, larger = (
        upsampler_cost(kind, *sizes, rank=k).params
        for kind, k in (("grouped", 0), ("spectral", rank), ("spectral", rank + 1))
    )
    assert spectral <= grouped < larger


@cache
def _macs(model: str, width: int, bands: int) -> int:
    with torch.device("meta"):
        network = build_model(model, bands, 4, **options_of(model, width))
    return cost(network, bands).macs


@pytest.mark.parametrize("profile", ["quick", "converged", "cpu"])
def test_widths_of_equal_cost_are_nearer_to_the_budget_than_their_neighbours(profile: str) -> None:
    for budget, widths in load_profile(profile).section("equal_cost")["widths"].items():
        for model, width in widths.items():
            step = STEPS.get(model, 16)
            near = [w for w in (width - step, width, width + step) if w >= NARROWEST.get(model, 16)]
            ratios = {w: abs(math.log(_macs(model, w, BANDS[profile]) / budget / 1e9)) for w in near}
            assert min(ratios, key=ratios.get) == width and ratios[width] < math.log(MAX_RATIO)


def test_every_region_tests_once_and_the_others_train() -> None:
    variants = {run.variant for run in study_runs("regions", "quick")}
    plans = [DATASETS["synthetic"].variants[name] for name in variants]
    assert sorted(plan.test_seeds for plan in plans) == [(0,), (1,), (2,), (3,)]
    assert all({*plan.train_seeds, *plan.test_seeds} == {0, 1, 2, 3} for plan in plans)
    assert {run.variant for run in study_runs("regions", "cpu")} == set(DATASETS["la_aviris"].variants)


def test_scenes_have_one_setting_and_none_chose_it() -> None:
    runs = study_runs("scenes", "cpu")
    names = {run.dataset for run in runs}
    assert len(names) == 14 and "Los Angeles" not in {DATASETS[name].place for name in names}
    settings = {}
    for run in runs:
        same = {key: value for key, value in run.settings().items() if key not in ("dataset", "patch", "stride")}
        assert settings.setdefault((run.model, run.scale), same) == same
    expected = cost(build_model("lkca", 200, 4, blocks=2, channels=64), 200).macs
    for model in ("vdsr", "sspsr", "msdformer", "essaformer", "3dfcnn"):
        run = next(run for run in runs if run.model == model and run.scale == 4)
        assert cost(build_model(model, 200, 4, **run.options), 200).macs == pytest.approx(expected, rel=0.14)


def test_settings_of_a_model_and_arguments_override_the_profile(make_profile: Callable[..., str]) -> None:
    models = {"vdsr": {"options": {"channels": 8, "blocks": 2}, "epochs": 3}}
    profile = load_profile(make_profile(models=models, seeds=[5, 6], one_seed=["vdsr"]))
    run = profile.run("vdsr", options={"blocks": 1}, batch=2)
    assert (run.seed, run.epochs, run.batch, run.options["channels"], run.options["blocks"]) == (5, 3, 2, 8, 1)
    student = profile.run("lkca-kd", 6, distillation={"decay": 1.0})
    assert (student.distillation.teacher_blocks, student.distillation.decay) == (2, 1.0)
    assert profile.seeds_of("vdsr") == profile.seeds_of("bicubic") == (5,) and profile.seeds_of("lkca") == (5, 6)
    assert [run.model for run in profile.baselines()] == list(BASELINES)


@pytest.mark.parametrize("content", [{"setings": {}}, {"data": ["{"], "seeds": 3}])
def test_a_wrong_profile_is_refused_with_its_file(make_profile: Callable[..., str], content: dict) -> None:
    with pytest.raises(ValueError, match=r"tiny\.yaml"):
        load_profile(make_profile(**content))


def test_unknown_names_are_refused_with_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"'huge'.*quick"):
        load_profile("huge")
    with pytest.raises(ValueError, match=r"'distil'.*distillation"):
        find_study("distil")
