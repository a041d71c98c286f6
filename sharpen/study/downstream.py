"""Measure what a sharpened scene is good for: detection, unmixing, indices and small targets, on whole scenes.

    python -m sharpen.study.downstream [PROFILE]

measures what results/PROFILE/downstream.csv lacks (default profile: cpu). Nothing is trained. Every method knows the
PSF and estimates the noise. The tasks are in `sharpen.study.tasks`.

The rule, written before the first run
--------------------------------------
The gain of a method is its improvement over bicubic on the same LR image, for errors and contrasts in percent of
bicubic's value. Gains are averaged over degradations, then over the scenes of a place. The places give a mean and its
95 % t-interval. A method

- helps, if the interval lies above zero and the mean is at least the margin;
- harms, if the interval lies below zero and the mean is at most minus the margin;
- makes no difference, if the whole interval lies within the margin on both sides of zero;
- is undecided otherwise, and with fewer than `MIN_PLACES` places.

The margin is what a user would notice: 0.01 of AUC, 0.05 of a detection rate, 5 % of an error or a contrast. One
measure of each task decides (`PRIMARY`); the others explain. Intervals are not corrected for multiple comparisons: one
in twenty misses the true value.
"""

import argparse
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.io import loadmat
from torch import Tensor

from lkca.checkpoints import load_weights
from lkca.data.datasets import DATASETS, small_scenes
from lkca.data.loaders import missing_files
from lkca.data.synthetic.scenes import synthetic_scene
from lkca.data.wavelengths import rgb_bands
from lkca.degradation import DEGRADATIONS
from lkca.fast import accelerate, predict
from lkca.files import Log, data_folder, results_folder
from lkca.metrics import mpsnr
from lkca.paper.evidence import difference
from lkca.resize import crop_to_multiple
from lkca.studies import profile_names, study_runs
from sharpen.study import evaluate, tasks
from sharpen.study.scenes import Scene, measure_scenes, real_scene, weights_checksum

TRUTH, NEAREST, BICUBIC, BACK_PROJECTION = "true HR", "nearest", "bicubic", "back-projection"
WIENER, SHARPEN, OWN = "wiener", "sharpen", "lkca-lr of the scene"
SCALES = (2, 4)
MEASURED_DEGRADATIONS = ("bicubic", "Gaussian 0.5", "bicubic, 30 dB")  # of `DEGRADATIONS`
MIN_PLACES = 3
SYNTHETIC_SEEDS, SYNTHETIC_SIDE, SYNTHETIC_BANDS = range(3_000_000, 3_000_003), 84, 32
QUICK_SCALES = (4,)


@dataclass(frozen=True)
class Measure:
    """A measure of `sharpen.study.tasks`.

    task : that it belongs to. higher : whether higher is better. margin : the gain that a user would notice, in percent
    of bicubic's value if `relative`.
    """

    task: str
    higher: bool
    margin: float
    relative: bool = False

    def gain(self, value: float, base: float) -> float:
        """Return the improvement over bicubic's value; NaN if that is zero and the gain relative to it."""
        change = value - base if self.higher else base - value
        if not self.relative:
            return change
        return 100 * change / base if base > 0 else math.nan


_ERROR = {"higher": False, "margin": 5, "relative": True}
MEASURES = {
    **{f"{detector} AUC": Measure("detection", True, 0.01) for detector in ("RX", "local RX")},
    **{f"{detector} detection rate": Measure("detection", True, 0.05) for detector in ("RX", "local RX")},
    **{f"abundance error, {where}": Measure("unmixing", **_ERROR) for where in ("edges", "interior")},
    **{f"{name} error, edges": Measure("indices", **_ERROR) for name in tasks.INDICES},
    "angle error": Measure("indices", **_ERROR),
    "target detection rate": Measure("targets", True, 0.05),
    **{f"target detection rate, fill {100 * fill:.0f} %": Measure("targets", True, 0.05) for fill in tasks.FILLS},
    "target contrast": Measure("targets", True, 5, relative=True),
    "target location error": Measure("targets", **_ERROR),
}
PRIMARY = {
    "detection": "RX AUC",
    "unmixing": "abundance error, edges",
    "indices": "NDVI error, edges",
    "targets": "target detection rate",
}


# --- scenes


def scenes(profile: str, log: Log = print) -> Iterator[tuple[Scene, tasks.Mask | None]]:
    """Yield scenes and masks (H, W) of their anomalies; a mask is None if the scene has none, which is logged.

    Profile "quick": synthetic scenes with planted anomalies. Others: every real scene whose files are here.
    """
    if profile == "quick":
        yield from map(synthetic, SYNTHETIC_SEEDS)
        return
    for dataset in small_scenes():
        if missing_files(dataset):
            log(f"{dataset.name}: its files are not in {data_folder()}, skipped")
            continue
        scene, mask = real_scene(dataset.name), anomaly_mask(dataset.name)
        if mask is None:
            log(f"{scene.name}: no mask of anomalies, no detection")
        yield scene, mask


def anomaly_mask(name: str) -> tasks.Mask | None:
    """Return the variable `map` of a scene's MATLAB files, joined as the scene's parts are; None if there is none."""
    dataset = DATASETS[name]
    paths = [data_folder() / file for file in dataset.files]
    if dataset.package or any(path.suffix != ".mat" for path in paths):
        return None
    maps = [loadmat(path, variable_names=["map"]).get("map") for path in paths]
    if any(each is None or not each.any() for each in maps):
        return None
    columns = dataset.side_by_side or ((0, None),)
    parts = [each[:, slice(*part)] > 0 for each, part in zip(maps, columns, strict=True)]
    return np.concatenate(parts, axis=1)


def synthetic(seed: int) -> tuple[Scene, tasks.Mask]:
    """Return a synthetic scene with planted anomalies of its rarest material, 0.4 to 4 pixels large, and their mask."""
    drawn = synthetic_scene(SYNTHETIC_SIDE, SYNTHETIC_SIDE, SYNTHETIC_BANDS, seed)
    spectrum = tasks.rarest(tasks.refer_to(drawn.cube))
    cube, _, coverage = tasks.plant(drawn.cube, spectrum, scale=2, seed=seed)
    checksum = hashlib.sha256(cube.tobytes()).hexdigest()[:16]
    name, rgb = f"synthetic {seed % 1000}", rgb_bands(len(cube), drawn.wavelengths)
    return Scene(name, "synthetic", name, torch.from_numpy(cube), checksum, rgb, drawn.wavelengths), coverage > 0.5


# --- measuring


def measure(profile: str, log: Log = print, anew: bool = False) -> pd.DataFrame:
    """Return results/PROFILE/downstream.csv after measuring scenes that it lacks or has for other data or weights.

    A scene whose files are missing here keeps its rows. anew : measure the scenes here again, and drop all old rows.
    Columns: scene, place, task, scale, degradation, method, measure, value, gain over bicubic, MPSNR_gain over bicubic
    on the same LR image (dB), weights and data_checksum (the first digits of their SHA-256), and provenance.
    """
    scales, masks = SCALES if profile != "quick" else QUICK_SCALES, dict(scenes(profile, log))
    own = {scene.name: {s: study_network(scene.name, s, profile) for s in scales} for scene in masks}
    if without := [name for name, networks in own.items() if not any(networks.values())]:
        log(f"no weights of the study `scenes` in runs/, so no {OWN}: {', '.join(without)}")

    def rows(scene: Scene) -> Iterator[dict[str, object]]:
        return measure_scene(scene, masks[scene], scales, own[scene.name])

    def is_current(known: pd.DataFrame, scene: Scene) -> bool:
        weights = set(known.loc[known["method"] == SHARPEN, "weights"])
        same = weights == set(map(weights_checksum, scales)) and set(known["data_checksum"]) == {scene.checksum}
        return same and (OWN in set(known["method"])) >= (scene.name not in without)

    return measure_scenes(results_folder() / profile / "downstream.csv", masks, rows, is_current, log, anew)


def study_network(name: str, scale: int, profile: str) -> torch.nn.Module | None:
    """Return the LKCA-LR that the study `scenes` trained on a scene; None if runs/ has no weights of it.

    It was trained on three quarters of the scene that it sharpens here, so its gain is an upper bound.
    """
    for run in study_runs("scenes", profile):
        if (run.dataset, run.scale, run.model) == (name, scale, "lkca-lr") and (run.folder / "metrics.json").is_file():
            return accelerate(load_weights(run.folder)[0])
    return None


@torch.inference_mode()
def sharpened(lr: Tensor, scale: int, psf: str, own: torch.nn.Module | None = None) -> dict[str, Tensor]:
    """Return the HR image (B, r·h, r·w) of every method. own : a network for this scene's bands."""
    images = {NEAREST: lr.repeat_interleave(scale, 1).repeat_interleave(scale, 2)}
    makers = {BICUBIC: BICUBIC, BACK_PROJECTION: evaluate.RIGHT, WIENER: evaluate.WIENER, SHARPEN: evaluate.KNOWN}
    images |= {method: evaluate.predict(maker, lr, scale, psf) for method, maker in makers.items()}
    return images if own is None else images | {OWN: predict(own, lr)}


def measure_scene(
    scene: Scene,
    mask: tasks.Mask | None,
    scales: Sequence[int] = SCALES,
    own: Mapping[int, torch.nn.Module | None] | None = None,
) -> Iterator[dict[str, object]]:
    """Yield the rows of a scene: every scale, degradation, task and method. own : scale -> a network for its bands."""
    for scale in scales:
        hr = crop_to_multiple(scene.cube, scale)
        truth = tasks.refer_to(hr.numpy())
        spectrum = tasks.target_spectrum(truth)
        planted, targets, _ = tasks.plant(hr.numpy(), spectrum, scale)
        anomalies = None if mask is None else mask[: hr.shape[1], : hr.shape[2]]
        for degradation in MEASURED_DEGRADATIONS:
            case = {"scene": scene.name, "place": scene.place, "scale": scale, "degradation": degradation}
            case["data_checksum"] = scene.checksum
            images, with_targets = (
                _images(each, scale, degradation, (own or {}).get(scale)) for each in (hr, torch.from_numpy(planted))
            )
            found = {}
            for method, image in images.items():
                found[method] = {} if anomalies is None else tasks.detection(image, anomalies)
                if method != TRUTH:
                    found[method] |= tasks.unmixing(image, truth) | tasks.spectra(image, truth, scene.wavelengths)
            yield from _rows(case, images, found)
            found = {
                method: tasks.small_targets(image, images[method], spectrum, targets, scale)
                for method, image in with_targets.items()
            }
            yield from _rows(case, with_targets, found)


def _images(hr: Tensor, scale: int, degradation: str, own: torch.nn.Module | None) -> dict[str, np.ndarray]:
    """Return the HR image, and the image that every method makes from its LR image."""
    seen = DEGRADATIONS[degradation]
    images = {TRUTH: hr} | sharpened(seen(hr, scale), scale, seen.psf, own)
    return {method: image.numpy() for method, image in images.items()}


def _rows(
    case: Mapping[str, object], images: Mapping[str, np.ndarray], found: Mapping[str, Mapping[str, float]]
) -> Iterator[dict[str, object]]:
    """Yield a row for each method and measure."""
    quality = {method: mpsnr(image, images[TRUTH]) for method, image in images.items() if method != TRUTH}
    for method, values in found.items():
        for name, value in values.items():
            yield {
                **case,
                "task": MEASURES[name].task,
                "method": method,
                "measure": name,
                "value": value,
                "gain": MEASURES[name].gain(value, found[BICUBIC].get(name, math.nan)),
                "MPSNR_gain": quality.get(method, math.nan) - quality[BICUBIC],
                "weights": weights_checksum(case["scale"]) if method == SHARPEN else "none",
            }


# --- tables


def verdict(mean: float, low: float, high: float, places: int, margin: float) -> str:
    """Return the verdict by the rule of this module: helps, harms, no difference or undecided."""
    if places < MIN_PLACES or math.isnan(low):
        return "undecided"
    if low > 0 and mean >= margin:
        return "helps"
    if high < 0 and mean <= -margin:
        return "harms"
    return "no difference" if -margin <= low and high <= margin else "undecided"


def verdicts(frame: pd.DataFrame, by_degradation: bool = False) -> pd.DataFrame:
    """Return mean gains over places with 95 % t-intervals and the verdict, a row for each measure, scale and method.

    Columns: task, measure, scale, (degradation,) method, value (mean over places), gain, low, high, places, scenes,
    worse (places where the gain is below zero), verdict. by_degradation : a row for each degradation instead of one of
    their mean.
    """
    keys = ["task", "measure", "scale", *(["degradation"] if by_degradation else []), "method"]
    rows = []
    for key, part in frame[frame["method"] != BICUBIC].groupby(keys, sort=False):
        by_place = part.groupby(["place", "scene"])[["value", "gain"]].mean().groupby("place").mean()
        gains, count = by_place["gain"].dropna(), part["scene"].nunique()
        found = difference(gains, "places")
        interval = found.mean, found.low, found.high, found.n
        said = verdict(*interval, MEASURES[key[1]].margin)
        rows.append((*key, by_place["value"].mean(), *interval, count, int((gains < 0).sum()), said))
    columns = [*keys, "value", "gain", "low", "high", "places", "scenes", "worse", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def gains_over(frame: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return the rows of the other methods, their gains minus those of `method` on the same LR image."""
    same = ["scene", "scale", "degradation", "measure"]
    base = frame[frame["method"] == method].set_index(same)["gain"].rename("base")
    rows = frame[frame["method"] != method].join(base, on=same)
    return rows.assign(gain=rows["gain"] - rows.pop("base"))


def smallest_found(frame: pd.DataFrame, share: float = 0.5) -> pd.DataFrame:
    """Return, by scale and method, the detection rate of each fill (mean over places) and the smallest detected fill.

    A fill is detected if at least `share` of its targets are found.
    """
    prefix = "target detection rate, fill "
    rows = frame[frame["measure"].str.startswith(prefix)]
    rows = rows.assign(fill=rows["measure"].str.removeprefix(prefix).str.removesuffix(" %").astype(int))
    places = rows.groupby(["scale", "method", "fill", "place"], sort=False)["value"].mean()
    table = places.groupby(["scale", "method", "fill"], sort=False).mean().unstack("fill")
    reached = (table >= share).idxmax(axis=1).where((table >= share).any(axis=1))
    return table.rename(columns=lambda fill: f"{fill} %").assign(smallest=reached).reset_index()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m sharpen.study.downstream", description=__doc__.splitlines()[0])
    parser.add_argument("profile", nargs="?", default="cpu", choices=profile_names(), help="default: cpu")
    measure(parser.parse_args().profile)
