"""From a scene file to areas to train on and areas to test on, in [0, 1].

The kinds of dataset that exist: a big scene with tests along its top, several small scenes of which one tests, a small
scene by itself, scenes of many sensors, made scenes (few, or without end), a user's own scene. The datasets themselves
are declared in `lkca.data.datasets`.
"""

import hashlib
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lkca.data.datasets import DATASETS
from lkca.data.files import files_checksum, located, opened
from lkca.data.made_scenes import made_cube
from lkca.data.normalising import hot_pixel_limit, normalise, without_no_data
from lkca.data.patches import Area, from_line, up_to_line
from lkca.data.split import Dataset, Split
from lkca.data.synthetic import synthetic_scene
from lkca.scenes import Scene, check_cube
from lkca.scenes.cube import read_cube
from lkca.scenes.files import files_of
from lkca.scenes.view import SceneView
from lkca.scenes.wavelengths import rgb_bands


def big_scene(dataset: Dataset, name: str) -> Split:
    """Chikusei, Houston 2018, Pavia Centre: one file, tests along the top."""
    reading = dataset.readings[name]
    paths = located(dataset)
    scene = opened(dataset, paths[0])
    rows, columns, bands = (
        slice(*part) if part else slice(None) for part in (dataset.rows, dataset.columns, dataset.bands)
    )
    cube, no_data = read_cube(scene, rows, columns, bands)
    check_cube(cube, no_data, paths[0].name)
    peak = reading.peak or float(cube.max())
    normalise(cube, peak)
    size = reading.test_size
    tiles = [(slice(size), slice(i * size, (i + 1) * size)) for i in range(reading.tests)]
    tests = tuple(
        without_no_data(Area(f"{dataset.name} {number}", cube[:, *tile], no_data[tile]))
        for number, tile in enumerate(tiles, 1)
    )
    train = Area(f"{dataset.name} below row {size}", cube[:, size:], no_data[size:])
    wavelengths = scene.wavelengths[bands] if scene.wavelengths is not None else None
    if wavelengths is None and dataset.wavelength_range:
        wavelengths = np.linspace(*dataset.wavelength_range, len(cube))
    return Split(
        dataset.name,
        name,
        (train,),
        tests,
        wavelengths,
        rgb_bands(len(cube), wavelengths),
        peak,
        files_checksum(paths),
    )


def regions(dataset: Dataset, reading: str) -> Split:
    """Four Los Angeles regions; the reading names the one that tests."""
    paths = located(dataset)
    cubes = {path.stem.removeprefix("abu-"): read_cube(opened(dataset, path))[0] for path in paths}
    # airport-2[:, :20] and urban-5[:, 80:] are the same ground, so the two are one region and never parted by a split.
    joined = np.concatenate([cubes.pop("urban-5")[:, :, :80], cubes.pop("airport-2")], axis=2)
    regions = {**cubes, "urban-5+airport-2": joined}
    test = dataset.readings[reading]
    peak = hot_pixel_limit([Area(n, cube) for n, cube in regions.items() if n != test])
    areas = {region: Area(region, normalise(cube, peak)) for region, cube in regions.items()}
    tested = areas.pop(test)
    bands = len(tested.cube)
    return Split(
        dataset.name, reading, tuple(areas.values()), (tested,), None, dataset.rgb or rgb_bands(bands, None), peak,
        files_checksum(paths),
    )  # fmt: skip


def whole_scene(name: str) -> tuple[Area, NDArray[np.float64] | None, str]:
    """A small scene whole, in the numbers of its file: area, wavelengths (B,) in nm or None, SHA-256 of its files.

    Its parts are joined, its useless bands left out. Raises as `load_dataset` does.
    """
    dataset = find_dataset(name)
    paths = located(dataset)
    scenes = [opened(dataset, path) for path in paths if path.suffix != ".tif" or len(paths) == 1]
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
    return (
        Area(dataset.name, cube[kept], no_data),
        None if wavelengths is None else wavelengths[kept],
        files_checksum(paths),
    )


def single_scene(dataset: Dataset, reading: str) -> Split:
    """A small scene: the far quarter of its longer side tests, the rest trains.

    The test area's sides are multiples of 8, so that every scale is measured on the same pixels.
    """
    whole, wavelengths, checksum = whole_scene(dataset.name)
    sides = whole.no_data.shape
    axis = int(np.argmax(sides))
    depth = max(8, 8 * round(sides[axis] / 4 / 8))
    far = from_line(whole, axis, sides[axis] - depth)
    rest = up_to_line(whole, axis, sides[axis] - depth)
    peak = hot_pixel_limit([rest])
    normalise(whole.cube, peak)
    test = without_no_data(Area(f"{dataset.name}, far quarter", far.cube, far.no_data))
    height, width = (side // 8 * 8 for side in test.cube.shape[1:])
    return Split(
        dataset.name, reading, (rest,), (Area(test.name, test.cube[:, :height, :width]),), wavelengths,
        dataset.rgb or rgb_bands(len(whole.cube), wavelengths), peak, checksum,
    )  # fmt: skip


def made_scenes(dataset: Dataset, reading: str) -> Split:
    """Made scenes: three seeds train, another tests."""
    train_seeds, test_seed, size, bands = dataset.readings[reading]
    scenes = {seed: synthetic_scene(size, size, bands, seed) for seed in (*train_seeds, test_seed)}
    areas = {seed: Area(f"synthetic seed {seed}", scene.cube) for seed, scene in scenes.items()}
    wavelengths = scenes[test_seed].wavelengths
    digest = hashlib.sha256()
    for area in areas.values():
        digest.update(area.cube.tobytes())
    tested = areas.pop(test_seed)
    return Split(
        dataset.name, reading, tuple(areas.values()), (tested,), wavelengths, rgb_bands(bands, wavelengths), 1.0,
        digest.hexdigest(),
    )  # fmt: skip


def fresh_scenes(dataset: Dataset, reading: str) -> Split:
    """Made scenes that validate and test. Those that train are drawn in training, each for a few epochs."""
    plan = dataset.readings[reading]
    areas, digest, wavelengths = {}, hashlib.sha256(), None
    for seed in (*plan.validation_seeds, *plan.test_seeds):
        scene = synthetic_scene(plan.size, plan.size, plan.bands, seed)
        areas[seed], wavelengths = Area(f"synthetic seed {seed}", scene.cube), scene.wavelengths
        digest.update(scene.cube.tobytes())
    test, validation = (tuple(areas[seed] for seed in seeds) for seeds in (plan.test_seeds, plan.validation_seeds))
    return Split(
        dataset.name, reading, (), test, wavelengths, rgb_bands(plan.bands, wavelengths), 1.0, digest.hexdigest(),
        validation,
    )  # fmt: skip


def own_scene(dataset: Dataset, reading: str, view: SceneView | None = None) -> Split:
    """A user's file: the far quarter of the longer side tests, the rest trains."""
    scene, whole, axis, line, peak = own_area(dataset.name, view)
    files = files_of(scene)
    rest, far = up_to_line(whole, axis, line), from_line(whole, axis, line)
    test = without_no_data(Area(f"{scene.path.name}, far quarter", far.cube, far.no_data))
    return Split(
        dataset.name,
        reading,
        (rest,),
        (test,),
        scene.wavelengths,
        scene.rgb_bands(),
        peak,
        files_checksum(files),
        partial=tuple(files_checksum([file]) for file in files) if len(files) > 1 else (),
    )


def own_area(path: str, view: SceneView | None = None) -> tuple[Scene, Area, int, int, float]:
    """A user's file, usable bands alone, divided by what training divides by: the scene, all of it, the axis (0 rows,
    1 columns) across which it is parted, the first row or column of the part that tests, and the divisor.
    """
    scene, _, left_out = (view or SceneView()).open_usable(path)
    if left_out:
        warnings.warn(left_out, stacklevel=4)
    cube, no_data = read_cube(scene)
    check_cube(cube, no_data, scene.path.name)
    whole = Area(scene.path.name, cube, no_data)
    axis = int(np.argmax(no_data.shape))
    line = 3 * no_data.shape[axis] // 4
    rest = up_to_line(whole, axis, line)
    if rest.no_data.all():
        raise ValueError(f"{scene.path}: no pixel with data is left to train on")
    peak = hot_pixel_limit([rest])
    normalise(cube, peak)
    return scene, whole, axis, line, peak


def load_dataset(name: str, reading: str | None = None, view: SceneView | None = None) -> Split:
    """A dataset by name, or any scene file by its path, split and normalised.

    Parameters
    ----------
    name : one of `dataset_names()`, or the path of a scene that `lkca.open_scene` reads. Of such a scene the far
        quarter of its longer side tests (the largest rectangle free of no-data in it), the rest trains.
    reading : one of the dataset's named readings; None takes the default.
    view : of a scene file: which variable, bands and part. Dead bands and those marked as bad stay out in any case.

    Raises
    ------
    ValueError
        For an unknown name or reading, or a file that is not what the declaration says.
    FileNotFoundError
        If a file is not there: the message says what it is called, where to get it and where to put it.
    """
    declaration = find_dataset(name)
    reading = reading or next(iter(declaration.readings))
    if reading not in declaration.readings:
        raise ValueError(
            f"dataset {name!r} has no reading {reading!r}: choose one of {', '.join(declaration.readings)}"
        )
    if declaration.kind == "own_scene":
        return own_scene(declaration, reading, view)
    if view is not None:
        raise ValueError(f"{name!r} is a dataset of the study, read as its protocol says: leave bands and parts out")
    return LOADERS[declaration.kind](declaration, reading)


def find_dataset(name: str) -> Dataset:
    """The declaration of a dataset; one made up for the path of a scene file."""
    if name in DATASETS:
        return DATASETS[name]
    if Path(name).suffix or Path(name).exists():
        return Dataset(
            name=name,
            title=f"own scene {Path(name).name}",
            readings={"far-quarter": None},
            patch={2: 32, 4: 32, 8: 64},
            stride={2: 8, 4: 8, 8: 8},
            kind="own_scene",
            source="the user",
            citation="",
        )
    raise ValueError(f"unknown dataset {name!r}: choose one of {', '.join(DATASETS)}, or give the path of a scene file")


def dataset_names() -> tuple[str, ...]:
    return tuple(DATASETS)


def sensor_scenes(without_sensor: str | None = None) -> tuple[Dataset, ...]:
    """The small scenes of unlike sensors, in a fixed order; each declaration has its `sensor` and its `place`.

    without_sensor : leave this sensor's scenes out.

    Raises
    ------
    ValueError
        If no scene is of the sensor that is to be left out.
    """
    scenes = tuple(dataset for dataset in DATASETS.values() if dataset.kind == "single_scene")
    sensors = list(dict.fromkeys(dataset.sensor for dataset in scenes))
    if without_sensor is not None and without_sensor not in sensors:
        raise ValueError(f"no scene is of the sensor {without_sensor!r}: choose one of {', '.join(sensors)}")
    return tuple(dataset for dataset in scenes if dataset.sensor != without_sensor)


MADE_TESTS = range(2_000_000, 2_000_006)  # seeds of made scenes that neither train nor validate


def sensors(dataset: Dataset, reading: str) -> Split:
    """Whole scenes of unlike sensors; those of the sensor that is left out test, or made ones where none is."""
    plan = dataset.readings[reading]
    groups: dict[str, list[Area]] = {"train": [], "test": [], "validation": []}
    checksums = []
    for scene in sensor_scenes() if plan.real else ():
        whole, _, checksum = whole_scene(scene.name)
        normalise(whole.cube, hot_pixel_limit([whole]))
        part = {plan.left_out: "test", plan.validates: "validation"}.get(scene.sensor, "train")
        groups[part].append(without_no_data(whole) if part != "train" else whole)
        checksums.append(checksum)
    if plan.left_out is None:
        for seed in MADE_TESTS:
            cube = made_cube(seed, 160)
            checksums.append(hashlib.sha256(cube.tobytes()).hexdigest())
            area = Area(f"made scene {seed}", cube)
            groups["test"].append(Area(area.name, normalise(cube, hot_pixel_limit([area]))))
    digest = hashlib.sha256("".join(checksums).encode()).hexdigest()
    train, test, validation = (tuple(groups[part]) for part in ("train", "test", "validation"))
    return Split(dataset.name, reading, train, test, None, rgb_bands(len(test[0].cube), None), 1.0, digest, validation)


LOADERS = {
    "big_scene": big_scene,
    "regions": regions,
    "made_scenes": made_scenes,
    "fresh_scenes": fresh_scenes,
    "own_scene": own_scene,
    "single_scene": single_scene,
    "sensors": sensors,
}
