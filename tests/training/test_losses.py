"""The two losses: golden values and gradient, formulas written out in numpy, and inputs that break careless code."""

import math

import numpy as np
import pytest
import torch

from lkca.training.losses import (
    decayed_weight,
    distillation_loss,
    gradient_difference,
    l1,
    spectral_angle,
    supervised_loss,
)


def pair(bands: int = 5, height: int = 6, width: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.2, (2, bands, height, width)), rng.normal(0, 0.2, (2, bands, height, width))


def test_golden_value_terms_and_gradient(golden, expected) -> None:
    arrays = golden("loss")
    output = torch.from_numpy(arrays["output"]).requires_grad_()
    target = torch.from_numpy(arrays["target"])
    loss = supervised_loss(output, target)
    loss.backward()
    wanted = expected["loss"]
    assert loss.item() == pytest.approx(wanted["total_lambda_sam_0.5_lambda_grad_0.1"], abs=1e-5)
    assert l1(output, target).item() == pytest.approx(wanted["l1"], abs=1e-5)
    assert spectral_angle(output, target).item() == pytest.approx(wanted["sam_over_pi"], abs=1e-5)
    assert gradient_difference(output, target).item() == pytest.approx(wanted["gradient_l1"], abs=1e-5)
    # entries are about 1/1680, so agree to 1e-5 of the largest as well
    assert np.abs(output.grad.numpy() - arrays["grad"]).max() < 1e-5 * np.abs(arrays["grad"]).max()


def test_weights_of_the_terms() -> None:
    output, target = map(torch.from_numpy, pair())
    terms = l1(output, target), spectral_angle(output, target), gradient_difference(output, target)
    for sam, gradient in ((0, 0), (2, 0), (0, 3), (0.5, 0.1)):
        wanted = terms[0] + sam * terms[1] + gradient * terms[2]
        assert supervised_loss(output, target, sam, gradient).item() == pytest.approx(wanted.item(), rel=1e-12)


def numpy_gradient(a: np.ndarray) -> np.ndarray:
    n, bands, height, width = a.shape
    g = np.zeros((n, bands - 1, height - 1, width - 1))
    for b in range(1, bands):
        for y in range(1, height):
            for x in range(1, width):
                here = a[:, b, y, x]
                squares = [(here - other) ** 2 for other in (a[:, b - 1, y, x], a[:, b, y - 1, x], a[:, b, y, x - 1])]
                g[:, b - 1, y - 1, x - 1] = np.sqrt(sum(squares) + 1e-6)
    return g


@pytest.mark.parametrize("weights", [(1.0, 0.1, 0.5), (0.0, 0.0, 1.0), (2.0, 0.0, 0.0), (0.0, 3.0, 0.0)])
def test_distillation_against_numpy(weights: tuple[float, float, float]) -> None:
    student, teacher = pair()
    cosines = [
        s @ t / np.linalg.norm(s) / np.linalg.norm(t)
        for s, t in zip(
            student.transpose(0, 2, 3, 1).reshape(-1, 5), teacher.transpose(0, 2, 3, 1).reshape(-1, 5), strict=True
        )
    ]
    terms = (
        np.abs(student - teacher).mean(),
        np.abs(numpy_gradient(student) - numpy_gradient(teacher)).mean(),
        1 - np.mean(cosines),
    )
    loss = distillation_loss(torch.from_numpy(student), torch.from_numpy(teacher), *weights)
    assert loss.item() == pytest.approx(np.dot(weights, terms), rel=1e-9)


def test_equal_maps_cost_nothing() -> None:
    a = torch.from_numpy(pair()[0])
    assert distillation_loss(a, a).item() == pytest.approx(0, abs=1e-12)
    # the clipped cosine leaves an angle of acos(1 - 1e-6) = 1.4e-3
    assert supervised_loss(a, a).item() == pytest.approx(0.5 * math.acos(1 - 1e-6) / math.pi, rel=1e-6)


@pytest.mark.parametrize("loss", [supervised_loss, distillation_loss])
@pytest.mark.parametrize("bands", [1, 5])
@pytest.mark.parametrize("zeros", ["output", "target", "both", "one pixel", "equal"])
def test_gradients_stay_finite(loss, bands: int, zeros: str) -> None:
    output, target = (torch.from_numpy(a).float() for a in pair(bands))
    if zeros in ("output", "both"):
        output = torch.zeros_like(output)
    if zeros in ("target", "both"):
        target = torch.zeros_like(target)
    if zeros == "one pixel":
        output[:, :, 2, 1] = 0
        target[:, :, 2, 1] = 0
    if zeros == "equal":
        target = output.clone()
    output.requires_grad_()
    value = loss(output, target)
    value.backward()
    assert value.isfinite() and output.grad.isfinite().all()


@pytest.mark.parametrize("shape", [(2, 1, 6, 6), (2, 4, 1, 6), (2, 4, 6, 1)])
def test_no_gradient_where_there_is_no_neighbour(shape: tuple[int, ...]) -> None:
    output, target = torch.rand(shape), torch.rand(shape)
    assert gradient_difference(output, target).item() == 0
    assert supervised_loss(output, target).isfinite()


@pytest.mark.parametrize("bands", [1, 6])
def test_opposite_spectra_are_half_a_turn_apart(bands: int) -> None:
    a = torch.rand(1, bands, 3, 3) + 0.1
    assert spectral_angle(a, -a).item() == pytest.approx(1, abs=1e-3)
    assert spectral_angle(a, 3 * a).item() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(("epoch", "tens"), [(0, 0), (9, 0), (10, 1), (19, 1), (20, 2), (299, 29)])
def test_decay(epoch: int, tens: int) -> None:
    assert decayed_weight(0.01, 0.66, epoch) == pytest.approx(0.01 * 0.66**tens, rel=1e-12)
    assert decayed_weight(0.01, 1.0, epoch) == 0.01
