"""Train a run: from its settings to the weights and `metrics.json` in its folder (see `lkca.checkpoints`).

Every file is written atomically, so a run can be killed at any moment; the next call resumes it.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from lkca.checkpoints import (
    CHECKSUMS,
    WEIGHTS,
    Metadata,
    Result,
    load_result,
    load_weights,
    read_history,
    save_weights,
    write_checksums,
)
from lkca.cost import cost
from lkca.data.datasets import DATASETS, find_dataset
from lkca.data.loaders import load_dataset
from lkca.data.patches import Patches, PatchStream, positions, split_patches
from lkca.data.split import Area, Split
from lkca.degradation import BACK_PROJECTION_STEPS, Degradation
from lkca.evaluate import check_size, evaluate, mean_quality, patch_mpsnr
from lkca.fast import accelerate, computing_in
from lkca.files import Log, remove_unfinished, write_text
from lkca.losses import decayed_weight, distillation_loss, supervised_loss
from lkca.models import build_model
from lkca.models.upsamplers import SpectralBasis
from lkca.provenance import find_device, peak_memory, provenance
from lkca.resize import resize
from lkca.run import RECIPE, Run
from lkca.trainer import CosineSchedule, PlateauSchedule, Trainer, epoch_generator

STREAM_STEPS = 64  # steps per epoch on scenes that are generated on the fly
STREAM_AVERAGE = 0.99  # share of the weights' mean that each step keeps, if the dataset has validation areas
START_PATCHES = 64  # training patches, at most, from whose residuals a network is initialised
WRITTEN = ("metrics.json", CHECKSUMS, "resume.pt", "history.csv", WEIGHTS, "provenance.json", "settings.json")


def train(run: Run, device: str = "auto", log: Log = print, split: Split | None = None) -> Result:
    """Train a run, resume it if it was interrupted, or load it if it is finished.

    Parameters
    ----------
    run : the settings. A distilled run trains or loads its teacher first.
    device : "auto" (a GPU if there is one), "cpu" or "cuda".
    log : called with a line of progress per epoch.
    split : the dataset already loaded, to share it between runs; it must be of the run's dataset and variant.

    Raises
    ------
    ValueError
        If the device is absent, the data does not fit the settings or has changed, a file of the run is damaged, or the
        loss became NaN before any weights were kept.
    FileNotFoundError
        If a file of the dataset is missing.
    OSError
        If the run's folder cannot be created or written to.
    """
    target = find_device(device)
    if split and (split.dataset, split.variant) != (run.dataset, run.variant):
        raise ValueError(
            f"{run.name} is a run on {run.dataset} ({run.variant}), but the split is of {split.dataset} "
            f"({split.variant}): give the run's own, or none"
        )
    folder = run.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"cannot create {folder} ({error.strerror}): set LKCA_RUNS to a folder of yours") from error
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log(f"{run.name}: waiting for another process that trains it")
        lock.acquire()
    try:
        begun_with = _recorded_provenance(run)
        if begun_with and begun_with.get("recipe") != RECIPE:
            log(f"{run.name}: begun with recipe {begun_with.get('recipe')}, now {RECIPE}: starting over")
            for name in WRITTEN:
                (folder / name).unlink(missing_ok=True)
            begun_with = {}
        finished = (folder / "metrics.json").is_file()
        if finished and run.dataset in DATASETS:
            return load_result(run)
        split = split or load_dataset(run.dataset, run.variant)
        if begun_with and begun_with["data_checksum"] != split.checksum:
            raise ValueError(
                f"{folder} was begun with other data: the checksum of {run.dataset} was {begun_with['data_checksum']} "
                f"and is now {split.checksum}. Put the file back, or delete the folder to start again"
            )
        return load_result(run) if finished else _train(run, target, log, split)
    finally:
        lock.release()


def initial_model(run: Run, bands: int) -> nn.Module:
    """Return the run's network before its first step; its weights depend on the seed alone."""
    torch.manual_seed(run.seed)
    return build_model(run.model, bands, run.scale, **run.options)


def _recorded_provenance(run: Run) -> dict[str, object]:
    path = run.folder / "provenance.json"
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {"recipe": record.get("recipe"), "data_checksum": record["data_checksum"]}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error}): delete {run.folder} to train the run again") from error


def _train(run: Run, device: torch.device, log: Log, split: Split) -> Result:
    folder = run.folder
    remove_unfinished(folder)
    model = initial_model(run, split.bands)
    for area in split.test:
        check_size(area, run.scale)  # before training rather than after it
    record = provenance(device) | {"recipe": RECIPE, "data_checksum": split.checksum, "peak": split.peak}
    write_text(folder / "settings.json", run.to_json())
    write_text(folder / "provenance.json", json.dumps(record, indent=2))
    metadata = Metadata(
        model=run.model,
        bands=split.bands,
        scale=run.scale,
        options=dict(run.options),
        peak=split.peak,
        wavelengths=None if split.wavelengths is None else list(map(float, split.wavelengths)),
        trained_on=f"{split.dataset} ({split.variant})",
        run=run.name,
        patch=run.patch // run.scale,
        scale_factor=split.scale_factor,
    )
    diverged = None
    if any(True for _ in model.parameters()):
        trainer = _trainer(run, model, metadata, split, device, log)
        trainer.fit()
        diverged = trainer.diverged_in_epoch
    else:
        save_weights(folder / WEIGHTS, model, metadata)
    model, _ = load_weights(folder / WEIGHTS, device, run.name)
    images = evaluate(model, split, run.scale, (0, BACK_PROJECTION_STEPS), run.psf)
    counted = cost(model, split.bands)
    back_projected = images[BACK_PROJECTION_STEPS]
    metrics = json.dumps(
        {
            "run": run.name,
            "mean": mean_quality(images[0]),
            "images": images[0],
            "back_projected": {
                "steps": BACK_PROJECTION_STEPS,
                "mean": mean_quality(back_projected),
                "images": back_projected,
            },
            "params": counted.params,
            "macs": counted.macs,
            "diverged_in_epoch": diverged,
        },
        indent=2,
    )
    record |= {
        "seconds": round(float(read_history(folder).seconds.sum()), 1),  # of training, before a kill and after
        "peak_memory_mb": round(peak_memory(device) / 1e6),
    }
    write_text(folder / "provenance.json", json.dumps(record, indent=2))
    write_checksums(folder, metrics)
    write_text(folder / "metrics.json", metrics)
    return load_result(run)


def _trainer(run: Run, model: nn.Module, metadata: Metadata, split: Split, device: torch.device, log: Log) -> Trainer:
    """Assemble the training of a run: patches, loss, validation and schedule."""
    teacher = _teacher(run, device, log, split)
    if first := run.start():
        model.load_state_dict(train(first, device.type, log).model().state_dict())
    model = _ready(model, device)
    patches_of, held_out = _patches_of(run, split, device)
    until_converged = bool(split.validation)  # separate areas show reliably when to stop
    degradation = Degradation(run.psf)

    def batches(epoch: int) -> Iterator[Tensor]:
        return patches_of(epoch).epoch(run.batch, epoch_generator(run.seed, epoch), device)

    def loss(network: nn.Module, hr: Tensor, epoch: int) -> Tensor:
        lr = degradation.downsample(hr, run.scale)
        if teacher is None:
            with computing_in(run.precision, device):
                output = network(lr)
            return supervised_loss(output.float(), hr, run.sam, run.gradient)
        with computing_in(run.precision, device):
            student = network.residual(lr).float()
            with torch.no_grad():
                target = teacher.residual(lr).float()
        output = student + resize(lr, run.scale)
        kd = run.distillation
        weight = decayed_weight(kd.weight, kd.decay, epoch)
        supervised = supervised_loss(output, hr, run.sam, run.gradient)
        return supervised + weight * distillation_loss(student, target, kd.l1, kd.gradient, kd.cosine)

    def validate(network: nn.Module) -> float:
        with computing_in(run.precision, device):
            return patch_mpsnr(network, held_out, run.scale, run.batch, device, run.psf)

    def start(network: nn.Module) -> None:
        """Initialise the parts of the network that start from data, by the bicubic residuals of training patches."""
        if parts := [part for part in network.modules() if isinstance(part, SpectralBasis) and part.from_data]:
            patches = patches_of(0)
            hr = patches.cut(np.linspace(0, len(patches) - 1, min(START_PATCHES, len(patches))).astype(int))
            residuals = hr - resize(degradation.downsample(hr, run.scale), run.scale)
            for part in parts:
                part.start_from(residuals)

    cosine = CosineSchedule(run.learning_rate, run.final_learning_rate, run.epochs)
    plateau = PlateauSchedule(run.learning_rate, run.epochs, run.patience)
    return Trainer(
        model,
        batches=batches,
        loss=loss,
        validate=validate,
        schedule=plateau if until_converged else cosine,
        optimizer=torch.optim.Adam(model.parameters(), lr=run.learning_rate, betas=(0.9, 0.999)),
        average=STREAM_AVERAGE if until_converged else None,
        start=None if first else start,
        min_gain=0.0 if first else None,
        folder=run.folder,
        epochs=run.epochs,
        identity={"run": run.hash, "recipe": RECIPE, "data": split.checksum},
        metadata=metadata,
        device=device,
        log=log,
    )


def _ready(model: nn.Module, device: torch.device) -> nn.Module:
    """Move a network to the device; use the memory layout and the modules that are fast there."""
    if all(parameter.ndim <= 4 for parameter in model.parameters()):  # 3-D convolutions cannot take it
        model = model.to(memory_format=torch.channels_last)
    return accelerate(model.to(device))


def _teacher(run: Run, device: torch.device, log: Log, split: Split) -> nn.Module | None:
    """Return the trained teacher of a run, or None if the run does not distil."""
    if run.distillation is None:
        return None
    return _ready(train(run.teacher(), device.type, log, split).model(device), device).requires_grad_(False)


def _patches_of(run: Run, split: Split, device: torch.device) -> tuple[Callable[[int], Patches], Patches]:
    """Return a function that gives the training patches of an epoch, and the validation patches.

    Without training areas, each epoch has new scenes, generated on the fly. Validation patches come from the split's
    validation areas; without those, from the training areas.
    """
    if not split.validation:
        trained, held_out = split_patches(
            split.train, run.patch, run.stride, run.validation, run.validation_share, run.seed
        )
        cubes = _near(trained.cubes, device)
        trained = replace(trained, cubes=cubes)
        return lambda epoch: trained, replace(held_out, cubes=cubes)
    held_out = _patches(split.validation, run.patch, run.patch, device)
    if not split.train:
        plan = find_dataset(run.dataset).variants[run.variant]
        return PatchStream(plan, run.patch, STREAM_STEPS * run.batch, run.seed, device).of_epoch, held_out
    trained = _patches(split.train, run.patch, run.stride, device)
    return lambda epoch: trained, held_out


def _patches(areas: Sequence[Area], size: int, stride: int, device: torch.device) -> Patches:
    """Return all patches of some areas that have no no-data pixel; size and stride in HR pixels."""
    places = [positions(number, area, size, stride) for number, area in enumerate(areas)]
    return Patches(_near(tuple(torch.from_numpy(area.cube) for area in areas), device), np.concatenate(places), size)


def _near(cubes: tuple[Tensor, ...], device: torch.device) -> tuple[Tensor, ...]:
    """Move the areas to the GPU, where cutting patches is fast, if they take less than half of its free memory."""
    if device.type != "cuda":
        return cubes
    needed = sum(cube.numel() * cube.element_size() for cube in cubes)
    free, _ = torch.cuda.mem_get_info(device)
    return tuple(cube.to(device) for cube in cubes) if needed < free / 2 else cubes
