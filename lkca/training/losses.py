"""The two losses of the paper: supervised, and distillation from a teacher."""

import torch
from torch import Tensor

COSINE_LIMIT = 1 - 1e-6  # keeps the arc cosine's slope finite
ZERO_NORM = 1e-6  # stands for the product of two norms where it is zero
GRADIENT_EPSILON = 1e-6


def supervised_loss(output: Tensor, target: Tensor, sam: float = 0.5, gradient: float = 0.1) -> Tensor:
    """L1 + sam · spectral angle / π + gradient · difference of the spatial-spectral gradients.

    Parameters
    ----------
    output, target : (n, B, H, W) in [0, 1].
    sam, gradient : weights of the two terms.

    Returns
    -------
    Scalar, differentiable in `output`.

    Source: the paper's training loss, weights as in its reference 30.
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
    """L1 + gradient difference + (1 - mean cosine similarity of the pixels' spectra), weighted.

    student, teacher : (n, B, H, W), the maps after PixelShuffle, before the bicubic image is added (paper, LKCA-KD).
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
    """λ · d^⌊epoch/10⌋, epochs counted from 0: the share of the distillation loss in the total."""
    return weight * decay ** (epoch // 10)


def l1(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference."""
    return (a - b).abs().mean()


def spectral_angle(output: Tensor, target: Tensor) -> Tensor:
    """Mean angle between the spectra of (n, B, H, W) images, over π: in [0, 1]."""
    dot = (output * target).sum(dim=1)  # (n, H, W)
    norms = output.norm(dim=1) * target.norm(dim=1)
    norms = torch.where(norms == 0, ZERO_NORM, norms)
    angle = torch.acos((dot / norms).clamp(-COSINE_LIMIT, COSINE_LIMIT))
    return angle.mean() / torch.pi


def gradient_difference(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of the gradient magnitudes along rows, columns and bands; zero for a single band."""
    if min(output.shape[1:]) < 2:
        return output.new_zeros(())
    return l1(_gradient_magnitude(output), _gradient_magnitude(target))


def _gradient_magnitude(a: Tensor) -> Tensor:
    """sqrt(dx² + dy² + dλ² + ε) by backward differences, on the grid that all three share: (n, B-1, H-1, W-1)."""
    here = a[:, 1:, 1:, 1:]
    across_bands = here - a[:, :-1, 1:, 1:]
    across_rows = here - a[:, 1:, :-1, 1:]
    across_columns = here - a[:, 1:, 1:, :-1]
    return torch.sqrt(across_bands**2 + across_rows**2 + across_columns**2 + GRADIENT_EPSILON)
