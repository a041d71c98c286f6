"""Turn a dataset's files into areas to train on and areas to test on, in [0, 1]: one function for each kind of dataset."""

import hashlib
import importlib.util
import itertools
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lkca.data.dataset import Dataset
from lkca.data.datasets import DATASETS, small_scenes
from lkca.data.no_data import missing_values
from lkca.data.read import open_scene_file, read_cube
from lkca.data.scene_file import SceneFile, files_checksum
from lkca.data.split import Area, Split, crop_no_data, hot_pixel_limit, normalise, part_area
from lkca.data.suspicions import doubtful_axes
from lkca.data.synthetic import synthetic_scene
from lkca.data.wavelengths import Wavelengths, resample_bands, rgb_bands
from lkca.files import data_folder

VALIDATION_DEPTH = 40  # HR pixels of a strip that validates: a patch at every scale
OTHER_SCENES = {  # that lie on the same pages or disks, (B, H, W)
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


# --- kinds of dataset


def big_scene(dataset: Dataset, variant: str) -> Split:
    """Split Chikusei, Houston 2018 or Pavia Centre: one file, square tests along the top, the rest trains."""
    tiles = dataset.variants[variant]
    scene = open_checked(dataset, locate(dataset)[0])
    rows, columns, bands = (
        slice(*part) if part else slice(None) for part in (dataset.rows, dataset.columns, dataset.bands)
    )
    cube, no_data = read_cube(scene, rows, columns, bands)
    check_cube(cube, no_data, scene.path.name)
    peak = tiles.peak or float(cube.max())
    normalise(cube, peak)
    places = [(slice(tiles.size), slice(i * tiles.size, (i + 1) * tiles.size)) for i in range(tiles.count)]
    tests = tuple(
        crop_no_data(Area(f"{dataset.name} {number}", cube[:, *place], no_data[place]))
        for number, place in enumerate(places, 1)
    )
    train = Area(f"{dataset.name} below row {tiles.size}", cube[:, tiles.size :], no_data[tiles.size :])
    wavelengths = scene.wavelengths[bands] if scene.wavelengths is not None else None
    if wavelengths is None and dataset.wavelength_range:
        wavelengths = np.linspace(*dataset.wavelength_range, len(cube))
    return _split(dataset, variant, (train,), tests, wavelengths, peak, files_checksum(locate(dataset)))


def regions(dataset: Dataset, variant: str) -> Split:
    """Split the Los Angeles scenes into four regions; the variant names the one that tests."""
    paths = locate(dataset)
    cubes = {name: join_scene(DATASETS[f"abu-{name}"])[0].cube for name in sorted(dataset.variants)}
    test = dataset.variants[variant]
    peak = hot_pixel_limit([Area(name, cube) for name, cube in cubes.items() if name != test])
    areas = {name: Area(name, normalise(cube, peak)) for name, cube in cubes.items()}
    tested = areas.pop(test)
    return _split(dataset, variant, tuple(areas.values()), (tested,), None, peak, files_checksum(paths))


def single_scene(dataset: Dataset, variant: str) -> Split:
    """Split a small scene: the last quarter of its longer side tests, the rest trains.

    The test area's sides are multiples of 8, so that every scale is measured on the same pixels.
    """
    whole, wavelengths, checksum = join_scene(dataset)
    sides = whole.no_data.shape
    axis = int(np.argmax(sides))
    depth = max(8, 8 * round(sides[axis] / 4 / 8))
    rest, far = part_area(whole, axis, sides[axis] - depth)
    peak = hot_pixel_limit([rest])
    normalise(whole.cube, peak)
    test = crop_no_data(Area(f"{dataset.name}, held-out quarter", far.cube, far.no_data))
    height, width = (side // 8 * 8 for side in test.cube.shape[1:])
    test = Area(test.name, test.cube[:, :height, :width])
    return _split(dataset, variant, (rest,), (test,), wavelengths, peak, checksum)


def leave_one_out(dataset: Dataset, variant: str) -> Split:
    """Split the small real scenes by place: the scenes of one place test whole, the others train and validate.

    Every scene is normalised by itself, as a scene that a trained network meets would be, and resampled to the same
    number of bands. A strip at the far end of one scene of every other training place validates.
    """
    locate(dataset)  # before anything is read: says at once which files of which scenes are missing
    place, bands = dataset.variants[variant]
    tests, train, validation, checksums, seen = [], [], [], [], set()
    for scene in small_scenes():
        whole, wavelengths, checksum = join_scene(scene)
        # AVIRIS scenes with and without wavelengths are to agree, so all of them go by the number of the band.
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
    return _split(dataset, variant, tuple(train), tuple(tests), None, 1.0, digest, tuple(validation))


def own_scene(dataset: Dataset, variant: str) -> Split:
    """Split a user's file: the last quarter of its longer side tests, the rest trains. Useless bands are left out."""
    scene = open_scene_file(dataset.name)
    bands = usable_bands(scene)
    cube, no_data = read_cube(scene, bands=bands)
    check_cube(cube, no_data, scene.path.name)
    if scene.format in ("matlab", "matlab v7.3", "numpy") and (doubt := doubtful_axes(cube)):
        warnings.warn(f"{scene.path}: {doubt}", stacklevel=3)
    axis = int(np.argmax(no_data.shape))
    rest, far = part_area(Area(scene.path.name, cube, no_data), axis, 3 * no_data.shape[axis] // 4)
    if rest.no_data.all():
        raise ValueError(f"{scene.path}: no pixel with data is left to train on")
    peak = hot_pixel_limit([rest])
    normalise(cube, peak)
    test = crop_no_data(Area(f"{scene.path.name}, held-out quarter", far.cube, far.no_data))
    wavelengths = None if scene.wavelengths is None else scene.wavelengths[bands]
    return _split(dataset, variant, (rest,), (test,), wavelengths, peak, scene.checksum())


def synthetic_scenes(dataset: Dataset, variant: str) -> Split:
    """Split synthetic scenes: some seeds train, another tests."""
    train_seeds, test_seed, size, bands = dataset.variants[variant]
    areas, wavelengths, checksum = _draw((*train_seeds, test_seed), size, bands)
    return _split(dataset, variant, areas[:-1], areas[-1:], wavelengths, 1.0, checksum)


def synthetic_stream(dataset: Dataset, variant: str) -> Split:
    """Return the synthetic scenes that validate and test; those that train are generated on the fly."""
    plan = dataset.variants[variant]
    areas, wavelengths, checksum = _draw((*plan.validation_seeds, *plan.test_seeds), plan.size, plan.bands)
    count = len(plan.validation_seeds)
    return _split(dataset, variant, (), areas[count:], wavelengths, 1.0, checksum, areas[:count])


LOADERS: dict[str, Callable[[Dataset, str], Split]] = {
    loader.__name__: loader
    for loader in (big_scene, regions, single_scene, leave_one_out, own_scene, synthetic_scenes, synthetic_stream)
}


# --- what they share


def missing_files(dataset: Dataset) -> str:
    """Say in a few words which of the dataset's files are missing; empty where none is."""
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
        If one is missing: where to get it and where to put it.
    """
    if missing := missing_files(dataset):
        raise FileNotFoundError(
            f"dataset {dataset.name!r} cannot be read: {missing}.\n"
            f"Get it: {dataset.source}\n"
            f"Put it there, or set LKCA_DATA to the folder that has it. The dataset 'synthetic' needs no file."
        )
    return [_folder(dataset) / file for file in dataset.files]


def open_checked(dataset: Dataset, path: Path) -> SceneFile:
    """Open one of the dataset's files, and check that it has the declared shape."""
    scene = open_scene_file(path, dataset.key)
    if scene.shape != dataset.shape:
        guess = _likely_scene(scene.shape) or "is it the original file?"
        raise ValueError(
            f"{scene.path} holds a scene of shape (B, H, W) = {scene.shape}, but {dataset.title} has {dataset.shape}: "
            f"{guess} Get the original: {dataset.source}"
        )
    return scene


def read_whole(dataset: Dataset) -> tuple[SceneFile, NDArray[np.float32], NDArray[np.bool_], str]:
    """Read a one-file dataset as its file has it: file, cube (B, H, W), no-data mask (H, W), SHA-256 of its files."""
    paths = locate(dataset)
    scene = open_checked(dataset, paths[0])
    return scene, *read_cube(scene), files_checksum(paths)


def join_scene(dataset: Dataset) -> tuple[Area, Wavelengths | None, str]:
    """Return a small scene whole: see `lkca.data.datasets.whole_scene`."""
    paths = locate(dataset)
    scenes = [open_checked(dataset, path) for path in paths if path.suffix != ".tif" or len(paths) == 1]
    parts = [
        read_cube(scene, columns=slice(*columns))
        for scene, columns in zip(scenes, dataset.side_by_side or [(None, None)] * len(scenes), strict=True)
    ]
    cube, no_data = (np.concatenate(pieces, axis=-1) for pieces in zip(*parts, strict=True))
    kept = np.ones(len(cube), bool)
    for first, last in dataset.left_out:
        kept[first:last] = False
    check_cube(cube[kept], no_data, paths[0].name)
    wavelengths = scenes[0].wavelengths
    if dataset.wavelengths:
        wavelengths = np.array(dataset.wavelengths())
    elif wavelengths is None and dataset.wavelength_range:
        wavelengths = np.linspace(*dataset.wavelength_range, len(cube))
    area = Area(dataset.name, cube[kept], no_data)
    return area, None if wavelengths is None else wavelengths[kept], files_checksum(paths)


def usable_bands(scene: SceneFile) -> list[int]:
    """Return the bands, from 0, that the file does not mark as bad and that hold data somewhere.

    Warns of those left out.

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
    """Warn of bands of (B, H, W) with one value everywhere, and stop where no pixel has data.

    name : of the file or dataset, for the message.

    Raises
    ------
    ValueError
        If every pixel is no-data.
    """
    valid = ~no_data
    if not valid.any():
        raise ValueError(
            f"{name}: not one of its {no_data.size} pixels has data in all of its {len(cube)} bands (no-data value, NaN "
            "or infinity in at least one). Check the no-data value, or leave out the damaged bands."
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
    """Return where the dataset's files are: `LKCA_DATA`, or what an installed package ships; None if it is missing."""
    if not dataset.package:
        return data_folder()
    package = importlib.util.find_spec(dataset.package)
    return Path(package.origin).parent / "datasets" / "data" if package and package.origin else None


def _likely_scene(shape: tuple[int, int, int]) -> str:
    """Say what a scene of this shape (B, H, W) probably is; empty where nothing known has it."""
    known = {dataset.title: dataset.shape for dataset in DATASETS.values() if dataset.shape}
    for dataset in DATASETS.values():
        if dataset.rows or dataset.columns or dataset.bands:
            parts = zip((dataset.bands, dataset.rows, dataset.columns), dataset.shape, strict=True)
            used = tuple(part[1] - part[0] if part else whole for part, whole in parts)
            known[f"{dataset.title}, already cropped to what the protocol uses"] = used
    known |= OTHER_SCENES
    for order in itertools.permutations(range(3)):
        for name, right in known.items():
            if tuple(right[axis] for axis in order) == shape:
                if order == (0, 1, 2):
                    return f"it is probably {name}."
                axes = ", ".join("BHW"[axis] for axis in order)
                return f"it is probably {name} with its axes in another order: read as (B, H, W), they are ({axes})."
    return ""


def _draw(seeds: tuple[int, ...], size: int, bands: int) -> tuple[tuple[Area, ...], Wavelengths, str]:
    """Return an area for each seed, their wavelengths and the SHA-256 over the cubes."""
    areas, digest, wavelengths = [], hashlib.sha256(), None
    for seed in seeds:
        scene = synthetic_scene(size, size, bands, seed)
        areas.append(Area(f"synthetic seed {seed}", scene.cube))
        wavelengths = scene.wavelengths
        digest.update(scene.cube.tobytes())
    return tuple(areas), wavelengths, digest.hexdigest()


def _split(
    dataset: Dataset,
    variant: str,
    train: tuple[Area, ...],
    test: tuple[Area, ...],
    wavelengths: Wavelengths | None,
    peak: float,
    checksum: str,
    validation: tuple[Area, ...] = (),
) -> Split:
    rgb = dataset.rgb or rgb_bands(len(test[0].cube), wavelengths)
    return Split(dataset.name, variant, train, test, wavelengths, rgb, peak, checksum, validation)
