"""A run: all settings that decide the outcome of one training, as a frozen value."""

import dataclasses
import hashlib
import json
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lkca.data.datasets import find_dataset
from lkca.data.patches import VALIDATIONS
from lkca.degradation import Degradation
from lkca.fast import PRECISIONS
from lkca.files import runs_folder
from lkca.models import check_scale, complete_options, model_options

# Raise it when a change of the code may change the numbers of a run, and say so in the CHANGELOG. Results of another
# recipe are not used: training starts over, and rows of the tables count as stale.
RECIPE = 1

PATIENCE = 8  # epochs without a gain after which validation counts as converged

# Settings, and options of models, that were added after the first results. At these values a run does what it did
# before they existed, so they are left out of the hash, and old names stay valid.
ADDED_LATER: dict[str, object] = {
    "psf": "bicubic",
    "patience": PATIENCE,
    "start_from": {},
    "channel_attention": True,
    "large_kernel": True,
}

HASH_LENGTH = 10
MAX_SEED = 2**63 - 1  # of torch's random numbers
MAX_RATE = 1e30  # float32 overflows above it
TEACHER_UPSAMPLER = {"upsampler": "grouped", "groups": 1, "rank": 0}
ABOVE_ZERO = math.ulp(0.0)


def _bounded(default: float | None, low: float, high: float = sys.float_info.max) -> Any:  # noqa: ANN401
    """Declare a number that must lie from `low` to `high`."""
    return field(default=default, metadata={"bounds": (low, high)})


@dataclass(frozen=True)
class Distillation:
    """How a student learns from a teacher: total loss = supervised + weight · decay^⌊epoch/10⌋ · L_KD,
    L_KD = l1·L1 + gradient·G + cosine·(1 - cos).

    weight, decay : the paper's λ and d (Tables II and III).
    l1, gradient, cosine : weights of the three terms. The paper does not give the last two (a, b): assumed.
    teacher_blocks : the teacher is LKCA-Net with this many blocks. The paper only says that it has more than the
        student's 16; 64 is assumed.
    teacher_seed : one teacher serves the students of every seed.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    weight: float = _bounded(0.01, 0)
    decay: float = _bounded(0.66, ABOVE_ZERO, 1)
    l1: float = _bounded(1.0, 0)
    gradient: float = _bounded(0.1, 0)
    cosine: float = _bounded(0.5, 0)
    teacher_blocks: int = _bounded(64, 1)
    teacher_seed: int = _bounded(0, 0, MAX_SEED)

    def __post_init__(self) -> None:
        _check_numbers(self)


@dataclass(frozen=True)
class Run:
    """Settings of one training. Equal runs share a folder, so the second loads the result of the first.

    Unset values (None, {}) are filled in from the declarations of the dataset and the model, so the record of a run
    stays complete even if defaults change. The datasets `synthetic_stream` and `leave_one_out` have validation areas of
    their own: `validation`, `validation_share` and `final_learning_rate` have no effect there, and `patience` has none
    on the others.

    Raises
    ------
    ValueError
        For an unknown dataset, model or option, and for impossible values; the message gives the allowed ones.
    FileNotFoundError
        If the PSF is a kernel file that does not exist.
    TypeError
        If `distillation` is a mapping with an unknown name.
    """

    dataset: str = "synthetic"  # a name, or the path of a scene file
    variant: str | None = None  # protocol variant of the dataset
    scale: int = 4
    model: str = "lkca-lr"
    options: Mapping[str, object] = field(default_factory=dict)  # of the model; read-only
    seed: int = _bounded(0, 0, MAX_SEED)
    epochs: int = _bounded(300, 1)  # [assumed] as in the paper's reference 30
    batch: int = _bounded(32, 1)  # [assumed] likewise
    learning_rate: float = _bounded(5e-4, ABOVE_ZERO, MAX_RATE)  # [assumed] at the start
    final_learning_rate: float = _bounded(1e-6, ABOVE_ZERO)  # [assumed] at the end of the cosine
    patch: int | None = _bounded(None, 1)  # side of an HR patch in pixels
    stride: int | None = _bounded(None, 1)  # between patches, in HR pixels
    validation: str = "disjoint"  # "paper" draws patches at random, which share pixels with training patches
    validation_share: float = _bounded(0.1, ABOVE_ZERO, 1 - 1e-9)  # the paper's 10 %
    precision: str = "float32"  # "bfloat16": automatic mixed precision
    sam: float = _bounded(0.5, 0)  # weight of the spectral angle in the supervised loss
    gradient: float = _bounded(0.1, 0)  # weight of its gradient term
    distillation: Distillation | None = None  # lkca-kd takes the defaults; a mapping of settings is accepted
    psf: str = "bicubic"  # how LR images are made: see lkca.degradation
    patience: int = _bounded(PATIENCE, 1)  # epochs without a gain after which validation counts as converged
    # Initial weights come from another run; these are its settings that differ from this one's. Empty: random weights.
    start_from: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_scale(self.scale)
        dataset = find_dataset(str(self.dataset))
        filled = {
            "dataset": str(self.dataset),
            "scale": int(self.scale),
            "variant": self.variant or next(iter(dataset.variants)),
            "options": MappingProxyType(complete_options(self.model, self.options or {})),
            "patch": dataset.patch[self.scale] if self.patch is None else self.patch,
            "stride": dataset.stride[self.scale] if self.stride is None else self.stride,
            "distillation": _distillation(self.distillation, self.model),
            "start_from": MappingProxyType(dict(self.start_from)),
        }
        for name, value in filled.items():
            object.__setattr__(self, name, value)
        _check_numbers(self)
        for name, allowed in (
            ("variant", tuple(dataset.variants)),
            ("validation", VALIDATIONS),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        if self.final_learning_rate > self.learning_rate:
            raise ValueError(
                f"final_learning_rate must be at most learning_rate ({self.learning_rate}), "
                f"got {self.final_learning_rate}"
            )
        if self.patch % self.scale:
            raise ValueError(f"patch must be a multiple of the scale {self.scale}, got {self.patch}")
        Degradation(self.psf)  # raises for an unknown PSF
        self.start()  # raises for settings that no run can have

    @property
    def name(self) -> str:
        """Dataset, scale, model and seed, with a hash of all settings."""
        dataset = re.sub(r"[^A-Za-z0-9_]+", "-", Path(self.dataset).stem)
        return f"{dataset}-x{self.scale}-{self.model}-seed{self.seed}-{self.hash}"

    @property
    def hash(self) -> str:
        """The first ten hexadecimal digits of the SHA-256 of the settings, except `ADDED_LATER` at their defaults."""
        settings = self.settings()
        options = {name: value for name, value in settings["options"].items() if not _as_before(name, value)}
        hashed = {name: value for name, value in settings.items() if not _as_before(name, value)}
        text = json.dumps(hashed | {"options": options}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]

    @property
    def folder(self) -> Path:
        """The folder of the run's files: its name in `LKCA_RUNS` (default: runs/)."""
        return runs_folder() / self.name

    def teacher(self) -> "Run":
        """Return the run that trains this run's teacher: same data and schedule, LKCA-Net with more blocks.

        Raises
        ------
        ValueError
            If this run does not distil.
        """
        if self.distillation is None:
            raise ValueError(f"run {self.name} does not distil, so it has no teacher")
        shared = {name: value for name, value in self.options.items() if name in model_options("lkca")}
        return dataclasses.replace(
            self,
            model="lkca",
            options={**shared, **TEACHER_UPSAMPLER, "blocks": self.distillation.teacher_blocks},
            seed=self.distillation.teacher_seed,
            distillation=None,
        )

    def start(self) -> "Run | None":
        """Return the run whose weights this one begins with; None if it begins with random weights.

        Raises
        ------
        ValueError
            If `start_from` has an unknown setting or an impossible value.
        """
        if not self.start_from:
            return None
        try:
            return dataclasses.replace(self, **{"start_from": {}, **self.start_from})
        except TypeError as error:
            raise ValueError(f"start_from must be settings of a run: {error}") from error

    def settings(self) -> dict[str, object]:
        """Return all settings as plain JSON values; `Run(**settings)` is the same run."""
        settings = {setting.name: getattr(self, setting.name) for setting in dataclasses.fields(self)}
        distillation = self.distillation and dataclasses.asdict(self.distillation)
        nested = {"options": dict(self.options), "start_from": dict(self.start_from), "distillation": distillation}
        return settings | nested

    def to_json(self) -> str:
        """Return all settings as JSON text."""
        return json.dumps(self.settings(), indent=2, sort_keys=True)

    def __hash__(self) -> int:
        return hash(self.to_json())


def _as_before(name: str, value: object) -> bool:
    return name in ADDED_LATER and ADDED_LATER[name] == value


def _distillation(given: Distillation | Mapping[str, object] | None, model: str) -> Distillation | None:
    if given is None:
        return Distillation() if model == "lkca-kd" else None
    if isinstance(given, Mapping):
        given = Distillation(**given)
    if not isinstance(given, Distillation):
        raise ValueError(f"distillation must be a Distillation, its settings or None, got {given!r}")
    if not model.startswith("lkca"):
        raise ValueError(f"distillation must be None for {model!r}: it is defined for the lkca networks")
    return given


def _check_numbers(settings: object) -> None:
    """Check every number against the bounds of its field.

    A whole number given for a float becomes a float, so that 1 and 1.0 are one setting with one hash.

    Raises
    ------
    ValueError
        If a value is not a number, is not whole where it must be, or is out of range.
    """
    for setting in dataclasses.fields(settings):
        if "bounds" not in setting.metadata:
            continue
        name, value, (low, high) = setting.name, getattr(settings, setting.name), setting.metadata["bounds"]
        kinds, noun = ((int, float), "a number") if setting.type is float else ((int,), "a whole number")
        if not isinstance(value, kinds) or isinstance(value, bool) or not low <= value <= high:
            lower = "above 0" if low == ABOVE_ZERO else f"of at least {low}"
            upper = "" if high == sys.float_info.max else f" and at most {high:g}"
            raise ValueError(f"{name} must be {noun} {lower}{upper}, got {value!r}")
        if setting.type is float:
            object.__setattr__(settings, name, float(value))
