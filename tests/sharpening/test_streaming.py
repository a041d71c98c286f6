"""Whole images in strips: the same as the network itself, whatever the strips."""

import pytest
import torch

import lkca
from lkca.measures.resize import resize
from lkca.models.folding import folded
from lkca.sharpening import streaming
from lkca.sharpening.feature_maps import WholeImage
from lkca.sharpening.streaming import upscaled_strips

BANDS = 6


def network(name="lkca-lr", scale=4, **options):
    """A network far from its start, so that every part of it shows in the output."""
    torch.manual_seed(0)
    model = lkca.build_model(name, BANDS, scale, blocks=2, channels=32, **options).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for block in model.body:  # attention that depends on what is averaged
            for layer in (1, 3):
                block.attention.channel_attention.weights[layer].weight.mul_(20)
    return model


def image(height, width):
    """Brighter towards the bottom, so that averages over parts differ."""
    noise = torch.rand(BANDS, height, width, generator=torch.Generator().manual_seed(1))
    return noise * torch.linspace(0, 2, height)[:, None] ** 2


def joined(model, lr, **settings):
    strips = list(upscaled_strips(model, WholeImage(lr), **settings))
    place = 0
    for row, strip in strips:
        assert row == place, "strips follow one another"
        place += strip.shape[1]
    return torch.cat([strip for _, strip in strips], dim=1)


@torch.inference_mode()
def whole(model, lr):
    return model(lr[None])[0]


@pytest.mark.parametrize("rows", [1, 5, 16])
def test_strips_give_the_whole_image(monkeypatch, rows):
    monkeypatch.setattr(streaming, "MOST_ROWS", rows)
    monkeypatch.setattr(streaming, "MOST_BODY_ROWS", rows + 2)
    model, lr = network(), image(37, 23)
    difference = joined(model, lr) - whole(model, lr)
    assert difference.abs().max() < 1e-5


@pytest.mark.parametrize("name, scale", [("lkca", 2), ("lkca-lr", 8)])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (19, 1)])
def test_every_scale_and_the_smallest_images(name, scale, size):
    model, lr = network(name, scale), image(*size)
    assert (joined(model, lr) - whole(model, lr)).abs().max() < 1e-5


@pytest.mark.parametrize("kind", ["grouped-mixed", "grouped-1x1", "svd", "spectral", "separable"])
def test_every_upsampler(kind):
    model, lr = network(upsampler=kind, groups=8), image(21, 10)
    assert (joined(model, lr) - whole(model, lr)).abs().max() < 1e-5


@pytest.mark.parametrize("size", [(1, 1), (30, 17)])
def test_bicubic_is_that_of_resize(size):
    lr = image(*size)
    assert torch.allclose(joined(lkca.build_model("bicubic", BANDS, 4), lr), resize(lr, 4), atol=1e-6)


@pytest.mark.parametrize(("memory", "held"), [(4.0e5, 0), (1.1e6, 2), (1.0e7, 4)])
def test_maps_that_do_not_fit_go_to_files(monkeypatch, memory, held):
    model, lr = network(), image(64, 23)
    monkeypatch.setattr(streaming, "resident", lambda: 0)
    in_files = []
    init = streaming.FeatureMap.__init__
    monkeypatch.setattr(
        streaming.FeatureMap,
        "__init__",
        lambda self, shape, file=None: (in_files.append(file), init(self, shape, file))[1],
    )
    small = joined(model, lr, memory=memory)
    assert [file is None for file in in_files] == [number < held for number in range(4)]
    assert all(file.closed for file in in_files if file)
    assert (small - whole(model, lr)).abs().max() < 1e-5


def test_too_little_memory_says_how_much_is_needed(monkeypatch):
    monkeypatch.setattr(streaming, "resident", lambda: int(4e8))
    with pytest.raises(ValueError, match=r"0\.40 GB is too small.*needs 0\.40 GB"):
        joined(network(), image(8, 8), memory=4.0e8)


def test_folding_changes_nothing_and_leaves_the_model():
    model, lr = network(), image(9, 7)
    before = whole(model, lr)
    assert (whole(folded(model), lr) - before).abs().max() < 1e-6
    assert not any("original" in name for name in folded(model).state_dict())
    assert torch.equal(whole(model, lr), before)


def test_other_networks_go_whole_and_say_so():
    torch.manual_seed(0)
    model, lr = lkca.build_model("vdsr", BANDS, 4).eval(), image(9, 8)
    with pytest.warns(UserWarning, match="not bounded"):
        result = joined(model, lr)
    assert torch.allclose(result, whole(model, lr), atol=1e-6)
