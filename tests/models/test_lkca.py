"""LKCA-Net and the table of models: where training starts, what is trained, what is refused."""

import math
import warnings

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from lkca.measures.metrics import mpsnr
from lkca.measures.resize import resize
from lkca.models import MODELS, build_model, complete_options, model_names, model_options
from lkca.models.lkca import DropPath

TINY = {"blocks": 2, "channels": 16}


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def smooth_image(bands: int, side: int = 64) -> torch.Tensor:
    noise = np.random.default_rng(0).random((bands, side, side))
    smooth = gaussian_filter(noise, (0, 1.5, 1.5))  # bicubic reaches 35 dB at x2, as on real scenes
    return torch.from_numpy((smooth - smooth.min()) / np.ptp(smooth)).float()


@pytest.mark.parametrize("name", ["lkca", "lkca-lr", "lkca-kd"])
@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("options", [TINY, {"blocks": 4, "channels": 128}])
def test_starts_as_bicubic_plus_something_small(name: str, scale: int, options: dict) -> None:
    truth = smooth_image(8)
    lr = resize(truth, 1 / scale)
    model = build_model(name, 8, scale, **options).eval()
    with torch.no_grad():
        output, bicubic = model(lr[None])[0], resize(lr, scale)
    difference = (output - bicubic).abs().max().item()
    assert 1e-4 < difference < 0.02
    assert mpsnr(output.numpy(), truth.numpy()) == pytest.approx(mpsnr(bicubic.numpy(), truth.numpy()), abs=0.1)


@pytest.mark.filterwarnings("ignore:8 groups do not divide")
@pytest.mark.parametrize("name", ["bicubic", "lkca", "lkca-lr"])
@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("bands", [1, 2, 3, 8, 31])
def test_any_bands_and_scale(name: str, scale: int, bands: int) -> None:
    model = build_model(name, bands, scale, **({} if name == "bicubic" else TINY))
    assert model(torch.rand(2, bands, 5, 3)).shape == (2, bands, 5 * scale, 3 * scale)


@pytest.mark.parametrize("name", ["lkca", "lkca-lr"])
def test_every_parameter_gets_a_gradient(name: str) -> None:
    model = build_model(name, 5, 4, drop_path=0.0, **TINY)
    model(torch.rand(2, 5, 8, 8)).square().mean().backward()
    for parameter, value in model.named_parameters():
        assert value.grad is not None and value.grad.abs().max() > 0, parameter


def test_groups_part_features_and_bands() -> None:
    """Group k of g reads the k-th 1/g of the features and writes the k-th 1/g of the bands."""
    model = build_model("lkca-lr", 8, 4, **TINY)
    features = torch.rand(1, 16, 4, 4, requires_grad=True)
    model.upsampler(features)[:, 3].sum().backward()
    reached = features.grad.abs().amax(dim=(0, 2, 3)).nonzero().flatten().tolist()
    assert reached == [6, 7]


@pytest.mark.parametrize(
    ("bands", "scale", "groups"), [(1, 2, 4), (3, 2, 4), (31, 2, 4), (2, 2, None), (1, 4, None), (5, 8, None)]
)
def test_groups_that_do_not_divide_are_said(bands: int, scale: int, groups: int | None) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = build_model("lkca-lr", bands, scale, **TINY)
    assert model.upsampler[0].groups == (groups or 8)
    messages = [str(w.message) for w in caught]
    wanted = f"8 groups do not divide the {bands * scale**2} outputs of {bands} bands at x{scale}; using {groups}"
    assert messages == ([wanted] if groups else [])


def test_drop_path_only_in_training() -> None:
    model = build_model("lkca-lr", 8, 4, drop_path=0.5, **TINY)
    x = torch.rand(4, 8, 8, 8)
    model.train()
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))
    model = build_model("lkca-lr", 8, 4, drop_path=0.0, **TINY).train()
    assert torch.equal(model(x), model(x))


def test_drop_path_drops_whole_images_and_keeps_the_mean() -> None:
    y = DropPath(0.25).train()(torch.ones(4000, 2, 3, 3))
    per_image = y.flatten(1)
    assert (per_image == per_image[:, :1]).all()
    assert per_image[:, 0].unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert per_image.mean().item() == pytest.approx(1, abs=0.03)


def test_names_are_those_of_the_tables() -> None:
    assert set(MODELS) - set(model_names()) == {"back-projection", "lkca-best", "lkca-any"}
    assert model_names()[0] == "bicubic" and {"lkca", "lkca-lr", "lkca-kd"} <= set(model_names())
    shared = {"blocks": 16, "channels": 128, "drop_path": 0.1, "upsampler": "grouped", "rank": 0}
    assert model_options("lkca") == {**shared, "groups": 1}
    assert model_options("lkca-lr") == model_options("lkca-kd") == {**shared, "groups": 8}


def test_complete_options_is_one_form() -> None:
    assert complete_options("lkca-lr", {"drop_path": 0, "blocks": 2}) == {
        "blocks": 2,
        "channels": 128,
        "groups": 8,
        "drop_path": 0.0,
        "upsampler": "grouped",
        "rank": 0,
    }
    assert isinstance(complete_options("lkca-lr", {"drop_path": 0})["drop_path"], float)


@pytest.mark.parametrize(
    ("name", "bands", "scale", "options", "message"),
    [
        ("lkca-xl", 8, 4, {}, "unknown model 'lkca-xl': choose one of bicubic, "),
        ("lkca", 8, 4, {"block": 2}, "no option 'block'; its options and defaults: blocks=16"),
        ("bicubic", 8, 4, {"blocks": 2}, "no option 'blocks'; its options and defaults: none"),
        ("lkca", 8, 3, {}, "scale must be one of 2, 4, 8, got 3"),
        ("lkca", 8, -4, {}, "scale must be one of 2, 4, 8, got -4"),
        ("lkca", 8, 4.0, {}, "scale must be one of 2, 4, 8, got 4.0"),
        ("lkca", 8, "4", {}, "scale must be one of 2, 4, 8, got '4'"),
        ("lkca", 0, 4, {}, "bands must be a whole number of at least 1, got 0"),
        ("lkca", 8.0, 4, {}, "bands must be a whole number"),
        ("lkca", True, 4, {}, "bands must be a whole number"),
        ("lkca", 8, 4, {"blocks": 0}, "blocks must be a whole number of at least 1, got 0"),
        ("lkca", 8, 4, {"channels": -16}, "channels must be a whole number"),
        ("lkca", 8, 4, {"groups": 2.0}, "groups must be a whole number"),
        ("lkca", 8, 4, {"channels": 24}, "multiple of 16, got 24"),
        ("lkca", 8, 4, {"channels": 16, "groups": 3}, "divide the 16 channels, got 3"),
        ("lkca", 8, 4, {"drop_path": 1.0}, "drop_path must be at least 0 and below 1, got 1.0"),
        ("lkca", 8, 4, {"drop_path": -0.1}, "drop_path must be at least 0 and below 1"),
        ("lkca", 8, 4, {"drop_path": math.nan}, "drop_path must be a number, got nan"),
        ("lkca", 8, 4, {"drop_path": "0.1"}, "drop_path must be a number, got '0.1'"),
    ],
)
def test_refusals(name: str, bands: int, scale: int, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_model(name, bands, scale, **options)
