"""Load datasets by name: their files become areas to train on and areas to test on, in [0, 1].

There is one function per kind of dataset.
"""

import hashlib
import importlib.util
import itertools
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lkca.data.dataset import Dataset
from lkca.data.datasets import DATASETS, find_dataset, small_scenes
from lkca.data.no_data import missing_values
from lkca.data.reading.read import open_scene_file, read_cube
from lkca.data.reading.scene_file import SceneFile, files_checksum
from lkca.data.split import Area, Split, crop_no_data, hot_pixel_limit, normalise, part_area
from lkca.data.suspicions import doubtful_axes
from lkca.data.synthetic.scenes import synthetic_scene
from lkca.data.wavelengths import Wavelengths, resample_bands
from lkca.files import data_folder

VALIDATION_DEPTH = 40  # HR pixels, depth of a validation strip: a patch fits at every scale
OTHER_SCENES = {  # (B, H, W) of scenes that are easily taken for one of the datasets
    "Pavia University": (103, 610, 340),
    "Houston 2013": (144, 349, 1905),
    "Indian Pines": (220, 145, 145),
    "Indian Pines, corrected": (200, 145, 145),
    "Salinas": (224, 512, 217),
    "Salinas, corrected": (204, 512, 217),
    "Kennedy Space Center": (176, 512, 614),
    "Botswana": (145, 1476, 256),
    "Washington DC Mall": (191, 1280, 307),
}


def load_dataset(name: str, variant: str | None = None) -> Split:
    """Load a dataset by name, or any scene file by its path: split and normalised to [0, 1].

    Parameters
    ----------
    name : one of `dataset_names()`, or the path of a scene that `lkca.data.reading.read` reads. Such a scene is divided
        across its longer side: the last quarter tests (its largest rectangle without no-data), the rest trains.
    variant : one of the dataset's protocol variants; None takes the default.

    Raises
    ------
    ValueError
        For an unknown name or variant, or a file that is not what the declaration says.
    FileNotFoundError
        If a file is missing; the message gives its name, where to get it and where to put it.
    """
    dataset = find_dataset(name)
    variant = variant or next(iter(dataset.variants))
    if variant not in dataset.variants:
        raise ValueError(f"dataset {name!r} has no variant {variant!r}: choose one of {', '.join(dataset.variants)}")
    return LOADERS[dataset.kind](dataset, variant)


def whole_scene(name: str) -> tuple[Area, Wavelengths | None, str]:
    """Return a scene in its file's numbers: area, wavelengths (B,) in nm or None, SHA-256 of its files.

    Its parts are joined; rows, columns and bands that the dataset does not use are left out. Raises the errors of
    `load_dataset`.
    """
    dataset = find_dataset(name)
    paths, columns = locate(dataset), dataset.side_by_side or [dataset.columns or (None, None)]
    scenes = [open_checked(dataset, path) for path in paths[: len(columns)]]
    first, last = dataset.bands or (0, dataset.shape[0])
    bands = np.arange(first, last)
    for begin, end in dataset.left_out:
        bands = bands[(bands < begin) | (bands >= end)]
    rows = slice(*(dataset.rows or (None, None)))
    parts = [read_cube(scene, rows, slice(*part), bands) for scene, part in zip(scenes, columns, strict=True)]
    # A big scene comes in one file and is not copied.
    cube, no_data = parts[0] if len(parts) == 1 else (np.concatenate(each, -1) for each in zip(*parts, strict=True))
    check_cube(cube, no_data, paths[0].name)
    wavelengths = np.array(dataset.wavelengths()) if dataset.wavelengths else scenes[0].wavelengths
    if wavelengths is not None:
        wavelengths = wavelengths[bands]
    elif dataset.wavelength_range:
        wavelengths = np.linspace(*dataset.wavelength_range, last - first)[bands - first]
    return Area(dataset.name, cube, no_data), wavelengths, files_checksum(paths)


# --- kinds of dataset


def big_scene(dataset: Dataset, variant: str) -> Split:
    """Split Chikusei, Houston 2018 or Pavia Centre: one file, square tests along the top, the rest trains."""
    tiles = dataset.variants[variant]
    whole, wavelengths, checksum = whole_scene(dataset.name)
    peak = tiles.peak or float(whole.cube.max())
    normalise(whole.cube, peak)
    places = [(slice(tiles.size), slice(i * tiles.size, (i + 1) * tiles.size)) for i in range(tiles.count)]
    tests = tuple(
        crop_no_data(Area(f"{dataset.name} {number}", whole.cube[:, *place], whole.no_data[place]))
        for number, place in enumerate(places, 1)
    )
    _, below = part_area(whole, 0, tiles.size)
    train = replace(below, name=f"{dataset.name} below row {tiles.size}")
    return Split(dataset.name, variant, (train,), tests, wavelengths, peak, checksum)


def regions(dataset: Dataset, variant: str) -> Split:
    """Split the Los Angeles scenes: four regions, of which the variant names the one that tests."""
    paths = locate(dataset)
    areas = {name: replace(whole_scene(f"abu-{name}")[0], name=name) for name in sorted(dataset.variants)}
    test = areas.pop(dataset.variants[variant])
    train = tuple(areas.values())
    peak = hot_pixel_limit(train)
    for area in (test, *train):
        normalise(area.cube, peak)
    return Split(dataset.name, variant, train, (crop_no_data(test),), None, peak, files_checksum(paths))


def single_scene(dataset: Dataset, variant: str) -> Split:
    """Split a small scene: the last quarter of its longer side tests, the rest trains.

    The test area's sides are multiples of 8, so that every scale is measured on the same pixels.
    """
    whole, wavelengths, checksum = whole_scene(dataset.name)
    length = max(whole.no_data.shape)
    rest, test, peak = _hold_out(whole, length - max(8, 8 * round(length / 4 / 8)))
    height, width = (side // 8 * 8 for side in test.cube.shape[1:])
    test = Area(test.name, test.cube[:, :height, :width])
    return Split(dataset.name, variant, (rest,), (test,), wavelengths, peak, checksum)


def leave_one_out(dataset: Dataset, variant: str) -> Split:
    """Split the small real scenes by place: the scenes of one place test as a whole, the others train and validate.

    Every scene is normalised by itself, as a new scene would be for a trained network, and resampled to the same number
    of bands. In one scene of every second training place, a strip at the far end validates.
    """
    locate(dataset)  # before anything is read, to name all missing files at once
    place, bands = dataset.variants[variant]
    tests, train, validation, checksums, seen = [], [], [], [], set()
    for scene in small_scenes():
        whole, wavelengths, checksum = whole_scene(scene.name)
        # Some AVIRIS scenes have no wavelengths: so that all agree, AVIRIS bands are resampled by their number.
        cube = resample_bands(whole.cube, None if scene.sensor == "AVIRIS" else wavelengths, bands)
        area = Area(scene.name, normalise(cube, hot_pixel_limit([Area("", cube, whole.no_data)])), whole.no_data)
        checksums.append(checksum)
        if scene.place == place:
            tests.append(crop_no_data(area))
            continue
        if scene.place not in seen and len(seen) % 2 == 0:
            axis = int(np.argmax(area.cube.shape[1:]))
            area, strip = part_area(area, axis, area.cube.shape[1 + axis] - VALIDATION_DEPTH)
            validation.append(strip)
        seen.add(scene.place)
        train.append(area)
    digest = hashlib.sha256("".join(checksums).encode()).hexdigest()
    return Split(dataset.name, variant, tuple(train), tuple(tests), None, 1.0, digest, tuple(validation))


def own_scene(dataset: Dataset, variant: str) -> Split:
    """Split a user's file: the last quarter of its longer side tests, the rest trains; unusable bands are left out."""
    scene = open_scene_file(dataset.name)
    bands = usable_bands(scene)
    whole = Area(scene.path.name, *read_cube(scene, bands=bands))
    check_cube(whole.cube, whole.no_data, whole.name)
    if scene.format in ("matlab", "matlab v7.3", "numpy") and (doubt := doubtful_axes(whole.cube)):
        warnings.warn(f"{scene.path}: {doubt}", stacklevel=3)
    rest, test, peak = _hold_out(whole, 3 * max(whole.no_data.shape) // 4)
    wavelengths = None if scene.wavelengths is None else scene.wavelengths[bands]
    factor = None
    if scene.bands.gains is not None:  # `read_cube` has applied them where they differ
        factor = 1.0 if scene.gains_differ else float(1 / scene.bands.gains[0])
    checksum = files_checksum(scene.files)
    return Split(dataset.name, variant, (rest,), (test,), wavelengths, peak, checksum, scale_factor=factor)


def synthetic_scenes(dataset: Dataset, variant: str) -> Split:
    """Draw synthetic scenes by their seeds; the checksum is that of the cubes."""
    plan, digest, groups = dataset.variants[variant], hashlib.sha256(), []
    for seeds in (plan.train_seeds, plan.validation_seeds, plan.test_seeds):
        scenes = [synthetic_scene(plan.size, plan.size, plan.bands, seed) for seed in seeds]
        for scene in scenes:
            digest.update(scene.cube.tobytes())
        groups.append(tuple(Area(f"synthetic seed {s}", scene.cube) for s, scene in zip(seeds, scenes, strict=True)))
    train, validation, test = groups
    return Split(dataset.name, variant, train, test, scenes[0].wavelengths, 1.0, digest.hexdigest(), validation)


LOADERS: dict[str, Callable[[Dataset, str], Split]] = {
    "big_scene": big_scene,
    "regions": regions,
    "single_scene": single_scene,
    "leave_one_out": leave_one_out,
    "own_scene": own_scene,
    "synthetic_scenes": synthetic_scenes,
    "synthetic_stream": synthetic_scenes,  # a kind of its own, because training generates more scenes
}


# --- what they share


def missing_files(dataset: Dataset) -> str:
    """Return a phrase that says which of the dataset's files are missing; empty if none is."""
    folder = _folder(dataset)
    if folder is None:
        return f"the Python package {dataset.package} is not installed"
    missing = [file for file in dataset.files if not (folder / file).is_file()]
    return f"not in {folder}: {', '.join(missing)}" if missing else ""


def locate(dataset: Dataset) -> list[Path]:
    """Return the paths of the dataset's files.

    Raises
    ------
    FileNotFoundError
        If one is missing; the message says where to get it and where to put it.
    """
    if missing := missing_files(dataset):
        raise FileNotFoundError(
            f"dataset {dataset.name!r} cannot be read: {missing}.\n"
            f"Get it: {dataset.source}\n"
            f"Put it there, or set LKCA_DATA to the folder that has it. The dataset 'synthetic' needs no files."
        )
    return [_folder(dataset) / file for file in dataset.files]


def open_checked(dataset: Dataset, path: Path) -> SceneFile:
    """Open one of the dataset's files; raise ValueError unless it has the declared shape."""
    scene = open_scene_file(path, dataset.key)
    if scene.shape != dataset.shape:
        guess = _likely_scene(scene.shape) or "is it the original file?"
        raise ValueError(
            f"{scene.path} holds a scene of shape (B, H, W) = {scene.shape}, but {dataset.title} has {dataset.shape}: "
            f"{guess} Get the original: {dataset.source}"
        )
    return scene


def read_whole(dataset: Dataset) -> tuple[SceneFile, NDArray[np.float32], NDArray[np.bool_], str]:
    """Read a one-file dataset uncropped, in the file's numbers: file, cube (B, H, W), no-data (H, W), SHA-256."""
    paths = locate(dataset)
    scene = open_checked(dataset, paths[0])
    return scene, *read_cube(scene), files_checksum(paths)


def usable_bands(scene: SceneFile) -> list[int]:
    """Return the bands, from 0, that the file does not mark as bad and that have data; warn of the others.

    Raises
    ------
    ValueError
        If none is left.
    """
    bad = [] if scene.bands.good is None else np.flatnonzero(~scene.bands.good).tolist()
    dead = []
    if scene.no_data is not None or scene.dtype.kind == "f":
        for band in sorted({*range(scene.shape[0])} - {*bad}):
            if np.logical_or(*missing_values(scene.read(bands=[band]), scene.no_data)).all():
                dead.append(band)
    left = [band for band in range(scene.shape[0]) if band not in {*bad, *dead}]
    reasons = [
        f"{', '.join(str(band + 1) for band in bands)} ({why})"
        for bands, why in ((bad, "marked as bad, bbl"), (dead, "no data anywhere"))
        if bands
    ]
    if reasons:
        text = f"{scene.path}: {len(left)} of {scene.shape[0]} bands are used; left out: {'; '.join(reasons)}"
        if not left:
            raise ValueError(f"{text}. Check the no-data value and bbl.")
        warnings.warn(text, stacklevel=5)
    return left


def check_cube(cube: NDArray[np.float32], no_data: NDArray[np.bool_], name: str) -> None:
    """Warn of bands of (B, H, W) with one value everywhere.

    name : of the file or dataset, for the message.

    Raises
    ------
    ValueError
        If every pixel is no-data.
    """
    valid = ~no_data
    if not valid.any():
        raise ValueError(
            f"{name}: not one of its {no_data.size} pixels has data in all of its {len(cube)} bands (no-data value, "
            "NaN or infinity in at least one). Check the no-data value, or leave out the damaged bands."
        )
    first = np.unravel_index(valid.argmax(), valid.shape)
    constant = [band for band, image in enumerate(cube) if np.all((image == image[first]) | no_data)]
    if constant:
        shown = ", ".join(f"{band + 1} (index {band})" for band in constant[:10])
        warnings.warn(
            f"{name}: one value everywhere in {len(constant)} of {len(cube)} bands, counted from 1: {shown}"
            f"{', ...' if len(constant) > 10 else ''}. They are kept; consider leaving them out.",
            stacklevel=2,
        )


def _folder(dataset: Dataset) -> Path | None:
    """Return the folder of the dataset's files: `LKCA_DATA`, or that of its package; None if that is not installed."""
    if not dataset.package:
        return data_folder()
    package = importlib.util.find_spec(dataset.package)
    return Path(package.origin).parent / "datasets" / "data" if package and package.origin else None


def _likely_scene(shape: tuple[int, int, int]) -> str:
    """Return a sentence on what a scene of this shape (B, H, W) probably is; empty if no known scene has it."""
    known = {}
    for dataset in (each for each in DATASETS.values() if each.shape):
        parts = zip((dataset.bands, dataset.rows, dataset.columns), dataset.shape, strict=True)
        used = tuple(part[1] - part[0] if part else whole for part, whole in parts)
        known |= {dataset.title: dataset.shape, f"{dataset.title}, already cropped to what the protocol uses": used}
    known |= OTHER_SCENES
    for order in itertools.permutations(range(3)):
        axes = ", ".join("BHW"[axis] for axis in order)
        turned = f" with its axes in another order: read as (B, H, W), they are ({axes})" if axes != "B, H, W" else ""
        for name, right in known.items():
            if tuple(right[axis] for axis in order) == shape:
                return f"it is probably {name}{turned}."
    return ""


def _hold_out(whole: Area, line: int) -> tuple[Area, Area, float]:
    """Divide a scene at a line across its longer side: the part before it trains, the rest tests.

    Return both, normalised, and their common peak, which is the training area's.
    """
    rest, far = part_area(whole, int(np.argmax(whole.no_data.shape)), line)
    if rest.no_data.all():
        raise ValueError(f"{whole.name}: no pixel with data is left to train on")
    peak = hot_pixel_limit([rest])
    normalise(whole.cube, peak)
    return rest, crop_no_data(replace(far, name=f"{whole.name}, held-out quarter")), peak
