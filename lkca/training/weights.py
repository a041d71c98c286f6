"""Weights on disk: safetensors, with everything needed to rebuild and to use the network in the header."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from lkca.models import build_model
from lkca.paths import written_whole

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


def save_weights(path: str | Path, model: nn.Module, passport: Passport) -> None:
    """Write the model's weights and its passport, whole or not at all."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    # One entry: safetensors writes several in a random order, and equal runs shall give equal files.
    content = save(tensors, metadata={FORMAT: json.dumps(asdict(passport))})
    with written_whole(path) as temporary:
        temporary.write_bytes(content)  # safetensors' own writing would not report a full disk as an OSError


def load_weights(path: str | Path, device: torch.device | str = "cpu") -> tuple[nn.Module, Passport]:
    """The network of a weights file, ready to use (eval mode), and its passport.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, is not one of this project's, or does not fit the network it names.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no weights at {path}: give a run's folder/weights.safetensors, or train the run first"
        )
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} is not a readable safetensors file ({error}): damaged or of another kind; "
            "if a run wrote it, delete that run's folder and train again"
        ) from error
    if FORMAT not in header:
        found = ", ".join(map(repr, header)) or "nothing"
        raise ValueError(f"{path} was not written by lkca: its header holds {found}, expected {FORMAT!r}")
    try:
        passport = Passport(**json.loads(header[FORMAT]))
    except (TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} does not say what its weights are for ({error!r}): another version's?") from error
    model = build_model(passport.model, passport.bands, passport.scale, **passport.options)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit model {passport.model!r} as it is now: {error}") from error
    return model.to(device).eval(), passport
