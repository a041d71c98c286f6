"""Measure sharpening on whole scenes: a row for each scene, scale, degradation and method. Nothing is trained.

Methods: bicubic; back-projection with the bicubic kernel and with the PSF's own; the Wiener estimate; the network
alone, which takes every LR image as a noiseless bicubic one; the network after the Wiener estimate ("sharpen"), with
the PSF known, or estimated from the image ("sharpen, auto"; here even from images smaller than users have, see
`ESTIMATE_SIDE`). Noise is estimated, except for the network alone.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from torch import Tensor

from lkca.data.datasets import small_scenes
from lkca.data.loaders import missing_files
from lkca.degradation import DEGRADATIONS, back_project
from lkca.fast import accelerate
from lkca.files import Log, results_folder, write_text
from lkca.metrics import HIGHER_IS_BETTER, METRICS, mpsnr, quality, sam
from lkca.paper.evidence import difference
from lkca.resize import SCALES, crop_to_multiple, resize
from sharpen.image.deconvolve import sharpen_tensor, wiener
from sharpen.image.model import EigenimageNetwork, load_pretrained
from sharpen.image.psf import estimate_psf
from sharpen.image.uncertainty import coverage, standard_deviation
from sharpen.study.scenes import (
    SYNTHETIC,
    Scene,
    measure_scenes,
    read_table,
    real_scene,
    synthetic_scene,
    weights_checksum,
)

BICUBIC, BACK_PROJECTION, RIGHT, WIENER = "bicubic", "back-projection", "back-projection, own PSF", "wiener"
ALONE, KNOWN, AUTO = "network alone", "sharpen", "sharpen, auto"
METHODS = (BICUBIC, BACK_PROJECTION, RIGHT, WIENER, ALONE, KNOWN, AUTO)
PROTOCOL = "bicubic"  # the degradation of the paper
SYNTHETIC_SEEDS = range(2_000_000, 2_000_005)
ASSUMED = ("bicubic", "mean", *(f"gaussian:{sigma}" for sigma in (0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.8)))
MIN_SIDE = 10  # LR pixels a side; a scale that leaves fewer is skipped
ESTIMATE_SIDE = 20  # LR pixels a side needed to estimate a PSF here: users' images are larger than these
KEY = ("scene", "scale", "degradation", "method", "data_checksum", "weights")  # of a row


# --- scenes


def scenes(profile: str) -> tuple[Scene, ...]:
    """Return a profile's scenes: real ones whose files are here; at "quick" one from a package, and synthetic ones."""
    ready = [dataset for dataset in small_scenes() if not missing_files(dataset)]
    if profile == "quick":
        ready = [dataset for dataset in ready if dataset.package]
    found = tuple(real_scene(dataset.name) for dataset in ready)
    return found if len(found) > 1 else found + tuple(synthetic_scene(seed) for seed in SYNTHETIC_SEEDS[:2])


# --- measuring


def measure(profile: str, log: Log = print, anew: bool = False) -> pd.DataFrame:
    """Return results/PROFILE/any_sensor.csv after measuring scenes that it lacks or has for other data or weights.

    A table with real scenes whose files are not here is returned unchanged. anew : measure the scenes here again, and
    drop all old rows.
    Columns: scene, scale, degradation, method, data_checksum and weights (the first digits of their SHA-256), sensor,
    place, bands, height, width, assumed_psf, the metrics (all six under `PROTOCOL`, else MPSNR and SAM), sigma (LR
    pixels) and sure, of the PSF estimate, coverage_68 and coverage_95 of "sharpen", and provenance.
    """
    path, here = results_folder() / profile / "any_sensor.csv", scenes(profile)
    if path.is_file() and not anew:
        known = read_table(path)
        absent = set(known.loc[known["sensor"] != SYNTHETIC, "scene"]) - {scene.name for scene in here}
        if absent:
            log(f"{path.name} is not measured again: no files of {', '.join(sorted(absent))} here")
            return known

    def rows(scene: Scene) -> Iterator[dict[str, object]]:
        return (row for case in cases(scene, profile) for row in measure_case(scene, *case))

    def is_current(known: pd.DataFrame, scene: Scene) -> bool:
        required = {(*case, m, scene.checksum, _weights(m, case[0])) for case in cases(scene, profile) for m in METHODS}
        return required <= set(known[list(KEY[1:])].itertuples(index=False, name=None))

    return measure_scenes(path, here, rows, is_current, log, anew)


def cases(scene: Scene, profile: str) -> Iterator[tuple[int, str]]:
    """Yield the scales and degradations at which a scene is measured; at "quick" only x4."""
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
        key = scene.name, scale, name, method, scene.checksum, _weights(method, scale)
        row = dict(zip(KEY, key, strict=True)) | {
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
    """Return the HR image (B, r·h, r·w) that a method makes from an LR image, assuming `psf`."""
    makers: dict[str, Callable[[], Tensor]] = {
        BICUBIC: lambda: resize(lr, scale),
        BACK_PROJECTION: lambda: back_project(resize(lr, scale), lr),
        RIGHT: lambda: back_project(resize(lr, scale), lr, psf=psf),
        WIENER: lambda: wiener(lr, scale, psf),
        ALONE: lambda: sharpen_tensor(lr, scale, "bicubic", math.inf, network(scale)),
    }
    return makers.get(method, lambda: sharpen_tensor(lr, scale, psf, None, network(scale)))()


def measures(image: Tensor, hr: Tensor, scale: int, all_six: bool) -> dict[str, float]:
    """Return the metrics of an image: all six, or MPSNR and SAM."""
    if all_six:
        return quality(image, hr, scale)
    arrays = image.numpy(), hr.numpy()
    return {"MPSNR": mpsnr(*arrays), "SAM": sam(*arrays)}


@lru_cache
def network(scale: int) -> EigenimageNetwork:
    """Return the network with pretrained weights."""
    return accelerate(load_pretrained(scale))


def _weights(method: str, scale: int) -> str:
    return weights_checksum(scale) if method in (ALONE, KNOWN, AUTO) else "none"


def regret(profile: str, log: Log = print, anew: bool = False) -> pd.DataFrame:
    """Return results/PROFILE/any_sensor_regret.csv, measured at x4 if it is not there: `measure_regret` twice.

    Its column `scenes` is synthetic, or real for every third real scene (not at "quick").
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
    """Return the cost of assuming each PSF of `ASSUMED` under each degradation.

    Columns: true (a degradation's name); assumed; MPSNR and SAM, mean differences to bicubic over scenes; MPSNR_regret
    and SAM_regret, the loss against assuming the true PSF.
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
    """Return the PSF with the smallest worst regret in MPSNR, of those with a higher MPSNR than bicubic everywhere."""
    table = regret[regret["assumed"] != "true"].groupby("assumed").agg({"MPSNR": "min", "MPSNR_regret": "max"})
    return str(table[table["MPSNR"] > 0]["MPSNR_regret"].idxmin())


def _two(image: Tensor, hr: Tensor) -> tuple[float, float]:
    return mpsnr(image.numpy(), hr.numpy()), sam(image.numpy(), hr.numpy())


# --- tables


def gains(frame: pd.DataFrame, against: str = BICUBIC) -> pd.DataFrame:
    """Return the rows of the other methods, their metrics minus those of `against` on the same LR image."""
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
    """Return a text on the scenes measured, for titles of tables and figures."""
    real = frame[frame["sensor"] != SYNTHETIC].drop_duplicates("scene")
    count = frame[frame["sensor"] == SYNTHETIC]["scene"].nunique()
    found = f"{len(real)} real scenes of {real['sensor'].nunique()} sensors"
    if len(real) == 1:
        found = f"{real['scene'].iloc[0]} ({real['sensor'].iloc[0]})"
    return f"{found} and {count} synthetic scenes" if count else found
