"""Load the HR scenes to measure, and keep tables with rows of each scene up to date."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lkca.data.datasets import small_scenes
from lkca.data.loaders import whole_scene
from lkca.data.split import Area, crop_no_data, hot_pixel_limit, normalise
from lkca.data.synthetic.sensors import landscape_cube
from lkca.data.wavelengths import rgb_bands
from lkca.files import Log, write_text
from lkca.provenance import provenance
from sharpen.image.model import weights_path

SYNTHETIC, SYNTHETIC_SIDE = "synthetic", 96
PROVENANCE = ("commit", "torch", "device", "threads", "started")


@dataclass(frozen=True, eq=False)
class Scene:
    """An HR scene: cube (B, H, W) in [0, 1], its sensor and place, the checksum of its data, bands to show."""

    name: str
    sensor: str
    place: str
    cube: Tensor
    checksum: str
    rgb: tuple[int, int, int]
    wavelengths: np.ndarray | None = None


@lru_cache
def real_scene(name: str) -> Scene:
    """Return a whole real scene, normalised by its own values."""
    dataset = next(each for each in small_scenes() if each.name == name)
    area, wavelengths, checksum = whole_scene(name)
    normalise(area.cube, hot_pixel_limit([area]))
    cube = torch.from_numpy(np.ascontiguousarray(crop_no_data(area).cube))
    rgb = dataset.rgb or rgb_bands(len(cube), wavelengths)
    return Scene(name, dataset.sensor, dataset.place, cube, checksum[:16], rgb, wavelengths)


@lru_cache
def synthetic_scene(seed: int) -> Scene:
    """Return the synthetic scene of a seed, for measuring only."""
    cube = landscape_cube(seed, SYNTHETIC_SIDE)
    normalise(cube, hot_pixel_limit([Area("", cube)]))
    checksum = hashlib.sha256(cube.tobytes()).hexdigest()[:16]
    name, rgb = f"{SYNTHETIC} {seed % 1000}", rgb_bands(len(cube), None)
    return Scene(name, SYNTHETIC, "", torch.from_numpy(cube), checksum, rgb)


def weights_checksum(scale: int) -> str:
    """Return the first 16 digits of the SHA-256 of the pretrained weights."""
    return hashlib.sha256(weights_path(None, scale).read_bytes()).hexdigest()[:16]


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of `measure_scenes`."""
    return pd.read_csv(path, dtype={"weights": str, "data_checksum": str, "place": str}).fillna({"place": ""})


def measure_scenes(
    path: Path,
    scenes: Collection[Scene],
    measure: Callable[[Scene], Iterable[Mapping[str, object]]],
    is_current: Callable[[pd.DataFrame, Scene], bool],
    log: Log,
    anew: bool = False,
) -> pd.DataFrame:
    """Return a table after measuring scenes that it lacks or whose rows are out of date; write it after each scene.

    measure : returns the rows of a scene; provenance is added. is_current : whether a scene's rows are up to date.
    anew : measure every scene again, and drop all old rows. Otherwise rows of other scenes stay.
    """
    known = {} if anew or not path.is_file() else dict(list(read_table(path).groupby("scene", sort=False)))
    for scene in scenes:
        if scene.name in known and is_current(known[scene.name], scene):
            continue
        record = provenance(torch.device("cpu"))
        rows = pd.DataFrame(measure(scene)).assign(**{name: record[name] for name in PROVENANCE})
        known[scene.name] = rows
        in_order = [each.name for each in scenes if each.name in known]
        known = {name: known[name] for name in (*in_order, *known)}
        write_text(path, pd.concat(known.values()).to_csv(index=False, float_format="%.6g"))
        log(f"{scene.name}: {len(rows)} rows measured")
    return read_table(path)
