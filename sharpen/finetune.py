"""Train the eigenimage network further on a scene itself, and measure whether that helps.

The scene is degraded by its sensor's PSF, so that its own pixels are the truth. The last quarter of its longer side is
held out. There every method is measured in the way it will be used: the whole scene is degraded from its first pixel
on, at two phases of the LR grid. A quarter of the rest is for validation, and what remains is for training.
"""

import hashlib
import math
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor, nn

from lkca.checkpoints import Metadata
from lkca.data.split import Area, hot_pixel_limit, part_area
from lkca.degradation import Degradation
from lkca.fast import accelerate
from lkca.files import Log, runs_folder
from lkca.resize import SYMMETRIES, crop_to_multiple, resize, symmetry
from lkca.trainer import CosineSchedule, Trainer, epoch_generator
from sharpen.choose import choose_method
from sharpen.compare import MIN_SIDE, choose_best, compare, in_table
from sharpen.image.deconvolve import network_inputs, plan_image
from sharpen.image.methods import EigenimageMethod
from sharpen.image.model import INPUTS, NAME, EigenimageNetwork, load_network, weights_path
from sharpen.image.psf import estimate_psf
from sharpen.scene.io import open_scene, usable_bands
from sharpen.scene_rows import SceneRows, Unit, with_wavelengths
from sharpen.watch import in_words

PATCH, MIN_PATCH = 12, 6  # LR pixels on a side of a sample; the minimum, for small scenes
MIN_VALIDATION = 4  # LR pixels across the validation part
BATCH, STEPS = 16, 50  # samples of a step, steps of an epoch
LEARNING_RATE, FINAL_LEARNING_RATE = 3e-4, 1e-5
MEMORY = 0.995  # of the exponential mean of the weights, per step
PATIENCE = 6  # epochs without improvement after which training stops
MIN_GAIN = 0.2  # dB that training must add in validation: the best of many epochs is partly luck
LEADING = 0.35  # parameter of the geometric distribution that draws an eigenimage's number
MAX_VALUES = 2**27  # values of a scene; of a larger one, the last rows or columns are used
BASELINES = ("bicubic", "back-projection", "wiener")


@dataclass(frozen=True)
class EarlyStop(CosineSchedule):
    """A cosine schedule that stops after `PATIENCE` epochs without improvement."""

    def done(self, history: Sequence[Mapping[str, float]]) -> bool:
        values = [row["validation"] for row in history]
        return bool(values) and len(values) - 1 - int(np.argmax(values)) >= PATIENCE


@dataclass(frozen=True)
class Finetuned:
    """table : a row for each method, see `sharpen.compare.compare`. best : the row of the method to use.

    command : sharpens the scene by that method. folder : of the weights. gained : whether validation rose by more than
    `MIN_GAIN`; otherwise the weights stay as they were.
    """

    table: pd.DataFrame
    best: str
    command: str
    folder: Path
    gained: bool


def finetune(
    scene: str | Path,
    scale: int | None = None,
    psf: str = "auto",
    noise: str | float = "auto",
    weights: str | Path | None = None,
    epochs: int = 20,
    *,
    bands: str | None = None,
    key: str | None = None,
    layout: str | None = None,
    wavelengths: str | Path | None = None,
    log: Log = print,
) -> Finetuned:
    """Train further on a scene, measure every method, and log the command to use. A killed training is resumed.

    Parameters
    ----------
    scene : a file that `sharpen.open_scene` opens; bands, key, layout, wavelengths as in `sharpen.sharpen_file`.
    scale, psf, noise, weights : see `sharpen.choose.choose_method`. Training starts from these weights.
    epochs : their maximum number.

    Raises
    ------
    ValueError
        If the scene is too small (raised before training) or the weights are not of the eigenimage network.
    """
    start = choose_method(weights, scale, psf, noise)[0]
    if not isinstance(start, EigenimageMethod):
        raise ValueError(f"{weights} is not the eigenimage network, and only that can be trained further on a scene")
    scale = start.scale
    area = read_area(with_wavelengths(open_scene(scene, key, layout), wavelengths), bands, log)
    check_size(area, scale)
    if start.psf == "auto":
        estimate = estimate_psf(torch.from_numpy(area.cube), scale)
        log(estimate.text)
        psf = estimate.psf
    else:
        psf = start.psf
    axis, line = held_out(area)
    network = load_network(weights_path(weights, scale))[0]
    folder, gained = fit(network, part_area(area, axis, line)[0], psf, epochs, log)
    if not gained:
        log(f"training gained no more than {MIN_GAIN} dB in validation: the weights stay as they were")
    candidates = {name: name for name in BASELINES} | {"pretrained": weights}
    table = compare(area, axis, line, candidates | ({"finetuned": folder} if gained else {}), scale, psf, noise)
    log(f"held-out quarter, the scene degraded by {psf}; mean and standard deviation over places:\n{in_table(table)}")
    best = choose_best(table)
    own = {"pretrained": weights, "finetuned": folder}.get(best, best)
    options = {"weights": own, "scale": scale, "psf": psf, "noise": noise, "bands": bands, "key": key,
               "layout": layout, "wavelengths": wavelengths}  # fmt: skip
    command = "sharpen " + shlex.quote(str(scene)) + " OUT.tif" + "".join(
        f" --{name} {shlex.quote('none' if value == math.inf else str(value))}"
        for name, value in options.items() if value not in (None, "auto")
    )  # fmt: skip
    log(f"{best} is the best here. To sharpen the whole scene with it:\n  {command}")
    return Finetuned(table, best, command, folder, gained)


# --- the scene


def read_area(scene: xr.DataArray, bands: str | None, log: Log) -> Area:
    """Return the usable bands of a scene, (B, H, W) float32, every pixel filled; of a large scene the last part."""
    good, line = usable_bands(scene, bands)
    if line:
        log(line)
    height, width = scene.sizes["y"], scene.sizes["x"]
    along = "y" if height >= width else "x"
    fitting = MAX_VALUES // (len(good) * min(height, width))
    if fitting < max(height, width):
        scene = scene.isel({along: slice(-fitting, None)})
        log(f"a large scene: the last {fitting} pixels along {along} are used")
    rows = SceneRows(scene, good, Unit(scene, good, None), memory=math.inf)
    cube = rows.rows(0, rows.shape[1]).numpy()
    return Area(str(scene.attrs.get("source")), cube / hot_pixel_limit([Area("", cube, rows.missing)]), rows.missing)


def held_out(area: Area) -> tuple[int, int]:
    """Return the longer axis, 0 or 1, and where the held-out quarter begins on it."""
    axis = int(np.argmax(area.cube.shape[1:]))
    return axis, 3 * area.cube.shape[1 + axis] // 4


def check_size(area: Area, scale: int) -> None:
    """Raise ValueError if the scene is too small for training, validation and measurement."""
    short, long = sorted(area.cube.shape[1:])
    side = max(MIN_PATCH * scale, MIN_SIDE)
    # Of the longer side, 9/16 are for training and 3/16 for validation.
    least = math.ceil(max(side * 16 / 9, max(MIN_VALIDATION * scale, MIN_SIDE) * 16 / 3))
    if short < side or long < least:
        raise ValueError(
            f"{area.name}: {area.cube.shape[1]} x {area.cube.shape[2]} pixels are too few to train on at x{scale}, it "
            f"takes at least {least} x {side}. Sharpen the scene with the pretrained weights"
        )


# --- training


@dataclass(frozen=True)
class Observed:
    """A degraded area, prepared for the network.

    inputs : (k, 5, h, w). targets : (k, 1, r·h, r·w), the residuals to learn. error : (B, r·h, r·w), of the Wiener
    estimate, without residuals. spectra : (B, k), what one unit of each residual is in bands. holes : (h, w), LR pixels
    that cover pixels without data.
    """

    inputs: Tensor
    targets: Tensor
    error: Tensor
    spectra: Tensor
    holes: NDArray[np.bool_]


@torch.no_grad()
def observe(area: Area, network: EigenimageNetwork, psf: str) -> Observed:
    """Degrade an area, and prepare it for the network as `EigenimageMethod` does."""
    scale = network.scale
    hr = crop_to_multiple(torch.from_numpy(np.ascontiguousarray(area.cube)), scale)
    height, width = hr.shape[1:]
    holes = area.no_data[:height, :width].reshape(height // scale, scale, width // scale, scale).any(axis=(1, 3))
    lr = Degradation(psf).downsample(hr, scale)
    plan = plan_image(lr, scale, psf)
    eigenimages = plan.leading_basis.coefficients(lr)
    z, v = plan.filter(eigenimages)
    inputs, spectra = network_inputs(plan, eigenimages, v, network)
    unit = v[: len(inputs)].flatten(1).std(dim=1, correction=0).clamp_min(1e-12)[:, None, None]
    targets = (plan.leading_basis.coefficients(hr) - resize(z, scale))[: len(inputs)] / unit
    return Observed(inputs, targets[:, None], resize(plan.bands(z, plan.tail(lr)[0]), scale) - hr, spectra, holes)


class Samples:
    """Patches of an observed area, (5 + r², p, p): the inputs, and the targets pixel-unshuffled."""

    def __init__(self, observed: Observed, scale: int, seed: int = 0) -> None:
        self.observed, self.scale, self.seed = observed, scale, seed
        self.size = max(MIN_PATCH, min(PATCH, *(2 * side // 3 for side in observed.holes.shape)))
        free = np.lib.stride_tricks.sliding_window_view(~observed.holes, (self.size, self.size)).all(axis=(2, 3))
        self.places = np.argwhere(free)
        if not len(self.places):
            raise ValueError(
                f"no square of {self.size} x {self.size} LR pixels has data everywhere: training is impossible. "
                "Sharpen the scene with the pretrained weights"
            )

    def batches(self, epoch: int) -> Iterator[Tensor]:
        """Yield the batches of an epoch."""
        rng = epoch_generator(self.seed, epoch)
        for _ in range(STEPS):
            yield torch.stack([self._sample(rng) for _ in range(BATCH)])

    def _sample(self, rng: np.random.Generator) -> Tensor:
        count = len(self.observed.inputs)
        number = min(int(rng.geometric(LEADING)) - 1, count - 1)
        top, left = self.places[rng.integers(len(self.places))]
        rows, columns = (slice(first, first + self.size) for first in (top, left))
        shown = self.observed.inputs[number, :, rows, columns].clone()
        r = self.scale
        target = self.observed.targets[number, 0, r * top : r * (top + self.size), r * left : r * (left + self.size)]
        turn, sign, sign_of_guide = int(rng.integers(SYMMETRIES)), rng.choice((-1.0, 1.0)), rng.choice((-1.0, 1.0))
        signs = torch.ones(INPUTS)
        signs[:3] = torch.tensor([sign, sign_of_guide, sign])
        target = symmetry(float(sign) * target, turn)
        shown = symmetry(signs[:, None, None] * shown, turn)
        return torch.cat([shown, nn.functional.pixel_unshuffle(target[None], r)])


def residual_loss(model: nn.Module, batch: Tensor, epoch: int) -> Tensor:
    """Return the mean absolute error of the residuals."""
    network = getattr(model, "module", model)
    inputs, targets = batch.split([INPUTS, network.scale**2], dim=1)
    return (network(inputs) - nn.functional.pixel_shuffle(targets, network.scale)).abs().mean()


@torch.inference_mode()
def gain(model: nn.Module, observed: Observed) -> float:
    """Return the gain in MPSNR (dB) that the network's residuals bring over the Wiener estimate."""
    network = getattr(model, "module", model).eval()
    residuals = network(observed.inputs)[:, 0]
    left = observed.error + torch.tensordot(observed.spectra, residuals, 1)
    before, after = (e.square().mean(dim=(1, 2)).clamp_min(1e-12) for e in (observed.error, left))
    return float((10 * (before / after).log10()).mean())


def fit(network: EigenimageNetwork, rest: Area, psf: str, epochs: int, log: Log) -> tuple[Path, bool]:
    """Train further on all but the held-out quarter; return the folder of the weights and `Finetuned.gained`."""
    axis, line = held_out(rest)
    training, validation = (observe(part, network, psf) for part in part_area(rest, axis, line))
    samples = Samples(training, network.scale)
    accelerate(network)
    weights = b"".join(parameter.detach().numpy().tobytes() for parameter in network.parameters())
    checksums = [hashlib.sha256(content).hexdigest() for content in (rest.cube.tobytes(), weights)]
    identity = {"scene": checksums[0], "weights": checksums[1], "psf": psf, "epochs": epochs}
    digest = hashlib.sha256(repr(sorted(identity.items())).encode()).hexdigest()[:10]
    folder = runs_folder() / f"finetune-{Path(rest.name).stem}-x{network.scale}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(
        network,
        batches=samples.batches,
        loss=residual_loss,
        validate=lambda model: gain(model, validation),
        schedule=EarlyStop(LEARNING_RATE, FINAL_LEARNING_RATE, epochs),
        optimizer=torch.optim.Adam(network.parameters(), lr=LEARNING_RATE),
        folder=folder,
        epochs=epochs,
        identity=identity,
        metadata=Metadata(NAME, 1, network.scale, network.options(), trained_on=rest.name, run=folder.name,
                          patch=samples.size),
        average=MEMORY,
        log=log,
        clip=1.0,
        min_gain=MIN_GAIN,
    )  # fmt: skip
    if not (folder / "history.csv").is_file():
        log(f"training takes about {in_words(epochs * STEPS * seconds_of_step(network, samples))} at most")
    history = trainer.fit()
    return folder, bool((history["validation"] > trainer.start_validation + MIN_GAIN).any())


def seconds_of_step(network: EigenimageNetwork, samples: Samples) -> float:
    """Return the seconds that a step of training takes, from two of them; weights stay as they are."""
    batch = next(samples.batches(0))
    for _ in range(2):  # the first one warms up memory and kernels
        begun = time.perf_counter()
        residual_loss(network, batch, 0).backward()
        network.zero_grad(set_to_none=True)
    return time.perf_counter() - begun
