"""Train the eigenimage network on deconvolved eigenimages of synthetic scenes, with PSF and noise drawn at random.

    python -m sharpen.training --scale 4 --epochs 200

Scenes are generated on the fly, and no measured scene is used. The pretrained weights started (`--start FILE`) from
those of version 0.1, which saw bicubic LR images only: the factors of their channel attention became their means on
training samples, and inputs that they did not have began with weights of zero. Without the attention the network is
local.
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
from lkca.data.synthetic_sensors import landscape_cube
from lkca.degradation import Degradation
from lkca.fast import accelerate
from lkca.files import Log, runs_folder, write_text
from lkca.provenance import provenance
from lkca.resize import resize
from lkca.trainer import CosineSchedule, Trainer
from sharpen import samples
from sharpen.deconvolve import network_inputs, plan_image
from sharpen.model import NAME, EigenimageNetwork, load_network
from sharpen.samples import PATCH, SIDE, SceneStream

LEARNING_RATE, FINAL_LEARNING_RATE = 5e-4, 1e-5
MEMORY = 0.995  # of the exponential mean of the weights
WARM_UP = 100  # steps
VALIDATION_SEEDS = range(1_000_000, 1_000_004)  # of the scenes
VALIDATION_DEGRADATIONS = (
    Degradation(),
    Degradation("mean"),
    Degradation("gaussian:0.5"),
    Degradation("gaussian:0.7", 30.0),
)


def residual_loss(model: nn.Module, batch: Tensor, epoch: int) -> Tensor:
    """Return the weighted mean absolute error of what the network adds to the Wiener estimate."""
    network = _plain(model)
    inputs, targets, weights = batch.split([network.head.in_channels, network.scale**2, 1], dim=1)
    error = (network.residual(inputs) - F.pixel_shuffle(targets, network.scale)).abs()
    return (error.mean(dim=(1, 2, 3)) * weights[:, 0, 0, 0]).mean()


class Validation:
    """Mean gain in MPSNR over the Wiener estimate, in dB, on synthetic scenes that never train.

    seeds : of the scenes, by default those that choose weights. side : HR pixels on a side, by default as in training.
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
        """Return the gain of each scene under each degradation: those of the first scene come first."""
        network = _plain(model).eval()
        gains = []
        for plan, images, v, error in self.cases:
            inputs, spectra = network_inputs(plan, images, v, network)
            residuals = network.residual(inputs)[:, 0]
            left = error + (spectra @ residuals.flatten(1)).unflatten(1, residuals.shape[1:])
            gains.append(_decibels(error) - _decibels(left))
        return gains


def _decibels(error: Tensor) -> float:
    return float((10 * error.square().mean(dim=(1, 2)).clamp_min(1e-12).log10()).mean())


def _plain(model: nn.Module) -> EigenimageNetwork:
    """Return the network inside an average of weights."""
    return getattr(model, "module", model)


@torch.no_grad()
def start_from(old: EigenimageNetwork, network: EigenimageNetwork, images: Tensor) -> None:
    """Copy weights into a network that may have fewer blocks (the last ones are left out), more inputs, no attention.

    Weights of new inputs are 0. Where the attention goes, its factors become their means over the images.

    images : (n, inputs, h, w).
    """
    blocks = len(network.body)
    names = network.state_dict().keys()
    state = {name: value for name, value in old.state_dict().items() if name in names}
    weight = torch.zeros_like(network.head.weight)
    seen = old.head.in_channels
    weight[:, :seen] = state["head.weight"]
    network.load_state_dict(state | {"head.weight": weight})
    if old.attention == network.attention:
        return
    means: list[Tensor] = []
    hooks = [
        block.attention.channel_attention.weights.register_forward_hook(
            lambda module, inputs, output: means.append(output.mean(dim=0))
        )
        for block in old.body[:blocks]
    ]
    old.raw(images[:, :seen])
    for hook in hooks:
        hook.remove()
    for block, factors in zip(network.body, means, strict=True):
        fuse = block.attention.fuse
        outputs, inputs = fuse.weight.shape[:2]
        by_group = factors.view(fuse.groups, 1, inputs).expand(-1, outputs // fuse.groups, -1)
        fuse.weight = fuse.weight * by_group.reshape(outputs, inputs, 1, 1)


def learning_rate_memory(step: int) -> float:
    """Return how much of the mean of the weights survives a step; less at first, so that it forgets the start."""
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

    start : weights file of a network of this scale, see `start_from`; None starts at random.
    options : of `EigenimageNetwork`, such as blocks.
    """
    torch.manual_seed(seed)
    options = {"attention": False, "inputs": 5, **options}
    network = EigenimageNetwork(scale, **options)
    stream = SceneStream(scale, seed, network)
    old = load_network(start)[0] if start else None
    if old is not None:
        batch = next(SceneStream(scale, seed + 1, network).batches(0))
        start_from(old, network, batch[:, : network.head.in_channels])
    accelerate(network)
    folder = folder or runs_folder() / f"sharpen-x{scale}-seed{seed}-{epochs}"
    folder.mkdir(parents=True, exist_ok=True)
    Trainer(
        network,
        batches=stream.batches,
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
        average=learning_rate_memory,
        clip=1.0,
        warm_up=WARM_UP,
        log=log,
    ).fit()
    write_record(folder, start)
    return folder


def write_record(folder: Path, start: Path | None) -> None:
    """Write record.json of a finished training: what made the weights, and where. It goes with them."""
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
    parser = argparse.ArgumentParser(prog="python -m sharpen.training", description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=int, default=4, choices=sorted(SIDE))
    parser.add_argument("--epochs", type=int, default=200, help=f"of {samples.STEPS} steps (default 200)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=Path, help="weights file to start from (default: random weights)")
    parser.add_argument("--blocks", type=int, default=6)
    parser.add_argument("--attention", action="store_true", help="with channel attention, which is left out by default")
    parser.add_argument("--folder", type=Path, help="where to train (default: by scale, seed and epochs)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    options = {"blocks": arguments.blocks, "attention": arguments.attention}
    train(arguments.scale, arguments.epochs, arguments.seed, arguments.start, arguments.folder, **options)


if __name__ == "__main__":
    main()
