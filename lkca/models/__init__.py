"""Register every network of the study: each `.py` file in this folder is imported, so a new model is one new file."""

import pkgutil
from importlib import import_module

from lkca.models.registry import (
    MODELS,
    OWN,
    Model,
    build_model,
    check_scale,
    complete_options,
    model_names,
    model_options,
    register,
)

for _file in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_file.name}")

BASELINES = tuple(name for name, model in MODELS.items() if not model.learned)  # they need no training

__all__ = [
    "BASELINES",
    "MODELS",
    "OWN",
    "Model",
    "build_model",
    "check_scale",
    "complete_options",
    "model_names",
    "model_options",
    "register",
]
