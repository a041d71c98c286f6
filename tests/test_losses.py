"""The losses: golden values, formulas written out in numpy, derivatives, and inputs that break careless code."""

import numpy as np
import pytest
import torch

from lkca.losses import decayed_weight, distillation_loss, gradient_difference, l1, spectral_angle, supervised_loss


def pair(bands: int = 5, height: int = 6, width: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(0, 0.2, (2, bands, height, width)), rng.normal(0, 0.2, (2, bands, height, width))


def test_golden_values_and_gradient(golden, expected) -> None:
    arrays, values = golden("loss"), expected["loss"]
    output, target = torch.from_numpy(arrays["output"]).requires_grad_(), torch.from_numpy(arrays["target"])
    loss = supervised_loss(output, target)
    loss.backward()
    assert loss.item() == pytest.approx(values["total_lambda_sam_0.5_lambda_grad_0.1"], abs=1e-5)
    assert l1(output, target).item() == pytest.approx(values["l1"], abs=1e-5)
    assert spectral_angle(output, target).item() == pytest.approx(values["sam_over_pi"], abs=1e-5)
    assert gradient_difference(output, target).item() == pytest.approx(values["gradient_l1"], abs=1e-5)
    assert np.abs(output.grad.numpy() - arrays["grad"]).max() < 1e-5 * np.abs(arrays["grad"]).max()


@pytest.mark.parametrize(("sam", "gradient"), [(0, 0), (2, 0), (0, 3), (0.5, 0.1)])
def test_supervised_loss_weighs_its_terms(sam: float, gradient: float) -> None:
    output, target = map(torch.from_numpy, pair())
    total = l1(output, target) + sam * spectral_angle(output, target) + gradient * gradient_difference(output, target)
    assert supervised_loss(output, target, sam, gradient).item() == pytest.approx(total.item(), rel=1e-12)


def numpy_gradient(a: np.ndarray) -> np.ndarray:
    here, below = a[:, 1:, 1:, 1:], (a[:, :-1, 1:, 1:], a[:, 1:, :-1, 1:], a[:, 1:, 1:, :-1])
    return np.sqrt(sum((here - other) ** 2 for other in below) + 1e-6)


@pytest.mark.parametrize("weights", [(1.0, 0.1, 0.5), (0.0, 0.0, 1.0), (2.0, 0.0, 0.0), (0.0, 3.0, 0.0)])
def test_distillation_loss_equals_numpy(weights: tuple[float, float, float]) -> None:
    student, teacher = pair()
    cosine = (student * teacher).sum(axis=1) / np.linalg.norm(student, axis=1) / np.linalg.norm(teacher, axis=1)
    terms = (
        np.abs(student - teacher).mean(),
        np.abs(numpy_gradient(student) - numpy_gradient(teacher)).mean(),
        1 - cosine.mean(),
    )
    loss = distillation_loss(torch.from_numpy(student), torch.from_numpy(teacher), *weights)
    assert loss.item() == pytest.approx(np.dot(weights, terms), rel=1e-9)


@pytest.mark.parametrize("loss", [spectral_angle, gradient_difference])
def test_derivative_equals_finite_differences(loss) -> None:
    generator = torch.Generator().manual_seed(0)
    output, target = (torch.rand(2, 4, 5, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    assert torch.autograd.gradcheck(lambda x: 3 * loss(x, target), output.requires_grad_())


@pytest.mark.parametrize("loss", [supervised_loss, distillation_loss])
@pytest.mark.parametrize("bands", [1, 5])
@pytest.mark.parametrize("case", ["black output", "black target", "both black", "one black pixel", "equal"])
def test_derivative_is_finite_where_norms_or_differences_vanish(loss, bands: int, case: str) -> None:
    output, target = (torch.from_numpy(a).float() for a in pair(bands))
    if case in ("black output", "both black"):
        output.zero_()
    if case in ("black target", "both black"):
        target.zero_()
    if case == "one black pixel":
        output[:, :, 2, 1] = target[:, :, 2, 1] = 0
    if case == "equal":
        target = output.clone()
    value = loss(output.requires_grad_(), target)
    value.backward()
    assert value.isfinite() and output.grad.isfinite().all()


@pytest.mark.parametrize("shape", [(2, 1, 6, 6), (2, 4, 1, 6), (2, 4, 6, 1)])
def test_no_gradient_term_without_neighbours(shape: tuple[int, ...]) -> None:
    output, target = torch.rand(shape), torch.rand(shape)
    assert gradient_difference(output, target).item() == 0 and supervised_loss(output, target).isfinite()


@pytest.mark.parametrize(("epoch", "tens"), [(0, 0), (9, 0), (10, 1), (19, 1), (20, 2), (299, 29)])
def test_weight_of_distillation_decays_every_ten_epochs(epoch: int, tens: int) -> None:
    assert decayed_weight(0.01, 0.66, epoch) == pytest.approx(0.01 * 0.66**tens, rel=1e-12)
    assert decayed_weight(0.01, 1.0, epoch) == 0.01
