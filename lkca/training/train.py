"""Training: a `Run` becomes weights and `metrics.json` in a folder of its own, see `lkca.training.run_folder`.

Every file is written whole or not at all, so a run can be killed at any moment. An epoch's random numbers depend
on the seed and the epoch alone; a resumed run therefore ends with the same bits as an uninterrupted one (on a CPU).
"""

import json

import torch
from filelock import FileLock, Timeout
from torch import nn

from lkca.box import DEFAULT, box_file
from lkca.data.datasets import DATASETS
from lkca.data.loaders import load_dataset
from lkca.data.normalising import without_no_data
from lkca.data.patches import held_out_strip
from lkca.data.split import Split
from lkca.measures.back_projection import STEPS
from lkca.measures.cost import cost
from lkca.models.any_sensor import AnySensor
from lkca.paths import Log, remove_unfinished, write_text
from lkca.scenes.view import SceneView
from lkca.training import record
from lkca.training.corrected import corrected_record
from lkca.training.direction_trainer import DirectionTrainer
from lkca.training.evaluation import check_size, evaluate_corrected, mean_quality
from lkca.training.fingerprint import fingerprint
from lkca.training.fresh_trainer import FreshTrainer
from lkca.training.machine import find_device, peak_memory
from lkca.training.provenance import provenance
from lkca.training.run import Run
from lkca.training.run_folder import (
    Result,
    check_same_data,
    finished,
    folder_history,
    load_result,
    start_over_if_other_code,
)
from lkca.training.trainer import Trainer, fresh_model
from lkca.training.weights import Passport, load_weights, save_weights

MADE_SHARE = 0.5  # of the samples of LKCA-Any, where real scenes train it as well


def train(run: Run, device: str = "auto", log: Log = print, split: Split | None = None) -> Result:
    """Do a run, go on with it where it was interrupted, or load it where it is finished.

    Parameters
    ----------
    run : the settings. A distilled run trains or loads its teacher first.
    device : "auto" (a GPU if there is one), "cpu" or "cuda".
    log : takes a line of progress an epoch.
    split : the dataset already loaded, to share it between runs; it must be the run's dataset and reading.

    Raises
    ------
    ValueError
        If the device is absent, the data does not fit the settings, a file of the run is damaged, or the loss became
        NaN before any weights were worth keeping.
    FileNotFoundError
        If a file of the dataset is missing.
    """
    target = find_device(device)
    if split and (split.dataset, split.reading) != (run.dataset, run.reading):
        raise ValueError(
            f"{run.name} is a run on {run.dataset} ({run.reading}), but the split given is "
            f"{split.dataset} ({split.reading})"
        )
    folder = run.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"cannot make the folder of the run, {folder} ({error.strerror}): where this may not be written, set "
            "LKCA_RUNS to a folder of yours"
        ) from error
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log(f"{run.name}: another process is at it; waiting for it")
        lock.acquire()
    try:
        if run.dataset not in DATASETS:  # the user's file may have changed since: look even where the run is finished
            split = split or load_dataset(run.dataset, run.reading, run.view)
            check_same_data(run, split, log)
        if result := finished(run, log):
            return result
        return _train(run, target, log, split or load_dataset(run.dataset, run.reading, run.view))
    finally:
        lock.release()


def _train(run: Run, device: torch.device, log: Log, split: Split) -> Result:
    folder = run.folder
    check_same_data(run, split, log)
    remove_unfinished(folder)
    code = fingerprint(run)
    start_over_if_other_code(run, code, log)
    model = fresh_model(run, split.bands)
    for area in split.test:
        check_size(area, run.scale)  # now, rather than after the training
    # weights that need no more training, whatever became of the metrics
    trained = record.as_written(folder, "weights.safetensors", "history.csv") and (
        record.recorded(folder)["data"] == split.checksum
    )
    if not trained:
        (folder / record.CHECKSUMS).unlink(missing_ok=True)
    write_text(folder / "settings.json", run.to_json())
    origin = provenance(device) | {"code": code, "data_checksum": split.checksum, "peak": split.peak}
    write_text(folder / "provenance.json", json.dumps(origin, indent=2))
    passport = Passport(
        run.model, split.bands, run.scale, dict(run.options), split.peak,
        None if split.wavelengths is None else list(map(float, split.wavelengths)),
        f"{split.dataset} ({split.reading})", run.name, run.patch // run.scale, _scale_factor(run),
    )  # fmt: skip
    diverged = None
    if any(True for _ in model.parameters()):
        if trained:
            epochs = len(folder_history(folder))
            diverged = epochs + 1 if epochs < run.epochs and not _stops_early(run) else None
        else:
            trainer = _trainer(run, model, passport, split, device, log)
            diverged = trainer.fit()
            origin |= trainer.remarks()
        model, _ = load_weights(folder / "weights.safetensors", device, run.name)
    else:
        save_weights(folder / "weights.safetensors", model, passport)
    images = evaluate_corrected(model, split, run.scale, (0, STEPS), run.blur)
    counted = cost(model, split.bands)
    origin |= {
        "seconds": round(float(folder_history(folder).seconds.sum()), 1),  # of training, in all sessions
        "peak_memory_mb": round(peak_memory(device) / 1e6),
    }
    metrics = json.dumps(
        {
            "run": run.name,
            "mean": mean_quality(images[0]),
            "images": images[0],
            "corrected": corrected_record(images[STEPS]),
            "params": counted.params,
            "macs": counted.macs,
            "diverged_in_epoch": diverged,
        },
        indent=2,
    )
    write_text(folder / "provenance.json", json.dumps(origin, indent=2))
    record.write_checksums(folder, split.checksum, metrics=metrics)
    write_text(folder / "metrics.json", metrics)
    return load_result(run)


def _trainer(run: Run, model: nn.Module, passport: Passport, split: Split, device: torch.device, log: Log) -> Trainer:
    if isinstance(model, AnySensor):
        if run.dataset == "fresh":
            raise ValueError("dataset 'fresh' is one sensor's: lkca-any trains on dataset 'sensors', reading 'made'")
        trainer = _direction_trainer(run, model, passport, split, device, log)
    elif run.dataset == "sensors":
        raise ValueError(f"the scenes of dataset 'sensors' share no bands: only lkca-any trains on it, not {run.model}")
    elif run.dataset == "fresh":
        plan, teacher = DATASETS["fresh"].readings[run.reading], _teacher(run, device, log, split)
        trainer = FreshTrainer(run, model, passport, split.validation, plan, teacher, device, log)
    else:
        trainer = Trainer(run, model, passport, split.train, _teacher(run, device, log, split), device, log)
    trainer.data = split.checksum
    return trainer


def _direction_trainer(
    run: Run, model: AnySensor, passport: Passport, split: Split, device: torch.device, log: Log
) -> DirectionTrainer:
    """The trainer of LKCA-Any: on a single scene it begins with the weights in the box, and holds a quarter out."""
    if run.dataset == "sensors":
        count = DATASETS[run.dataset].readings[run.reading].made
        return DirectionTrainer(
            run, model, passport, split.train, split.validation, MADE_SHARE, device, log, made_count=count
        )
    areas, held_out = held_out_strip(split.train, run.scale)
    start = box_file(run.scale, DEFAULT)
    if not start.is_file() or load_weights(start)[1].options != run.options:
        log(f"{run.name}: no weights in the box have these sizes and this scale: training begins with none")
        start = None
    return DirectionTrainer(run, model, passport, areas, (without_no_data(held_out),), MADE_SHARE, device, log, start)


def _stops_early(run: Run) -> bool:
    return run.dataset == "fresh" or (run.model == "lkca-any" and run.dataset != "sensors")


def _scale_factor(run: Run) -> float | None:
    """The scale factor of the user's own scene; None for the study's datasets, used as their files hold them."""
    return None if run.dataset in DATASETS else (run.view or SceneView()).open(run.dataset).scale_factor


def _teacher(run: Run, device: torch.device, log: Log, split: Split) -> nn.Module | None:
    """The trained teacher of a run that distils."""
    if run.distillation is None:
        return None
    model = train(run.teacher(), device.type, log, split).model(device)
    return model.to(memory_format=torch.channels_last).requires_grad_(False)
