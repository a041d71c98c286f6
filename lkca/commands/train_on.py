"""`train-on`: weights for a scene, from itself."""

import argparse
import json
import shlex

import torch

from lkca.commands import Defaults
from lkca.commands.scenes import add_view, view_of
from lkca.commands.training import add_settings, run_of, train_and_compare
from lkca.data.loaders import find_dataset
from lkca.models import SCALES
from lkca.models.any_sensor import AnySensor
from lkca.scenes.view import SceneView
from lkca.sharpening.estimate import in_words, training_seconds
from lkca.sharpening.verdict import WORTH, judge
from lkca.sharpening.weights_choice import WITHOUT_WEIGHTS
from lkca.training.direction_trainer import STEPS
from lkca.training.machine import find_device
from lkca.training.run import Run
from lkca.training.run_folder import Result
from lkca.training.trainer import fresh_model

# Training begins with the weights in the box and ends by a rule (see `DirectionTrainer`), so that it may be short.
OWN_SCENE = {"model": "lkca-any", "epochs": 20, "batch": 16, "learning_rate": 3e-4, "final_learning_rate": 1e-5}
# What a network trained from nothing needs: chosen by trying two scenes of about 100x100 pixels. So few leave no room
# for a validation strip: patches drawn at random choose the epoch ("paper").
FROM_NOTHING = {
    "epochs": 60, "batch": 4, "learning_rate": 5e-4, "final_learning_rate": 1e-6, "stride": 4, "validation": "paper",
}  # fmt: skip
OWN_OPTIONS = {"blocks": 4, "channels": 64}


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "train-on",
        help="train the network for any sensor further on a scene itself, and say whether that gained anything",
        description="Training begins with the weights in the box. The far quarter of the scene's longer side says what "
        "was gained over bicubic and back-projection; a quarter of the rest chooses, and the rest trains: shrunk, "
        "against itself. What does not validate better by a stated margin is not kept. With --model another network is "
        f"trained from nothing, unless said otherwise with {', '.join(f'{k}={v}' for k, v in FROM_NOTHING.items())} "
        f"and, of the LKCA family, {', '.join(f'{k}={v}' for k, v in OWN_OPTIONS.items())}.",
        formatter_class=Defaults,
    )
    parser.add_argument("dataset", metavar="SCENE", help="the scene file")
    add_settings(parser, **OWN_SCENE)
    add_view(parser)
    parser.set_defaults(do=_train_on)


def _train_on(given: argparse.Namespace) -> None:
    view = view_of(given)
    scene = view.open(given.dataset)  # a dataset's name would be taken for one
    print(view.describe(scene))
    given.view = view if view != SceneView() else None
    from_box = given.model == "lkca-any"
    if not from_box:
        for name, value in FROM_NOTHING.items():
            if getattr(given, name) == OWN_SCENE.get(name, getattr(Run, name)):
                setattr(given, name, value)
    if given.patch is None and given.scale in SCALES:
        given.patch = _patch(given.dataset, scene.shape, given.scale, from_box)
    options = OWN_OPTIONS if given.model.startswith("lkca") and not from_box else {}
    if line := _time_needed(run_of(given, **options), scene.shape, given.device):
        print(line)
    result, metrics = train_and_compare(given, ("bicubic", "back-projection"), **options)
    further = json.loads((result.folder / "provenance.json").read_text()).get("trained_further")
    print(f"\n{_gain_in_words(result.run.model, metrics, further)}")
    if result.run.model not in WITHOUT_WEIGHTS:
        print(f"\n{_verdict(result, from_box)}")
    print("\nSharpen the whole scene with what is best by that rule:")
    weights = _recommended(result, metrics, further)
    as_read = "".join(f" {shlex.quote(word)}" for word in view.options())
    print(f"  python -m lkca upscale {shlex.quote(given.dataset)} OUT.tif{weights} --scale {result.run.scale}{as_read}")


def _time_needed(run: Run, shape: tuple[int, int, int], device: str) -> str:
    """A line on how long training will take, from a step of it; "" where there is nothing to train."""
    if run.model in WITHOUT_WEIGHTS or (run.folder / "metrics.json").is_file():
        return ""
    bands, *sides = shape
    model = fresh_model(run, bands).to(find_device(device)).train()
    place = next(model.parameters()).device
    if isinstance(model, AnySensor):
        steps, what, bands = run.epochs * STEPS, model.residual, 2
    else:
        # of the longer side three quarters train; patches stand a stride apart
        across, along = sorted(sides)
        places = [max(1, (side - run.patch) // run.stride + 1) for side in (across, along * 3 // 4)]
        steps, what = run.epochs * max(1, places[0] * places[1] // run.batch), model
    piece = torch.rand(run.batch, bands, run.patch // run.scale, run.patch // run.scale, device=place)
    seconds = training_seconds(lambda: what(piece).sum().backward(), steps)
    return f"training takes about {in_words(seconds)} at most ({steps} steps; measured on one of them)"


def _patch(path: str, shape: tuple[int, int, int], scale: int, from_box: bool) -> int | None:
    """A patch that fits a small scene; None where the usual one does.

    What trains is three quarters of the longer side, and three quarters of that where a part of it validates.
    """
    short, long = sorted(shape[1:])
    room = min(short, long * 9 // 16 if from_box else long * 3 // 4)
    if find_dataset(path).patch[scale] <= room:
        return None
    patch = max(2, 2 * room // 3 // scale) * scale
    print(f"too small a scene for patches of the usual size: --patch {patch}")
    return patch


def _verdict(result: Result, any_unit: bool) -> str:
    """What the scene says when it is shrunk as a whole, as its user has it."""
    run = result.run
    try:
        verdict = judge(result.model(), run.dataset, run.scale, run.view, run.blur, any_unit)
    except ValueError as error:
        return f"No second look: {error}"
    table = verdict.summary().to_markdown(index=False, disable_numparse=True)
    return (
        "The far quarter once more, the whole scene shrunk as its user has it, against bicubic; means and spreads over "
        f"strips and phases of the grid:\n\n{table}\n\n{verdict.in_words()}"
    )


def _recommended(result: Result, metrics: dict[str, dict[str, float]], further: bool | None) -> str:
    """The option `--weights` of the command to use, chosen by validation; without validation, by the far quarter."""
    own = f" --weights {shlex.quote(str(result.folder))}"
    if further is not None:
        return own if further else ""
    best = max(metrics, key=lambda name: metrics[name]["MPSNR"])
    return own if best == result.run.model else f" --weights {best}"


def _gain_in_words(model: str, metrics: dict[str, dict[str, float]], further: bool | None) -> str:
    """What the far quarter says, against bicubic and against bicubic with back-projection.

    further : whether training added to the weights in the box; None where it did not begin with them.
    """
    if model in WITHOUT_WEIGHTS:
        return f"{model} is what others are compared with."
    network, lines = metrics[model], []
    if further is False:
        lines.append("The weights in the box were as good already: training further gained nothing worth having.")
    for name in WITHOUT_WEIGHTS:
        gain, angle = (network[metric] - metrics[name][metric] for metric in ("MPSNR", "SAM"))
        better, nearer = gain >= WORTH, angle <= 0
        verdict = "Better" if better and nearer else "Mixed" if better or (nearer and gain > -WORTH) else "WORSE"
        lines.append(f"{verdict} than {name}: MPSNR {gain:+.3f} dB, SAM {angle:+.3f} degrees on the held-out part.")
    return "\n".join(lines)
