"""Whether a scene may be sharpened in bfloat16: decided by what that changes on the scene itself, shrunk."""

from collections.abc import Callable

import torch
from torch import nn

from lkca.measures.resize import resize
from lkca.models.lkca import LKCANet
from lkca.models.precision import PRECISIONS, native_bfloat16
from lkca.sharpening.feature_maps import Rows, WholeImage, middle
from lkca.sharpening.streaming import upscaled_strips

MOST = 0.002  # dB of PSNR that bfloat16 may change
SIDE = 32  # LR pixels of the shrunk copy on a side, at most
ENOUGH = 1e12  # bytes: the copy is small


def chosen_precision(model: nn.Module, lr: Rows, log: Callable[[str], None] = lambda line: None) -> str:
    """The precision "bfloat16" where the processor multiplies it itself and it changes the scene's shrunk copy,
    sharpened, by less than 0.002 dB; else "float32".

    model : what is to sharpen. lr : the scene, of which a part in the middle is shrunk, sharpened and compared.
    """
    if not isinstance(model, LKCANet) or not native_bfloat16():
        return "float32"
    truth = middle(lr, SIDE * model.scale)
    if min(truth.shape[1:]) < 2 * model.scale:
        return "float32"  # too small to say
    small = resize(truth, 1 / model.scale)
    truth = truth[:, : small.shape[1] * model.scale, : small.shape[2] * model.scale]
    quality = {}
    for precision in PRECISIONS:
        sharp = upscaled_strips(model, WholeImage(small), memory=ENOUGH, precision=precision)
        strips = [strip for _, strip in sharp]
        error = (torch.cat(strips, dim=1) - truth).double().square().mean(dim=(1, 2)).clamp_min(1e-12)
        quality[precision] = (-10 * error.log10()).mean().item()  # dB, up to a constant
    change = quality["bfloat16"] - quality["float32"]
    chosen = "bfloat16" if abs(change) < MOST else "float32"
    log(f"bfloat16 changes the scene's shrunk copy by {change:+.4f} dB: computing in {chosen}")
    return chosen
