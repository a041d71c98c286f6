"""The losses bring their own derivatives: those of their values."""

import pytest
import torch

from lkca.training.losses import gradient_difference, spectral_angle

SHAPE = (2, 4, 5, 3)


def images() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    output, target = (torch.rand(SHAPE, generator=generator, dtype=torch.float64) for _ in range(2))
    return output.requires_grad_(), target


@pytest.mark.parametrize("loss", [spectral_angle, gradient_difference])
def test_derivative_is_that_of_finite_differences(loss) -> None:  # noqa: ANN001 - either of two functions
    output, target = images()
    assert torch.autograd.gradcheck(lambda x: 3 * loss(x, target), output)


@pytest.mark.parametrize("loss", [spectral_angle, gradient_difference])
def test_derivative_is_finite_where_images_agree_or_are_black(loss) -> None:  # noqa: ANN001
    output, target = images()
    target[0] = output[0].detach()
    target[1, :, 0] = 0
    with torch.no_grad():
        output[1, :, 1] = 0
    loss(output, target).backward()
    assert torch.isfinite(output.grad).all()
    assert output.grad[1].abs().max() > 0


def test_angle_between_equal_spectra_pulls_nowhere() -> None:
    output, _ = images()
    spectral_angle(output, output.detach()).backward()
    assert output.grad.abs().max() == 0
