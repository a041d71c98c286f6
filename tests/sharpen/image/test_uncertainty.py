"""Intervals of the standard deviation hold what they promise on scenes that calibrated nothing."""

import numpy as np
import pytest
import torch

from lkca.data.synthetic.sensors import landscape_cube
from lkca.degradation import Degradation
from lkca.metrics import mpsnr
from lkca.resize import resize
from sharpen.image import uncertainty
from sharpen.image.deconvolve import plan_image, sharpen_tensor, wiener
from sharpen.image.model import EigenimageNetwork, load_pretrained
from sharpen.image.uncertainty import coverage, expected_errors, standard_deviation
from sharpen.study import calibrate

SEEDS = range(2_000_001, 2_000_008)


@pytest.mark.parametrize("degradation", [Degradation("gaussian:0.5"), Degradation("bicubic", 30.0)], ids=str)
def test_intervals_cover_errors_of_scenes_left_out(degradation: Degradation) -> None:
    network, shares = load_pretrained(4), []
    for seed in SEEDS:
        hr = torch.from_numpy(landscape_cube(seed, 96))
        lr = degradation(hr, 4, seed)
        error = sharpen_tensor(lr, 4, degradation.psf, None, network) - hr
        shares.append(coverage(error, standard_deviation(lr, 4, degradation.psf, None, network), 4))
    within, within_wide = np.mean(shares, axis=0)
    assert within == pytest.approx(0.68, abs=0.1)
    assert within_wide == pytest.approx(0.95, abs=0.05)


def test_calibration_makes_intervals_hold_what_they_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    network, seeds = EigenimageNetwork(4, blocks=1, channels=16).eval(), range(3_000_000, 3_000_003)
    degradations = Degradation("gaussian:0.5"), Degradation("mean", 35.0)
    monkeypatch.setattr(calibrate, "CALIBRATED_ON", degradations)
    coefficients, wide = calibrate.calibrate(4, network, seeds)
    monkeypatch.setitem(uncertainty.COEFFICIENTS, 4, coefficients)
    monkeypatch.setitem(uncertainty.WIDE, 4, wide)
    shares = []
    for seed in seeds:
        hr = torch.from_numpy(landscape_cube(seed, 96))
        for degradation in degradations:
            lr = degradation(hr, 4, seed)
            error = sharpen_tensor(lr, 4, degradation.psf, None, network) - hr
            shares.append(coverage(error, standard_deviation(lr, 4, degradation.psf, None, network), 4))
    assert np.mean(shares, axis=0) == pytest.approx([0.6827, 0.95], abs=0.01)


def test_large_deviations_are_where_large_errors_are() -> None:
    hr = torch.from_numpy(landscape_cube(2_000_004, 96))
    degradation = Degradation("gaussian:0.5")
    lr = degradation(hr, 4)
    network = load_pretrained(4)
    error = (sharpen_tensor(lr, 4, degradation.psf, None, network) - hr).abs()
    deviation = standard_deviation(lr, 4, degradation.psf, None, network)
    doubtful = deviation > deviation.flatten(1).quantile(0.9, dim=1)[:, None, None]
    assert error[doubtful].mean() > 1.5 * error[~doubtful].mean()


def test_more_noise_is_less_certain() -> None:
    hr = torch.from_numpy(landscape_cube(2_000_004, 96))
    network, psf = load_pretrained(4), "gaussian:0.5"
    calm, noisy = (
        standard_deviation(Degradation(psf, noise)(hr, 4), 4, psf, noise, network).square().mean()
        for noise in (60.0, 20.0)
    )
    assert noisy > 1.1 * calm


def test_the_expected_error_is_that_of_the_wiener_estimate() -> None:
    """For a scene whose spectrum is the assumed power of the frequency, up to the aliases that are left out."""
    side, power = 128, 2.5
    rng = torch.Generator().manual_seed(0)
    rows, columns = torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None]
    frequency = (rows**2 + columns**2).sqrt().clamp_min(1 / side)
    white = torch.complex(*(torch.randn(side, side // 2 + 1, generator=rng) for _ in range(2)))
    hr = torch.fft.irfft2(white * frequency ** (-power / 2), (side, side))[None]
    hr = hr / hr.std()
    lr = Degradation("gaussian:0.5", 30.0)(hr, 4)
    plan = plan_image(lr, 4, "gaussian:0.5", 30.0)
    expected = float(expected_errors(plan)[0] * plan.basis.spectra().abs()[0, 0])
    measured = float((wiener(lr, 4, "gaussian:0.5", 30.0) - hr).square().mean().sqrt())
    assert expected == pytest.approx(measured, rel=0.2)
    assert mpsnr(resize(lr, 4).numpy(), hr.numpy()) < -20 * np.log10(measured)


@pytest.mark.parametrize("shape", [(1, 8, 8), (20, 6, 5), (3, 30, 30)])
def test_odd_shapes(shape: tuple[int, int, int]) -> None:
    lr = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    deviation = standard_deviation(lr, 4, "bicubic", None, EigenimageNetwork(4, blocks=1, channels=16).eval())
    assert deviation.shape == (shape[0], 4 * shape[1], 4 * shape[2])
    assert deviation.isfinite().all() and (deviation >= 0).all()
