"""Measure sharpening on whole scenes: a row for each scene, scale, degradation and method. Nothing is trained.

Methods: bicubic; back-projection with the bicubic kernel and with the PSF's own; the Wiener estimate; the network
alone, which takes every LR image for a bicubic one without noise; the network after the Wiener estimate ("sharpen"),
with the PSF known, and estimated from the image ("sharpen, auto"; here from smaller images too than users have, see
`ESTIMATE_SIDE`). Noise is always estimated.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lkca.data.datasets import small_scenes, whole_scene
from lkca.data.loaders import missing_files
from lkca.data.split import Area, crop_no_data, hot_pixel_limit, normalise
from lkca.data.synthetic_sensors import landscape_cube
from lkca.data.wavelengths import rgb_bands
from lkca.degradation import DEGRADATIONS, back_project
from lkca.fast import accelerate
from lkca.files import Log, results_folder, write_text
from lkca.metrics import HIGHER_IS_BETTER, METRICS, mpsnr, quality, sam
from lkca.paper.evidence import difference
from lkca.provenance import provenance
from lkca.resize import SCALES, crop_to_multiple, resize
from sharpen.deconvolve import sharpen_tensor, wiener
from sharpen.model import EigenimageNetwork, load_pretrained, weights_path
from sharpen.psf import estimate_psf
from sharpen.uncertainty import coverage, standard_deviation

BICUBIC, BACK_PROJECTION, RIGHT, WIENER = "bicubic", "back-projection", "back-projection, own PSF", "wiener"
ALONE, KNOWN, AUTO = "network alone", "sharpen", "sharpen, auto"
METHODS = (BICUBIC, BACK_PROJECTION, RIGHT, WIENER, ALONE, KNOWN, AUTO)
PROTOCOL = "bicubic"  # the degradation of the paper
SYNTHETIC, SYNTHETIC_SEEDS, SYNTHETIC_SIDE = "synthetic", range(2_000_000, 2_000_005), 96
ASSUMED = ("bicubic", "mean", *(f"gaussian:{sigma}" for sigma in (0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.8)))
MIN_SIDE = 10  # LR pixels a side, below which a scale is left out
ESTIMATE_SIDE = 20  # LR pixels a side that tell a PSF here: small scenes become smaller LR images than users have
KEY = ["scene", "scale", "degradation", "method", "data_checksum", "weights"]
TRACE = ("commit", "torch", "device", "threads", "started")


@dataclass(frozen=True)
class Scene:
    """An HR scene: cube (B, H, W) in [0, 1], its sensor and place, the checksum of its data, bands to show."""

    name: str
    sensor: str
    place: str
    cube: Tensor
    checksum: str
    rgb: tuple[int, int, int]
    wavelengths: np.ndarray | None = None


# --- scenes


def scenes(profile: str) -> tuple[Scene, ...]:
    """Return what a profile measures: real scenes in place; at "quick" the one without a file, and synthetic ones."""
    ready = [dataset for dataset in small_scenes() if not missing_files(dataset)]
    if profile == "quick":
        ready = [dataset for dataset in ready if dataset.package]
    found = tuple(real_scene(dataset.name) for dataset in ready)
    return found if len(found) > 1 else found + tuple(synthetic_scene(seed) for seed in SYNTHETIC_SEEDS[:2])


@lru_cache
def real_scene(name: str) -> Scene:
    """Return a real scene whole, normalised by itself."""
    dataset = next(each for each in small_scenes() if each.name == name)
    area, wavelengths, checksum = whole_scene(name)
    normalise(area.cube, hot_pixel_limit([area]))
    cube = torch.from_numpy(np.ascontiguousarray(crop_no_data(area).cube))
    rgb = dataset.rgb or rgb_bands(len(cube), wavelengths)
    return Scene(name, dataset.sensor, dataset.place, cube, checksum[:16], rgb, wavelengths)


@lru_cache
def synthetic_scene(seed: int) -> Scene:
    """Return a synthetic scene that trains nothing."""
    cube = landscape_cube(seed, SYNTHETIC_SIDE)
    normalise(cube, hot_pixel_limit([Area("", cube)]))
    checksum = hashlib.sha256(cube.tobytes()).hexdigest()[:16]
    return Scene(
        f"synthetic {seed % 1000}", SYNTHETIC, "", torch.from_numpy(cube), checksum, rgb_bands(len(cube), None)
    )


# --- measuring


def measure(profile: str, log: Log = print, anew: bool = False) -> pd.DataFrame:
    """Return results/PROFILE/any_sensor.csv after measuring the rows that it lacks.

    A table with real scenes whose files are missing here is returned as it is. anew : measure every row again.
    Columns: scene, sensor, place, bands, height, width, scale, degradation, method, assumed_psf, sigma (LR pixels, of
    the estimate), sure, the metrics (all six under `PROTOCOL`, else MPSNR and SAM), coverage_68 and coverage_95 of
    "sharpen", weights and data_checksum, and what the row was measured with.
    """
    path = results_folder() / profile / "any_sensor.csv"
    known = pd.DataFrame() if anew or not path.is_file() else read_table(path)
    here = scenes(profile)
    if len(known):
        absent = set(known.loc[known["sensor"] != SYNTHETIC, "scene"]) - {scene.name for scene in here}
        if absent:
            log(f"{path.name} is taken as it is: no files of {', '.join(sorted(absent))}")
            return known
    done = {tuple(row[name] for name in KEY): row for row in known.to_dict("records")}
    trace = provenance(torch.device("cpu"))
    rows = []
    for scene in here:
        new = 0
        for scale, degradation in cases(scene, profile):
            keys = [_key(scene, scale, degradation, method) for method in METHODS]
            if all(key in done for key in keys):
                rows += [done[key] for key in keys]
                continue
            for row in measure_case(scene, scale, degradation):
                rows.append(row | {name: trace[name] for name in TRACE})
                new += 1
        if new:
            log(f"{scene.name}: {new} rows measured")
            measured = {tuple(row[name] for name in KEY) for row in rows}
            rest = [
                row for key, row in done.items() if key not in measured
            ]  # what is known is not lost if this is stopped
            write_text(path, pd.DataFrame(rows + rest).to_csv(index=False))
    frame = pd.DataFrame(rows)
    write_text(path, frame.to_csv(index=False))
    return read_table(path)


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of `measure`."""
    return pd.read_csv(path, dtype={"weights": str, "place": str}).fillna({"place": ""})


def cases(scene: Scene, profile: str) -> Iterator[tuple[int, str]]:
    """Yield scale and degradation of what is measured of a scene; at "quick" x4 alone."""
    for scale in SCALES if profile != "quick" else (4,):
        if min(scene.cube.shape[1:]) // scale >= MIN_SIDE:
            yield from ((scale, degradation) for degradation in DEGRADATIONS)


def measure_case(scene: Scene, scale: int, name: str) -> list[dict[str, object]]:
    """Return the rows of one LR image, a row for each of `METHODS`."""
    degradation = DEGRADATIONS[name]
    hr = crop_to_multiple(scene.cube, scale)
    lr = degradation(hr, scale)
    estimate = estimate_psf(lr, scale, ESTIMATE_SIDE)
    rows = []
    for method in METHODS:
        psf = {RIGHT: degradation.psf, WIENER: degradation.psf, KNOWN: degradation.psf, AUTO: estimate.psf}.get(
            method, "bicubic"
        )
        image = predict(method, lr, scale, psf)
        row = dict(zip(KEY, _key(scene, scale, name, method), strict=True)) | {
            "sensor": scene.sensor,
            "place": scene.place,
            "bands": len(hr),
            "height": hr.shape[1],
            "width": hr.shape[2],
            "assumed_psf": psf,
        }
        if method == AUTO:
            row |= {"sigma": estimate.sigma, "sure": estimate.sure}
        row |= measures(image, hr, scale, name == PROTOCOL)
        if method == KNOWN:
            deviation = standard_deviation(lr, scale, psf, None, network(scale))
            row |= dict(zip(("coverage_68", "coverage_95"), coverage(image - hr, deviation, scale), strict=True))
        rows.append(row)
    return rows


def predict(method: str, lr: Tensor, scale: int, psf: str) -> Tensor:
    """Return the HR image (B, r·h, r·w) that a method makes of an LR image if it takes `psf` for its PSF."""
    makers: dict[str, Callable[[], Tensor]] = {
        BICUBIC: lambda: resize(lr, scale),
        BACK_PROJECTION: lambda: back_project(resize(lr, scale), lr),
        RIGHT: lambda: back_project(resize(lr, scale), lr, psf=psf),
        WIENER: lambda: wiener(lr, scale, psf),
        ALONE: lambda: sharpen_tensor(lr, scale, "bicubic", math.inf, network(scale)),
    }
    return makers.get(method, lambda: sharpen_tensor(lr, scale, psf, None, network(scale)))()


def measures(image: Tensor, hr: Tensor, scale: int, all_six: bool) -> dict[str, float]:
    """Return the metrics of an image."""
    if all_six:
        return quality(image, hr, scale)
    arrays = image.numpy(), hr.numpy()
    return {"MPSNR": mpsnr(*arrays), "SAM": sam(*arrays)}


@lru_cache
def network(scale: int) -> EigenimageNetwork:
    """Return the network with pretrained weights."""
    return accelerate(load_pretrained(scale))


@lru_cache
def _weights(scale: int) -> str:
    return hashlib.sha256(weights_path(None, scale).read_bytes()).hexdigest()[:16]


def _key(scene: Scene, scale: int, degradation: str, method: str) -> tuple[object, ...]:
    weights = _weights(scale) if method in (ALONE, KNOWN, AUTO) else "none"
    return scene.name, scale, degradation, method, scene.checksum, weights


def regret(profile: str, log: Log = print, anew: bool = False) -> pd.DataFrame:
    """Return results/PROFILE/any_sensor_regret.csv, measured at x4 if it is not there: `measure_regret` twice.

    Its column scenes says where: on the synthetic scenes, which choose the default, and on every third real one.
    """
    path = results_folder() / profile / "any_sensor_regret.csv"
    if path.is_file() and not anew:
        return pd.read_csv(path)
    log("measuring the regret of every assumed PSF")
    tables = {SYNTHETIC: [synthetic_scene(seed) for seed in SYNTHETIC_SEEDS[: 1 if profile == "quick" else None]]}
    if profile != "quick":
        tables["real"] = [scene for scene in scenes(profile) if scene.sensor != SYNTHETIC][::3]
    frame = pd.concat(measure_regret(these).assign(scenes=name) for name, these in tables.items() if these)
    write_text(path, frame.to_csv(index=False))
    return frame


def measure_regret(these: Sequence[Scene], scale: int = 4) -> pd.DataFrame:
    """Return what assuming each of `ASSUMED` costs where another PSF is true.

    Columns: true (a degradation's name), assumed, MPSNR and SAM: means over scenes of the difference to bicubic;
    MPSNR_regret and SAM_regret: what is lost against the true PSF.
    """
    rows = []
    for name, degradation in DEGRADATIONS.items():
        for scene in these:
            hr = crop_to_multiple(scene.cube, scale)
            lr = degradation(hr, scale)
            base = np.array(_two(resize(lr, scale), hr))
            for assumed in (*ASSUMED, "true"):
                psf = degradation.psf if assumed == "true" else assumed
                rows.append((name, assumed, *(_two(predict(KNOWN, lr, scale, psf), hr) - base)))
    frame = pd.DataFrame(rows, columns=["true", "assumed", "MPSNR", "SAM"])
    frame = frame.groupby(["true", "assumed"], sort=False).mean().reset_index()
    best = frame[frame["assumed"] == "true"].set_index("true")
    for metric, sign in (("MPSNR", 1), ("SAM", -1)):
        frame[f"{metric}_regret"] = sign * (frame["true"].map(best[metric]) - frame[metric])
    return frame


def default_psf(regret: pd.DataFrame) -> str:
    """Return the PSF of the smallest worst regret in MPSNR, of those that nowhere have less MPSNR than bicubic."""
    table = regret[regret["assumed"] != "true"].groupby("assumed").agg({"MPSNR": "min", "MPSNR_regret": "max"})
    return str(table[table["MPSNR"] > 0]["MPSNR_regret"].idxmin())


def _two(image: Tensor, hr: Tensor) -> tuple[float, float]:
    return mpsnr(image.numpy(), hr.numpy()), sam(image.numpy(), hr.numpy())


# --- tables


def gains(frame: pd.DataFrame, against: str = BICUBIC) -> pd.DataFrame:
    """Return every row minus that of `against` on the same LR image: columns of metrics become differences."""
    same = ["scene", "scale", "degradation"]
    base = frame[frame["method"] == against].set_index(same)[list(METRICS)]
    rows = frame[frame["method"] != against].reset_index(drop=True)
    rows[list(METRICS)] -= base.loc[pd.MultiIndex.from_frame(rows[same])].to_numpy()
    return rows


def intervals(differences: pd.DataFrame, by: Sequence[str], metrics: Sequence[str] = ("MPSNR", "SAM")) -> pd.DataFrame:
    """Return means of `gains` over scenes with 95 % t-intervals: columns BY, metric, mean, low, high, scenes, worse."""
    rows = []
    for group, part in differences.groupby(list(by), sort=False):
        for metric in metrics:
            values = part.groupby("scene")[metric].mean().dropna()
            if len(values):
                found = difference(values, "scenes")
                worse = int((values < 0).sum() if HIGHER_IS_BETTER[metric] else (values > 0).sum())
                low, high = (found.low, found.high) if len(values) > 1 else (math.nan, math.nan)
                rows.append((*group, metric, found.mean, low, high, len(values), worse))
    return pd.DataFrame(rows, columns=[*by, "metric", "mean", "low", "high", "scenes", "worse"])


def over_degradations(frame: pd.DataFrame, against: str = BICUBIC) -> pd.DataFrame:
    """Return `intervals` of the mean over all degradations, for scenes that were measured under each."""
    rows = gains(frame, against)
    full = rows.groupby(["scene", "scale"])["degradation"].transform("nunique") == len(DEGRADATIONS)
    return intervals(rows[full], ["scale", "method"])


def title(frame: pd.DataFrame) -> str:
    """Return what was measured on, for titles of tables and figures."""
    real = frame[frame["sensor"] != SYNTHETIC].drop_duplicates("scene")
    count = frame[frame["sensor"] == SYNTHETIC]["scene"].nunique()
    found = f"{len(real)} real scenes of {real['sensor'].nunique()} sensors"
    if len(real) == 1:
        found = f"{real['scene'].iloc[0]} ({real['sensor'].iloc[0]})"
    return f"{found} and {count} synthetic scenes" if count else found
