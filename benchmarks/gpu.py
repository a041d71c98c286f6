"""Check, time and train the networks on one GPU, by one command that takes under eight minutes on an H200.

    python benchmarks/gpu.py --out results/gpu
    python benchmarks/gpu.py --out gpu-try --tiny --device cpu       # tries everything in seconds, without a GPU

Four parts, each with a share of the time (`--minutes`) and a CSV that is rewritten after every row:

    checks.csv         every network on the GPU against the CPU: forward pass, loss, gradients, bfloat16; also resuming
                       and a full memory
    latency.csv        forward pass: float32, TF32, bfloat16; 16 to 128 LR pixels; batch 1 and 8; peak memory
    training_cost.csv  training steps a second, and the share of time that waits for data
    runs.csv           as many runs of the profile as time allows; their folders are in LKCA_RUNS

A row exists once. One that the same commit measured on the same hardware is kept, any other is replaced: a second
command continues where the first ended. If the profile's data is missing, LKCA-Net, LKCA-LR and LKCA-KD are trained on
scenes generated on the fly. Exit status 1: a check failed.
"""

import argparse
import copy
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import product
from pathlib import Path

import torch
from bench_training import batches_without_end, share_of_waiting, synthetic_patches, training_step
from timing import Table, matrix_product, medians, take_turns
from torch import Tensor, nn

from lkca.checkpoints import read_history
from lkca.cost import cost
from lkca.data.loaders import load_dataset
from lkca.fast import accelerate, computing_in, fold, predict
from lkca.files import runs_folder
from lkca.losses import supervised_loss
from lkca.models import MODELS, build_model
from lkca.provenance import find_device
from lkca.resize import resize
from lkca.run import Run
from lkca.studies.plan import make_plan
from lkca.train import train

BANDS, SCALE, SEED = 128, 4, 0
NAMES = tuple(name for name, model in MODELS.items() if model.learned and name != "lkca-kd")  # KD is LR's network
PRECISIONS = ("float32", "TF32", "bfloat16")
# Largest difference between GPU and CPU, as a share of the largest output value, the loss or the gradients' norm; of
# "resume" in dB. Rounding flips signs in the gradients of the L1 terms, so gradients may differ more.
TOLERANCES = {"forward": 1e-4, "loss": 1e-4, "gradients": 1e-2, "bfloat16": 0.02, "resume": 0.01, "memory": 1e-4}
SHARES = {"check": 0.13, "latency": 0.4, "training_cost": 0.53}  # of the time, after which a part stops
SETTING_SECONDS = 2.0  # after which a setting of the latency ends, if every network had three turns
TOO_MUCH = "out of memory"
SPARE_MEMORY = 64 * 2**20  # bytes left free while the GPU's memory is filled
TINY_RUN = Run(variant="tiny", options={"blocks": 1, "channels": 16}, epochs=2, batch=8, stride=16)


class TimeUp(Exception):
    """The time is over; the state of the training is on disk."""


@contextmanager
def multiplying_in(precision: str, device: torch.device) -> Iterator[None]:
    """Compute in float32, in TF32 (matrix products and convolutions of a GPU), or in bfloat16 by autocast."""
    backends = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = precision == "TF32"
    try:
        with computing_in("bfloat16" if precision == "bfloat16" else "float32", device):
            yield
    finally:
        for backend, value in zip(backends, before, strict=True):
            backend.allow_tf32 = value


def build(name: str, bands: int, tiny: bool) -> nn.Module:
    """Build a network away from its start, so that all of it shows in the output; in eval mode."""
    torch.manual_seed(SEED)
    model = build_model(name, bands, SCALE, **(MODELS[name].small if tiny else {})).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    return model


# --- part 1: does it compute the same


def check(table: Table, device: torch.device, bands: int, tiny: bool, end: float) -> None:
    """Compare every network on the device with the CPU, then what only training and a full memory show."""
    for name in NAMES:
        if table.has(check="gradients", model=name) or time.perf_counter() > end:
            continue
        for what, difference in compare(name, device, bands, tiny).items():
            _put_check(table, what, name, difference)
    functions = {"resume": resume_difference} | ({"memory": memory_difference} if device.type == "cuda" else {})
    for what, function in functions.items():
        if not table.has(check=what, model="lkca-lr"):
            _put_check(table, what, "lkca-lr", function(device))


def _put_check(table: Table, what: str, model: str, difference: float) -> None:
    limit = TOLERANCES[what]
    table.put(check=what, model=model, difference=difference, tolerance=limit, passed=bool(difference <= limit))


def compare(name: str, device: torch.device, bands: int, tiny: bool) -> dict[str, float]:
    """Return relative differences of the device from the accelerated CPU; without dropout, which is random."""
    plain = build(name, bands, tiny)
    side = 8 if tiny else 16
    hr = torch.rand(2, bands, SCALE * side, SCALE * side, generator=torch.Generator().manual_seed(SEED))
    outputs, losses, gradients = [], [], []
    for model, place in ((accelerate(copy.deepcopy(plain)), torch.device("cpu")), (plain.to(device), device)):
        with multiplying_in("float32", place):
            output = model(resize(hr.to(place), 1 / SCALE))
            loss = supervised_loss(output, hr.to(place))
            loss.backward()
        outputs.append(output.detach().cpu())
        losses.append(loss.item())
        gradients.append(torch.cat([p.grad.cpu().flatten() for p in model.parameters() if p.grad is not None]))
    with torch.inference_mode(), multiplying_in("bfloat16", device):
        coarse = plain(resize(hr.to(device), 1 / SCALE)).float().cpu()
    largest = outputs[0].abs().max()
    return {
        "forward": float((outputs[1] - outputs[0]).abs().max() / largest),
        "loss": abs(losses[1] - losses[0]) / losses[0],
        "bfloat16": float((coarse - outputs[0]).abs().max() / largest),
        "gradients": float(
            (gradients[1] - gradients[0]).norm() / gradients[0].norm()
        ),  # last: it marks the network done
    }


def resume_difference(device: torch.device) -> float:
    """Return by how many dB a training that was interrupted after its first epoch differs from one that was not."""

    def interrupt(line: str) -> None:
        if "epoch 1/" in line:
            raise TimeUp

    quality, before = [], os.environ.get("LKCA_RUNS")
    try:
        for interrupted in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                os.environ["LKCA_RUNS"] = folder
                if interrupted:
                    with suppress(TimeUp):
                        train(TINY_RUN, device.type, interrupt)
                quality.append(train(TINY_RUN, device.type, lambda line: None).metrics["MPSNR"])
    finally:
        if before is None:
            del os.environ["LKCA_RUNS"]
        else:
            os.environ["LKCA_RUNS"] = before
    return abs(quality[1] - quality[0])


def memory_difference(device: torch.device) -> float:
    """Return how far the prediction differs when the GPU's memory is full: it then has to come from the CPU."""
    lr = torch.rand(BANDS, 128, 128, generator=torch.Generator().manual_seed(SEED))
    model = build("lkca-lr", BANDS, tiny=False)
    expected = predict(copy.deepcopy(model), lr)
    model.to(device)
    torch.cuda.empty_cache()
    filling = torch.empty(torch.cuda.mem_get_info(device)[0] - SPARE_MEMORY, dtype=torch.uint8, device=device)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = predict(model, lr)
    del filling
    torch.cuda.empty_cache()
    if not any("memory" in str(warning.message) for warning in caught):
        return float("nan")  # the memory was not full
    return float((found - expected).abs().max() / expected.abs().max())


# --- part 2: latency and memory


@torch.inference_mode()
def time_forward(table: Table, device: torch.device, bands: int, tiny: bool, end: float) -> None:
    """Time a forward pass of every network, which take turns in each setting."""
    sizes, rounds = ((4,), 3) if tiny else ((16, 32, 64, 128), 50)
    with torch.inference_mode(False):
        models = {name: fold(build(name, bands, tiny)).to(device) for name in NAMES}
        macs = {(name, size): cost(model, bands, size).macs for name, model in models.items() for size in sizes}
    matrix, matrix_macs = matrix_product(device, 1024 if device.type == "cpu" else 8192)
    for size, batch, precision in product(sizes, (1, 8), _precisions(device)):
        keys = [{"model": name, "precision": precision, "batch": batch, "size": size} for name in NAMES]
        if all(table.has(**key) for key in keys) or time.perf_counter() > end:
            continue
        x = torch.rand(batch, bands, size, size, device=device)
        with multiplying_in(precision, device):
            peaks = {name: _peak_of_pass(model, x) for name, model in models.items()}
            passes = {name: partial(models[name], x) for name in NAMES if peaks[name] != TOO_MUCH}
            median = medians(take_turns({**passes, "matrix": matrix}, device, rounds, SETTING_SECONDS))
        rate = matrix_macs / median["matrix"]
        for key in keys:
            name = key["model"]
            if name not in passes:
                table.put(**key, note=TOO_MUCH)
                continue
            row = {"milliseconds": 1e3 * median[name], "times LKCA-LR": median[name] / median["lkca-lr"]}
            row |= {"of the matrix rate": batch * macs[name, size] / median[name] / rate, "GMAC/s": rate / 1e9}
            table.put(**key, **row, peak_mb=peaks[name])


def _precisions(device: torch.device) -> tuple[str, ...]:
    return PRECISIONS if device.type == "cuda" else ("float32", "bfloat16")


def _peak_of_pass(model: nn.Module, x: Tensor) -> float | str | None:
    """Return the MB that a network, its input and one pass take together on a GPU; `TOO_MUCH` if it has less."""
    if x.device.type != "cuda":
        return None
    own = x.nbytes + sum(parameter.nbytes for parameter in model.parameters())
    others = torch.cuda.memory_allocated(x.device) - own
    torch.cuda.reset_peak_memory_stats(x.device)
    try:
        model(x)
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return TOO_MUCH
    return (torch.cuda.max_memory_allocated(x.device) - others) / 1e6


# --- part 3: steps a second


def time_training(table: Table, device: torch.device, tiny: bool, end: float) -> None:
    """Time training on 32 patches of 64x64 HR pixels a step; our networks first, in case time runs out."""
    patches, batch, steps = synthetic_patches(128 if tiny else 256), 2 if tiny else 32, 1 if tiny else 10
    for name, precision in product(sorted(NAMES, key=lambda name: "lkca" not in name), _precisions(device)):
        key = {"model": name, "precision": precision, "batch": batch}
        if table.has(**key) or time.perf_counter() > end:
            continue
        batches = batches_without_end(patches, batch, device)
        autocast = "bfloat16" if precision == "bfloat16" else "float32"
        try:
            with multiplying_in(precision, device):
                step = training_step(accelerate(build(name, BANDS, tiny)), autocast, device)
                step(next(batches))
                begin = time.perf_counter()
                waiting = share_of_waiting(step, batches, device, steps)
                seconds = (time.perf_counter() - begin) / (steps + 1)
            table.put(**key, **{"steps a second": 1 / seconds, "share of waiting": waiting})
        except torch.OutOfMemoryError:
            table.put(**key, note=TOO_MUCH)
            torch.cuda.empty_cache()


# --- part 4: training


def plan_runs(profile: str, tiny: bool) -> list[Run]:
    """Return the runs of a profile whose data is at hand; else those on scenes generated on the fly."""
    if tiny:
        return [TINY_RUN]
    runs = list(make_plan("all", profile).runs.values())
    available = {}
    for dataset, variant in dict.fromkeys((run.dataset, run.variant) for run in runs):
        with suppress(FileNotFoundError):
            available[dataset, variant] = bool(load_dataset(dataset, variant).test)
    runs = [run for run in runs if (run.dataset, run.variant) in available]
    if runs:
        return runs
    print(f"the data of profile {profile} is missing: training on scenes generated on the fly")
    names = ("lkca", "lkca-lr", "lkca-kd")
    return [Run(dataset="synthetic_stream", model=name, seed=seed) for seed, name in product(range(3), names)]


def train_runs(table: Table, runs: list[Run], device: torch.device, end: float) -> None:
    """Train one run after another until the time is over; the next call resumes the last one."""

    def log(line: str) -> None:
        print(line, flush=True)
        if time.perf_counter() > end:
            raise TimeUp

    for run in runs:
        if table.has(run=run.name, finished=True) or time.perf_counter() > end:
            continue
        metrics = {}
        with suppress(TimeUp):
            metrics = train(run, device.type, log).metrics
        row = {"finished": bool(metrics), "epochs": len(read_history(run.folder)), "of": run.epochs}
        row |= {"model": run.model, "seed": run.seed, "dataset": run.dataset, "variant": run.variant}
        row["data_checksum"] = load_dataset(run.dataset, run.variant).checksum
        table.put(run=run.name, **row, **metrics)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the four CSV files")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=7.5)
    parser.add_argument("--profile", default="small")
    parser.add_argument("--tiny", action="store_true", help="narrow networks and small images, to try the script")
    arguments = parser.parse_args()
    begin, tiny, bands = time.perf_counter(), arguments.tiny, 12 if arguments.tiny else BANDS
    try:
        device = find_device(arguments.device)
    except ValueError as error:
        parser.error(str(error))
    ends = {part: begin + 60 * arguments.minutes * share for part, share in {**SHARES, "runs": 1.0}.items()}
    files = {
        "checks": ("check", "model"),
        "latency": ("model", "precision", "batch", "size"),
        "training_cost": ("model", "precision", "batch"),
        "runs": ("run",),
    }
    tables = {name: Table(arguments.out / f"{name}.csv", keys, device, SEED) for name, keys in files.items()}
    print(f"runs in {runs_folder()}", flush=True)
    check(tables["checks"], device, bands, tiny, ends["check"])
    time_forward(tables["latency"], device, bands, tiny, ends["latency"])
    time_training(tables["training_cost"], device, tiny, ends["training_cost"])
    train_runs(tables["runs"], plan_runs(arguments.profile, tiny), device, ends["runs"])
    failed = [row for row in tables["checks"].rows if not row["passed"]]
    for row in failed:
        print(f"failed: {row['check']} of {row['model']} differs by {row['difference']}, allowed {row['tolerance']}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
