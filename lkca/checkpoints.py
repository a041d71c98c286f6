"""Read and write the files of a run: weights, checksums, the state to resume from, and the result.

The folder of a run holds
    settings.json        the settings of the run
    provenance.json      recipe, commit, versions, machine, data checksum
    history.csv          one row per epoch
    weights.safetensors  the weights with the best validation, and their metadata
    resume.pt            the state after the last finished epoch
    checksums.json       SHA-256 of all these files except resume.pt, which holds its own
    metrics.json         written last: the run is finished if and only if it exists
"""

import hashlib
import io
import json
import math
import pickle
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lkca.files import atomic_write, expand, write_text
from lkca.models import build_model

if TYPE_CHECKING:
    from lkca.run import Run  # imports scipy.interpolate, which takes a second

FORMAT = "lkca-weights-1"  # the only entry in the header of a weights file; its value is JSON
STATE = b"lkca-state-1 "  # begins resume.pt; its SHA-256 follows on the same line
WEIGHTS, CHECKSUMS = "weights.safetensors", "checksums.json"
RECORDED = ("settings.json", "provenance.json", "history.csv", WEIGHTS, "metrics.json")  # in checksums.json
HISTORY = ("epoch", "loss", "validation", "learning_rate", "seconds")  # columns of history.csv


# --- weights


@dataclass(frozen=True)
class Metadata:
    """What a weights file says about its weights.

    model, bands, scale, options : arguments of `lkca.build_model`.
    peak : the value in the scene file that became 1 in training.
    wavelengths : (B,) in nm, or None.
    trained_on : dataset and protocol variant. run : name of the run.
    patch : side of a training patch in LR pixels, None if unknown.
    scale_factor : factor between physical values and the numbers in the training scene's file, None if unknown.

    Raises
    ------
    ValueError
        If a value is impossible.
    """

    model: str
    bands: int
    scale: int
    options: dict[str, object] = field(default_factory=dict)
    peak: float = 1.0
    wavelengths: list[float] | None = None
    trained_on: str = ""
    run: str = ""
    patch: int | None = None
    scale_factor: float | None = None

    def __post_init__(self) -> None:
        spectrum = self.wavelengths
        for name, valid in (
            ("model", isinstance(self.model, str)),
            ("bands", _is_number(self.bands) and self.bands >= 1),
            ("options", isinstance(self.options, dict)),
            ("peak", _is_number(self.peak) and self.peak > 0),
            ("wavelengths", spectrum is None or (len(spectrum) == self.bands and all(map(_is_number, spectrum)))),
            ("patch", self.patch is None or (_is_number(self.patch) and self.patch >= 1)),
            ("scale_factor", self.scale_factor is None or (_is_number(self.scale_factor) and self.scale_factor != 0)),
        ):
            if not valid:
                raise ValueError(f"{name} of the metadata cannot be {repr(getattr(self, name))[:60]}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def save_weights(path: str | Path, model: nn.Module, metadata: Metadata) -> None:
    """Write the weights of a model with their metadata, atomically.

    Raises
    ------
    ValueError
        If a weight is NaN or infinite.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    _check_finite(path, tensors)
    header = json.loads(json.dumps(asdict(metadata)))
    # One entry: safetensors writes several in random order, and equal runs must give equal files.
    content = save(tensors, metadata={FORMAT: json.dumps(header | {"sha256": _weights_checksum(header, tensors)})})
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)  # safetensors' own function does not report a full disk as an OSError


def load_weights(
    path: str | Path,
    device: torch.device | str = "cpu",
    run: str | None = None,
    build: Callable[[Metadata], nn.Module] | None = None,
) -> tuple[nn.Module, Metadata]:
    """Return the network of a weights file, in eval mode, and its metadata.

    Parameters
    ----------
    path : a weights file, or the folder of a run.
    run : the name of the run that must have written the weights; None accepts any.
    build : builds the network that the metadata describe; by default `lkca.build_model`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, from another program or run, does not fit its network, or has a NaN or infinite weight.
    """
    path = expand(path)
    path = path / WEIGHTS if path.is_dir() else path
    metadata, tensors = read_weights(path)
    if run is not None and metadata.run != run:
        raise ValueError(f"{path} has the weights of run {metadata.run!r}, expected those of {run!r}: put those back")
    if (path.parent / CHECKSUMS).is_file() and path.name == WEIGHTS:
        check_files(path.parent, WEIGHTS)
    make = build or (lambda m: build_model(m.model, m.bands, m.scale, **m.options))
    try:
        # Compare the shapes on the meta device first, before memory is allocated.
        with torch.device("meta"), _NormsOfShape(), warnings.catch_warnings(action="ignore"):
            expected = {name: tensor.shape for name, tensor in make(metadata).state_dict().items()}
        if expected != {name: tensor.shape for name, tensor in tensors.items()}:
            raise ValueError("the weights have other names or shapes")
        model = make(metadata)
        model.load_state_dict(tensors)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} does not fit its network {metadata.model!r} ({error}): it comes from another version, train again"
        ) from error
    return model.to(device).eval(), metadata


def read_weights(path: str | Path) -> tuple[Metadata, dict[str, Tensor]]:
    """Return the metadata and the tensors of a weights file; raise as `load_weights` does."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}: give the folder of a run or its {WEIGHTS}, or train the run")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not a readable safetensors file ({error}): it is damaged or of another kind. "
            "Copy it again; if a run wrote it, delete the folder of the run and train again"
        ) from error
    if FORMAT not in header:
        found = ", ".join(map(repr, header)) or "nothing"
        raise ValueError(f"{path} was not written by lkca: its header holds {found}, expected {FORMAT!r}")
    try:
        content = dict(json.loads(header[FORMAT]))
        if content.pop("sha256", None) != _weights_checksum(content, tensors):
            raise ValueError("the checksum does not match")
        metadata = Metadata(**content)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}): copy it again, or train the run again") from error
    _check_finite(path, tensors)
    return metadata, tensors


class _NormsOfShape(TorchFunctionMode):
    """Return empty norms to weight normalisation on the "meta" device: torch's own norm imports its compiler, 2 s."""

    def __torch_function__(self, func, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
        if func is not torch.norm_except_dim:
            return func(*args, **(kwargs or {}))
        weight, _, dim = args
        return weight.new_empty([side if axis == dim else 1 for axis, side in enumerate(weight.shape)])


def _check_finite(path: str | Path, tensors: Mapping[str, Tensor]) -> None:
    bad = [name for name, tensor in tensors.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if bad:
        raise ValueError(f"{path}: {len(bad)} weights are NaN or infinite, the first is {bad[0]}: train again")


def _weights_checksum(header: Mapping[str, object], tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 over the metadata and every array with its name, type and shape."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


# --- the state to resume from


def save_state(path: Path, state: dict[str, object]) -> None:
    """Write a training state with its checksum, atomically."""
    buffer = io.BytesIO()  # torch would report a full disk as an internal RuntimeError
    torch.save(state, buffer)
    content = buffer.getvalue()
    with atomic_write(path) as temporary:
        temporary.write_bytes(STATE + _sha256(content).encode() + b"\n" + content)


def load_state(path: Path) -> dict[str, object]:
    """Return a training state as it was saved.

    Raises
    ------
    ValueError
        If the file is damaged or is not a training state. No code in it is executed.
    """
    checksum, _, content = path.read_bytes().partition(b"\n")
    if checksum != STATE + _sha256(content).encode():
        raise ValueError("its checksum does not match")
    try:
        return dict(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
    except (RuntimeError, LookupError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError("it is not a training state") from error


# --- checksums and results


def write_checksums(folder: Path, metrics: str) -> None:
    """Write the checksums of a run's files. `metrics` is the content of metrics.json, which is not written yet."""
    checksums = {name: _sha256((folder / name).read_bytes()) for name in RECORDED if (folder / name).is_file()}
    write_text(folder / CHECKSUMS, json.dumps(checksums | {"metrics.json": _sha256(metrics.encode())}, indent=2))


def check_files(folder: Path, *names: str) -> None:
    """Check files of a finished run against its checksums.

    Raises
    ------
    ValueError
        If a file is missing or has changed; the message names it.
    """
    path, advice = folder / CHECKSUMS, "delete the folder of the run to train it again"
    try:
        checksums = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{path} is missing or damaged ({error}): {advice}") from error
    for name in names:
        file, expected = folder / name, checksums.get(name)  # None: a file that the run does not have
        found = _sha256(file.read_bytes()) if file.is_file() else None
        if found != expected:
            raise ValueError(
                f"{file} is missing or damaged: its SHA-256 is {found}, in {CHECKSUMS} it is {expected}; {advice}"
            )


@dataclass(frozen=True)
class Result:
    """A finished run.

    metrics : mean of each metric over the test images. back_projected : the same after back-projection.
    images : the metrics of each test image, by its name.
    history : a row per epoch with `HISTORY`, validation in dB; empty for a network without weights.
    record : content of metrics.json, with params, macs and diverged_in_epoch. provenance : content of provenance.json.
    """

    run: "Run"
    metrics: dict[str, float]
    images: dict[str, dict[str, float]]
    history: pd.DataFrame
    back_projected: dict[str, float]
    record: dict[str, object] = field(repr=False)
    provenance: dict[str, object] = field(repr=False)

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.run.folder

    def model(self, device: torch.device | str = "cpu") -> nn.Module:
        """Return the trained network, in eval mode."""
        return load_weights(self.folder / WEIGHTS, device, self.run.name)[0]


def load_result(run: "Run") -> Result:
    """Return the result of a finished run, after checking its files against their checksums.

    Raises
    ------
    FileNotFoundError
        If the run is not finished.
    ValueError
        If one of its files is damaged or missing; the message names it.
    """
    path = run.folder / "metrics.json"
    if not path.is_file():
        raise FileNotFoundError(f"run {run.name} is not finished: {path} does not exist")
    check_files(run.folder, *RECORDED)
    record = json.loads(path.read_text(encoding="utf-8"))
    provenance = json.loads((run.folder / "provenance.json").read_text(encoding="utf-8"))
    history, back_projected = read_history(run.folder), record["back_projected"]["mean"]
    return Result(run, record["mean"], record["images"], history, back_projected, record, provenance)


def read_history(folder: Path) -> pd.DataFrame:
    """Return the epochs of a run, with the columns `HISTORY`; empty if nothing was trained."""
    path = folder / "history.csv"
    if not path.is_file():
        return pd.DataFrame(columns=list(HISTORY))
    return pd.read_csv(path).astype(float).astype({"epoch": int})


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
