"""A run: everything that decides the outcome of one training, as a frozen value; and its folder."""

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from lkca.data.loaders import find_dataset
from lkca.data.patches import VALIDATIONS
from lkca.measures.blur import gaussian_width
from lkca.models import check_scale, complete_options, model_options
from lkca.models.precision import PRECISIONS
from lkca.paths import runs_folder
from lkca.scenes.view import SceneView

FULL_UPSAMPLER = {"upsampler": "grouped", "groups": 1, "rank": 0}  # of a teacher
LATER = {"blur": "bicubic", "view": None}  # settings that are left out of the record at these values
HASH_LENGTH = 10
MOST_SEED, MOST_RATE = 2**63 - 1, 1e30  # what torch's random numbers and float32 take


@dataclass(frozen=True)
class Distillation:
    """How a student learns from a teacher: total loss = supervised + weight · decay^⌊epoch/10⌋ · L_KD,
    L_KD = l1·L1 + gradient·G + cosine·(1 - cos).

    weight, decay : the paper's λ and d (Tables II and III).
    l1, gradient, cosine : weights of the three terms; a, b of the last two are assumed, the paper does not give them.
    teacher_blocks : the teacher is LKCA-Net with this many blocks; more than the student's 16, assumed 64.
    teacher_seed : one teacher serves the students of every seed, as one would do in practice.
    """

    weight: float = 0.01
    decay: float = 0.66
    l1: float = 1.0
    gradient: float = 0.1
    cosine: float = 0.5
    teacher_blocks: int = 64
    teacher_seed: int = 0

    def __post_init__(self) -> None:
        _check_numbers(
            self,
            at_least_zero=("weight", "l1", "gradient", "cosine", "teacher_seed"),
            above_zero=("decay",),
            whole=("teacher_blocks",),
        )
        if self.teacher_seed > MOST_SEED:
            raise ValueError(f"teacher_seed must be at most {MOST_SEED}, got {self.teacher_seed}")
        if self.decay > 1:
            raise ValueError(f"decay must be above 0 and at most 1, got {self.decay}")


@dataclass(frozen=True)
class Run:
    """Settings of one training. Equal runs are one run: they share a folder, and the second loads the first's result.

    Unset values (None, {}) are filled in from the declarations of the dataset and the model, so that a run's record is
    complete whatever the defaults of tomorrow are.

    Raises
    ------
    ValueError
        For an unknown dataset, model or option, and for values that cannot be, naming what is allowed.
    """

    dataset: str = "synthetic"  # a name, or the path of a scene file
    reading: str | None = None  # which reading of the dataset's protocol
    scale: int = 4
    model: str = "lkca-lr"
    options: Mapping[str, object] = field(default_factory=dict)  # of the model; read only
    seed: int = 0
    epochs: int = 300  # [assumed] as the paper's reference 30
    batch: int = 32  # [assumed] likewise
    learning_rate: float = 5e-4  # [assumed] falls along a cosine …
    final_learning_rate: float = 1e-6  # [assumed] … to this
    patch: int | None = None  # side of an HR patch, in pixels
    stride: int | None = None  # between patches, in HR pixels
    validation: str = "disjoint"  # "paper" draws patches at random, and leaks: see lkca.data.patches
    validation_share: float = 0.1  # the paper's 10 %
    precision: str = "float32"  # "bfloat16": automatic mixed precision
    sam: float = 0.5  # weight of the spectral angle in the supervised loss
    gradient: float = 0.1  # weight of the gradient term
    distillation: Distillation | None = None  # filled in for lkca-kd
    # Not in the hash at their defaults, which came later than the first runs:
    blur: str = "bicubic"  # how LR images are made, see lkca.measures.blur
    view: SceneView | None = None  # of a scene file: which variable, bands, part

    def __post_init__(self) -> None:
        check_scale(self.scale)
        dataset = find_dataset(str(self.dataset))
        fill = {
            "dataset": str(self.dataset),
            "scale": int(self.scale),
            "reading": self.reading or next(iter(dataset.readings)),
            "options": MappingProxyType(complete_options(self.model, self.options or {})),
            "patch": dataset.patch[self.scale] if self.patch is None else self.patch,
            "stride": dataset.stride[self.scale] if self.stride is None else self.stride,
            "distillation": _distillation(self.distillation, self.model),
        }
        for name, value in fill.items():
            object.__setattr__(self, name, value)
        if self.reading not in dataset.readings:
            raise ValueError(
                f"dataset {self.dataset!r} has no reading {self.reading!r}: choose one of {', '.join(dataset.readings)}"
            )
        _check_numbers(
            self,
            at_least_zero=("seed", "sam", "gradient"),
            above_zero=("learning_rate", "final_learning_rate", "validation_share"),
            whole=("epochs", "batch", "patch", "stride"),
        )
        if self.seed > MOST_SEED:
            raise ValueError(f"seed must be at most {MOST_SEED}, got {self.seed}")
        if self.learning_rate > MOST_RATE:
            raise ValueError(f"learning_rate must be at most {MOST_RATE:g}, got {self.learning_rate}")
        if self.final_learning_rate > self.learning_rate:
            raise ValueError(
                f"final_learning_rate {self.final_learning_rate} is above learning_rate {self.learning_rate}"
            )
        if self.patch % self.scale:
            raise ValueError(f"patch must be a multiple of the scale {self.scale}, got {self.patch}")
        for name, allowed in (("validation", VALIDATIONS), ("precision", PRECISIONS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        gaussian_width(self.blur)
        if self.validation_share >= 1:
            raise ValueError(f"validation_share must be below 1, got {self.validation_share}")

    @property
    def name(self) -> str:
        """What the run is, readably, with a hash of all its settings."""
        dataset = re.sub(r"[^A-Za-z0-9_]+", "-", Path(self.dataset).stem)
        return f"{dataset}-x{self.scale}-{self.model}-seed{self.seed}-{self.hash}"

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:HASH_LENGTH]

    @property
    def folder(self) -> Path:
        """Where the run's files are: `LKCA_RUNS`/name."""
        return runs_folder() / self.name

    def teacher(self) -> "Run":
        """The run that trains this run's teacher: the same data and schedule, LKCA-Net with more blocks.

        Raises
        ------
        ValueError
            If this run does not distil.
        """
        if self.distillation is None:
            raise ValueError(f"run {self.name} does not distil, so it has no teacher")
        shared = {k: v for k, v in self.options.items() if k in model_options("lkca")}
        return dataclasses.replace(
            self,
            model="lkca",
            options={**shared, **FULL_UPSAMPLER, "blocks": self.distillation.teacher_blocks},
            seed=self.distillation.teacher_seed,
            distillation=None,
        )

    def settings(self) -> dict[str, object]:
        """All settings as plain JSON values."""
        given = {setting.name: getattr(self, setting.name) for setting in dataclasses.fields(self)}
        plain = {name: dataclasses.asdict(v) if dataclasses.is_dataclass(v) else v for name, v in given.items()}
        plain["options"] = dict(self.options)
        return {name: value for name, value in plain.items() if LATER.get(name, ...) != value}

    def to_json(self) -> str:
        return json.dumps(self.settings(), indent=2, sort_keys=True)

    def __hash__(self) -> int:
        return hash(self.to_json())


def _distillation(given: Distillation | None, model: str) -> Distillation | None:
    if given is None and model == "lkca-kd":
        return Distillation()
    if given is not None and not isinstance(given, Distillation):
        raise ValueError(f"distillation must be a lkca.Distillation or None, got {given!r}")
    if given is not None and not model.startswith("lkca"):
        raise ValueError(f"distillation is defined for the lkca networks, not for {model!r}")
    return given


def _check_numbers(
    settings: object,
    at_least_zero: tuple[str, ...] = (),
    above_zero: tuple[str, ...] = (),
    whole: tuple[str, ...] = (),
) -> None:
    """Every value named is a finite number in its range; `whole` ones are integers of at least 1.

    Fields declared as float become floats, so that 1 and 1.0 are one setting with one hash.
    """
    for names, least, wanted in (
        (at_least_zero, 0, "a number of at least 0"),
        (above_zero, math.ulp(0.0), "a number above 0"),
        (whole, 1, "a whole number of at least 1"),
    ):
        for name in names:
            value = getattr(settings, name)
            types = (int,) if names is whole or name in ("seed", "teacher_seed") else (int, float)
            good = isinstance(value, types) and not isinstance(value, bool) and math.isfinite(value)
            if not good or value < least:
                raise ValueError(f"{name} must be {wanted}, got {value!r}")
    for setting in dataclasses.fields(settings):
        if setting.type is float:
            object.__setattr__(settings, setting.name, float(getattr(settings, setting.name)))
