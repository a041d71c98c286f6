"""Degradations: what they keep, how they blur, how much noise they add; back-projection against its definition."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn.functional import conv2d

from lkca.degradation import (
    DEGRADATIONS,
    Degradation,
    add_noise,
    back_project,
    round_trip,
    round_trip_kernel,
)
from lkca.resize import mirror_indices, resize

PSFS = ["bicubic", "mean", "gaussian:0.3", "gaussian:0.8", "gaussian:0.8,0.4,30"]
SKEWED = np.array([[0, 1, 0], [2, 0, 0], [0, 4, 1], [0, 2, 0], [1, 0, 0]], float) / 11  # of no symmetry


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(2, 3, 26, 37, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def kernel_file(tmp_path: Path) -> str:
    np.save(tmp_path / "skewed.npy", SKEWED)
    return str(tmp_path / "skewed.npy")


@pytest.fixture(params=[*PSFS, "file"])
def psf(request: pytest.FixtureRequest, kernel_file: str) -> str:
    return kernel_file if request.param == "file" else request.param


def test_bicubic_and_mean(image: torch.Tensor) -> None:
    assert torch.equal(Degradation().downsample(image, 4), resize(image, 1 / 4))
    blocks = image[..., :24, :36].reshape(2, 3, 6, 4, 9, 4).mean(dim=(3, 5))
    assert torch.allclose(Degradation("mean").downsample(image, 4), blocks)


def test_gaussian_is_scipys(image: torch.Tensor) -> None:
    """An odd scale has a pixel in the middle of the new one: there scipy's filter, sampled, is the same."""
    cropped = image[..., :24, :36]
    for psf, sigmas in (
        ("gaussian:0.6", (1.8, 1.8)),
        ("gaussian:0.4,0.6,0", (1.2, 1.8)),
        ("gaussian:0.4,0.6,90", (1.8, 1.2)),
    ):
        filtered = gaussian_filter(cropped.numpy(), (0, 0, *sigmas), truncate=6, mode="reflect")
        assert np.abs(Degradation(psf).downsample(cropped, 3).numpy() - filtered[..., 1::3, 1::3]).max() < 1e-4


def test_a_turned_gaussian_leans_as_its_angle_says() -> None:
    """By 30 degrees counter-clockwise: a point is smeared to the upper right and the lower left."""
    point = torch.zeros(1, 45, 45, dtype=torch.float64)
    point[0, 22, 22] = 1
    seen = Degradation("gaussian:0.2,2,30").downsample(point, 3)[0].numpy()
    y, x = np.mgrid[-7:8, -7:8]
    assert np.degrees(np.arctan2(-(seen * (y * x)).sum(), (seen * x * x).sum())) == pytest.approx(30, abs=2)


@pytest.mark.parametrize("name", DEGRADATIONS)
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_every_degradation_keeps_a_plane_in_its_place(name: str, scale: int) -> None:
    ramp = torch.arange(16.0 * scale).expand(2, 16 * scale, -1).contiguous()
    degradation = DEGRADATIONS[name]
    lr = degradation(ramp, scale)
    assert lr.shape == (2, 16, 16)
    if math.isinf(degradation.noise):
        torch.testing.assert_close(lr[:, 5:11, 5:11], resize(ramp, 1 / scale)[:, 5:11, 5:11], atol=1e-3, rtol=0)
        torch.testing.assert_close(lr.mT, degradation(ramp.mT.contiguous(), scale))


def test_a_kernel_file_is_convolved_with(kernel_file: str) -> None:
    """A point becomes the kernel, not its mirror image; at an even scale, the mean of four pixels is sampled."""
    point = torch.zeros(1, 27, 27, dtype=torch.float64)
    point[0, 13, 13] = 1
    assert Degradation(kernel_file).downsample(point, 1)[0, 11:16, 12:15].numpy() == pytest.approx(SKEWED)
    twice = Degradation(kernel_file).downsample(point[:, :26, :26], 2)
    blurred = conv2d(point[:, None, :26, :26], torch.from_numpy(SKEWED[::-1, ::-1].copy())[None, None], padding=(2, 1))
    assert torch.allclose(twice, torch.nn.functional.avg_pool2d(blurred, 2)[:, 0])


@pytest.mark.parametrize(("suffix", "delimiter"), [(".txt", " "), (".csv", ",")])
def test_kernel_files_of_text(suffix: str, delimiter: str, kernel_file: str, image: torch.Tensor) -> None:
    path = Path(kernel_file).with_suffix(suffix)
    np.savetxt(path, SKEWED, delimiter=delimiter)
    right = Degradation(kernel_file).downsample(image, 2)
    assert torch.allclose(Degradation(str(path)).downsample(image, 2), right)


def test_a_kernel_that_changed_is_read_again_and_warned_of(kernel_file: str, image: torch.Tensor) -> None:
    right = Degradation(kernel_file).downsample(image, 2)
    np.save(kernel_file, 2.5 * SKEWED)
    with pytest.warns(UserWarning, match=r"skewed.npy: the kernel sums to 2.5"):
        assert torch.allclose(Degradation(kernel_file).downsample(image, 2), right)
    np.save(kernel_file, np.array([[0, 0, 1.0]]))
    os.utime(kernel_file, ns=(1, 1))
    with pytest.warns(UserWarning, match=r"skewed.npy: .*\+1.0 columns"):
        assert not torch.allclose(Degradation(kernel_file).downsample(image, 2), right)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (np.ones((4, 5)) / 20, r"odd length.*\(4, 5\)"),
        (np.ones((3, 3, 3)) / 27, r"odd length.*\(3, 3, 3\)"),
        (np.array([[0, 1.5, -0.5]]), "at least 0"),
        (np.zeros((3, 3)), "positive sum"),
        (np.full((3, 3), np.nan), "at least 0"),
        (np.array([[{}]], object), "readable"),
        (np.array([[0.5 + 0.1j]]), "readable.*complex"),
        (None, "such"),
    ],
)
def test_unusable_kernels(kernel: np.ndarray | None, message: str, tmp_path: Path) -> None:
    if kernel is not None:
        np.save(tmp_path / "kernel.npy", kernel, allow_pickle=True)
    with pytest.raises(FileNotFoundError if kernel is None else ValueError, match=f"kernel.npy: .*{message}"):
        Degradation(str(tmp_path / "kernel.npy"))


def test_a_kernel_larger_than_the_image(tmp_path: Path) -> None:
    np.save(tmp_path / "wide.npy", np.full((3, 31), 1 / 93))
    degradation = Degradation(str(tmp_path / "wide.npy"))
    degradation.downsample(torch.rand(1, 8, 32), 2)
    with pytest.raises(ValueError, match=r"wide.npy: .*3x31 HR pixels, the image only 32x30"):
        degradation.downsample(torch.rand(1, 32, 30), 2)


def test_what_is_no_degradation() -> None:
    gaussians = ("", ":", ":x", ":0.05", ":2.5", ":nan", ":1,1", ":0.5,3,0", "-0.5")
    for psf in ("box", "mean:2", "", *(f"gaussian{numbers}" for numbers in gaussians)):
        with pytest.raises(ValueError, match="psf"):
            Degradation(psf)
    for noise in (math.nan, -math.inf, "30", None, True):
        with pytest.raises(ValueError, match="noise"):
            Degradation(noise=noise)


def test_noise_has_the_power_asked_for_in_each_band_and_the_same_bits_again() -> None:
    image = torch.rand(3, 200, 200, generator=torch.Generator().manual_seed(0))
    image = image * torch.tensor([1, 10, 0.1])[:, None, None]
    noise = add_noise(image, 30.0) - image
    found = 10 * (image.square().mean((1, 2)) / noise.square().mean((1, 2))).log10()
    torch.testing.assert_close(found, torch.full((3,), 30.0), atol=0.1, rtol=0)
    degradation = Degradation(noise=30)
    assert torch.equal(degradation(image, 2), degradation(image, 2))
    assert not torch.equal(degradation(image, 2, seed=1), degradation(image, 2))
    assert torch.equal(degradation.downsample(image, 2), resize(image, 1 / 2))


# --- back-projection


def back_project_plainly(x: torch.Tensor, lr: torch.Tensor, scale: int, steps: int, psf: str) -> torch.Tensor:
    for _ in range(steps):
        x = x + resize(lr - Degradation(psf).downsample(x, scale), scale)
    return x


@pytest.mark.parametrize("shape", [(2, 3, 9, 7), (1, 1, 2, 2), (1, 2, 1, 5)])
@pytest.mark.parametrize("scale", (2, 4, 8))
def test_back_projection_is_that_of_the_definition(shape: tuple, scale: int, psf: str) -> None:
    if "skewed" in psf and scale * min(shape[-2:]) < 5:
        pytest.skip("the kernel is larger than the image")
    generator = torch.Generator().manual_seed(0)
    lr = torch.rand(shape, generator=generator, dtype=torch.float64)
    noise = torch.rand(*shape[:2], scale * shape[2], scale * shape[3], generator=generator, dtype=torch.float64)
    there_and_back = Degradation(psf).downsample(resize(lr, scale), scale)
    assert torch.allclose(round_trip(lr, scale, psf), there_and_back, atol=1e-12)
    for steps in (0, 1, 2, 5):
        right = back_project_plainly(noise, lr, scale, steps, psf)
        assert torch.allclose(back_project(noise, lr, steps, psf), right, atol=1e-12)


@pytest.mark.parametrize("scale", (2, 4, 8))
def test_round_trip_kernel_is_the_operator_over_mirrored_edges(scale: int, psf: str) -> None:
    lr = torch.rand(11, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    kernel = round_trip_kernel(scale, psf)
    assert kernel.dtype == torch.float64 and all(side % 2 for side in kernel.shape)
    rows, columns = (mirror_indices(n, side // 2, lr.device) for n, side in zip(lr.shape, kernel.shape, strict=True))
    found = conv2d(lr[rows][:, columns][None, None], kernel[None, None])[0, 0]
    assert torch.allclose(found, Degradation(psf).downsample(resize(lr, scale), scale), atol=1e-12)
    assert kernel.sum().item() == pytest.approx(1)
    assert torch.allclose(kernel, kernel.flip(0, 1)) == ("skewed" not in psf)


@pytest.mark.parametrize(
    ("width", "steps", "message"), [(8, -1, "steps"), (8, 1.5, "steps"), (8, True, "steps"), (9, 5, r"\(1, 1, 8, 9\)")]
)
def test_impossible_back_projections(width: int, steps: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        back_project(torch.zeros(1, 1, 8, width), torch.zeros(1, 1, 2, 2), steps)
