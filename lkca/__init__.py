"""A reproducible study of LKCA-Net (arXiv 2501.18664), hyperspectral super-resolution, and its upsampling layer."""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lkca.checkpoints import Result, load_weights
    from lkca.cost import Cost, cost
    from lkca.data.datasets import dataset_names
    from lkca.data.loaders import load_dataset
    from lkca.degradation import Degradation, back_project
    from lkca.losses import supervised_loss
    from lkca.metrics import quality
    from lkca.models import build_model, model_names
    from lkca.models.low_rank import low_rank
    from lkca.resize import resize
    from lkca.run import Distillation, Run
    from lkca.train import train

__version__ = "0.2.0"

# Where each public name is defined. A name is imported when it is first used: torch alone takes seconds to import.
_HOMES = {
    "Cost": "lkca.cost",
    "Degradation": "lkca.degradation",
    "Distillation": "lkca.run",
    "Result": "lkca.checkpoints",
    "Run": "lkca.run",
    "back_project": "lkca.degradation",
    "build_model": "lkca.models",
    "cost": "lkca.cost",
    "dataset_names": "lkca.data.datasets",
    "load_dataset": "lkca.data.loaders",
    "load_weights": "lkca.checkpoints",
    "low_rank": "lkca.models.low_rank",
    "model_names": "lkca.models",
    "quality": "lkca.metrics",
    "resize": "lkca.resize",
    "supervised_loss": "lkca.losses",
    "train": "lkca.train",
}
_MOVED = {
    "any_sensor": "sharpen.load_pretrained",
    "open_scene": "sharpen.open_scene",
    "sharpen": "sharpen.sharpen",
    "upscale": "sharpen.sharpen_file",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    if name in _MOVED:
        raise AttributeError(f"lkca.{name} has moved to the package sharpen: use {_MOVED[name]} (see CHANGELOG.md)")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


class _Package(ModuleType):
    """Keep `lkca.resize`, `lkca.cost` and `lkca.train` functions: importing the submodule would overwrite them."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
