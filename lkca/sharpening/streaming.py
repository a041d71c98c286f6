"""Images of any size through LKCA-Net in strips of rows, with a bound on memory and without seams.

The channel attention of every block averages over the whole image, so a tile's output is not a part of the whole
image's. Here nothing is tiled. The image goes through the network block by block, every convolution strip by strip with
as many neighbouring rows as it looks at, and the averages are exact: the result is that of the whole image. Between two
convolutions a feature map (h, w, C) lies in memory or, where there is no room for it, in a temporary file.
"""

import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lkca.measures.resize import mirrored
from lkca.models.any_sensor import AnySensor
from lkca.models.back_projection import BackProjection
from lkca.models.bicubic import Bicubic
from lkca.models.folding import folded
from lkca.models.lkca import AttendedFusion, LargeKernelBlock, LKCANet, add_enlarged
from lkca.models.precision import check_precision, computing_in
from lkca.sharpening.corrected import CorrectedRows, correcting_rows
from lkca.sharpening.feature_maps import FLOATS, FeatureMap, ImageRows, Room, Rows, around, resident, strips

MAPS = 4  # feature maps that a block holds at once: its input and y, near, far
REACH = 2  # LR pixels on either side that bicubic enlarging looks at
COLUMNS = 16  # LR pixels of a block that is enlarged across by one product of matrices
MOST_ROWS = 16  # of an HR strip: more gain nothing
MOST_BODY_ROWS = 64  # of a strip on its way through a block: fewer neighbouring rows are read twice
FEW_ROWS = 4  # of a strip, for which feature maps leave room
STRIP_VALUES = (
    2**22
)  # of an HR strip; larger ones leave the caches, and are taken from and given back to the system anew
SECONDS_BETWEEN_LINES = 5.0  # of progress


@torch.inference_mode()
def upscaled_strips(
    model: nn.Module,
    lr: Rows,
    memory: float = 2e9,
    folder: str | Path | None = None,
    log: Callable[[str], None] = lambda line: None,
    precision: str = "float32",
) -> Iterator[tuple[int, Tensor]]:
    """The enlarged image from top to bottom, strip by strip, on the CPU.

    Parameters
    ----------
    model : LKCA-Net with any upsampler, bicubic, or bicubic with back-projection. Any other network sees the whole
        image at once, with a warning: its memory is not bounded.
    lr : the LR image, float32, 1 for the scene's peak.
    memory : bytes that the process may hold at its peak. Feature maps that do not fit go to temporary files, at the
        price of time.
    folder : where those files are; by default where the system has its temporary files.
    log : takes a line now and then while the blocks are computed, before the first strip comes.
    precision : "float32", or "bfloat16" for the convolutions of LKCA-Net; feature maps, bicubic and the sum stay
        float32.

    Yields
    ------
    (row, strip) : the strip's first HR row, and its float32 values (B, n, scale·w).

    Raises
    ------
    ValueError
        If the memory is too small for a strip of a single row, or there is no such precision.
    """
    check_precision(precision)
    if isinstance(model, BackProjection):
        lr, model = CorrectedRows(lr, model.scale, model.steps), Bicubic(lr.shape[0], model.scale)
    if isinstance(model, Bicubic):
        rows = strip_rows(lr.shape, model.scale, 0, memory, getattr(lr, "steps", 0))
        for start, strip in enlarged(lr, model.scale, rows):
            yield start * model.scale, strip.permute(1, 0, 2)
        return
    model = folded(model).cpu()
    if not isinstance(model, LKCANet):
        warnings.warn(f"{type(model).__name__} sees the whole image at once: its memory is not bounded", stacklevel=2)
        yield 0, model(lr.rows(0, lr.shape[1])[None])[0]
        return
    yield from _through(model, lr, memory, folder, log, precision)


def _through(
    model: LKCANet,
    lr: Rows,
    memory: float,
    folder: str | Path | None,
    log: Callable[[str], None],
    precision: str,
) -> Iterator[tuple[int, Tensor]]:
    """`upscaled_strips` of a folded LKCA-Net."""
    bands, height, width = lr.shape
    scale, channels = model.scale, model.head.out_channels
    for module in model.modules():
        if isinstance(module, nn.Conv2d):  # strips come with the rows that a convolution looks at
            module.padding = (0, module.padding[1])
    with ExitStack() as files:
        room = room_for_maps(lr.shape, scale, channels, memory, folder, files)
        near, y, x, far = (room.map((height, width, channels)) for _ in range(MAPS))  # read most, first
        rows = strip_rows(lr.shape, scale, channels, memory - room.taken)
        thick = max(rows, body_rows((height, width), channels, memory - room.taken))
        image = ImageRows(lr)
        for start, stop in strips(height, rows):
            with computing_in(precision):
                x.put(start, model.head(around(image, start, stop, 1)))
        said = time.perf_counter()
        for number, block in enumerate(model.body, 1):
            with computing_in(precision):
                through_block(block, x, y, near, far, thick)
            if time.perf_counter() - said > SECONDS_BETWEEN_LINES:
                said = time.perf_counter()
                log(f"block {number} of {len(model.body)}")
        for start, strip in enlarged(lr, scale, rows):  # strip (n, B, scale·w)
            count = len(strip) // scale
            strip = strip.permute(1, 0, 2)
            with computing_in(precision):  # not around `yield`: what the caller does in between is the caller's
                add_enlarged(model.upsampler, around(x, start, start + count, 1), strip[None])
            yield start * scale, strip


def through_block(
    block: LargeKernelBlock,
    x: FeatureMap,
    y: FeatureMap,
    near: FeatureMap,
    far: FeatureMap,
    rows: int,
    largest: float = math.inf,
) -> None:
    """One block, x becomes its output. `y`, `near`, `far` are those of `LargeKernelChannelAttention`.

    largest : the output is kept within ± this.
    """
    attention = block.attention
    sums = [
        _convolved(lambda strip: F.gelu(block.project_in(strip)), 0, x, y, rows),
        _convolved(attention.local, 2, y, near, rows),
        _convolved(attention.distant, 9, near, far, rows),
    ]
    means = torch.cat(sums)[None, :, None, None] / (x.height * x.width)
    fuse = AttendedFusion(attention.fuse, attention.channel_attention.factors(means.float()))
    kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32
    for start, stop in strips(x.height, rows):
        features = [source.rows(start, stop).to(kind) for source in (y, near, far)]
        attended = fuse(features).mul_(features[0])
        result = x.rows(start, stop) + block.project_out(attended)
        x.put(start, result if math.isinf(largest) else result.clamp_(-largest, largest))


def _convolved(
    function: Callable[[Tensor], Tensor], halo: int, source: FeatureMap, target: FeatureMap, rows: int
) -> Tensor:
    """target = function(source), a convolution that looks at `halo` rows above and below; the sums of its channels."""
    sums = torch.zeros(target.channels, dtype=torch.float64)
    for start, stop in strips(source.height, rows):
        strip = function(around(source, start, stop, halo))
        target.put(start, strip)
        # as it lies in memory, (n, w, C): torch is ten times slower to sum over rows of channels
        sums += strip[0].permute(1, 2, 0).sum(dim=0, dtype=torch.float32).sum(dim=0, dtype=torch.float64)
    return sums


def enlarged(lr: Rows, scale: int, rows: int) -> Iterator[tuple[int, Tensor]]:
    """`lkca.resize` strip by strip, as products of matrices: (first LR row, (scale·n, B, scale·w))."""
    bands, height, width = lr.shape
    row_of, column_of = (mirrored(length, REACH, torch.device("cpu")) for length in (height, width))
    columns = -(-width // COLUMNS) * COLUMNS  # whole blocks
    across = bicubic_weights(COLUMNS, scale).T.contiguous()
    for start, stop in strips(height, min(rows, max(1, STRIP_VALUES // (bands * scale**2 * width)))):
        taken = row_of[start : stop + 2 * REACH]
        first = int(taken.min())
        x = lr.rows(first, int(taken.max()) + 1)[:, taken - first][:, :, column_of]
        x = F.pad(x.transpose(0, 1), (0, columns - width))  # (n + 4, B, columns + 4)
        x = x.unfold(2, COLUMNS + 2 * REACH, COLUMNS).flatten(0, 2) @ across
        x = x.view(len(taken), bands, -1)[..., : width * scale].reshape(len(taken), -1)
        down = bicubic_weights(stop - start, scale)
        yield start, (down @ x).view(-1, bands, width * scale)


@lru_cache
def bicubic_weights(length: int, ratio: int) -> Tensor:
    """(r·length, length + 4): from pixels with 2 more at both ends to the enlarged ones; Keys' kernel, a = -0.5."""
    centres = (torch.arange(length * ratio, dtype=torch.float64) + 0.5) / ratio - 0.5 + REACH
    d = (centres[:, None] - torch.arange(length + 2 * REACH)).abs()
    near, far = 1.5 * d**3 - 2.5 * d**2 + 1, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    return torch.where(d <= 1, near, torch.where(d < 2, far, 0.0)).float()


def maps_bytes(model: nn.Module, height: int, width: int) -> int:
    """Bytes of the feature maps of an LR image of that size; 0 for what has none, or is not streamed."""
    return MAPS * height * width * model.head.out_channels * FLOATS if isinstance(model, LKCANet | AnySensor) else 0


def room_for_maps(
    shape: tuple[int, int, int], scale: int, channels: int, memory: float, folder: str | Path | None, files: ExitStack
) -> Room:
    """Room for feature maps: three quarters of what is free, and less where strips of rows need more than the rest."""
    free = memory - resident()
    a_row, fixed = _strip_bytes(shape, scale, channels)
    return Room(min(free * 3 / 4, free - fixed - FEW_ROWS * a_row), folder, files)


def strip_rows(shape: tuple[int, int, int], scale: int, channels: int, memory: float, steps: int = 0) -> int:
    """LR rows of a strip so that what is made of it fits into `memory`.

    shape : (B, h, w) of the LR image. channels : of feature maps, 0 for none. steps : corrections of the image.

    Raises
    ------
    ValueError
        If a single row does not fit.
    """
    a_row, fixed = _strip_bytes(shape, scale, channels, steps)
    taken = resident()
    rows = int((memory - taken - fixed) // a_row)
    if rows < 1:
        raise ValueError(
            f"memory of {memory / 1e9:.2f} GB is too small: a strip of one row of this image needs "
            f"{(taken + fixed + a_row) / 1e9:.2f} GB with what the program itself takes; give more"
        )
    return min(rows, MOST_ROWS, shape[1])


def body_rows(size: tuple[int, int], channels: int, memory: float) -> int:
    """Rows of a strip of feature maps (h, w) that go through a block within half of `memory`; 0 where none does."""
    height, width = size
    a_row, fixed = _strip_bytes((0, height, width), 1, channels)
    rows = int(((memory - resident()) / 2 - fixed) // a_row)
    return max(0, min(rows, MOST_BODY_ROWS, height))


def _strip_bytes(shape: tuple[int, int, int], scale: int, channels: int, steps: int = 0) -> tuple[int, int]:
    """Bytes that each row of a strip takes, and those beside, of any number of rows."""
    bands, _, width = shape
    # The upsampler's output, shuffled, enlarged, their sum, and two strips on their way to the file; or, in the body,
    # three maps joined, a convolution's input and output, the neighbouring rows, and what the heap does not give back.
    a_row = width * FLOATS * max(7 * bands * scale**2, 16 * channels)
    halo = width * FLOATS * max(4 * REACH * bands * scale, 2 * 9 * 6 * channels)
    return a_row, halo + width * FLOATS * bands * correcting_rows(steps)
