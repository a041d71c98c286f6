"""LKCA-Any from the box, and streamed over a scene of any size within a given memory.

The scene is read twice: first for the sums that the spectral directions follow from, then for what is written. Between
the two the network goes over one direction's image at a time, in strips of rows, with exact averages in its channel
attention (`lkca.sharpening.streaming`): no tiles, no seams.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor, nn

from lkca.box import DEFAULT, box_weights
from lkca.measures.back_projection import corrections
from lkca.measures.resize import resize
from lkca.measures.symmetries import symmetry, unsymmetry
from lkca.models.any_sensor import LARGEST, NEIGHBOURS, USUAL, AnySensor, Basis, basis_of, bounded
from lkca.paths import Log
from lkca.sharpening.corrected import CorrectedRows, DetailedRows
from lkca.sharpening.feature_maps import FLOATS, FeatureMap, ImageRows, Rows, WholeImage, around, resident, strips
from lkca.sharpening.streaming import MAPS, SECONDS_BETWEEN_LINES, _block, _enlarged, _strip_rows, folded
from lkca.training.weights import load_weights

STRIP = 16  # LR rows of a strip in the network: more gain nothing
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
    if directions is not None:
        if not isinstance(directions, int) or directions < 1:
            raise ValueError(f"directions must be a whole number of at least 1, got {directions!r}")
        model.directions = directions
    model.symmetries = symmetries
    return model


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
    bands, height, width = lr.shape
    for module in (*model.head.modules(), *model.body.modules(), *model.upsampler.modules()):
        if isinstance(module, nn.Conv2d):  # strips come with the rows that a convolution looks at
            module.padding = (0, module.padding[1])
    basis, coefficients = _directions(model, lr, missing)
    count = len(coefficients)
    with ExitStack() as files:
        residuals = _details(model, coefficients, memory, folder, log, files)
        shrunk = torch.cat([_shrunk(detail, model.scale, height) for detail in residuals])
        low = corrections(-shrunk, model.scale, model.corrections) if model.corrections else 0 * shrunk
        spectra = basis.spectra()
        source = DetailedRows(CorrectedRows(lr, model.scale, model.corrections), spectra, low)
        rows = _strip_rows(lr, model.scale, count, memory)
        for start, strip in _enlarged(source, model.scale, rows):  # (r·n, B, r·w)
            top, bottom = start * model.scale, start * model.scale + len(strip)
            detail = torch.cat([each.rows(top, bottom)[0] for each in residuals])  # (k, r·n, r·w)
            strip += torch.matmul(spectra, detail.permute(1, 0, 2))
            yield top, strip.permute(1, 0, 2)


def _directions(model: AnySensor, lr: Rows, missing: Tensor | None) -> tuple[Basis, Tensor]:
    """The basis of the whole image, and its coefficient images (k, h, w)."""
    bands, height, width = lr.shape
    rows = max(1, 2**21 // (bands * width))
    sums, products, count = torch.zeros(bands).double(), torch.zeros(bands, bands).double(), 0
    for start, stop in strips(height, rows):
        pixels = lr.rows(start, stop).flatten(1).double()
        if missing is not None:
            pixels = pixels[:, ~missing[start:stop].flatten()]
        sums += pixels.sum(1)
        products += pixels @ pixels.T
        count += pixels.shape[1]
    basis = basis_of(count, sums, products, model.directions)
    parts = [basis.coefficients(lr.rows(start, stop)) for start, stop in strips(height, rows)]
    return basis, torch.cat(parts, dim=1)


def _details(
    model: AnySensor, coefficients: Tensor, memory: float, folder: str | Path | None, log: Log, files: ExitStack
) -> list[FeatureMap]:
    """What the network adds to each direction before back-projection: maps (r·h, r·w, 1)."""
    count, height, width = coefficients.shape
    scale, channels = model.scale, model.head.out_channels
    free = (memory - resident()) * 3 / 4
    maps_bytes, detail_bytes = MAPS * height * width * channels * FLOATS, count * scale**2 * height * width * FLOATS
    maps_fit = maps_bytes + min(detail_bytes, free / 2) < free
    details_fit = detail_bytes + (maps_bytes if maps_fit else 0) < free

    def room(fits: bool) -> object:
        return None if fits else files.enter_context(tempfile.TemporaryFile(dir=folder))

    maps = [FeatureMap((height, width, channels), room(maps_fit)) for _ in range(MAPS)]
    results, said = [], time.perf_counter()
    for number, coefficient in enumerate(coefficients):
        detail = FeatureMap((scale * height, scale * width, 1), room(details_fit))
        turns = model.turns()
        if len(turns) == 1:
            _network(model, torch.stack([coefficient, coefficients[0]]), maps, detail)
        else:  # turned ones end elsewhere: their mean is taken in memory
            total = torch.zeros(scale * height, scale * width)
            for s in turns:
                pair = symmetry(torch.stack([coefficient, coefficients[0]]), s)
                turned = FeatureMap((scale * pair.shape[1], scale * pair.shape[2], 1))
                _network(model, pair, maps, turned)
                total += unsymmetry(turned.memory[..., 0], s)
            detail.put(0, (total / len(turns))[None, None])
        for start, stop in strips(height, STRIP):
            raw = detail.rows(start * scale, stop * scale)
            detail.put(start * scale, _bounded_rows(raw, coefficient, start, stop))
        results.append(detail)
        if time.perf_counter() - said > SECONDS_BETWEEN_LINES:
            said = time.perf_counter()
            log(f"direction {number + 1} of {count}")
    return results


def _network(model: AnySensor, pair: Tensor, maps: list[FeatureMap], target: FeatureMap) -> None:
    """target = the network's answer to a coefficient image and its guide (2, h, w), strip by strip."""
    image = ImageRows(WholeImage(pair.clamp(-USUAL, USUAL)))
    height, width = pair.shape[1:]
    for each in maps:
        each.turn(height, width)
    x, y, near, far = maps
    rows = min(STRIP, height)
    for start, stop in strips(height, rows):
        x.put(start, model.head(around(image, start, stop, 1)))
    for block in model.body:
        _block(block, x, y, near, far, rows)
        for start, stop in strips(height, rows):
            x.put(start, x.rows(start, stop).clamp(-LARGEST, LARGEST))
    for start, stop in strips(height, rows):
        target.put(start * model.scale, model.upsampler(around(x, start, stop, 1).contiguous()))


def _bounded_rows(raw: Tensor, coefficient: Tensor, start: int, stop: int) -> Tensor:
    """`models.any_sensor.bounded` for the rows of a strip, (1, 1, r·n, r·w)."""
    margin = NEIGHBOURS // 2
    first, last = max(0, start - margin), min(len(coefficient), stop + margin)
    scale = raw.shape[-1] // coefficient.shape[-1]
    above, below = (start - first) * scale, (last - stop) * scale
    wider = torch.nn.functional.pad(raw, (0, 0, above, below))
    return bounded(wider, coefficient[None, None, first:last], scale)[:, :, above : above + raw.shape[2]]


def _shrunk(detail: FeatureMap, scale: int, height: int) -> Tensor:
    """A detail map shrunk by bicubic, (1, h, w), read strip by strip."""
    parts = []
    for start, stop in strips(height, 64):
        first, last = max(0, start - SHRINKING), min(height, stop + SHRINKING)
        strip = resize(detail.rows(first * scale, last * scale)[0], 1 / scale)
        parts.append(strip[:, start - first : stop - first])
    return torch.cat(parts, dim=1)
