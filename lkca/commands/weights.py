"""`weights`: make the weights in the box anew."""

import argparse
import hashlib
import json

from lkca.box import KINDS, box_file
from lkca.commands import Defaults
from lkca.data.datasets import DATASETS
from lkca.data.loaders import sensor_scenes
from lkca.measures.cost import cost
from lkca.models import SCALES, build_model
from lkca.paths import write_text
from lkca.training.box_runs import box_run
from lkca.training.run_folder import Result
from lkca.training.train import train
from lkca.training.weights import load_weights, save_weights


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "weights",
        help="train the network for any sensor anew, and put its weights into the package",
        description="Weights of the kind `made` need no file: they are trained on scenes made from seeds alone. Those "
        "of the kind `real` are trained on the small real scenes as well. Interrupted, the same command goes on.",
        formatter_class=Defaults,
    )
    parser.add_argument("--scale", type=int, choices=SCALES, nargs="+", default=SCALES, help="which enlargements")
    parser.add_argument("--kind", choices=KINDS, default=KINDS[0], help="what trains")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda; the box's own were trained on a CPU")
    parser.set_defaults(do=_weights)


def _weights(given: argparse.Namespace) -> None:
    for scale in given.scale:
        put_into_box(train(box_run(scale, given.kind), given.device), given.kind)


def put_into_box(result: Result, kind: str) -> None:
    """Write a run's weights into the package, with a record of how they came about beside them."""
    run, target = result.run, box_file(result.run.scale, kind)
    save_weights(target, *load_weights(result.folder / "weights.safetensors"))
    counted = cost(build_model(run.model, 128, run.scale, **run.options), 128)
    plan = DATASETS[run.dataset].readings[run.reading]
    record = {
        "run": run.name,
        "settings": run.settings(),
        "real_scenes": [scene.name for scene in sensor_scenes(plan.left_out)] if plan.real else [],
        "provenance": json.loads((result.folder / "provenance.json").read_text()),
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
        "epochs": len(result.history),
        "best_validation_dB_over_back_projection": float(result.history["validation"].max()),
        "params": counted.params,
        "macs_at_16x16_and_128_bands": counted.macs,
    }
    write_text(target.with_suffix(".json"), json.dumps(record, indent=2) + "\n")
    print(f"{target}: {target.stat().st_size / 1e6:.2f} MB")
