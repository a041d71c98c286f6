"""Small networks that several tests need."""

import torch

from lkca.models.any_sensor import AnySensor


def small_any_sensor() -> AnySensor:
    """LKCA-Any for x2 of two blocks, whose residual is not near zero as a fresh one's is."""
    torch.manual_seed(0)
    made = AnySensor(1, 2, directions=3, blocks=2, channels=16)
    with torch.no_grad():
        made.upsampler[0].weight.mul_(30)
    return made.eval()
