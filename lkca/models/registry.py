"""List the networks. Each model file registers its own; `lkca.models` imports every file of this folder.

A model is a `torch.nn.Module` built as `build(bands, scale, **options)` that maps (n, B, h, w) in [0, 1] to
(n, B, scale·h, scale·w).
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import nn

from lkca.models.low_rank import low_rank
from lkca.models.upsamplers import KINDS
from lkca.resize import SCALES

OWN = "own"  # the upsampler that a published network comes with
REPLACEMENT_OPTIONS = {"upsampler": OWN, "groups": 8, "rank": 0}  # for networks without such options of their own
MAY_BE_ZERO = ("group_overlap",)  # of the whole-number options; the others start at 1
MAX_SIZE = 4096  # of any whole-number option: far above every network here, but too small to fill the memory by mistake
MAX_BANDS = 2**16


@dataclass(frozen=True)
class Model:
    """The declaration of a network, which tables, figures and tests read.

    name : as given to `build_model`. build : builds the network, called as `build(bands, scale, **options)`.
    label, colour, marker : name and style in tables and figures.
    order : place in lists; the paper's networks stand as in its tables.
    of_paper : whether the paper compares it. learned : whether it has weights to train.
    small : options that make it small enough to train in a test.
    """

    name: str
    build: Callable[..., nn.Module]
    label: str
    colour: str
    order: int = 100
    marker: str = "o"
    of_paper: bool = True
    learned: bool = True
    small: Mapping[str, object] = field(default_factory=dict)


MODELS: dict[str, Model] = {}  # filled by the model files, sorted by `order`


def register(model: Model) -> None:
    """Add a network to `MODELS`.

    Raises
    ------
    ValueError
        If another network has that name.
    """
    if model.name in MODELS:
        raise ValueError(f"two models are called {model.name!r}: choose another name for one of them")
    models = sorted((*MODELS.values(), model), key=lambda m: m.order)
    MODELS.clear()
    MODELS.update((m.name, m) for m in models)


def model_names() -> tuple[str, ...]:
    """Return the names of the paper's networks in the order of its tables; `MODELS` also has the project's own."""
    return tuple(name for name, model in MODELS.items() if model.of_paper)


def model_options(name: str) -> dict[str, object]:
    """Return the options of a model with their defaults.

    Published networks also have `upsampler`, `groups` and `rank`: the arguments of `lkca.low_rank`, which replaces
    their upsampler. With the default "own" nothing is replaced, and the other two have no effect.

    Raises
    ------
    ValueError
        If no model has that name.
    """
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}: choose one of {', '.join(MODELS)}")
    options = _own_options(name)
    return {**options, **REPLACEMENT_OPTIONS} if _takes_replacement(name) else options


def complete_options(name: str, options: Mapping[str, object]) -> dict[str, object]:
    """Check the options of a model and fill in defaults for the missing ones.

    Raises
    ------
    ValueError
        For an unknown model or option, and for a value of another type than the default's or out of range.
    """
    defaults = model_options(name)
    complete = {**defaults, **options}
    for option, value in complete.items():
        if option not in defaults:
            allowed = ", ".join(f"{k}={v!r}" for k, v in defaults.items()) or "none"
            raise ValueError(f"model {name!r} has no option {option!r}; its options and defaults: {allowed}")
        what = f"{name} option {option}"
        if option == "upsampler":
            kinds = (OWN, *KINDS) if defaults[option] == OWN else KINDS
            if value not in kinds:
                raise ValueError(f"{what} must be one of {', '.join(kinds)}, got {value!r}")
        elif isinstance(defaults[option], bool):
            if not isinstance(value, bool):
                raise ValueError(f"{what} must be True or False, got {value!r}")
        elif isinstance(defaults[option], int):
            minimum = 0 if option in MAY_BE_ZERO or defaults[option] == 0 else 1
            _check_whole_number(what, value, minimum, MAX_SIZE)
        elif isinstance(defaults[option], float):
            if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
                raise ValueError(f"{what} must be a number, got {value!r}")
            complete[option] = float(value)  # 0 and 0.0 are the same setting
    return complete


def build_model(name: str, bands: int, scale: int, **options: object) -> nn.Module:
    """Build a network with random weights, drawn from torch's global random state.

    Parameters
    ----------
    name : one of `MODELS`.
    bands : number of bands B >= 1.
    scale : 2, 4 or 8.
    **options : sizes of the model, see `model_options(name)`; the defaults are the paper's.

    Returns
    -------
    torch.nn.Module that maps (n, B, h, w) to (n, B, scale·h, scale·w).

    Raises
    ------
    ValueError
        For an unknown name or option, a scale other than 2, 4, 8, or a value that the model cannot have.
    """
    options = complete_options(name, options)
    _check_whole_number("bands", bands, 1, MAX_BANDS)
    check_scale(scale)
    own = _own_options(name)
    model = MODELS[name].build(bands, scale, **{option: value for option, value in options.items() if option in own})
    if not _takes_replacement(name) or options["upsampler"] == OWN:
        return model
    return low_rank(model, options["groups"], kind=options["upsampler"], rank=options["rank"])


def check_scale(scale: object) -> None:
    """Raise ValueError unless the scale is one of `SCALES`, as a whole number."""
    if scale not in SCALES or isinstance(scale, float):
        raise ValueError(f"scale must be one of {', '.join(map(str, SCALES))}, got {scale!r}")


def _own_options(name: str) -> dict[str, object]:
    """Return the options in the model's signature, after bands and scale, with their defaults."""
    parameters = list(inspect.signature(MODELS[name].build).parameters.items())[2:]
    return {option: parameter.default for option, parameter in parameters}


def _takes_replacement(name: str) -> bool:
    return MODELS[name].learned and "upsampler" not in _own_options(name)


def _check_whole_number(what: str, value: object, minimum: int, maximum: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise ValueError(f"{what} must be a whole number of at least {minimum}, got {value!r}")
    if value > maximum:
        raise ValueError(f"{what} must be at most {maximum}, got {value}")
