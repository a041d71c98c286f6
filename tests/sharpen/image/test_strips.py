"""A method gives the same image whole, in windows and in tiles, and keeps to its memory."""

import math

import pytest
import torch
from torch import Tensor, nn

from lkca.degradation import Degradation
from lkca.fast import predict
from lkca.models import build_model
from sharpen.image.deconvolve import sharpen_tensor, wiener
from sharpen.image.methods import EigenimageMethod, NetworkMethod, PlannedMethod
from sharpen.image.strips import Method
from sharpen.image.tiles import ImageRows, through_tiles, tiles
from sharpen.image.uncertainty import standard_deviation
from tests.sharpen.scenes import mixture, small_network


@pytest.fixture
def lr() -> Tensor:
    return torch.from_numpy(mixture(8, 120, 24)) / 900


def joined(method: Method, lr: Tensor, sizes: tuple[int, int, int, int] | None = None) -> Tensor:
    """Return the whole image. sizes : LR rows of strips, chunks, windows, and LR pixels of tiles."""
    if sizes:
        method._sizes = lambda shape, memory: sizes
    method.prepare(ImageRows(lr))
    return torch.cat([strip.values for strip in method.strips(ImageRows(lr))], dim=1)


def unlimited(method: Method) -> Method:
    method.limited = False
    return method


def test_methods_give_what_the_plain_code_gives(lr: Tensor) -> None:
    for method, expected in (
        (Method("", 4, 0), predict(build_model("bicubic", 8, 4), lr)),
        (Method("", 4, 5), predict(build_model("back-projection", 8, 4), lr)),
        (PlannedMethod("", 2, "gaussian:0.5", 30.0), wiener(lr, 2, "gaussian:0.5", 30.0)),
        (unlimited(EigenimageMethod("", small_network(blocks=1), "gaussian:0.5", None)),
         sharpen_tensor(lr, 2, "gaussian:0.5", None, small_network(blocks=1))),
    ):  # fmt: skip
        assert torch.allclose(joined(method, lr), expected, atol=3e-5)


@pytest.mark.parametrize("sizes", [(4, 64, 120, 500), (3, 10, 40, 10**9), (1, 7, 33, 2000)])
def test_windows_and_tiles_are_exact(lr: Tensor, sizes: tuple[int, int, int, int]) -> None:
    for make in (
        lambda: Method("", 2, 5, "gaussian:0.8"),
        lambda: EigenimageMethod("", small_network(blocks=1)),
    ):
        assert torch.allclose(joined(make(), lr, sizes), joined(make(), lr), atol=3e-5)


def test_what_the_network_sees_is_divided_by_deviations_of_the_whole_image(lr: Tensor) -> None:
    lr = lr * torch.linspace(0.5, 1.5, 120)[:, None]  # another contrast in every window
    methods = [EigenimageMethod("", small_network(blocks=1), "gaussian:0.5", 40.0) for _ in range(2)]
    whole, windows = (
        joined(method, lr, sizes) for method, sizes in zip(methods, (None, (4, 8, 30, 10**9)), strict=True)
    )
    assert torch.allclose(windows, whole, atol=1e-3 * float(lr.max()))


@pytest.mark.parametrize("workers", [1, 2])
def test_tiles_side_by_side_are_the_same(workers: int) -> None:
    image = torch.rand(3, 1, 30, 41, generator=torch.Generator().manual_seed(1))
    done: list[int] = []
    with torch.inference_mode():
        found = through_tiles(
            lambda x: nn.functional.interpolate(x, scale_factor=2), image, 2, 2, 400,
            lambda number, count: done.append(number), workers,
        )  # fmt: skip
        assert torch.equal(found, nn.functional.interpolate(image, scale_factor=2))
    assert done == list(range(1, len(done) + 1)) and len(done) > 6


def test_values_far_from_their_neighbours_are_clamped_and_counted(lr: Tensor) -> None:
    class Wild(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = torch.nn.functional.interpolate(x, scale_factor=2)
            y[:, :, 9, 11] += 30
            return y

    method = NetworkMethod("wild", Wild(), 2)
    found = joined(method, lr)
    window = lr[:, 2:7, 3:8].flatten(1)
    low, high = window.amin(1), window.amax(1)
    assert torch.allclose(found[:, 9, 11], high + (high - low) / 2) and method.clamped == 8


def test_what_a_blurred_image_does_not_show_may_come_back() -> None:
    truth = torch.zeros(4, 80, 80)
    truth[:, 38:42, 38:42] = torch.tensor([1.0, 2.0, 0.5, 1.5])[:, None, None]  # brighter than any blurred pixel
    lr = Degradation("gaussian:0.8").downsample(truth, 2) + 0.01 * torch.from_numpy(mixture(4, 40, 40)) / 900
    free, held = (EigenimageMethod("", small_network(blocks=1), "gaussian:0.8", math.inf) for _ in range(2))
    found, expected = joined(held, lr), joined(unlimited(free), lr)
    assert expected.max() > 1.3 * lr.max() and (found - expected).abs().mean() < 0.01 * lr.max()


def test_what_exceeds_the_training_range_is_bicubic(lr: Tensor) -> None:
    lr[0, 40, 10], lr[1, 0, 5] = 1.7, -0.4
    found = joined(NetworkMethod("", build_model("bicubic", 8, 2), 2), lr)
    assert torch.allclose(found, predict(build_model("bicubic", 8, 2), lr), atol=1e-5)


@pytest.mark.parametrize("sizes", [None, (2, 9, 120, 10**9)])
def test_standard_deviations_come_in_strips(lr: Tensor, sizes: tuple[int, int, int, int] | None) -> None:
    network = small_network(blocks=1)
    method = EigenimageMethod("", network, "gaussian:0.5", None, uncertain=True)
    if sizes:
        method._sizes = lambda shape, memory: sizes
    method.prepare(ImageRows(lr))
    found = torch.cat([strip.deviation for strip in method.strips(ImageRows(lr))], dim=1)
    assert torch.allclose(found, standard_deviation(lr, 2, "gaussian:0.5", None, network), rtol=1e-3)


def test_too_little_memory_is_said_before_the_work(lr: Tensor) -> None:
    with pytest.raises(ValueError, match=r"0.00 GB is too small .* it needs \d"):
        next(Method("", 8, 0).strips(ImageRows(lr), 1e6))


@pytest.mark.parametrize(("height", "width", "pixels"), [(50, 60, 10**6), (50, 60, 1000), (3, 900, 500), (7, 7, 1)])
def test_tiles_cover_every_pixel_once(height: int, width: int, pixels: int) -> None:
    count = torch.zeros(height, width)
    for inner, outer in tiles(height, width, 4, pixels):
        count[inner] += 1
        assert all(o.start <= i.start and i.stop <= o.stop for i, o in zip(inner, outer, strict=True))
    assert (count == 1).all()


def test_a_function_of_radius_four_is_exact_in_tiles_that_overlap_by_four() -> None:
    weights = torch.rand(4, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    image = torch.rand(2, 1, 50, 41, generator=torch.Generator().manual_seed(1))

    def function(x: Tensor) -> Tensor:
        return nn.functional.pixel_shuffle(nn.functional.conv2d(x, weights, padding=4), 2)

    found = through_tiles(function, image, 2, 4, 600)
    assert len(tiles(50, 41, 4, 600)) > 4 and torch.allclose(found, function(image), atol=1e-5)
    assert math.isclose(float(found.sum()), float(function(image).sum()), rel_tol=1e-5)
