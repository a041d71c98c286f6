"""From a scene file to areas to train on and areas to test on, in [0, 1].

The kinds of dataset that exist: a big scene with tests along its top, several small scenes of which one tests, made
scenes, a user's own scene. The datasets themselves are declared in `lkca.datasets`.
"""

import hashlib
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lkca.patches import Area, from_line, up_to_line
from lkca.paths import data_folder
from lkca.scene_check import likely_file
from lkca.scenes import Scene, check_cube, open_scene
from lkca.scenes.wavelengths import rgb_bands
from lkca.synthetic import synthetic_scene

HOT_PIXELS = 99.99  # percentile that stands for the maximum where single hot pixels would squeeze everything else


@dataclass(frozen=True)
class Split:
    """A dataset as a run sees it.

    train, test : areas in [0, 1]; of a large scene they are views of one array.
    wavelengths : (B,) in nm, or None.
    rgb : band numbers to show as red, green, blue.
    peak : the file's number that became 1.
    checksum : SHA-256 over the source files (over the cubes for a made scene).
    """

    dataset: str
    reading: str
    train: tuple[Area, ...]
    test: tuple[Area, ...]
    wavelengths: NDArray[np.float64] | None
    rgb: tuple[int, int, int]
    peak: float
    checksum: str

    @property
    def bands(self) -> int:
        return self.train[0].cube.shape[0]


@dataclass(frozen=True)
class Reading:
    """One way to read a big scene's protocol: square tests side by side along the top, the rows below train.

    test_size, tests : side and number of the test images.
    peak : the file's number that becomes 1; None takes the crop's maximum.
    """

    test_size: int
    tests: int
    peak: float | None = None


@dataclass(frozen=True)
class Dataset:
    """What is known of a dataset.

    files : names in `LKCA_DATA`, the first is opened.
    key : variable in a MATLAB file. shape : (B, H, W) that the file must have.
    rows, columns, bands : (first, last + 1) of the part that the protocol uses; None for all.
    readings : named readings of the protocol, the first is the default.
    patch, stride : HR pixels by scale. The paper gives them for Chikusei; elsewhere they are this study's.
    source, citation : where to get it, whom to cite.
    """

    name: str
    title: str
    readings: Mapping[str, object]
    patch: Mapping[int, int]
    stride: Mapping[int, int]
    load: Callable[["Dataset", str], Split]
    source: str
    citation: str
    files: tuple[str, ...] = ()
    key: str | None = None
    shape: tuple[int, int, int] | None = None
    rows: tuple[int, int] | None = None
    columns: tuple[int, int] | None = None
    bands: tuple[int, int] | None = None
    rgb: tuple[int, int, int] | None = None
    wavelength_range: tuple[float, float] | None = None
    notes: str = field(default="", repr=False)


def _located(dataset: Dataset) -> list[Path]:
    """The dataset's files, all there."""
    paths = [data_folder() / file for file in dataset.files]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"dataset {dataset.name!r} needs {', '.join(missing)} in {data_folder()}.\n"
            f"Get it: {dataset.source}\n"
            f"Put it there, or set LKCA_DATA to the folder that has it. The dataset 'synthetic' needs no file."
        )
    return paths


def _opened(dataset: Dataset, path: Path) -> Scene:
    scene = open_scene(path, key=dataset.key)
    check_shape(dataset, scene)
    return scene


def check_shape(dataset: Dataset, scene: Scene) -> None:
    """ValueError if a scene has another shape than its dataset; says which file it probably is."""
    if scene.shape != dataset.shape:
        guess = likely_file(scene.shape) or "is it the original file?"
        raise ValueError(
            f"{scene.path} holds a scene of shape (B, H, W) = {scene.shape}, but {dataset.title} has {dataset.shape}: "
            f"{guess} Get the original: {dataset.source}"
        )


def open_whole(dataset: Dataset) -> tuple[Scene, NDArray[np.float32], NDArray[np.bool_], str]:
    """A one-file dataset as its file has it: scene, cube (B, H, W), no-data mask (H, W), SHA-256 of the files."""
    paths = _located(dataset)
    scene = _opened(dataset, paths[0])
    return scene, *read_cube(scene), _checksum(paths)


def big_scene(dataset: Dataset, name: str) -> Split:
    """Chikusei, Houston 2018, Pavia Centre: one file, tests along the top."""
    reading = dataset.readings[name]
    paths = _located(dataset)
    scene = _opened(dataset, paths[0])
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
        _checksum(paths),
    )


def regions(dataset: Dataset, reading: str) -> Split:
    """Four Los Angeles regions; the reading names the one that tests."""
    paths = _located(dataset)
    cubes = {path.stem.removeprefix("abu-"): read_cube(_opened(dataset, path))[0] for path in paths}
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
        _checksum(paths),
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


def own_scene(dataset: Dataset, reading: str) -> Split:
    """A user's file: the far quarter of the longer side tests, the rest trains."""
    scene = open_scene(dataset.name)
    cube, no_data = read_cube(scene)
    check_cube(cube, no_data, scene.path.name)
    whole = Area(scene.path.name, cube, no_data)
    axis = int(np.argmax(no_data.shape))
    line = 3 * no_data.shape[axis] // 4
    rest, far = up_to_line(whole, axis, line), from_line(whole, axis, line)
    if rest.no_data.all():
        raise ValueError(f"{scene.path}: no pixel with data is left to train on")
    peak = hot_pixel_limit([rest])
    normalise(cube, peak)
    test = without_no_data(Area(f"{scene.path.name}, far quarter", far.cube, far.no_data))
    return Split(
        dataset.name,
        reading,
        (rest,),
        (test,),
        scene.wavelengths,
        scene.rgb_bands(),
        peak,
        _checksum([scene.path]),
    )


def read_cube(
    scene: Scene, rows: slice = slice(None), columns: slice = slice(None), bands: slice = slice(None)
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Part of a scene as float32 (B, H, W) and its no-data mask (H, W), holding one copy and a small piece of the file.

    No-data pixels (the file's no-data value in any band, NaN or infinite) become 0 in the cube and True in the mask.
    """
    total_bands, height, width = scene.shape
    band_range, row_range = range(total_bands)[bands], range(height)[rows]
    cube = np.empty((len(band_range), len(row_range), len(range(width)[columns])), np.float32)
    no_data = np.zeros(cube.shape[1:], bool)
    pieces = 64
    # HDF5 stores bands apart, the other formats mostly rows: read along the axis that the file is laid out by.
    if scene.format == "matlab v7.3":
        step = -(-len(band_range) // pieces)
        for i in range(0, len(band_range), step):
            part = band_range[i : i + step]
            raw = scene.read(rows, columns, slice(part.start, part.stop, part.step))
            no_data |= _invalid(raw, scene.no_data)
            cube[i : i + step] = raw
    else:
        step = -(-len(row_range) // pieces)
        for i in range(0, len(row_range), step):
            part = row_range[i : i + step]
            raw = scene.read(slice(part.start, part.stop, part.step), columns, bands)
            no_data[i : i + step] = _invalid(raw, scene.no_data)
            cube[:, i : i + step] = raw
    if no_data.any():
        cube[:, no_data] = 0
    return cube, no_data


def hot_pixel_limit(areas: Sequence[Area]) -> float:
    """The percentile `HOT_PIXELS` of all values of the areas but no-data, found without a second copy of them."""
    valid = [np.ones(area.cube.shape[1:], bool) if area.no_data is None else ~area.no_data for area in areas]
    count = sum(len(area.cube) * int(v.sum()) for area, v in zip(areas, valid, strict=True))
    position = HOT_PIXELS / 100 * (count - 1)
    needed = count - math.floor(position)
    largest = np.empty(0, np.float32)
    for area, v in zip(areas, valid, strict=True):
        for band in area.cube:
            largest = np.concatenate([largest, band[v]])
            if len(largest) > needed:
                largest = np.partition(largest, -needed)[-needed:]
    below, above = np.sort(largest)[[0, min(1, needed - 1)]].astype(float)
    return float(below + (above - below) * (position % 1))


def normalise(cube: NDArray[np.float32], peak: float) -> NDArray[np.float32]:
    """Divide by `peak` and clip to [0, 1], in place, band by band."""
    if not peak > 0:
        raise ValueError(f"the scene's maximum is {peak}: nothing to normalise by")
    for band in cube:
        np.divide(band, np.float32(peak), out=band)
        np.clip(band, 0, 1, out=band)
    return cube


def without_no_data(area: Area) -> Area:
    """The largest rectangle of a test area that has data everywhere, with a warning where that is not all of it."""
    if area.no_data is None or not area.no_data.any():
        return area
    inside = largest_valid_rectangle(area.no_data)
    warnings.warn(
        f"test area {area.name!r} has {area.no_data.sum()} pixels without data: measured on its largest rectangle "
        f"without any, rows {inside[0].start}:{inside[0].stop}, columns {inside[1].start}:{inside[1].stop}",
        stacklevel=2,
    )
    return Area(area.name, area.cube[:, *inside])


def largest_valid_rectangle(no_data: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of the largest rectangle without a no-data pixel, by the histogram method.

    Raises
    ------
    ValueError
        If every pixel is no-data.
    """
    best, found = 0, None
    depth = np.zeros(no_data.shape[1] + 1, int)  # valid pixels upwards from this row; a 0 closes the last run
    for row, line in enumerate(no_data):
        depth[:-1] = np.where(line, 0, depth[:-1] + 1)
        open_runs: list[tuple[int, int]] = []  # (first column, depth), depths rising
        for column, d in enumerate(depth):
            start = column
            while open_runs and open_runs[-1][1] >= d:
                start, run_depth = open_runs.pop()
                if run_depth * (column - start) > best:
                    best = run_depth * (column - start)
                    found = slice(row - run_depth + 1, row + 1), slice(start, column)
            open_runs.append((start, int(d)))
    if found is None:
        raise ValueError("every pixel of the area is no-data")
    return found


def _invalid(raw: NDArray, no_data: float | None) -> NDArray[np.bool_]:
    """(H, W), True where any band of (B, H, W) is the no-data value, NaN or infinite."""
    invalid = np.zeros(raw.shape[1:], bool)
    if no_data is not None:
        invalid |= (raw == no_data).any(axis=0)
    if raw.dtype.kind == "f":
        invalid |= ~np.isfinite(raw).all(axis=0)
    return invalid


def _checksum(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()
