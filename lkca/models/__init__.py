"""Every network of the study, by name. A model is one file here and one line in `MODELS`.

A model is a `torch.nn.Module` built as `Model(bands, scale, **options)` that maps (n, B, h, w) in [0, 1] to
(n, B, scale·h, scale·w). Names are those of the paper's tables.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import nn

from lkca.models.any_sensor import AnySensor
from lkca.models.back_projection import BackProjection
from lkca.models.bicubic import Bicubic
from lkca.models.essaformer import ESSAformer
from lkca.models.fcnn3d import FCNN3D
from lkca.models.lkca import LKCANet, lkca_best, lkca_lr
from lkca.models.low_rank import low_rank
from lkca.models.msdformer import MSDformer
from lkca.models.sspsr import SSPSR
from lkca.models.upsamplers import KINDS
from lkca.models.vdsr import VDSR


@dataclass(frozen=True)
class Model:
    """All that the study knows of a network: lists, figures and tests are drawn from it.

    build : makes it, called as `build(bands, scale, **options)`.
    label : its name in tables and figures. colour, marker : its looks there; see `lkca.figures.style`.
    of_paper : the paper compares it; the others are this project's own.
    learned : it has weights to be trained. upsampler : and an upsampler that can be replaced.
    small : options that make it small enough for a test that trains it.
    """

    build: Callable[..., nn.Module]
    label: str
    colour: str
    marker: str = "o"
    of_paper: bool = True
    learned: bool = True
    upsampler: bool = True
    small: Mapping[str, object] = field(default_factory=dict)


_GROUPS = {"group_bands": 4, "group_overlap": 1}
_LKCA = {"blocks": 1, "channels": 16}

# In the order of the paper's tables. Colours are safe for colour-blind readers (after P. Tol, and M. Okabe & K. Ito);
# as told apart in black and white, circles are others' networks.
MODELS: dict[str, Model] = {
    "bicubic": Model(Bicubic, "bicubic", "#8c8c8c", learned=False),
    "back-projection": Model(
        BackProjection, "bicubic + back-projection", "#4d4d4d", "P", of_paper=False, learned=False
    ),
    "vdsr": Model(VDSR, "VDSR", "#DDCC77", small={"blocks": 3, "channels": 16}),
    "3dfcnn": Model(FCNN3D, "3DFCNN", "#999933", small={"channels": 16}),
    "sspsr": Model(SSPSR, "SSPSR", "#44AA99", small={"blocks": 1, "channels": 16, **_GROUPS}),
    "msdformer": Model(MSDformer, "MSDformer", "#88CCEE", small={"blocks": 2, "channels": 48, "heads": 3, **_GROUPS}),
    "essaformer": Model(ESSAformer, "ESSAformer", "#332288", small={"blocks": 1, "channels": 16}),
    "lkca": Model(LKCANet, "LKCA-Net", "#0072B2", "s", small=_LKCA),
    "lkca-lr": Model(lkca_lr, "LKCA-LR", "#D55E00", "^", small=_LKCA),
    # The same network; what makes it KD is how it is trained.
    "lkca-kd": Model(lkca_lr, "LKCA-KD", "#AA4499", "D", small=_LKCA),
    "lkca-best": Model(lkca_best, "LKCA-best", "#117733", "v", of_paper=False, small=_LKCA),
    "lkca-any": Model(AnySensor, "LKCA-Any", "#CC6677", "X", of_paper=False, upsampler=False, small=_LKCA),
}

UNTRAINED = tuple(name for name, model in MODELS.items() if not model.learned)  # the lines to beat
SCALES = (2, 4, 8)
OWN = (
    "own"  # upsampler of a published network as it was published; the other kinds are those of `lkca.models.upsamplers`
)
UPSAMPLER_OPTIONS = {"upsampler": OWN, "groups": 8, "rank": 0}  # of every network that has no such options itself
MAY_BE_ZERO = ("group_overlap", "corrections", "steps")  # of the whole-number options; the others start at 1
MOST = 4096  # of any size: far above every network here, and far below what fills a memory by a slip of the hand


def model_names() -> tuple[str, ...]:
    """The paper's networks, in the order of its tables; `MODELS` has ours as well."""
    return tuple(name for name, model in MODELS.items() if model.of_paper)


def model_options(name: str) -> dict[str, object]:
    """Options of a model and their defaults.

    Where a network does not have them itself, `upsampler`, `groups` and `rank` are those of `lkca.low_rank`, which puts
    another upsampler into it; "own" leaves it as it is, whatever the other two.

    Raises
    ------
    ValueError
        If no model has that name.
    """
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}: choose one of {', '.join(MODELS)}")
    signature = inspect.signature(MODELS[name].build)
    own = {option: p.default for option, p in list(signature.parameters.items())[2:]}
    return own if "upsampler" in own or not _has_upsampler(name) else {**own, **UPSAMPLER_OPTIONS}


def build_model(name: str, bands: int, scale: int, **options: object) -> nn.Module:
    """Build a network with fresh weights (from torch's global random state).

    Parameters
    ----------
    name : one of `MODELS`.
    bands : number of bands B >= 1.
    scale : 2, 4 or 8.
    **options : sizes of that model, see `model_options(name)`; the defaults are the paper's.

    Returns
    -------
    torch.nn.Module mapping (n, B, h, w) to (n, B, scale·h, scale·w).

    Raises
    ------
    ValueError
        For an unknown name or option, a scale other than 2, 4, 8, or a value that the model cannot have.
    """
    options = complete_options(name, options)
    _check_whole_number("bands", bands, most=2**16)
    check_scale(scale)
    own = inspect.signature(MODELS[name].build).parameters
    model = MODELS[name].build(bands, scale, **{option: value for option, value in options.items() if option in own})
    if "upsampler" in own or not _has_upsampler(name) or options["upsampler"] == OWN:
        return model
    return low_rank(model, options["groups"], kind=options["upsampler"], rank=options["rank"])


def complete_options(name: str, options: Mapping[str, object]) -> dict[str, object]:
    """The options given, checked, and the defaults of the others.

    Raises
    ------
    ValueError
        For an unknown model or option, and for a value that is not of the default's kind.
    """
    defaults = model_options(name)
    complete = {**defaults, **options}
    for option, value in complete.items():
        if option not in defaults:
            allowed = ", ".join(f"{k}={v!r}" for k, v in defaults.items()) or "none"
            raise ValueError(f"model {name!r} has no option {option!r}; its options and defaults: {allowed}")
        what = f"{name} option {option}"
        if option == "upsampler":
            allowed = (OWN, *KINDS) if defaults[option] == OWN else KINDS
            if value not in allowed:
                raise ValueError(f"{what} must be one of {', '.join(allowed)}, got {value!r}")
        elif isinstance(defaults[option], int):
            _check_whole_number(what, value, 0 if option in MAY_BE_ZERO or defaults[option] == 0 else 1, MOST)
        elif isinstance(defaults[option], float):
            if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
                raise ValueError(f"{what} must be a number, got {value!r}")
            complete[option] = float(value)  # 0 and 0.0 are one setting
    return complete


def check_scale(scale: object) -> None:
    """ValueError unless the scale is one of `SCALES`, as a whole number."""
    if scale not in SCALES or isinstance(scale, float):
        raise ValueError(f"scale must be one of {', '.join(map(str, SCALES))}, got {scale!r}")


def _has_upsampler(name: str) -> bool:
    return MODELS[name].learned and MODELS[name].upsampler


def _check_whole_number(what: str, value: object, least: int = 1, most: int | None = None) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{what} must be a whole number of at least {least}, got {value!r}")
    if most is not None and value > most:
        raise ValueError(f"{what} must be at most {most}, got {value}")
