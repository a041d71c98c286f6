"""lkca: a reproducible study of LKCA-Net (arXiv 2501.18664), hyperspectral super-resolution, its upsampling layer."""

from lkca.cost import Cost, cost
from lkca.datasets import dataset_names, load_dataset
from lkca.losses import supervised_loss
from lkca.metrics import quality
from lkca.models import build_model, model_names
from lkca.models.low_rank import low_rank
from lkca.resize import resize
from lkca.runs import Distillation, Run
from lkca.scenes import open_scene
from lkca.training import Result, train
from lkca.upscaling import Upscaled, upscale
from lkca.weights import load_weights

__version__ = "0.1.0"

__all__ = [
    "Cost",
    "Distillation",
    "Result",
    "Run",
    "Upscaled",
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
