"""Weights on disk: safetensors, with everything needed to rebuild and to use the network in the header."""

import hashlib
import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from lkca.models import build_model
from lkca.paths import expanded, written_whole
from lkca.training import record

FORMAT = "lkca-weights-1"


@dataclass(frozen=True)
class Passport:
    """What weights are for.

    model, bands, scale, options : arguments of `lkca.build_model`.
    peak : the scene's number that became 1 in training. wavelengths : (B,) in nm, or None.
    trained_on : dataset and reading. run : name of the run.
    patch : side of a training patch in LR pixels. scale_factor : of the training scene's file, see `lkca.scenes.Scene`.
        Both None where unknown: older files do not say them.
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
        """ValueError for what cannot be; whether the options fit, the model says."""
        for name, good, expected in (
            ("model", isinstance(self.model, str), "a network's name"),
            ("bands", _whole(self.bands), "a whole number of at least 1"),
            ("options", isinstance(self.options, dict), "options of the model by name"),
            ("peak", _number(self.peak) and self.peak > 0, "a number above 0"),
            ("patch", self.patch is None or _whole(self.patch), "a whole number of at least 1, or null"),
            (
                "scale_factor",
                self.scale_factor is None or (_number(self.scale_factor) and self.scale_factor != 0),
                "a number other than 0, or null",
            ),
            (
                "wavelengths",
                self.wavelengths is None
                or (isinstance(self.wavelengths, list) and all(map(_number, self.wavelengths))
                    and len(self.wavelengths) == self.bands),
                "a list of as many numbers as there are bands, or null",
            ),
        ):  # fmt: skip
            if not good:
                found = repr(getattr(self, name))
                raise ValueError(f"{name} of a passport is {found[:60]}, expected {expected}")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def save_weights(path: str | Path, model: nn.Module, passport: Passport) -> None:
    """Write the model's weights and its passport, whole or not at all.

    Raises
    ------
    ValueError
        If a weight is NaN or infinite.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    _check_finite(path, tensors)
    said = json.loads(json.dumps(asdict(passport)))
    # One entry: safetensors writes several in a random order, and equal runs shall give equal files.
    content = save(tensors, metadata={FORMAT: json.dumps(said | {"sha256": _checksum(said, tensors)})})
    with written_whole(path) as temporary:
        temporary.write_bytes(content)  # safetensors' own writing would not report a full disk as an OSError


def load_weights(
    path: str | Path, device: torch.device | str = "cpu", run: str | None = None
) -> tuple[nn.Module, Passport]:
    """The network of a weights file, ready to use (eval mode), and its passport.

    path : a weights file, or the folder of a run.
    run : name of the run that it must be of; by default that of the run in whose folder it lies, if it lies in one.

    Warns
    -----
    UserWarning
        An older file has no checksum.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, is not one of this project's, is another run's, does not fit the network it names, or
        has weights that are no numbers.
    """
    path = expanded(path)
    path = path / "weights.safetensors" if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(
            f"no weights at {path}: give a run's folder/weights.safetensors, or train the run first"
        )
    header, tensors = _read(path)
    if FORMAT not in header:
        found = ", ".join(map(repr, header)) or "nothing"
        raise ValueError(f"{path} was not written by lkca: its header holds {found}, expected {FORMAT!r}")
    try:
        said = dict(json.loads(header[FORMAT]))
        checksum = said.pop("sha256", None)
        if checksum is not None and checksum != _checksum(said, tensors):
            raise ValueError(
                f"{path} is damaged: weights or passport are not what was written. Copy it again; if a run wrote it, "
                "delete that run's folder and train again"
            )
        passport = _passport(path, said)
    except (TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} does not say what its weights are for ({error!r}): another version's?") from error
    if checksum is None:
        warnings.warn(f"{path}: no checksum recorded; it was written by an older version", stacklevel=2)
    _check_finite(path, tensors)
    _check_run(path, passport, run)
    blocks = passport.options.get("blocks", 1)
    if isinstance(blocks, int) and blocks > max(1, len(tensors)):  # before a network of a million blocks is built
        raise ValueError(f"{path} does not fit itself: its passport says {blocks} blocks, it has {len(tensors)} arrays")
    if passport.bands > max(1, sum(tensor.numel() for tensor in tensors.values())) and tensors:
        raise ValueError(
            f"{path} does not fit itself: its passport says {passport.bands} bands, more than it has weights"
        )
    try:
        model = build_model(passport.model, passport.bands, passport.scale, **passport.options)
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit model {passport.model!r} as it is now: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path} names a network that cannot be: {error}") from error
    return model.to(device).eval(), passport


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not a readable safetensors file ({error}): damaged or of another kind; "
            "if a run wrote it, delete that run's folder and train again"
        ) from error


def _passport(path: Path, said: Mapping[str, object]) -> Passport:
    try:
        return Passport(**said)
    except ValueError as error:
        raise ValueError(f"{path} does not say what its weights are for: {error}") from error


def _check_finite(path: str | Path, tensors: Mapping[str, Tensor]) -> None:
    bad = [name for name, tensor in tensors.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if bad:
        raise ValueError(f"{path}: {len(bad)} of its weights are NaN or infinite, {bad[0]} the first: train again")


def _check_run(path: Path, passport: Passport, run: str | None) -> None:
    """ValueError if the weights are another run's than the one asked for, or than the one in whose folder they lie."""
    if run is not None and passport.run != run:
        raise ValueError(f"{path} has the weights of run {passport.run!r}, expected those of {run!r}: put them back")
    settings = path.parent / "settings.json"
    if run is None and path.name == "weights.safetensors" and passport.run and settings.is_file():
        hashed = hashlib.sha256(settings.read_bytes()).hexdigest()
        if not hashed.startswith(passport.run.rpartition("-")[2]):
            raise ValueError(
                f"{path} has the weights of run {passport.run!r}, but {settings} beside it is of another run or "
                "damaged: put the right file back, or give the weights alone in another folder"
            )
        record.check(path.parent, path.name)


def _checksum(said: Mapping[str, object], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the passport and every array with its name, type and shape."""
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
