"""lkca: a reproducible study of LKCA-Net (arXiv 2501.18664), hyperspectral super-resolution, its upsampling layer."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lkca.data.loaders import dataset_names, load_dataset
    from lkca.measures.back_projection import back_project
    from lkca.measures.cost import Cost, cost
    from lkca.measures.metrics import quality
    from lkca.measures.resize import resize
    from lkca.models import build_model, model_names
    from lkca.models.low_rank import low_rank
    from lkca.scenes import open_scene
    from lkca.sharpening.any_sensor import any_sensor
    from lkca.sharpening.arrays import sharpen
    from lkca.sharpening.upscale import Upscaled, upscale
    from lkca.training.losses import supervised_loss
    from lkca.training.run import Distillation, Run
    from lkca.training.run_folder import Result
    from lkca.training.train import train
    from lkca.training.weights import load_weights

__version__ = "0.1.0"

HOMES = {
    "any_sensor": "lkca.sharpening.any_sensor",
    "Cost": "lkca.measures.cost",
    "Distillation": "lkca.training.run",
    "Result": "lkca.training.run_folder",
    "Run": "lkca.training.run",
    "Upscaled": "lkca.sharpening.upscale",
    "back_project": "lkca.measures.back_projection",
    "build_model": "lkca.models",
    "cost": "lkca.measures.cost",
    "dataset_names": "lkca.data.loaders",
    "load_dataset": "lkca.data.loaders",
    "load_weights": "lkca.training.weights",
    "low_rank": "lkca.models.low_rank",
    "model_names": "lkca.models",
    "open_scene": "lkca.scenes",
    "quality": "lkca.measures.metrics",
    "resize": "lkca.measures.resize",
    "sharpen": "lkca.sharpening.arrays",
    "supervised_loss": "lkca.training.losses",
    "train": "lkca.training.train",
    "upscale": "lkca.sharpening.upscale",
}
"""Where each name of `lkca` is defined. It is imported when it is first asked for: all together take seconds, in which
a command could not even answer Ctrl-C."""

__all__ = [*HOMES]


def __getattr__(name: str) -> object:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(HOMES[name]), name)
    globals()[name] = value
    return value
