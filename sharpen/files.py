"""Sharpen a scene file: file in, georeferenced file out, within a given memory.

The scene is read once to find the bands without data, and once more to find the pixels without data. If it is larger
than a quarter of the memory, the principal components and the sharpening read it again. Strips of rows are written in
the background.
"""

import contextlib
import math
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import xarray as xr

from lkca.files import Log, atomic_write, expand
from sharpen.choose import check_bands, choose_method
from sharpen.image.deconvolve import middle
from sharpen.image.methods import EigenimageMethod
from sharpen.image.psf import estimate_psf
from sharpen.pictures import Colours, ScenePictures, png
from sharpen.report import Sharpened, check_page, facts, write_page
from sharpen.scene.io import SceneWriter, doubt_axes, numbers_in, open_scene, usable_bands
from sharpen.scene_rows import SceneRows, Unit, upsampled_mask, with_wavelengths
from sharpen.watch import Progress, RangeCounter, in_words, peak_memory, seconds_needed, texture_remarks

FILE_COMPONENTS = 4  # principal components that are sharpened at x4 and x8 by default


def sharpen_file(
    source: str | Path,
    target: str | Path,
    scale: int | None = None,
    psf: str = "auto",
    noise: str | float = "auto",
    weights: str | Path | None = None,
    memory: float = 2e9,
    overwrite: bool = False,
    *,
    bands: str | None = None,
    key: str | None = None,
    layout: str | None = None,
    wavelengths: str | Path | None = None,
    interleave: str | None = None,
    components: int | None = None,
    symmetries: bool = False,
    precision: str = "auto",
    force_units: bool = False,
    quicklook: bool = True,
    rgb: str | None = None,
    report: str | Path | None = None,
    uncertainty: str | Path | None = None,
    log: Log = print,
) -> Sharpened:
    """Sharpen a scene file; keep or scale its dtype, georeference, wavelengths and other metadata.

    Parameters
    ----------
    source : a scene that `sharpen.open_scene` opens; key and layout as there.
    target : the file to write, ENVI (.hdr, .img, …) or GeoTIFF (.tif) by its name.
    scale, psf, noise, weights, components, symmetries, precision : see `sharpen.choose.choose_method`. Without
        `components`, four are sharpened at x4 and x8: the next four add 0.01 dB at x4 and take half as long again.
    memory : bytes that the process may hold at its peak.
    overwrite : replace files that exist.
    bands : such as "1-129,136-224", from 1; None takes all except bad bands and bands without data.
    wavelengths : a text file with a wavelength for each band, in nm or µm, for a scene that has none.
    interleave : "bsq", "bil" or "bip" of an ENVI file, "bsq" or "bip" of a GeoTIFF.
    force_units : only warn if the numbers seem to be in another unit than a run's weights expect.
    quicklook : write a picture beside the target. rgb : bands that it shows, such as "30,20,10".
    report : a page (.html) to write, with pictures, numbers and warnings.
    uncertainty : a second file to write, with the standard deviation of each value as float32; see
        `sharpen.image.uncertainty`. Only the eigenimage network gives one.
    log : takes lines of progress and results.

    Notes
    -----
    A pixel without data in any band becomes scale x scale pixels without data in every band. Whole numbers are rounded
    and clipped. A network's values leave the range of the 5x5 LR pixels around them by at most half of that range; for
    the eigenimage network these are pixels of the deconvolved LR image.

    Raises
    ------
    ValueError
        If the scene has no pixel with data, a setting does not exist, weights do not fit, or the memory is too small.
    FileNotFoundError, FileExistsError
        If there is no such scene, weights file or folder; if a file to be written exists.
    OSError
        If the input changes while it is read, or the disk is full. The target then stays as it was.
    """
    begun, lines = time.perf_counter(), []

    def say(line: str) -> None:
        lines.append(line)
        log(line)

    page = None if report is None else check_page(report, overwrite)
    uncertain = uncertainty is not None
    method, metadata = choose_method(weights, scale, psf, noise, components, symmetries, precision, uncertain)
    if components is None and isinstance(method, EigenimageMethod) and method.scale > 2:
        method.network.components = min(method.network.components, FILE_COMPONENTS)
    scale, target = method.scale, expand(target)
    options = {"interleave": interleave, "overwrite": overwrite}
    with _collected_warnings() as warned:
        scene = with_wavelengths(open_scene(source, key, layout), wavelengths)
        count, *size = (scene.sizes[name] for name in ("band", "y", "x"))
        say(f"{source}: {count} bands of {size[0]} x {size[1]} pixels, {scene.dtype}")
        if doubt := doubt_axes(scene):
            warnings.warn(doubt, stacklevel=2)
        SceneWriter(target, scene, scale, holes=True, **options)  # checks names and free space before any pixel is read
        if uncertain:
            deviations = deviation_writer(uncertainty, scene, scale, None, **options)
        good, line = usable_bands(scene, bands)
        if line:
            say(line)
        spectrum = scene.coords["wavelength"].values[good] if "wavelength" in scene.coords else None
        unit = Unit(scene, good, metadata)
        if metadata is not None:
            check_bands(source, len(good), spectrum, metadata, weights)
        lr = SceneRows(scene, good, unit, memory)
        if metadata is not None:
            unit.check(lr, weights, force_units)
        pictures = ScenePictures(Colours(lr, spectrum, _shown_bands(rgb, good, count)), size, scale)
        method.prepare(lr, lr.missing, memory)
        if method.remark:
            say(method.remark)
        seconds = seconds_needed(method, lr)
        about = "" if seconds is None else f", for about {in_words(seconds)} (measured on a small piece)"
        say(f"read in {time.perf_counter() - begun:.1f} s; {method.name} at work{about}")
        counter, progress = RangeCounter(lr, scene.dtype), Progress(scale * size[0], log)
        method.on_tile = progress.show_tiles
        with contextlib.ExitStack() as stack:
            if uncertain:
                deviations = stack.enter_context(deviation_writer(uncertainty, scene, scale, good, **options))
            writer = SceneWriter(target, scene, scale, good, holes=bool(lr.missing.any()), **options)
            stack.enter_context(writer)
            row = 0
            for strip, deviation in method.strips(lr, memory):
                missing = upsampled_mask(lr.missing, row, strip.shape[1], scale)
                counter.count(unit.to_file(strip), missing)
                pictures.add(row, strip, missing)
                writer.write(strip.numpy(), missing)
                if deviation is not None:
                    deviations.write(deviation.numpy(), missing)
                row += strip.shape[1]
                progress.show_rows(row)
        if writer.clipped:
            warnings.warn(
                f"{target}: {writer.clipped} of {math.prod(writer.shape)} values did not fit {writer.dtype}: they are "
                "set to its limits",
                stacklevel=2,
            )
    lost = int(lr.missing.sum())
    say(f"{target}: {count} bands of {writer.shape[1]} x {writer.shape[2]} pixels (from {size[0]} x {size[1]})")
    if lost:
        say(f"{lost * scale**2} pixels without data, from {lost} of {lr.missing.size} in the input")
    say(f"{writer.clipped} values clipped to the range of {writer.dtype}")
    say(counter.in_words(len(good) * math.prod(writer.shape[1:]), method.clamped))
    if method.tiled:
        say("the network processed the scene in overlapping tiles: its feature maps exceed the memory or the tile size")
    method.on_tile = lambda done, count: None
    remarks = texture_remarks(method, lr)
    if quicklook:
        say(_write_quicklook(target, pictures, overwrite))
    used, seconds = peak_memory(), time.perf_counter() - begun
    say(f"{seconds:.1f} s, at most {used / 1e9:.2f} GB of memory")
    result = Sharpened(
        target, writer.shape, writer.dtype, tuple(good), lost * scale**2, writer.clipped, counter.total, counter.excess,
        method.clamped, tuple(lines), tuple(remarks), seconds, used,
    )  # fmt: skip
    if page:
        write_page(page, scene, result, pictures.pairs(lr), method.name, [*warned, *remarks])
        log(f"{page}: the report")
    return result


def describe(
    source: str | Path,
    bands: str | None = None,
    key: str | None = None,
    layout: str | None = None,
    wavelengths: str | Path | None = None,
) -> dict[str, str]:
    """Return a scene's properties by name, usable bands and PSF (for x4) included; parameters: `sharpen_file`."""
    scene = with_wavelengths(open_scene(source, key, layout), wavelengths)
    if doubt := doubt_axes(scene):
        warnings.warn(doubt, stacklevel=2)
    good, line = usable_bands(scene, bands)
    rows, columns = middle(scene.sizes["y"], scene.sizes["x"])
    part = SceneRows(scene.isel(y=rows, x=columns), good, Unit(scene, good, None), memory=2e9)
    estimate = estimate_psf(part.rows(0, part.shape[1]), 4)
    return {**facts(scene), "usable bands": line or "all", "point spread": estimate.text}


def deviation_writer(
    path: str | Path, scene: xr.DataArray, scale: int, bands: list[int] | None, **options: object
) -> SceneWriter:
    """Return a writer of standard deviations: float32, in the unit of the file's numbers, NaN where no data."""
    like = scene.drop_vars("no_data", errors="ignore").assign_attrs(add_offset=0.0)
    like = like.assign_coords(offset=0 * like.coords["offset"]) if "offset" in like.coords else like
    like = like.rio.write_nodata(None)
    return SceneWriter(path, like, scale, bands, dtype="float32", **options)


def sharpen_many(
    sources: Sequence[str | Path], folder: str | Path, overwrite: bool = False, log: Log = print, **options: object
) -> bool:
    """Sharpen scenes into a folder under their own names; return True if all succeeded or were done before.

    options : of `sharpen_file`. A scene that fails is logged, and the next one begins.
    """
    folder = expand(folder)
    folder.mkdir(parents=True, exist_ok=True)
    targets = [target_in(folder, source) for source in sources]
    if len(set(targets)) < len(targets):
        twice = next(target for target in targets if targets.count(target) > 1)
        raise ValueError(f"{twice} would be written twice: two scenes have the same name; use two folders")
    failed = 0
    for number, (source, target) in enumerate(zip(sources, targets, strict=True), 1):
        place = f"{number} of {len(sources)}: {source} -> {target}"
        if target.exists() and not overwrite:
            log(f"{place}, done before")
            continue
        try:
            done = sharpen_file(source, target, overwrite=overwrite, log=lambda line: None, **options)
        except (ValueError, OSError) as error:
            failed += 1
            log(f"{place}, error: {error}")
        else:
            log("; ".join([f"{place}, {done.seconds:.0f} s, {done.clipped} values clipped", *done.remarks]))
    return not failed


def target_in(folder: Path, source: str | Path) -> Path:
    """Return the file in `folder` that a scene is written to: ENVI for ENVI, else a GeoTIFF."""
    path = Path(source)
    is_envi = path.suffix.lower() == ".hdr" or path.with_suffix(".hdr").is_file() or Path(f"{path}.hdr").is_file()
    return folder / f"{path.stem}{'.hdr' if is_envi else '.tif'}"


def _write_quicklook(target: Path, pictures: ScenePictures, overwrite: bool) -> str:
    """Write a picture of the sharpened scene beside it; return a line for the log."""
    path = target.with_name(f"{target.stem}-quicklook.png")
    if path.exists() and not overwrite:
        return f"{path} exists; --overwrite replaces it"
    with atomic_write(path) as temporary:
        temporary.write_bytes(png(pictures.after[0].image()))
    return f"{path}: a quicklook"


def _shown_bands(rgb: str | None, good: list[int], count: int) -> list[int] | None:
    """Return the bands that show red, green and blue, as indices into `good`; None without `rgb`."""
    if rgb is None:
        return None
    chosen = numbers_in(rgb, count, "rgb")
    if len(chosen) != 3 or not set(chosen) <= set(good):
        raise ValueError(f"rgb takes three usable bands, such as 30,20,10, got {rgb!r}")
    return [good.index(band) for band in chosen]


@contextlib.contextmanager
def _collected_warnings() -> Iterator[list[str]]:
    """Yield a list that collects each warning once; warnings are still shown."""
    found: list[str] = []
    show = warnings.showwarning

    def collect(message: Warning | str, *rest: object) -> None:
        if str(message) not in found:
            found.append(str(message))
        show(message, *rest)

    warnings.showwarning = collect
    try:
        yield found
    finally:
        warnings.showwarning = show
