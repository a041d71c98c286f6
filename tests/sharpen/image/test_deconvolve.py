"""The Wiener deconvolution: exact where theory says so, better than bicubic everywhere, robust to odd images."""

import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lkca.data.synthetic.sensors import landscape_cube
from lkca.degradation import DEGRADATIONS, Degradation
from lkca.metrics import mpsnr, sam
from lkca.resize import resize
from sharpen.image.deconvolve import deconvolve, plan_image, sharpen_tensor, wiener
from sharpen.image.model import EigenimageNetwork, load_pretrained
from sharpen.image.spectra import Transfer

KERNELS = ["bicubic", "mean", "gaussian:0.5", "gaussian:0.6,0.4,30"]


@pytest.fixture(scope="module")
def scene() -> Tensor:
    """A synthetic scene (24, 96, 96) scaled to [0, 1]."""
    cube = torch.from_numpy(landscape_cube(2_000_004, 96))
    return (cube / cube.max()).clamp(0, 1)


def gain(image: Tensor, lr: Tensor, hr: Tensor) -> tuple[float, float]:
    """MPSNR and SAM minus those of bicubic."""
    base = resize(lr, hr.shape[-1] // lr.shape[-1])
    return (
        mpsnr(image.numpy(), hr.numpy()) - mpsnr(base.numpy(), hr.numpy()),
        sam(image.numpy(), hr.numpy()) - sam(base.numpy(), hr.numpy()),
    )


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("psf", KERNELS)
def test_responses_are_those_of_the_degradation(scale: int, psf: str) -> None:
    """A cosine of one HR frequency comes out of downsampling as the LR cosine of that frequency, scaled by P."""
    height, width = 12, 10
    transfer = Transfer(height, width, scale, psf)
    row, column = 3, 2
    places = [(torch.arange(n * scale, dtype=torch.float64) + 0.5) / (n * scale) for n in (height, width)]
    wave = torch.cos(math.pi * row * places[0])[:, None] * torch.cos(math.pi * column * places[1])
    lr = Degradation(psf).downsample(wave[None], scale)[0]
    small = [(torch.arange(n, dtype=torch.float64) + 0.5) / n for n in (height, width)]
    expected = torch.cos(math.pi * row * small[0])[:, None] * torch.cos(math.pi * column * small[1])
    inside = slice(4, -4), slice(4, -4)  # a turned Gaussian is not symmetric about the edges
    measured = (lr * expected)[inside].sum() / (expected**2)[inside].sum()
    first = [sum(a[i, 0] * b[j, 0] for a, b in transfer.psf) for i, j in ((row, column), (-row, column))]
    assert float(sum(first).real / 2) == pytest.approx(float(measured), abs=0.02 if "," in psf else 1e-4)


def test_bicubic_without_noise_leaves_the_image_as_it_is(scene: Tensor) -> None:
    lr = Degradation().downsample(scene, 4)
    assert torch.allclose(deconvolve(lr, 4, "bicubic", math.inf), lr, atol=2e-5)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_wiener_beats_bicubic_under_every_degradation(scene: Tensor, name: str) -> None:
    degradation = DEGRADATIONS[name]
    lr = degradation(scene, 4)
    decibels, degrees = gain(wiener(lr, 4, degradation.psf), lr, scene)
    assert decibels > 0.2
    assert degrees < 0.1


@pytest.mark.parametrize("psf", ["gaussian:0.6", "gaussian:0.7,0.5,40"])
def test_deconvolution_comes_closer_to_the_bicubic_image(scene: Tensor, psf: str) -> None:
    wanted = Degradation().downsample(scene, 4)
    lr = Degradation(psf).downsample(scene, 4)
    before, after = ((image - wanted).square().mean() for image in (lr, deconvolve(lr, 4, psf)))
    assert after < before / 3


def test_a_kernel_file_does_as_the_same_gaussian(scene: Tensor, tmp_path: Path) -> None:
    places = np.arange(-12, 13)
    line = np.exp(-0.5 * (places / 2.0) ** 2)
    path = tmp_path / "psf.npy"
    np.save(path, np.outer(line, line) / line.sum() ** 2)
    lr = Degradation("gaussian:0.5").downsample(scene, 4)
    one, other = wiener(lr, 4, str(path)), wiener(lr, 4, "gaussian:0.5")
    assert (one - other).abs().mean() < 0.05 * (other - resize(lr, 4)).abs().mean() + 2e-3


def test_a_kernel_that_shifts_is_undone(scene: Tensor, tmp_path: Path) -> None:
    kernel = np.zeros((9, 9))
    kernel[3:8, 4:9] = 1 / 25
    path = tmp_path / "shifted.npy"
    np.save(path, kernel)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is said that such a kernel shifts the image
        lr = Degradation(str(path)).downsample(scene, 4)
        image = wiener(lr, 4, str(path))
    inside = (slice(None), slice(16, -16), slice(16, -16))
    assert gain(image[inside], lr[:, 4:-4, 4:-4], scene[inside])[0] > 1


def test_noise_is_known_from_the_image(scene: Tensor) -> None:
    lr = Degradation("gaussian:0.5", 30.0)(scene, 4, seed=3)
    plan = plan_image(lr, 4, "gaussian:0.5")
    told = plan_image(lr, 4, "gaussian:0.5", 30.0)
    leading = slice(0, 4)
    assert torch.allclose(plan.spectra.noise[leading].log10(), told.spectra.noise[leading].log10(), atol=0.5)
    assert (
        gain(wiener(lr, 4, "gaussian:0.5"), lr, scene)[0] > gain(wiener(lr, 4, "gaussian:0.5", math.inf), lr, scene)[0]
    )


def test_few_leading_eigenimages_and_a_shared_filter_do_as_well(scene: Tensor) -> None:
    lr = Degradation("gaussian:0.5", 40.0)(scene, 4)
    whole, few = (plan_image(lr, 4, "gaussian:0.5", leading=count) for count in (len(lr), 8))
    images = [
        resize(plan.bands(plan.filter(plan.leading_basis.coefficients(lr))[0], plan.tail(lr)[0]), 4)
        for plan in (whole, few)
    ]
    assert abs(gain(images[0], lr, scene)[0] - gain(images[1], lr, scene)[0]) < 0.03


def test_any_part_of_the_tail_is_that_of_the_whole(scene: Tensor) -> None:
    lr = Degradation("gaussian:0.5", 40.0)(scene, 2)
    plan = plan_image(lr, 2, "gaussian:0.5", leading=4)
    whole, part = plan.tail(lr)[0], plan.tail(lr[:, 10:40])[0]
    assert torch.allclose(whole[:, 20:30], part[:, 10:20], atol=1e-5)


@pytest.mark.parametrize("scale", [2, 4])
def test_the_pretrained_network_adds_to_wiener(scene: Tensor, scale: int) -> None:
    degradation = Degradation("gaussian:0.5", 35.0)
    lr = degradation(scene, scale)
    image = sharpen_tensor(lr, scale, degradation.psf, None, load_pretrained(scale))
    assert gain(image, lr, scene)[0] > gain(wiener(lr, scale, degradation.psf), lr, scene)[0] + 0.1


def test_what_the_network_adds_is_invisible_to_the_sensor(scene: Tensor) -> None:
    degradation = Degradation("gaussian:0.5")
    lr = degradation(scene, 4)
    torch.manual_seed(0)
    network = EigenimageNetwork(4, blocks=1, channels=16)
    torch.nn.init.normal_(network.upsampler[0].bias)
    added = sharpen_tensor(lr, 4, degradation.psf, None, network) - wiener(lr, 4, degradation.psf)
    assert degradation.downsample(added, 4).std() < 0.1 * added.std()


@pytest.mark.parametrize("shape", [(1, 20, 24), (3, 2, 5), (5, 4, 4), (2, 1, 1), (40, 6, 6)])
def test_small_images_and_few_bands(shape: tuple[int, int, int]) -> None:
    lr = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    image = sharpen_tensor(lr, 4, "gaussian:0.5", None, EigenimageNetwork(4, blocks=1, channels=16).eval())
    assert image.shape == (shape[0], 4 * shape[1], 4 * shape[2])
    assert image.isfinite().all()


@pytest.mark.parametrize("kind", ["constant", "dead band", "saturated", "stripes"])
def test_odd_images_stay_finite_and_in_range(scene: Tensor, kind: str) -> None:
    lr = Degradation("gaussian:0.5").downsample(scene, 4)
    if kind == "constant":
        lr = torch.full_like(lr, 0.3)
    elif kind == "dead band":
        lr[5] = 0
    elif kind == "saturated":
        lr = lr.clamp(max=float(lr.quantile(0.8)))
    else:
        lr = lr + 0.1 * (torch.arange(lr.shape[-1]) % 2)
    image = wiener(lr, 4, "gaussian:0.5")
    assert image.isfinite().all()
    margin = lr.max() - lr.min() + 1e-3
    assert image.min() > lr.min() - margin and image.max() < lr.max() + margin
    if kind == "dead band":
        assert image[5].abs().max() < 1e-6
