"""What back-projection at test time makes of a trained network: the same six metrics, after `STEPS` corrections."""

import json

import torch

from lkca.data.datasets import DATASETS
from lkca.data.files import missing_files
from lkca.data.loaders import load_dataset
from lkca.measures.back_projection import STEPS
from lkca.paths import write_text
from lkca.training.evaluation import evaluate_corrected, mean_quality
from lkca.training.run import Run
from lkca.training.weights import load_weights

CORRECTED = "corrected.json"  # beside the metrics.json of a run that was finished before metrics.json held this


def corrected_record(images: dict[str, dict[str, float]]) -> dict[str, object]:
    """What metrics.json says of corrected images: steps, mean and images."""
    return {"steps": STEPS, "mean": mean_quality(images), "images": images}


def corrected_metrics(run: Run) -> dict[str, float]:
    """Mean metrics of a finished run's corrected test images; empty where they were never measured and cannot be here.

    A run that was finished before this was recorded is measured now if its weights and its data are here.
    """
    for path in (run.folder / "metrics.json", run.folder / CORRECTED):
        if path.is_file() and (found := json.loads(path.read_text(encoding="utf-8")).get("corrected")):
            return found["mean"]
    weights = run.folder / "weights.safetensors"
    if run.dataset not in DATASETS or missing_files(DATASETS[run.dataset]) or not weights.is_file():
        return {}
    model, _ = load_weights(weights, "cuda" if torch.cuda.is_available() else "cpu")
    split = load_dataset(run.dataset, run.reading)
    record = corrected_record(evaluate_corrected(model, split, run.scale, (STEPS,), run.blur)[STEPS])
    write_text(run.folder / CORRECTED, json.dumps({"corrected": record}, indent=2))
    return record["mean"]
