"""lkca: a reproducible study of LKCA-Net (arXiv 2501.18664), hyperspectral super-resolution, its upsampling layer."""

from lkca.data.loaders import dataset_names, load_dataset
from lkca.measures.back_projection import back_project
from lkca.measures.cost import Cost, cost
from lkca.measures.metrics import quality
from lkca.measures.resize import resize
from lkca.models import build_model, model_names
from lkca.models.low_rank import low_rank
from lkca.scenes import open_scene
from lkca.sharpening.any_sensor import any_sensor
from lkca.sharpening.upscale import Upscaled, upscale
from lkca.training.losses import supervised_loss
from lkca.training.run import Distillation, Run
from lkca.training.train import Result, train
from lkca.training.weights import load_weights

__version__ = "0.1.0"

__all__ = [
    "Cost",
    "Distillation",
    "Result",
    "Run",
    "Upscaled",
    "any_sensor",
    "back_project",
    "build_model",
    "cost",
    "dataset_names",
    "load_dataset",
    "load_weights",
    "low_rank",
    "model_names",
    "open_scene",
    "quality",
    "resize",
    "supervised_loss",
    "train",
    "upscale",
]
