"""lkca: a reproducible study of LKCA-Net (arXiv 2501.18664) and of the upsampling layer in hyperspectral super-resolution."""

from lkca.cost import Cost, cost
from lkca.losses import supervised_loss
from lkca.metrics import quality
from lkca.models import build_model, model_names
from lkca.resize import resize

__version__ = "0.1.0"

__all__ = ["Cost", "build_model", "cost", "model_names", "quality", "resize", "supervised_loss"]
