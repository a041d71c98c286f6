"""Single scenes looked at: what the network in the box makes of them, band by band and pixel by pixel."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lkca.box import box_weights
from lkca.measures.optics import pair_seen_through
from lkca.models import build_model
from lkca.studies.any_sensor.measured import SCALE, Ground, grounds
from lkca.training.evaluation import predict
from lkca.training.weights import load_weights

FIRST_CHOICE, SECOND_CHOICE = "hysu", "indian_pines"  # to be shown: detail that eyes know, and what is always there

Cube = NDArray[np.floating]  # (B, H, W)


@dataclass(frozen=True)
class Example:
    """A scene at one scale: LR image, truth, bicubic, and LKCA-Any with the weights of made scenes."""

    ground: Ground
    lr: Cube
    truth: Cube
    bicubic: Cube
    network: Cube

    def gain_by_band(self) -> NDArray[np.floating]:
        """(B,) in dB of PSNR over bicubic."""
        errors = [np.square(image - self.truth).mean(axis=(1, 2)) for image in (self.bicubic, self.network)]
        return 10 * np.log10(np.maximum(errors[0], 1e-12) / np.maximum(errors[1], 1e-12))


def example(scene: str, profile: str, scale: int = SCALE) -> Example:
    """One of the profile's scenes.

    Raises
    ------
    ValueError
        If it is not among those that are in place, or the box has no weights for the scale.
    """
    found = {ground.scene: ground for ground in grounds(profile)}
    if scene not in found:
        raise ValueError(f"no scene {scene!r} in place at profile {profile!r}: choose one of {', '.join(found)}")
    lr, truth = pair_seen_through(torch.from_numpy(found[scene].area.cube), scale)
    network, _ = load_weights(box_weights(scale, "made"))
    images = (predict(model, lr).numpy() for model in (build_model("bicubic", 1, scale), network))
    return Example(found[scene], lr.numpy(), truth.numpy(), *images)


def shown_scene(profile: str) -> str:
    """The scene of the picture: `hysu` where it is in place, else Indian Pines."""
    names = [ground.scene for ground in grounds(profile)]
    return FIRST_CHOICE if FIRST_CHOICE in names else SECOND_CHOICE
