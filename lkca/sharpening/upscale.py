"""Sharpen a scene: file in, georeferenced file out, within a given memory.

The file's numbers are divided by the weights' peak, pixels without data are filled from their nearest neighbour with
data, the network is streamed over the image strip by strip (`lkca.sharpening.streaming`), and each strip is turned back
into the file's numbers and type while the one before it is being written (`lkca.scenes.writing`).
"""

import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lkca.models.any_sensor import AnySensor
from lkca.models.precision import AUTO, PRECISIONS, check_precision
from lkca.paths import expanded
from lkca.scenes import Scene, open_scene
from lkca.scenes.bands import marked_bad, usable_bands
from lkca.scenes.view import SceneView, part
from lkca.sharpening.any_sensor import UPSCALED, any_sensor_strips, vary
from lkca.sharpening.bounds import Bounds, Limited
from lkca.sharpening.estimate import in_words, upscaling_seconds
from lkca.sharpening.feature_maps import Rows, WholeImage, resident
from lkca.sharpening.file_numbers import FileNumbers, no_data_for
from lkca.sharpening.precision_choice import ENOUGH, chosen_precision
from lkca.sharpening.scene_rows import SceneRows, SourceFiles
from lkca.sharpening.streaming import SECONDS_BETWEEN_LINES, maps_bytes, upscaled_strips
from lkca.sharpening.texture import remarks_on
from lkca.sharpening.unit import check_range, peak_of
from lkca.sharpening.weights_choice import ANY_SCENE, WITHOUT_WEIGHTS, network
from lkca.training.machine import peak_memory

WHOLE = SceneView()


@dataclass(frozen=True)
class Upscaled:
    """What was written.

    path : the new file. shape : (B, r·H, r·W). dtype : its type, that of the input.
    clipped : values that did not fit the type and were set to its limit. no_data : pixels without data.
    beyond : values outside of the range that their band has in the input; farthest : how far at most, as a share of
    that range. held : values that the network had set farther than the neighbouring input pixels allow, set back.
    bands : those sharpened, counted from 0; the others are no data in the new file.
    remarks : what looks wrong in what the network adds, see `lkca.sharpening.texture`.
    seconds : reading and writing included. peak_memory : of this process so far, in bytes.
    """

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype
    clipped: int
    no_data: int
    seconds: float
    peak_memory: int
    beyond: int = 0
    farthest: float = 0.0
    held: int = 0
    bands: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()

    def open(self) -> Scene:
        """The new file as a scene."""
        return open_scene(self.path)


def upscale(
    source: str | Path,
    target: str | Path,
    weights: str | Path | None = None,
    scale: int | None = None,
    memory: float = 2e9,
    overwrite: bool = False,
    interleave: str | None = None,
    view: SceneView = WHOLE,
    force_units: bool = False,
    precision: str = "float32",
    log: Callable[[str], None] = print,
    symmetries: bool = False,
    directions: int | None = None,
) -> Upscaled:
    """Enlarge a scene file; type, georeference, wavelengths and the rest of its description are kept or scaled.

    Parameters
    ----------
    source : a scene that `lkca.open_scene` reads.
    target : the file to be written, ENVI (.hdr, .img, …) or GeoTIFF (.tif) by its name.
    weights : a run's folder, its weights.safetensors, "bicubic" or "back-projection"; None, "made" or "real" take the
        network for any sensor with the weights in the box, see `lkca.any_sensor`.
    scale : 2, 4 or 8; of weights from a run their own, else 4 unless said.
    memory : bytes that the process may have resident at its peak.
    overwrite : replace `target` if it exists.
    interleave : "bsq", "bil" or "bip", of an ENVI file.
    view : which variable, axes, bands, rows and columns of the source; see `lkca.scenes.view.SceneView`.
    force_units : go on where the numbers look as if they were of another kind than those trained on.
    precision : of LKCA-Net's convolutions: "float32"; "bfloat16"; "auto" takes bfloat16 where the processor multiplies
        it itself and it changes the scene's own shrunk copy, sharpened, by less than 0.002 dB. All else computes in
        float32, and says so.
    log : takes lines of progress.
    symmetries : of LKCA-Any: the mean over the eight symmetries of the image, at eight times the work.
    directions : of LKCA-Any: how many spectral directions are sharpened; None takes four, or as many as the network
        has where those are fewer.

    Notes
    -----
    Bands that are marked as bad (`bbl`), hold no data anywhere, or are not asked for stay out; they are no-data bands
    of the new file. What a network is shown is limited to what training showed it, and what it answers to what the
    neighbouring input pixels allow: see `lkca.sharpening.bounds`.

    Weights know the number that was 1 in training. If the scale factor of the training scene's file is known and
    this file has another, that number is converted, so that the same reflectance stays the same; 1 also stands for a
    file that says none. What lies above the peak is enlarged by bicubic.

    A pixel without data (no-data value, NaN or infinity in any band) becomes scale x scale pixels without data in every
    band: the file's no-data value, NaN where it has none. Computation is in float32, whatever the type.

    Warns
    -----
    UserWarning
        Only one of scene and weights knows its wavelengths; values had to be clipped to the type's range; with
        `force_units`, the numbers look as if they were of another kind than those trained on.

    Raises
    ------
    ValueError
        Bands, wavelengths, scale or unit do not match the weights; the scene has no pixel with data; `target` is one of
        the input's own files; a setting that cannot be.
    FileNotFoundError, FileExistsError
        No such scene or weights; `target` exists.
    OSError
        The input changed while it was read; the disk is full. Nothing half-written is left under the target's name.
    """
    from lkca.scenes.writing import SceneWriter, enlarged  # GDAL, which `import lkca` can do without

    start = time.perf_counter()
    check_precision(precision, (*PRECISIONS, AUTO))
    whole, target = view.open(source), expanded(target)
    whole.check_memory(memory, resident())
    bands, left_out = usable_bands(whole, view.bands)
    if left_out:
        log(left_out)
    scene = part(whole, bands=bands) if left_out else whole
    if scene is not whole:
        whole.__dict__.pop("cube", None)  # kept by the formats that can only be read whole
    files = SourceFiles(scene)
    files.check_target(target)
    model, passport = network(weights, scene, scale, whole)
    scale = passport.scale
    if isinstance(model, AnySensor):
        vary(model, min(UPSCALED, model.directions) if directions is None else directions, symmetries)
    elif symmetries or directions:
        raise ValueError(
            f"only lkca-any has symmetries and directions, the weights are of {passport.model}: leave it out"
        )
    if passport.model in ANY_SCENE and precision != PRECISIONS[0]:
        log(f"{passport.model} always computes in {PRECISIONS[0]}: --precision {precision} changes nothing")
        precision = PRECISIONS[0]
    peak = peak_of(scene, passport)
    if peak != passport.peak:
        log(
            f"scale factor {scene.scale_factor:g}, in training it was {passport.scale_factor:g}: {peak:g} stands for "
            f"the {passport.peak:g} of the training scene"
        )
    shape = (whole.shape[0], scale * scene.shape[1], scale * scene.shape[2])
    description = enlarged(whole, scale)
    description["metadata"] = marked_bad(description["metadata"], bands, shape[0])
    hole = no_data_for(whole, bands)
    if hole is not None:
        description["no_data"] = hole.item()
    with (
        SceneWriter(target, shape, scene.dtype, **description, interleave=interleave, overwrite=overwrite) as writer,
        closing(SceneRows(scene, files, peak, memory, target.parent, maps_bytes(model, *scene.shape[1:]))) as lr,
        ThreadPoolExecutor(1) as thread,
    ):
        shown = Limited(lr)
        bounds = None
        if passport.model not in WITHOUT_WEIGHTS:
            bounds = Bounds(lr, scale)
        own_range = passport.model in ANY_SCENE  # no peak of training: what it is shown follows from the scene itself
        if not own_range:
            check_range(lr, scene, weights, peak, force_units)
        excess = not own_range and (lr.low.min() < shown.low or lr.high.max() > shown.high)
        numbers = FileNumbers(whole, bands, lr, peak, scale)
        writing: Future | None = None
        said, begun = time.perf_counter(), None
        shown_to_it = lr if own_range else shown
        expected = upscaling_seconds(model, shown_to_it, scale)
        about = "" if expected is None else f", for about {in_words(expected)} (measured on a small piece)"
        log(f"{scene.path}: read in {said - start:.1f} s; {passport.model} at work{about}")
        if precision == AUTO:
            precision = chosen_precision(model, shown_to_it, log)
        for row, strip in _strips(model, shown_to_it, lr.missing, memory, target.parent, log, precision):
            if excess:
                shown.add_excess(row, strip, scale)
            if bounds:
                bounds.apply(row, strip)
            converted = numbers.of(row, strip)
            rows = row + strip.shape[1]
            del strip  # its memory serves the next one while this one is written
            if writing:
                writing.result()
            writing = thread.submit(writer.write, row, converted)
            now = time.perf_counter()
            begun = begun or (now, rows)  # before the first strip comes the network's body, over the whole image
            if now - said > SECONDS_BETWEEN_LINES and rows > begun[1]:
                said = now
                left = (now - begun[0]) / (rows - begun[1]) * (shape[1] - rows)
                log(f"{rows} of {shape[1]} rows, {left:.0f} s left")
        writing.result()

        def sharpened(piece: Tensor) -> Tensor:
            all_there = np.zeros(piece.shape[1:], bool)
            done = _strips(model, WholeImage(piece), all_there, ENOUGH, None, str, precision)
            return torch.cat([strip for _, strip in done], dim=1)

        remarks = tuple(remarks_on(sharpened, shown_to_it, scale)) if bounds else ()
    if numbers.clipped:
        warnings.warn(
            f"{target}: {numbers.clipped} of {np.prod(shape)} values did not fit {scene.dtype} and were set to the "
            "nearest number that does",
            stacklevel=2,
        )
    return Upscaled(
        target,
        shape,
        scene.dtype,
        numbers.clipped,
        int(lr.missing.sum()) * scale**2,
        time.perf_counter() - start,
        peak_memory(torch.device("cpu")),
        numbers.beyond,
        numbers.farthest,
        bounds.held if bounds else 0,
        tuple(bands),
        remarks,
    )


def _strips(
    model: nn.Module,
    lr: Rows,
    missing: NDArray[np.bool_],
    memory: float,
    folder: Path,
    log: Callable[[str], None],
    precision: str,
) -> Iterator[tuple[int, Tensor]]:
    if isinstance(model, AnySensor):
        return any_sensor_strips(model, lr, memory, folder, log, torch.as_tensor(missing))
    return upscaled_strips(model, lr, memory, folder, log, precision)
