"""Upsamplers: what they cost, where they start, what a truncation leaves, where they fit."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from lkca import build_model, cost, load_weights, resize
from lkca.data.patches import Area
from lkca.data.split import Split
from lkca.measures.cost import Cost
from lkca.models import MODELS
from lkca.models.lkca import LargeKernelBlock
from lkca.models.low_rank import low_rank, truncate, upsampling_convolutions
from lkca.models.upsamplers import (
    KINDS,
    SPECTRAL,
    data_started,
    fitting_rank,
    principal_components,
    truncated,
    upsampler_cost,
)
from lkca.training.run import Distillation, Run
from lkca.training.train import train

TINY = {"blocks": 1, "channels": 32}
WIDTHS = {"vdsr": 16, "sspsr": 16, "msdformer": 48, "essaformer": 16}  # of networks whose upsampler can be replaced
OTHERS = {name: {"blocks": 1, "channels": width} for name, width in WIDTHS.items()}


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(("name", "groups"), [("lkca", 1), ("lkca-lr", 8), ("lkca-kd", 8)])
def test_the_papers_networks_draw_the_same_weights_as_ever(name: str, groups: int) -> None:
    state = {**build_model(name, 12, 4, **TINY).state_dict(), "next": torch.rand(1)}
    torch.manual_seed(0)
    parts = {
        "head": nn.Conv2d(12, 32, 3, padding=1),
        "body.0": LargeKernelBlock(32, 0.1),
        "upsampler.0": weight_norm(nn.Conv2d(32, 192, 3, padding=1, groups=groups)),
    }
    expected = {f"{part}.{key}": value for part, module in parts.items() for key, value in module.state_dict().items()}
    expected["upsampler.0.parametrizations.weight.original0"] *= 0.01
    expected["upsampler.0.bias"] *= 0
    expected["next"] = torch.rand(1)
    assert state.keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in state.items())


@pytest.mark.parametrize("name", OTHERS)
def test_own_is_the_network_as_published(name: str) -> None:
    model = build_model(name, 12, 4, **OTHERS[name]).state_dict()
    torch.manual_seed(0)
    published = MODELS[name].build(12, 4, **OTHERS[name]).state_dict()
    assert list(model) == list(published)
    assert all(torch.equal(model[key], published[key]) for key in published)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("bands", "scale", "channels", "groups"), [(12, 4, 32, 8), (31, 2, 16, 2), (48, 8, 64, 16)])
def test_costs_are_those_of_the_formula(kind: str, bands: int, scale: int, channels: int, groups: int) -> None:
    model = build_model("lkca-lr", bands, scale, blocks=1, channels=channels, groups=groups, upsampler=kind)
    outputs, shuffle = bands * scale**2, scale
    rank = 0
    if kind in ("svd", *SPECTRAL):
        rank = fitting_rank(kind, channels, outputs, shuffle, groups)
    one_pixel = upsampler_cost(kind, channels, outputs, shuffle, groups, rank)
    assert cost(model.upsampler, channels) == Cost(one_pixel.params, one_pixel.macs * 16 * 16)


@pytest.mark.parametrize("kind", ["svd", "spectral"])
@pytest.mark.parametrize("scale", [4, 8])
@pytest.mark.parametrize("bands", [48, 102, 128, 205])
def test_the_rank_is_the_largest_that_costs_no_more_than_groups(kind: str, bands: int, scale: int) -> None:
    def counted(**options: object) -> Cost:
        with torch.device("meta"):
            return cost(build_model("lkca-lr", bands, scale, blocks=1, **options), bands)

    grouped, upsampler = counted(), counted(upsampler=kind)
    rank = fitting_rank(kind, 128, bands * scale**2, scale)
    assert upsampler == counted(upsampler=kind, rank=rank)
    assert upsampler.params <= grouped.params and upsampler.macs <= grouped.macs
    more = counted(upsampler=kind, rank=rank + 1)
    assert more.params > grouped.params or more.macs > grouped.macs


@pytest.mark.parametrize("scale", [4, 8])
@pytest.mark.parametrize("bands", [48, 102, 128, 205])
def test_lkca_best_costs_no_more_than_lkca_lr(bands: int, scale: int) -> None:
    with torch.device("meta"):
        best, grouped = (cost(build_model(name, bands, scale, blocks=1), bands) for name in ("lkca-best", "lkca-lr"))
    assert best.params <= grouped.params and best.macs <= grouped.macs


def test_ranks_at_the_papers_size() -> None:
    assert fitting_rank("svd", 128, 2048, 4) == 92
    assert fitting_rank("spectral", 128, 2048, 4) == 14
    assert fitting_rank("spectral", 128, 2048, 4, by=("params",)) == 16
    assert fitting_rank("svd", 128, 2048, 4, groups=1) == 737  # two matrices, each smaller
    assert fitting_rank("spectral", 128, 16, 4) == 1  # one band: nothing is cheaper


@pytest.mark.parametrize("kind", KINDS)
def test_an_upsampler_starts_near_bicubic_and_every_weight_learns(kind: str) -> None:
    model = build_model("lkca-lr", 12, 4, drop_path=0.0, upsampler=kind, **TINY)
    x = torch.rand(2, 12, 9, 7)
    output = model(x)
    assert output.shape == (2, 12, 36, 28)
    assert 1e-5 < (output - resize(x, 4)).abs().max() < 0.05
    (output - torch.rand_like(output)).square().mean().backward()
    for name, value in model.upsampler.named_parameters():
        assert value.grad is not None and value.grad.abs().max() > 0, name


@pytest.mark.parametrize("kind", KINDS)
def test_an_upsampler_sees_one_pixel_around(kind: str) -> None:
    upsampler = build_model("lkca-lr", 12, 4, upsampler=kind, **TINY).upsampler
    features = torch.rand(1, 32, 12, 6)
    with torch.no_grad():
        whole, strip = upsampler(features), upsampler(features[:, :, 3:9])
    assert torch.allclose(whole[:, :, 16:32], strip[:, :, 4:20], atol=1e-7)
    assert not torch.allclose(whole[:, :, 12:16], strip[:, :, :4], atol=1e-5)


def test_grouped_mixed_reads_a_spread() -> None:
    upsampler = build_model("lkca-lr", 8, 4, upsampler="grouped-mixed", **TINY).upsampler
    features = torch.rand(1, 32, 4, 4, requires_grad=True)
    upsampler(features)[:, 3].sum().backward()
    assert features.grad.abs().amax(dim=(0, 2, 3)).nonzero().flatten().tolist() == [3, 11, 19, 27]


# --- truncation


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("rank", [1, 5, 96])
def test_a_truncation_is_the_best_of_its_rank(rank: int, normalised: bool) -> None:
    full = build_model("lkca" if normalised else "vdsr", 6, 4, **OTHERS["vdsr"]).upsampler[0]
    if full.bias is not None:
        nn.init.normal_(full.bias)
    first, second = truncated(full, rank)
    matrix = full.weight.detach().double().flatten(1)
    product = second.weight.detach().double().flatten(1) @ first.weight.detach().double().flatten(1)
    left = torch.linalg.svdvals(matrix)[rank:]
    # Eckart and Young: no matrix of that rank is closer
    assert torch.linalg.norm(matrix - product) == pytest.approx(left.square().sum().sqrt().item(), abs=1e-6)
    if rank == 96:
        x = torch.rand(2, 16, 5, 5)
        assert torch.allclose(second(first(x)), full(x), atol=1e-5)


def test_a_truncated_network_is_the_same_at_full_rank() -> None:
    model = build_model("lkca", 6, 4, **TINY).eval()
    x = torch.rand(1, 6, 5, 5)
    with torch.no_grad():
        assert torch.allclose(truncate(model, 96)(x), model(x), atol=1e-5)
        assert not torch.allclose(truncate(model, 2)(x), model(x), atol=1e-5)
    assert upsampling_convolutions(model) == ["upsampler.0"]  # the one given is as it was


@pytest.mark.parametrize(("model", "rank", "message"), [("lkca", 0, "from 1 to 96"), ("lkca-lr", 2, "without groups")])
def test_what_cannot_be_truncated_is_said(model: str, rank: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        truncate(build_model(model, 6, 4, **TINY), rank)


# --- a start from the training data


def test_principal_components_are_found_whatever_the_order() -> None:
    planted = torch.linalg.qr(torch.randn(9, 2, dtype=torch.float64))[0]
    weights = torch.randn(3, 2, 8, 8, dtype=torch.float64) * torch.tensor([3.0, 1.0]).view(1, 2, 1, 1)
    residuals = torch.einsum("bk,nkhw->nbhw", planted, weights) + 0.01 * torch.randn(3, 9, 8, 8)
    found = principal_components(residuals, 2)
    assert torch.allclose((found.T @ planted).abs(), torch.eye(2, dtype=torch.float64), atol=0.1)
    assert torch.allclose(found.T @ found, torch.eye(2, dtype=torch.float64))
    assert torch.allclose(principal_components(-residuals.flip(0, 2), 2), found)
    assert (found.gather(0, found.abs().argmax(dim=0, keepdim=True)) > 0).all()  # and its sign is settled
    assert principal_components(torch.rand(1, 1, 4, 4), 1).tolist() == [[1.0]]


def scenes(seed: int = 0) -> Split:
    """Two areas whose spectra have two dimensions, of 12 bands."""
    random = np.random.default_rng(seed)
    spectra = random.random((12, 2))
    maps = random.random((2, 2, 48, 48))
    cubes = (np.einsum("bk,nkhw->nbhw", spectra, maps) / 2).astype(np.float32)
    areas = [Area(name, cube) for name, cube in zip(("a", "b"), cubes, strict=True)]
    return Split("synthetic", "default", tuple(areas[:1]), tuple(areas[1:]), None, (0, 1, 2), 1.0, "checksum")


def run(kind: str, **changes: object) -> Run:
    options = {"upsampler": kind, **TINY}
    settings = {"model": "lkca-lr", "epochs": 2, "batch": 4, "patch": 16, "stride": 8, "options": options}
    return Run(**{**settings, **changes})


@pytest.mark.parametrize("kind", KINDS)
def test_every_upsampler_trains_and_loads_again(kind: str) -> None:
    result = train(run(kind), "cpu", str, scenes())
    model, passport = load_weights(result.folder / "weights.safetensors")
    assert passport.options["upsampler"] == kind and np.isfinite(result.metrics["MPSNR"])
    fresh = build_model("lkca-lr", 12, 4, **passport.options)
    assert model.upsampler.state_dict().keys() == fresh.upsampler.state_dict().keys()
    assert any(not torch.equal(a, b) for a, b in zip(model.parameters(), fresh.parameters(), strict=True))


def test_spectral_starts_from_the_training_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    split = scenes()
    spectra = torch.linalg.svd(torch.from_numpy(split.train[0].cube).double().flatten(1), full_matrices=False)[0][:, :2]
    seen = []

    def epoch(self: object, number: int) -> float:
        seen.append(
            [part.weight.detach().clone().flatten(1) for part in self.model.modules() if hasattr(part, "start_from")]
        )
        raise KeyboardInterrupt

    monkeypatch.setattr("lkca.training.trainer.Trainer._epoch", epoch)
    for kind in SPECTRAL:
        options = {"upsampler": kind, "rank": 2, **TINY}
        with pytest.raises(KeyboardInterrupt):
            train(run(kind, options=options), "cpu", str, split)
    from_data, at_random = (basis.double() for (basis,) in seen)
    assert torch.allclose(spectra.T @ from_data @ from_data.T @ spectra, torch.eye(2).double(), atol=1e-4)
    assert not torch.allclose(spectra.T @ at_random @ at_random.T @ spectra, torch.eye(2).double(), atol=0.1)


def test_a_resumed_run_does_not_start_again(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    split = scenes()
    weights = train(run("spectral"), "cpu", str, split).folder.joinpath("weights.safetensors").read_bytes()
    monkeypatch.setenv("LKCA_RUNS", str(tmp_path / "elsewhere"))

    def stop(line: str) -> None:
        if "epoch 1/" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(run("spectral"), "cpu", stop, split)
    assert train(run("spectral"), "cpu", str, split).folder.joinpath("weights.safetensors").read_bytes() == weights


def test_a_teacher_has_the_full_upsampler() -> None:
    student = run("svd", model="lkca-kd", distillation=Distillation(teacher_blocks=2))
    assert student.options["upsampler"] == "svd"
    teacher = student.teacher().options
    assert (teacher["upsampler"], teacher["groups"], teacher["rank"]) == ("grouped", 1, 0)
    assert student.teacher() == run("spectral", model="lkca-kd", distillation=student.distillation).teacher()


# --- other networks


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("kind", KINDS)
def test_upsamplers_in_other_networks(name: str, kind: str) -> None:
    options = {**OTHERS[name], "groups": 4}
    plain = build_model(name, 12, 4, **options)
    assert cost(plain, 12) == cost(build_model(name, 12, 4, **OTHERS[name]), 12)  # "own" is as published
    if kind in SPECTRAL and name != "vdsr":
        with pytest.raises(ValueError, match=f"spectral upsampler does not fit {type(plain).__name__}"):
            build_model(name, 12, 4, upsampler=kind, **options)
        return
    model = build_model(name, 12, 4, upsampler=kind, **options)
    model(torch.rand(1, 12, 5, 4)).square().sum().backward()
    assert all(p.grad is not None for name, p in model.named_parameters() if "ups" in name)
    grouped = build_model(name, 12, 4, upsampler="grouped", **options)
    before, after = cost(grouped, 12), cost(model, 12)
    assert after.params <= before.params or kind in ("grouped-1x1", "separable")
    assert after.macs <= before.macs or kind in ("grouped-1x1", "separable")
    assert cost(plain, 12).params > before.params
    again = build_model(name, 12, 4, upsampler=kind, **options)
    again.load_state_dict(model.state_dict())
    assert bool(data_started(model)) == (kind == "spectral")


@pytest.mark.parametrize("name", OTHERS)
def test_other_networks_train_with_an_upsampler(name: str) -> None:
    kind = "spectral" if name == "vdsr" else "svd"
    options = {**OTHERS[name], "upsampler": kind, "rank": 2}
    result = train(run(kind, model=name, epochs=1, options=options, stride=16), "cpu", str, scenes())
    assert np.isfinite(result.metrics["MPSNR"])
    assert result.model().training is False


def test_other_convolutions() -> None:
    cubes = build_model("3dfcnn", 12, 4, channels=8)
    assert low_rank(cubes, 3, kind="svd")(torch.rand(1, 12, 4, 4)).shape == (1, 12, 16, 16)
    with pytest.raises(ValueError, match="spectral upsampler does not fit FCNN3D.layers.6"):
        low_rank(cubes, 3, kind="spectral")
    plain = nn.Sequential(nn.Conv2d(6, 96, 5, padding=2, padding_mode="reflect"), nn.PixelShuffle(4)).eval()
    model = low_rank(plain, 2, kind="spectral", rank=3)
    assert model[0].padding_mode == "reflect" and model[0].kernel_size == (5, 5) and not model[2].training
    assert not parametrize.is_parametrized(model[0])
    assert model(torch.rand(1, 6, 7, 7)).shape == (1, 6, 28, 28)


def test_low_rank_of_lkca_is_lkca_with_that_upsampler() -> None:
    for kind in KINDS:
        model = low_rank(build_model("lkca", 12, 4, **TINY), 8, kind=kind)
        same = build_model("lkca-lr", 12, 4, upsampler=kind, **TINY)
        assert {k: v.shape for k, v in model.state_dict().items()} == {k: v.shape for k, v in same.state_dict().items()}
        x = torch.rand(1, 12, 6, 6)
        assert (model(x) - resize(x, 4)).abs().max() < 0.05


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lkca", {"upsampler": "own"}, "lkca option upsampler must be one of grouped, .*, got 'own'"),
        ("sspsr", {"upsampler": "best"}, "sspsr option upsampler must be one of own, grouped, .*, got 'best'"),
        ("lkca-lr", {"upsampler": "svd", "rank": -1}, "rank must be a whole number of at least 0, got -1"),
        ("lkca-lr", {"upsampler": "svd", "rank": 97}, "rank of this svd upsampler is at most 96, got 97"),
        ("lkca-lr", {"upsampler": "spectral", "rank": 7}, "rank of this spectral upsampler is at most 6, got 7"),
        ("lkca-lr", {"rank": 3}, "a grouped upsampler has no rank, got 3"),
        ("bicubic", {"upsampler": "svd"}, "model 'bicubic' has no option 'upsampler'"),
    ],
)
def test_refusals(name: str, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_model(name, 6, 4, **({} if name == "bicubic" else {**OTHERS.get(name, TINY)}), **options)
