"""What a network gains on the part of a scene that it never saw, measured as its user will use it.

The user's scene is shrunk as a whole, from its first pixel on; a test that shrinks the held-out part alone has another
grid and another surrounding, and once said +0.36 dB where the user got +0.23. So the whole scene is shrunk, on four
phases of the grid and by more than one optics, and measured on several strips of the held-out part: mean and spread.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lkca.data.loaders import own_area
from lkca.data.patches import Area
from lkca.measures.blur import shrink
from lkca.measures.metrics import mpsnr, sam
from lkca.measures.resize import crop_to_multiple, resize
from lkca.scenes.cube import largest_valid_rectangle
from lkca.scenes.view import SceneView
from lkca.sharpening.bounds import bounded
from lkca.sharpening.texture import Texture, texture
from lkca.training.evaluation import predict

BLURS = ("bicubic", "mean")
STRIPS = 3
LEAST = 7  # pixels on a side of a strip
CONTEXT = 64  # LR pixels of the training part that a large scene keeps beside the held-out part
LARGE = 2**27  # numbers
WORTH = 0.01  # dB of MPSNR: less is nothing


@dataclass(frozen=True)
class Verdict:
    """table : a row a blur, phase and strip: gain (dB of MPSNR over bicubic), angle (degrees of SAM more than bicubic).
    bands : of each blur, the share of bands whose squared error grew. texture : of what the network adds.
    blur : the one that the network was trained for.
    """

    table: pd.DataFrame
    bands: dict[str, float]
    texture: Texture
    blur: str

    def summary(self) -> pd.DataFrame:
        """A row a blur: means over phases and strips, and their standard deviations."""
        rows = []
        for blur, part in self.table.groupby("blur", sort=False):
            rows.append(
                {
                    "shrunk by": blur,
                    "gain (dB)": f"{part.gain.mean():+.3f} ± {part.gain.std(ddof=0):.3f}",
                    "angle (degrees)": f"{part.angle.mean():+.3f} ± {part.angle.std(ddof=0):.3f}",
                    "bands that got worse": f"{self.bands[blur]:.0%}",
                    "places": len(part),
                }
            )
        return pd.DataFrame(rows)

    def in_words(self) -> str:
        """One word on the blur of training, and what to beware of."""
        own = self.table[self.table.blur == self.blur]
        lines = [f"{word(own.gain.mean(), own.angle.mean())} than bicubic on the user's own grid ({len(own)} places)."]
        others = self.table[self.table.blur != self.blur].groupby("blur", sort=False).gain.mean()
        lines += [
            f"Only {gain:+.3f} dB where the scene is shrunk by {blur}: the gain depends on the optics."
            for blur, gain in others.items()
            if gain < 0.5 * own.gain.mean()
        ]
        if self.bands[self.blur] > 0.1:
            lines.append(f"{self.bands[self.blur]:.0%} of the bands got worse.")
        return "\n".join(lines + [f"Beware: {line}." for line in self.texture.warnings()])


def word(gain: float, angle: float) -> str:
    """ "Better" or "WORSE" where both measures agree, "As good" where neither differs, else "Mixed"."""
    if abs(gain) < WORTH and abs(angle) < WORTH:
        return "As good"
    if gain >= 0 and angle <= 0:
        return "Better"
    return "WORSE" if gain <= 0 and angle >= 0 else "Mixed: one measure better, one worse,"


def judge(
    model: nn.Module,
    path: str,
    scale: int,
    view: SceneView | None = None,
    blur: str = "bicubic",
    any_unit: bool = False,
) -> Verdict:
    """Measure a network on the far quarter of a scene, as the user will use it.

    Parameters
    ----------
    model : for the scene's usable bands, numbers divided as in training.
    path, view : the scene that it was trained on. scale : r. blur : the one it was trained for.
    any_unit : the network makes its own range; else it is shown 0 to 1, as `lkca.upscale` shows it.

    Raises
    ------
    ValueError
        If no strip of the held-out part is large enough.
    """
    _, whole, axis, line, _ = own_area(path, view)
    whole, line = _near(whole, axis, line, scale)
    rows, bands, seen = [], {}, None
    for each in dict.fromkeys((blur, *BLURS)):
        errors = np.zeros((2, len(whole.cube)))
        for phase in ((0, 0), (0, scale // 2), (scale // 2, 0), (scale // 2, scale // 2)):
            cube = torch.from_numpy(whole.cube[:, phase[0] :, phase[1] :])
            truth = crop_to_multiple(cube, scale)
            lr = shrink(truth, scale, each)
            bicubic = resize(lr, scale)
            shown = lr if any_unit else lr.clamp(0, 1)
            prediction = bounded(predict(model, shown) + resize(lr - shown, scale), lr)[0]
            missing = whole.no_data[phase[0] :, phase[1] :]
            for number, place in enumerate(_strips(truth, missing, axis, line - phase[axis])):
                t, p, b = (image[:, *place].numpy() for image in (truth, prediction, bicubic))
                gain, angle = mpsnr(p, t) - mpsnr(b, t), sam(p, t) - sam(b, t)
                rows.append({"blur": each, "phase": phase, "strip": number, "gain": gain, "angle": angle})
                errors += [np.square(image - t, dtype=np.float64).sum(axis=(1, 2)) for image in (p, b)]
            if seen is None:
                seen = texture(_far(prediction - bicubic, axis, line, scale), scale)
        bands[each] = float((errors[0] > errors[1]).mean())
    if not rows:
        raise ValueError(f"{path}: the held-out quarter has no strip of {LEAST} pixels with data: nothing to judge by")
    return Verdict(pd.DataFrame(rows), bands, seen, blur)


def _near(whole: Area, axis: int, line: int, scale: int) -> tuple[Area, int]:
    """A large scene without most of its training part; the cut lies on the user's grid."""
    first = max(0, line - CONTEXT * scale) // scale * scale if whole.cube.size > LARGE else 0
    part = (slice(first, None), slice(None)) if axis == 0 else (slice(None), slice(first, None))
    return Area(whole.name, whole.cube[:, *part], whole.no_data[part]), line - first


def _strips(truth: Tensor, missing: np.ndarray, axis: int, line: int) -> list[tuple[slice, slice]]:
    """Rows and columns of strips across the held-out part, each without a pixel that has no data."""
    height, width = truth.shape[1:]
    length = (height, width)[1 - axis]
    count = max(1, min(STRIPS, length // (2 * LEAST)))
    places = []
    for number in range(count):
        across = slice(number * length // count, (number + 1) * length // count)
        along = slice(line, (height, width)[axis])
        place = (along, across) if axis == 0 else (across, along)
        hole = missing[:height, :width][place]
        if hole.size == 0 or hole.all():
            continue
        if hole.any():
            inner = largest_valid_rectangle(hole)
            place = tuple(slice(o.start + i.start, o.start + i.stop) for o, i in zip(place, inner, strict=True))
        if min(side.stop - side.start for side in place) >= LEAST:
            places.append(place)
    return places


def _far(image: Tensor, axis: int, line: int, scale: int) -> Tensor:
    """The held-out part of an image, from a whole input pixel on."""
    start = min(-(-line // scale) * scale, image.shape[1 + axis] - scale)
    return image.narrow(1 + axis, start, image.shape[1 + axis] - start)
