"""Compute the two losses of the paper: supervised, and distillation from a teacher."""

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx, once_differentiable

MAX_COSINE = 1 - 1e-6  # in magnitude; at 1 the derivative of the arc cosine is infinite
ZERO_NORM = 1e-6  # replaces the product of two norms where it is zero
GRADIENT_EPSILON = 1e-6


def supervised_loss(output: Tensor, target: Tensor, sam: float = 0.5, gradient: float = 0.1) -> Tensor:
    """Return L1 + sam · spectral angle / π + gradient · difference of the spatial-spectral gradients.

    Parameters
    ----------
    output, target : (n, B, H, W) in [0, 1].
    sam, gradient : weights of the last two terms.

    Returns
    -------
    Scalar, differentiable with respect to `output`.

    Source: the paper's training loss; its reference 30 gives the default weights.
    """
    loss = l1(output, target)
    if sam:
        loss = loss + sam * spectral_angle(output, target)
    if gradient:
        loss = loss + gradient * gradient_difference(output, target)
    return loss


def distillation_loss(
    student: Tensor, teacher: Tensor, l1_weight: float = 1.0, gradient: float = 0.1, cosine: float = 0.5
) -> Tensor:
    """Return the weighted sum of L1, gradient difference, and 1 - mean cosine similarity of the pixels' spectra.

    student, teacher : (n, B, H, W), the residuals after PixelShuffle, before the bicubic image is added (paper,
        LKCA-KD).
    """
    loss = student.new_zeros(())
    if l1_weight:
        loss = loss + l1_weight * l1(student, teacher)
    if gradient:
        loss = loss + gradient * gradient_difference(student, teacher)
    if cosine:
        similarity = torch.nn.functional.cosine_similarity(student, teacher, dim=1, eps=1e-8)  # (n, H, W)
        loss = loss + cosine * (1 - similarity.mean())
    return loss


def decayed_weight(weight: float, decay: float, epoch: int) -> float:
    """Return λ · d^⌊epoch/10⌋, the weight of the distillation loss in the total; epochs are counted from 0."""
    return weight * decay ** (epoch // 10)


def l1(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean absolute difference."""
    return (a - b).abs().mean()


def spectral_angle(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean angle between the spectra of two (n, B, H, W) images, divided by π: a scalar in [0, 1].

    Differentiable with respect to `output` only.
    """
    return _SpectralAngle.apply(output, target.detach())


def gradient_difference(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute difference of the gradient magnitudes along bands, rows and columns.

    The gradient of a is sqrt(dλ² + dy² + dx² + 1e-6), with backward differences on the grid [:, 1:, 1:, 1:]. Zero where
    an axis has length 1. Differentiable with respect to `output` only.
    """
    if min(output.shape[1:]) < 2:
        return output.new_zeros(())
    return _GradientDifference.apply(output, target.detach())


# The derivatives of both terms are written by hand. With a narrow network on a CPU these terms take about half of a
# training step, and automatic differentiation would spend most of that time moving zeros and copies.


class _SpectralAngle(Function):
    @staticmethod
    def forward(ctx: FunctionCtx, output: Tensor, target: Tensor) -> Tensor:
        dot = (output * target).sum(dim=1)  # (n, H, W)
        length = output.norm(dim=1)
        norms = length * target.norm(dim=1)
        norms = torch.where(norms == 0, ZERO_NORM, norms)
        cosine = dot / norms
        clamped = cosine.clamp(-MAX_COSINE, MAX_COSINE)
        ctx.save_for_backward(output, target, length, norms, cosine, clamped)
        return torch.acos(clamped).mean() / torch.pi

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, slope: Tensor) -> tuple[Tensor, None]:
        output, target, length, norms, cosine, clamped = ctx.saved_tensors
        by_cosine = -slope / (torch.pi * cosine.numel()) / torch.sqrt(1 - clamped**2)
        by_cosine = torch.where(cosine == clamped, by_cosine, 0.0)  # constant where clamped
        by_target = (by_cosine / norms)[:, None]
        by_output = torch.where(length == 0, 0.0, -by_cosine * cosine / length**2)[:, None]
        return (output * by_output).addcmul_(target, by_target), None


class _GradientDifference(Function):
    @staticmethod
    def forward(ctx: FunctionCtx, output: Tensor, target: Tensor) -> Tensor:
        differences, magnitude = _gradient(output)
        excess = magnitude - _gradient(target)[1]
        ctx.save_for_backward(*differences, magnitude, excess)
        return excess.abs().mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, slope: Tensor) -> tuple[Tensor, None]:
        *differences, magnitude, excess = ctx.saved_tensors
        factor = excess.sign().div_(magnitude).mul_(slope / excess.numel())
        bands, rows, columns = (difference * factor for difference in differences)
        n, b, h, w = excess.shape
        result = excess.new_zeros(n, b + 1, h + 1, w + 1)
        result[:, :-1, 1:, 1:] -= bands
        result[:, 1:, :-1, 1:] -= rows
        result[:, 1:, 1:, :-1] -= columns
        result[:, 1:, 1:, 1:] += bands.add_(rows).add_(columns)
        return result, None


def _gradient(a: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return the backward differences along bands, rows and columns, (n, B-1, H-1, W-1) each, and their magnitude."""
    here = a[:, 1:, 1:, 1:]
    differences = [here - a[:, :-1, 1:, 1:], here - a[:, 1:, :-1, 1:], here - a[:, 1:, 1:, :-1]]
    squares = torch.full_like(here, GRADIENT_EPSILON)
    for difference in differences:
        squares.addcmul_(difference, difference)
    return differences, squares.sqrt_()
