"""LKCA-Any from the box, and streamed over a scene of any size within a given memory.

The scene is read twice: first for the sums that the spectral directions follow from, then for what is written. Between
the two the network goes over one direction's image at a time, in strips of rows, with exact averages in its channel
attention (`lkca.sharpening.streaming`): no tiles, no seams.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor, nn

from lkca.box import DEFAULT, box_weights
from lkca.measures.back_projection import REACH, corrections
from lkca.measures.resize import resize
from lkca.measures.symmetries import symmetry, unsymmetry
from lkca.models.any_sensor import LARGEST, NEIGHBOURS, USUAL, AnySensor, Basis, basis_of, bounded
from lkca.paths import Log
from lkca.sharpening.corrected import AT_ONCE, CorrectedRows, DetailedRows
from lkca.sharpening.feature_maps import FLOATS, FeatureMap, ImageRows, Rows, WholeImage, around, strips
from lkca.sharpening.streaming import (
    MAPS,
    MOST_ROWS,
    SECONDS_BETWEEN_LINES,
    body_rows,
    enlarged,
    folded,
    room_for_maps,
    strip_rows,
    through_block,
)
from lkca.training.weights import load_weights

UPSCALED = 4  # directions of a scene file: the next four take half as long again, and add 0.002 to 0.015 dB
SPARED = 0.95  # of the memory has to be enough, as is seen before the network begins: a process grows a little
SHRINKING = 2  # LR rows above and below that shrinking looks at


def any_sensor(scale: int, kind: str = DEFAULT, directions: int | None = None, symmetries: bool = False) -> AnySensor:
    """LKCA-Any with the weights in the box, ready to use: (n, B, h, w) -> (n, B, scale·h, scale·w) for any B.

    Parameters
    ----------
    scale : 2, 4 or 8.
    kind : "made", weights trained on made scenes alone, or "real", on real ones as well.
    directions : k, spectral directions that are sharpened; None takes the trained network's.
    symmetries : take the mean over the eight symmetries of the image: a little better, eight times the work.

    Raises
    ------
    ValueError
        If there are no such weights, or k is not a whole number of at least 1.
    """
    model, _ = load_weights(box_weights(scale, kind))
    vary(model, directions, symmetries)
    return model


def vary(model: AnySensor, directions: int | None, symmetries: bool) -> None:
    """Set how many directions it sharpens (None leaves that), and whether it takes the mean over the symmetries.

    Raises
    ------
    ValueError
        If the number of directions is not a whole number of at least 1.
    """
    if directions is not None:
        if not isinstance(directions, int) or directions < 1:
            raise ValueError(f"directions must be a whole number of at least 1, got {directions!r}")
        model.directions = directions
    model.symmetries = symmetries


@torch.inference_mode()
def any_sensor_strips(
    model: AnySensor,
    lr: Rows,
    memory: float = 2e9,
    folder: str | Path | None = None,
    log: Log = lambda line: None,
    missing: Tensor | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """The sharpened image from top to bottom; parameters and results as of `streaming.upscaled_strips`.

    missing : bool (h, w), True where the image holds no data, which then decides no direction.
    """
    model = folded(model)
    for module in (*model.head.modules(), *model.body.modules(), *model.upsampler.modules()):
        if isinstance(module, nn.Conv2d):  # strips come with the rows that a convolution looks at
            module.padding = (0, module.padding[1])
    _, height, width = lr.shape
    scale, channels, steps = model.scale, model.head.out_channels, model.corrections
    strip_rows(lr.shape, scale, 0, SPARED * memory, steps)  # better now than when the network has done its work
    basis = _basis(model, lr, missing)
    count = len(basis.sigma)
    with ExitStack() as files:
        in_memory = 4 * scale**2 * height * width * FLOATS if model.symmetries else 0  # see `_detail`
        room = room_for_maps((count, height, width), scale, channels, memory - in_memory, folder, files)
        coefficients = room.map((height, width, count))
        near, y, x, far = (room.map((height, width, channels)) for _ in range(MAPS))  # read most, first
        details = [room.map((scale * height, scale * width, 1)) for _ in range(count)]
        left = memory - in_memory - room.taken
        rows = strip_rows((count, height, width), scale, channels, left)
        rows = max(rows, body_rows((height, width), channels, left))
        for start, stop in strips(height, MOST_ROWS):
            coefficients.put(start, basis.coefficients(lr.rows(start, stop))[None])
        said = time.perf_counter()
        for number, detail in enumerate(details):
            _detail(model, coefficients, number, (x, y, near, far), detail, rows)
            if time.perf_counter() - said > SECONDS_BETWEEN_LINES:
                said = time.perf_counter()
                log(f"direction {number + 1} of {count}")
        del x, y, near, far  # their memory
        spectra = basis.spectra()
        source = CorrectedRows(lr, scale, steps)
        if steps:
            _put_corrections(model, details, coefficients)
            source = DetailedRows(source, spectra, coefficients)
        rows = strip_rows(lr.shape, scale, 0, memory, steps)
        for start, strip in enlarged(source, scale, rows):  # (r·n, B, r·w)
            top, bottom = start * scale, start * scale + len(strip)
            detail = torch.cat([each.rows(top, bottom)[0] for each in details])  # (k, r·n, r·w)
            strip += torch.matmul(spectra, detail.permute(1, 0, 2))
            yield top, strip.permute(1, 0, 2)


def _basis(model: AnySensor, lr: Rows, missing: Tensor | None) -> Basis:
    """The spectral directions of the whole image."""
    bands, height, width = lr.shape
    rows = max(1, 2**20 // (bands * width))
    sums, products, count = torch.zeros(bands).double(), torch.zeros(bands, bands).double(), 0
    for start, stop in strips(height, rows):
        pixels = lr.rows(start, stop).flatten(1).double()
        if missing is not None:
            pixels = pixels[:, ~missing[start:stop].flatten()]
        sums += pixels.sum(1)
        products += pixels @ pixels.T
        count += pixels.shape[1]
    return basis_of(count, sums, products, model.directions)


class Pair:
    """`Rows` of what the network sees: a coefficient image and the first one, its guide (2, h, w)."""

    def __init__(self, coefficients: FeatureMap, number: int) -> None:
        self.coefficients, self.number = coefficients, number
        self.shape = 2, coefficients.height, coefficients.width

    def rows(self, start: int, stop: int) -> Tensor:
        strip = self.coefficients.rows(start, stop)[0]
        return torch.stack([strip[self.number], strip[0]])


def _detail(
    model: AnySensor, coefficients: FeatureMap, number: int, maps: Sequence[FeatureMap], detail: FeatureMap, rows: int
) -> None:
    """detail, a map (r·h, r·w, 1), = what the network adds to a direction before back-projection."""
    pair, scale, height = Pair(coefficients, number), model.scale, coefficients.height
    turns = model.turns()
    if len(turns) == 1:
        _network(model, pair, maps, detail, rows)
    else:  # turned ones end elsewhere: their mean is taken in memory
        total = torch.zeros(scale * height, scale * coefficients.width)
        for s in turns:
            image = WholeImage(symmetry(pair.rows(0, height), s))
            turned = FeatureMap((scale * image.shape[1], scale * image.shape[2], 1))
            _network(model, image, maps, turned, rows)
            total += unsymmetry(turned.memory[..., 0], s)
        detail.put(0, (total / len(turns))[None, None])
    for start, stop in strips(height, rows):
        raw = detail.rows(start * scale, stop * scale)
        detail.put(start * scale, _bounded_rows(raw, pair, start, stop))


def _network(model: AnySensor, pair: Rows, maps: Sequence[FeatureMap], target: FeatureMap, rows: int) -> None:
    """target = the network's answer to a coefficient image and its guide (2, h, w), strip by strip."""
    image = ImageRows(pair)
    _, height, width = pair.shape
    for each in maps:
        each.turn(height, width)
    x, y, near, far = maps
    for start, stop in strips(height, rows):
        x.put(start, model.head(around(image, start, stop, 1).clamp(-USUAL, USUAL)))
    for block in model.body:
        through_block(block, x, y, near, far, rows, LARGEST)
    for start, stop in strips(height, rows):
        target.put(start * model.scale, model.upsampler(around(x, start, stop, 1).contiguous()))


def _bounded_rows(raw: Tensor, pair: Pair, start: int, stop: int) -> Tensor:
    """`models.any_sensor.bounded` for the rows of a strip, (1, 1, r·n, r·w)."""
    margin = NEIGHBOURS // 2
    first, last = max(0, start - margin), min(pair.shape[1], stop + margin)
    scale = raw.shape[-1] // pair.shape[2]
    above, below = (start - first) * scale, (last - stop) * scale
    wider = torch.nn.functional.pad(raw, (0, 0, above, below))
    return bounded(wider, pair.rows(first, last)[None, :1], scale)[:, :, above : above + raw.shape[2]]


def _put_corrections(model: AnySensor, details: Sequence[FeatureMap], target: FeatureMap) -> None:
    """target, a map (h, w, k), = what back-projection adds to the details at LR size."""
    height, scale = target.height, model.scale
    halo = REACH * (model.corrections - 1)
    for start, stop in strips(height, AT_ONCE):
        first, last = max(0, start - halo), min(height, stop + halo)
        shrunk = torch.cat([_shrunk(detail, scale, first, last) for detail in details])
        low = torch.stack([corrections(-each, scale, model.corrections) for each in shrunk])
        target.put(start, low[None, :, start - first : stop - first])


def _shrunk(detail: FeatureMap, scale: int, start: int, stop: int) -> Tensor:
    """LR rows of a detail map shrunk by bicubic, (1, n, w)."""
    first, last = max(0, start - SHRINKING), min(detail.height // scale, stop + SHRINKING)
    strip = resize(detail.rows(first * scale, last * scale)[0], 1 / scale)
    return strip[:, start - first : stop - first]
