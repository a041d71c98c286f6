"""Train the eigenimage network on deconvolved eigenimages of synthetic scenes, with PSF and noise drawn at random.

    python -m sharpen.study.training --scale 4 --epochs 200

Scenes are generated on the fly, and no measured scene is used. The training of the pretrained weights did not start at
random but from those of version 0.1, which were trained on bicubic LR images only and had channel attention. The
records beside the weights (`sharpen/pretrained/*.json`) name the commits of both.
"""

import argparse
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lkca.checkpoints import Metadata
from lkca.data.synthetic.sensors import landscape_cube
from lkca.degradation import Degradation
from lkca.fast import accelerate
from lkca.files import Log, runs_folder, write_text
from lkca.provenance import provenance
from lkca.resize import resize
from lkca.trainer import CosineSchedule, Trainer
from sharpen.image.deconvolve import network_inputs, plan_image
from sharpen.image.model import INPUTS, NAME, EigenimageNetwork, load_network
from sharpen.study import samples
from sharpen.study.samples import PATCH, SIDE, SceneStream

LEARNING_RATE, FINAL_LEARNING_RATE = 5e-4, 1e-5
MEMORY = 0.995  # of the exponential mean of the weights, per step
WARM_UP = 100  # steps
VALIDATION_SEEDS = range(1_000_000, 1_000_004)  # of the scenes
VALIDATION_DEGRADATIONS = (
    Degradation(),
    Degradation("mean"),
    Degradation("gaussian:0.5"),
    Degradation("gaussian:0.7", 30.0),
)


def residual_loss(model: nn.Module, batch: Tensor, epoch: int) -> Tensor:
    """Return the weighted mean absolute error of the residuals over the Wiener estimate."""
    network = _plain(model)
    inputs, targets, weights = batch.split([INPUTS, network.scale**2, 1], dim=1)
    error = (network(inputs) - F.pixel_shuffle(targets, network.scale)).abs()
    return (error.mean(dim=(1, 2, 3)) * weights[:, 0, 0, 0]).mean()


class Validation:
    """Mean gain in MPSNR over the Wiener estimate, in dB, on synthetic scenes that are not used for training.

    seeds : of the scenes, by default `VALIDATION_SEEDS`. side : HR pixels on a side, by default as in training.
    """

    def __init__(self, scale: int, seeds: Iterable[int] | None = None, side: int = 0) -> None:
        self.cases = []
        for seed in seeds or VALIDATION_SEEDS:
            hr = torch.from_numpy(landscape_cube(seed, side or SIDE[scale]))
            for degradation in VALIDATION_DEGRADATIONS:
                lr = degradation(hr, scale, seed)
                plan = plan_image(lr, scale, degradation.psf)
                images = plan.leading_basis.coefficients(lr)
                z, v = plan.filter(images)
                base = resize(plan.bands(z, plan.tail(lr)[0]), scale)
                self.cases.append((plan, images, v, base - hr))

    def __call__(self, model: nn.Module) -> float:
        return float(np.mean(self.gains(model)))

    @torch.inference_mode()
    def gains(self, model: nn.Module) -> list[float]:
        """Return the gains (dB) of all scenes and degradations; those of the first scene come first."""
        network = _plain(model).eval()
        gains = []
        for plan, images, v, error in self.cases:
            inputs, spectra = network_inputs(plan, images, v, network)
            residuals = network(inputs)[:, 0]
            left = error + (spectra @ residuals.flatten(1)).unflatten(1, residuals.shape[1:])
            gains.append(_decibels(error) - _decibels(left))
        return gains


def _decibels(error: Tensor) -> float:
    return float((10 * error.square().mean(dim=(1, 2)).clamp_min(1e-12).log10()).mean())


def _plain(model: nn.Module) -> EigenimageNetwork:
    """Return the network itself, also from inside an average of weights."""
    return getattr(model, "module", model)


def averaging_memory(step: int) -> float:
    """Return the share of the mean of the weights that survives a step; lower at first, to forget the start."""
    return min(MEMORY, (step + 1) / (step + 10))


def train(
    scale: int,
    epochs: int,
    seed: int = 0,
    start: Path | None = None,
    folder: Path | None = None,
    log: Log = print,
    **options: object,
) -> Path:
    """Train the network; return the folder of weights.safetensors and history.csv. A killed training is resumed.

    start : weights file of such a network to start from; None starts at random.
    options : of `EigenimageNetwork`, such as blocks.
    """
    torch.manual_seed(seed)
    network = EigenimageNetwork(scale, **options)
    if start:
        network.load_state_dict(load_network(start)[0].state_dict())
    accelerate(network)
    folder = folder or runs_folder() / f"sharpen-x{scale}-seed{seed}-{epochs}"
    folder.mkdir(parents=True, exist_ok=True)
    Trainer(
        network,
        batches=SceneStream(scale, seed).batches,
        loss=residual_loss,
        validate=Validation(scale),
        schedule=CosineSchedule(LEARNING_RATE, FINAL_LEARNING_RATE, epochs),
        optimizer=torch.optim.Adam(network.parameters(), lr=LEARNING_RATE),
        folder=folder,
        epochs=epochs,
        identity={"scale": scale, "epochs": epochs, "seed": seed, "start": start and start.name, **options},
        metadata=Metadata(
            model=NAME,
            bands=1,
            scale=scale,
            options=options,
            trained_on="synthetic_stream",
            run=folder.name,
            patch=PATCH,
        ),
        average=averaging_memory,
        clip=1.0,
        warm_up=WARM_UP,
        log=log,
    ).fit()
    write_record(folder, start)
    return folder


def write_record(folder: Path, start: Path | None) -> None:
    """Write record.json of a finished training: settings, result and provenance of the weights."""
    names = ("STEPS", "BATCH", "PATCH", "SIDE", "POOL", "FRESH", "TOLD", "MISJUDGED", "TRAINING_SEED")
    settings = {name.lower(): getattr(samples, name) for name in names}
    settings |= {"learning_rates": [LEARNING_RATE, FINAL_LEARNING_RATE], "memory": MEMORY}
    history = pd.read_csv(folder / "history.csv")
    weights = folder / "weights.safetensors"
    best = history.loc[history["validation"].idxmax()]
    record = {
        "run": folder.name,
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "start": start and {"file": start.name, "sha256": hashlib.sha256(start.read_bytes()).hexdigest()},
        "trained on": "synthetic scenes generated on the fly, no measured scene",
        "settings": settings,
        "epochs": len(history),
        "best epoch": int(best["epoch"]),
        "validation, dB over the Wiener estimate": round(float(best["validation"]), 4),
        "seconds": round(float(history["seconds"].sum())),
        "provenance": provenance(torch.device("cpu")),
    }
    write_text(folder / "record.json", json.dumps(record, indent=2) + "\n")


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(prog="python -m sharpen.study.training", description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=int, default=4, choices=sorted(SIDE), help="upsampling factor (default 4)")
    parser.add_argument(
        "--epochs", type=int, default=200, help=f"number of epochs of {samples.STEPS} steps (default 200)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of scenes and weights (default 0)")
    parser.add_argument("--start", type=Path, help="weights file to start from (default: random weights)")
    parser.add_argument("--blocks", type=int, default=6, help="number of large-kernel blocks (default 6)")
    parser.add_argument(
        "--folder", type=Path, help="output folder (default: in runs/, named by scale, seed and epochs)"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    train(arguments.scale, arguments.epochs, arguments.seed, arguments.start, arguments.folder, blocks=arguments.blocks)


if __name__ == "__main__":
    main()
