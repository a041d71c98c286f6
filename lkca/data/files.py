"""Where a dataset's files are, whether they are all there, and whether they are what its declaration says."""

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lkca.data.split import Dataset
from lkca.data.suspicions import likely_file
from lkca.paths import data_folder
from lkca.scenes import Scene, open_scene
from lkca.scenes.cube import read_cube


def _folder(dataset: Dataset) -> Path | None:
    """Where the dataset's files are: `LKCA_DATA`, or what an installed package ships; None if it is not installed."""
    if not dataset.package:
        return data_folder()
    package = importlib.util.find_spec(dataset.package)
    return Path(package.origin).parent / "datasets" / "data" if package and package.origin else None


def missing_files(dataset: Dataset) -> str:
    """Which of the dataset's files are not there, in a few words; empty where all are."""
    folder = _folder(dataset)
    if folder is None:
        return f"the Python package {dataset.package} is not installed"
    missing = [file for file in dataset.files if not (folder / file).is_file()]
    return f"not in {folder}: {', '.join(missing)}" if missing else ""


def located(dataset: Dataset) -> list[Path]:
    """The dataset's files, all there."""
    if missing := missing_files(dataset):
        raise FileNotFoundError(
            f"dataset {dataset.name!r} cannot be read: {missing}.\n"
            f"Get it: {dataset.source}\n"
            f"Put it there, or set LKCA_DATA to the folder that has it. The dataset 'synthetic' needs no file."
        )
    return [_folder(dataset) / file for file in dataset.files]


def opened(dataset: Dataset, path: Path) -> Scene:
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
    paths = located(dataset)
    scene = opened(dataset, paths[0])
    return scene, *read_cube(scene), files_checksum(paths)


def files_checksum(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()
