"""The PSF is found from the image alone, erring towards milder; images that do not tell get the default."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lkca.data.synthetic.sensors import landscape_cube
from lkca.degradation import Degradation
from lkca.psf import check_psf
from lkca.resize import resize
from sharpen.arrays import sharpen
from sharpen.image.psf import DEFAULT, MIN_SIDE, SENSORS, estimate_psf, nyquist_gaussian, sensor_psf
from sharpen.image.spectra import nyquist_response


@pytest.fixture(scope="module")
def scenes() -> list[Tensor]:
    return [torch.from_numpy(landscape_cube(seed, 160)) for seed in (2_000_001, 2_000_004, 2_000_007)]


def width(psf: str) -> float:
    """The width of a PSF that an estimate names; bicubic counts as the Gaussian that it is like."""
    return 0.4 if psf == "bicubic" else float(psf.partition(":")[2])


@pytest.mark.parametrize("noise", [math.inf, 30.0])
@pytest.mark.parametrize("sigma", [0.3, 0.5, 0.65, 0.8])
def test_gaussian_widths_are_found(scenes: list[Tensor], sigma: float, noise: float) -> None:
    found = [estimate_psf(Degradation(f"gaussian:{sigma}", noise)(scene, 4), 4) for scene in scenes]
    for estimate in found:
        assert estimate.sigma == pytest.approx(sigma, abs=0.13)
        assert estimate.low < estimate.sigma < estimate.high
        assert width(estimate.psf) <= max(sigma + 0.05, 0.3)  # milder, never sharper
        check_psf(estimate.psf)
    assert sorted(e.sigma for e in found)[1] == pytest.approx(sigma, abs=0.09)


def test_bicubic_is_not_taken_for_a_wide_gaussian(scenes: list[Tensor]) -> None:
    for scene in scenes:
        assert estimate_psf(Degradation()(scene, 4), 4).psf in ("bicubic", DEFAULT)


@pytest.mark.parametrize("noise", [25.0, 35.0])
def test_noise_is_found(scenes: list[Tensor], noise: float) -> None:
    for scene in scenes:
        assert estimate_psf(Degradation("gaussian:0.5", noise)(scene, 4), 4).snr == pytest.approx(noise, abs=2)


def test_a_wider_psf_is_never_taken_for_a_narrower_one(scenes: list[Tensor]) -> None:
    for scene in scenes:
        sigmas = [estimate_psf(Degradation(f"gaussian:{s}", 40.0)(scene, 4), 4).sigma for s in (0.3, 0.5, 0.7, 0.9)]
        assert sigmas == sorted(sigmas)


def test_stripes_do_not_mislead(scenes: list[Tensor]) -> None:
    lr = Degradation("gaussian:0.6", 40.0)(scenes[0], 4)
    plain = estimate_psf(lr, 4).sigma
    stripes = 0.05 * lr.std() * torch.randn(lr.shape[-1], generator=torch.Generator().manual_seed(0))
    assert estimate_psf(lr + stripes, 4).sigma == pytest.approx(plain, abs=0.1)


@pytest.mark.parametrize("change", ["dead band", "saturated", "one band"])
def test_odd_images_still_tell(scenes: list[Tensor], change: str) -> None:
    lr = Degradation("gaussian:0.65", 40.0)(scenes[1], 4)
    if change == "dead band":
        lr[3] = 0
    elif change == "saturated":
        lr = lr.clamp(max=float(lr.quantile(0.98)))
    else:
        lr = lr[8:9]
    estimate = estimate_psf(lr, 4)
    assert 0.25 <= estimate.sigma <= 0.9
    assert width(estimate.psf) <= 0.75


@pytest.mark.parametrize(
    "lr",
    [
        torch.rand(5, MIN_SIDE - 1, 40),
        torch.ones(5, 40, 40),
        torch.full((5, 40, 40), math.nan),
        torch.rand(1, 1, 1),
    ],
    ids=["small", "constant", "no numbers", "one pixel"],
)
def test_images_that_do_not_tell_get_the_default(lr: Tensor) -> None:
    estimate = estimate_psf(lr, 4)
    assert (estimate.psf, estimate.sure) == (DEFAULT, False)
    assert math.isnan(estimate.sigma)
    assert DEFAULT in estimate.text


def test_a_smaller_image_may_be_asked_but_is_not_sure(scenes: list[Tensor]) -> None:
    lr = Degradation("gaussian:0.5")(scenes[0], 4)[:, :25, :25]
    estimate = estimate_psf(lr, 4, min_side=20)
    assert estimate.sigma == pytest.approx(0.5, abs=0.15) and not estimate.sure


def waves(noise: float) -> Tensor:
    """A scene of a few sines, which no power law fits."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    image = torch.stack([torch.sin(x / (7 + k)) + torch.cos(y / (9 + k)) for k in range(6)])
    return image + noise * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("soft", ["blurred", "sines", "noisy sines", "ramp", "noise", "upsampled"])
def test_scenes_without_texture_are_not_taken_for_wide_psfs(scenes: list[Tensor], soft: str) -> None:
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    lr = {
        "blurred": lambda: Degradation("gaussian:1.4")(scenes[0], 4),
        "sines": lambda: waves(0),
        "noisy sines": lambda: waves(1e-3),
        "ramp": lambda: torch.stack([x + k * y for k in range(4)]),
        "noise": lambda: torch.randn(6, 48, 48, generator=torch.Generator().manual_seed(0)),
        "upsampled": lambda: resize(Degradation("gaussian:0.5")(scenes[0], 8), 2),
    }[soft]()
    estimate = estimate_psf(lr, 4)
    assert (estimate.psf, estimate.sure) == (DEFAULT, False)


@pytest.mark.parametrize("name", SENSORS)
def test_sensors_have_a_usable_psf_and_a_source(name: str) -> None:
    check_psf(sensor_psf(name.upper()))
    assert SENSORS[name].evidence in ("specification", "laboratory", "flight")
    assert len(SENSORS[name].source) > 20


@pytest.mark.parametrize("modulation", [0.1, 0.25, 0.4])
def test_a_modulation_at_nyquist_gives_the_gaussian_that_has_it(modulation: float) -> None:
    assert nyquist_response(8, nyquist_gaussian(modulation)) == pytest.approx(modulation, abs=0.01)


def test_a_kernel_larger_than_the_scene_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "kernel.npy", np.ones((81, 81)))
    with pytest.warns(UserWarning, match="sums to"), pytest.raises(ValueError, match="81x81"):
        sharpen(
            np.random.default_rng(0).random((2, 16, 40), np.float32), weights="wiener", psf=str(tmp_path / "kernel.npy")
        )


def test_an_unknown_sensor_is_refused() -> None:
    with pytest.raises(ValueError, match="Nosensor"):
        sensor_psf("Nosensor")
