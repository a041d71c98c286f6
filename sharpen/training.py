"""Train the eigenimage network on deconvolved eigenimages of synthetic scenes, with PSF and noise drawn at random.

    python -m sharpen.training --scale 4 --epochs 80

Scenes are generated on the fly, and no measured scene is used. A training starts from the weights of version 0.1, which
saw bicubic LR images only: the factors of their channel attention are replaced by their means on training samples, and
inputs that they did not have begin with weights of zero. Without the attention the network is local.
"""

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lkca.checkpoints import Metadata
from lkca.data.synthetic_sensors import landscape_cube
from lkca.degradation import Degradation
from lkca.fast import accelerate
from lkca.files import Log, runs_folder
from lkca.resize import SYMMETRIES, resize, symmetry
from lkca.trainer import CosineSchedule, Trainer, epoch_generator
from sharpen.deconvolve import Plan, conditions, network_inputs, plan_image
from sharpen.model import NAME, Basis, EigenimageNetwork, load_network, principal_components
from sharpen.spectra import fit_spectra

STEPS, BATCH = 50, 32  # of an epoch, of a step
PATCH = 12  # LR pixels on a side of a sample
SIDE = {2: 64, 4: 96, 8: 160}  # HR pixels on a side of a scene
POOL, FRESH = 48, 12  # scenes at hand, and how many of them each epoch replaces
COMPONENTS, BANDS, MIXTURES = 8, 6, 4  # eigenimages, single bands and mixtures that a scene gives as images
LEADING = 0.35  # of the geometric distribution by which an eigenimage is drawn
LEARNING_RATE, FINAL_LEARNING_RATE = 3e-4, 1e-5
MEMORY = 0.995  # of the exponential mean of the weights
WARM_UP = 100  # steps
BRIGHTNESS = 0.15  # standard deviation of the log of a random factor on a sample's contrast
MISJUDGED = 0.03  # LR pixels, standard deviation of the error with which half of the Gaussian PSFs are assumed
TRAINING_SEED, VALIDATION_SEED = 20_000_000, 1_000_000  # of the first scene
VALIDATION_SCENES = 4
VALIDATION_DEGRADATIONS = (
    Degradation(),
    Degradation("mean"),
    Degradation("gaussian:0.5"),
    Degradation("gaussian:0.7", 30.0),
)


@dataclass(frozen=True)
class Images:
    """One scene through one degradation, as M images of variance 1 in its LR image.

    inputs : (M, inputs, h, w), what the network sees. targets : (M, r², h, w), what it shall add to the Wiener
    estimate, pixel-unshuffled. weights : (M,) of their errors, the share of an image that deconvolution leaves: what
    is mostly noise counts little.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor


def draw_degradation(rng: np.random.Generator) -> tuple[Degradation, str]:
    """Draw a degradation, and the PSF that is assumed for it, which half of the time is slightly wrong."""
    kind = rng.random()
    noise = math.inf if rng.random() < 0.4 else float(rng.uniform(25, 50))
    if kind < 0.3:
        return Degradation("bicubic", noise), "bicubic"
    if kind < 0.4:
        return Degradation("mean", noise), "mean"
    sigma = rng.uniform(0.25, 0.9)
    assumed = np.clip(sigma + rng.normal(0, MISJUDGED) * (rng.random() < 0.5), 0.2, 1)
    if kind < 0.75:
        return Degradation(f"gaussian:{sigma:.3f}", noise), f"gaussian:{assumed:.3f}"
    ratio, angle = np.exp(rng.uniform(0, 0.25)), rng.uniform(0, 180)
    true, guess = (f"gaussian:{s * ratio:.3f},{s / ratio:.3f},{angle:.0f}" for s in (sigma, assumed))
    return Degradation(true, noise), guess


def make_images(seed: int, scale: int, network: EigenimageNetwork) -> Images:
    """Return the images of the synthetic scene of a seed, through a degradation that the seed draws as well."""
    rng = np.random.default_rng((seed, 0x5EED))
    hr = torch.from_numpy(landscape_cube(seed, SIDE[scale]))
    degradation, psf = draw_degradation(rng)
    lr = degradation(hr, scale, seed)
    pixels = lr.double().flatten(1)
    basis = principal_components(pixels.shape[1], pixels.sum(1), pixels @ pixels.T, len(lr))
    basis = _drawn_basis(basis, rng)
    images = basis.coefficients(lr)
    snr = 0.0 if math.isinf(degradation.noise) else 10 ** (-degradation.noise / 10)
    power = lr.double().square().mean(dim=(1, 2)) * snr / basis.spread.double() ** 2
    noise = (basis.vectors.double() ** 2).T @ power / basis.sigma.double().clamp_min(1e-15) ** 2
    plan = Plan(scale, psf, basis, fit_spectra(images, basis, scale, psf, noise), images.shape[0])
    z, v = plan.filter(images)
    unit = 1 / v.flatten(1).std(dim=1, correction=0).clamp_min(1e-12)
    targets = (basis.coefficients(hr) - resize(z, scale)) * unit[:, None, None]
    v, images = v * unit[:, None, None], images * unit[:, None, None]
    channels = [v, v[:1].expand_as(v), images]
    channels += [column[:, None, None].expand_as(v) for column in conditions(plan, len(v), unit).T]
    inputs = torch.stack(channels[: network.head.in_channels], dim=1)
    return Images(inputs, F.pixel_unshuffle(targets[:, None], scale), (1 / unit).clamp_max(1))


def _drawn_basis(basis: Basis, rng: np.random.Generator) -> Basis:
    """Return a basis of leading components, single bands and random mixtures of components."""
    count = int((basis.sigma > 0).sum())
    vectors = [basis.vectors[:, n] for n in range(min(COMPONENTS, count))]
    vectors += [torch.eye(len(basis.mean))[n] for n in rng.choice(len(basis.mean), BANDS, replace=False)]
    for _ in range(MIXTURES):
        vectors.append(basis.vectors[:, :count] @ torch.from_numpy(rng.standard_normal(count)).float())
    vectors = torch.stack(vectors, dim=1)
    sigma = ((basis.vectors * basis.sigma).T @ vectors).square().sum(0).sqrt()
    return Basis(basis.mean, basis.spread, vectors, sigma)


class SceneStream:
    """Synthetic scenes that are replaced while training goes on: epoch e has those from FRESH·e to FRESH·e + POOL."""

    def __init__(self, scale: int, seed: int, network: EigenimageNetwork) -> None:
        self.scale, self.seed, self.network = scale, seed, network
        self.ready: dict[int, Images] = {}

    def batches(self, epoch: int) -> Iterator[Tensor]:
        """Yield the batches of an epoch: (BATCH, inputs + r² + 1, PATCH, PATCH), inputs, targets and weight."""
        numbers = range(FRESH * epoch, FRESH * epoch + POOL)
        first = TRAINING_SEED * (self.seed + 1)
        self.ready = {
            number: self.ready.get(number) or make_images(first + number, self.scale, self.network)
            for number in numbers
        }
        rng = epoch_generator(self.seed, epoch)
        for _ in range(STEPS):
            yield torch.stack([self._sample(self.ready[int(rng.choice(numbers))], rng) for _ in range(BATCH)])

    def _sample(self, scene: Images, rng: np.random.Generator) -> Tensor:
        count, inputs, height, width = scene.inputs.shape
        others = count - BANDS - MIXTURES
        number = min(int(rng.geometric(LEADING)) - 1, others - 1)
        if rng.random() < 0.4:
            number = int(rng.integers(others, count))
        top, left = rng.integers(height - PATCH + 1), rng.integers(width - PATCH + 1)
        window = slice(top, top + PATCH), slice(left, left + PATCH)
        shown, target = scene.inputs[number, :, *window].clone(), scene.targets[number, :, *window]
        target = F.pixel_shuffle(target, self.scale)
        turn, sign = int(rng.integers(SYMMETRIES)), rng.choice((-1.0, 1.0), 2)
        factor = float(np.exp(rng.normal(0, BRIGHTNESS)))
        images = min(3, inputs)
        shown[:images] *= torch.tensor([sign[0], sign[1], sign[0]][:images]).float()[:, None, None] * factor
        target = symmetry(target * (float(sign[0]) * factor), turn)
        weight = scene.weights[number].expand(1, PATCH, PATCH)
        return torch.cat([symmetry(shown, turn), F.pixel_unshuffle(target, self.scale), weight])


def residual_loss(model: nn.Module, batch: Tensor, epoch: int) -> Tensor:
    """Return the weighted mean absolute error of what the network adds to the Wiener estimate."""
    network = _plain(model)
    inputs, targets, weights = batch.split([network.head.in_channels, network.scale**2, 1], dim=1)
    error = (network.residual(inputs) - F.pixel_shuffle(targets, network.scale)).abs()
    return (error.mean(dim=(1, 2, 3)) * weights[:, 0, 0, 0]).mean()


class Validation:
    """Mean gain in MPSNR over the Wiener estimate, in dB, on synthetic scenes that never train."""

    def __init__(self, scale: int) -> None:
        self.cases = []
        for seed in range(VALIDATION_SEED, VALIDATION_SEED + VALIDATION_SCENES):
            hr = torch.from_numpy(landscape_cube(seed, SIDE[scale]))
            for degradation in VALIDATION_DEGRADATIONS:
                lr = degradation(hr, scale, seed)
                plan = plan_image(lr, scale, degradation.psf)
                images = plan.leading_basis.coefficients(lr)
                z, v = plan.filter(images)
                base = resize(plan.bands(z, plan.tail(lr)[0]), scale)
                self.cases.append((plan, images, v, base - hr))

    @torch.inference_mode()
    def __call__(self, model: nn.Module) -> float:
        network = _plain(model).eval()
        gains = []
        for plan, images, v, error in self.cases:
            inputs, spectra = network_inputs(plan, images, v, network)
            residuals = network.residual(inputs)[:, 0]
            left = error + (spectra @ residuals.flatten(1)).unflatten(1, residuals.shape[1:])
            gains.append(_decibels(error) - _decibels(left))
        return float(np.mean(gains))


def _decibels(error: Tensor) -> float:
    return float((10 * error.square().mean(dim=(1, 2)).clamp_min(1e-12).log10()).mean())


def _plain(model: nn.Module) -> EigenimageNetwork:
    """Return the network inside an average of weights."""
    return getattr(model, "module", model)


@torch.no_grad()
def start_from(old: EigenimageNetwork, network: EigenimageNetwork, samples: Tensor) -> None:
    """Copy the weights of a network with channel attention, and without conditions, into a local one.

    samples : (n, 2, h, w), over which the factors of the attention are averaged.
    """
    means: list[Tensor] = []
    hooks = [
        block.attention.channel_attention.weights.register_forward_hook(
            lambda module, inputs, output: means.append(output.mean(dim=0))
        )
        for block in old.body
    ]
    old.raw(samples)
    for hook in hooks:
        hook.remove()
    state = {name: value for name, value in old.state_dict().items() if "channel_attention" not in name}
    weight = torch.zeros_like(network.head.weight)
    weight[:, :2] = state["head.weight"]
    network.load_state_dict(state | {"head.weight": weight}, strict=True)
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

    start : weights file of a network with two inputs and channel attention; None starts at random.
    options : of `EigenimageNetwork`, such as blocks.
    """
    torch.manual_seed(seed)
    options = {"attention": False, "inputs": 5, **options}
    network = EigenimageNetwork(scale, **options)
    stream = SceneStream(scale, seed, network)
    old = load_network(start)[0] if start else None
    if old is not None:
        samples = next(SceneStream(scale, seed + 1, network).batches(0))[:, :2]
        start_from(old, network, samples)
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
        identity={"scale": scale, "epochs": epochs, "seed": seed, "start": start and start.name},
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
    return folder


def main() -> None:
    """Train from the command line."""
    from sharpen.model import pretrained_path

    parser = argparse.ArgumentParser(prog="python -m sharpen.training", description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=int, default=4, choices=sorted(SIDE))
    parser.add_argument("--epochs", type=int, default=80, help=f"of {STEPS} steps (default 80)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", default="synthetic", help="weights file to start from, synthetic, or none")
    arguments = parser.parse_args()
    start = {"none": lambda: None, "synthetic": partial(pretrained_path, arguments.scale)}.get(
        arguments.start, partial(Path, arguments.start)
    )()
    torch.set_num_threads(1)
    train(arguments.scale, arguments.epochs, arguments.seed, start)


if __name__ == "__main__":
    main()
