"""`upscale`: sharpen a scene file; `train-on`: weights for it, from itself."""

import argparse
import dataclasses
import json
import math
import re
import shlex

import torch

from lkca.box import DEFAULT
from lkca.commands import Defaults
from lkca.commands.training import add_settings, run_of, train_and_compare
from lkca.data.loaders import find_dataset
from lkca.models import SCALES
from lkca.models.any_sensor import AnySensor
from lkca.models.precision import AUTO, PRECISIONS
from lkca.paths import written_whole
from lkca.scenes.bands import numbers_in
from lkca.scenes.picture import picture
from lkca.scenes.scene import Scene
from lkca.scenes.variables import BANDS_FIRST
from lkca.scenes.view import SceneView
from lkca.sharpening.estimate import in_words, training_seconds
from lkca.sharpening.scene_page import report_path, warnings_kept, write_scene_page
from lkca.sharpening.upscale import Upscaled, upscale
from lkca.sharpening.verdict import judge
from lkca.sharpening.weights_choice import WITHOUT_WEIGHTS
from lkca.training.direction_trainer import STEPS
from lkca.training.machine import find_device
from lkca.training.run import Run
from lkca.training.run_folder import Result
from lkca.training.trainer import fresh_model

UNITS = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9}
# Training begins with the weights in the box and ends by a rule (see `DirectionTrainer`), so that it may be short.
OWN_SCENE = {"model": "lkca-any", "epochs": 20, "batch": 16, "learning_rate": 3e-4, "final_learning_rate": 1e-5}
# What a network trained from nothing needs: chosen by trying two scenes of about 100x100 pixels. So few leave no room
# for a validation strip: patches drawn at random choose the epoch ("paper").
FROM_NOTHING = {
    "epochs": 60, "batch": 4, "learning_rate": 5e-4, "final_learning_rate": 1e-6, "stride": 4, "validation": "paper",
}  # fmt: skip
OWN_OPTIONS = {"blocks": 4, "channels": 64}
WORTH = 0.01  # dB of MPSNR: less is nothing


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("upscale", help="sharpen a scene file, georeference and all", formatter_class=Defaults)
    parser.add_argument("source", metavar="IN", help="a scene: MATLAB, ENVI (.hdr beside its data), GeoTIFF, npy")
    parser.add_argument(
        "target", metavar="OUT", help="file to write: ENVI (.hdr, .img, …) or GeoTIFF (.tif) by its name"
    )
    parser.add_argument(
        "--weights",
        default=DEFAULT,
        help="made or real: the network for any sensor with the weights in the box, trained on made scenes alone or on "
        "real ones too; a run's folder or its weights.safetensors; bicubic or back-projection, without a network",
    )
    parser.add_argument("--scale", type=int, help="2, 4 or 8 (default: 4; weights of a run have their own)")
    parser.add_argument("--memory", default="2G", help="the most that the process may hold: 2G, 500M or bytes")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    parser.add_argument(
        "--interleave",
        choices=("bsq", "bil", "bip"),
        help="of an ENVI file (default: by its name, else IN's, else bil)",
    )
    parser.add_argument(
        "--force-units", action="store_true", help="go on where the numbers look like those of another unit"
    )
    add_view(parser)
    parser.add_argument(
        "--rgb",
        help="bands shown as red, green and blue in the picture beside OUT, such as 30,20,10 (default: by wavelengths)",
    )
    parser.add_argument("--no-quicklook", action="store_true", help="no picture (OUT-quicklook.png) beside OUT")
    parser.add_argument("--report", metavar="PAGE.html", help="write a page on what was done (default: none)")
    parser.add_argument(
        "--precision",
        choices=(*PRECISIONS, AUTO),
        default=PRECISIONS[0],
        help="of a run's network (those in the box compute in float32); auto: bfloat16 where it is native and changes "
        "next to nothing",
    )
    parser.add_argument(
        "--symmetries",
        action="store_true",
        help="the mean over the eight symmetries of the image, of the network for any sensor: eight times the work",
    )
    parser.set_defaults(do=_upscale)

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


def add_view(parser: argparse.ArgumentParser) -> None:
    """How the scene file is to be read."""
    group = parser.add_argument_group("how IN is read, where the file does not say it or only a part is wanted")
    group.add_argument(
        "--key", help="the variable of a .mat or .npz file that holds several cubes (default: the only one)"
    )
    group.add_argument(
        "--layout", choices=tuple(BANDS_FIRST), help="axes of a .mat, .npy or .npz file (default: HWB, bands last)"
    )
    group.add_argument("--bands", help="such as 1-129,136-224 (default: all but dead ones and those marked in bbl)")
    group.add_argument("--rows", help="such as 101-356 (default: all)")
    group.add_argument("--columns", help="such as 1-256 (default: all)")
    group.add_argument("--wavelengths", help="a text file with a wavelength for each band (default: the scene's own)")


def view_of(given: argparse.Namespace) -> SceneView:
    """What the options of `add_view` say."""
    return SceneView(**{setting.name: getattr(given, setting.name) for setting in dataclasses.fields(SceneView)})


def _upscale(given: argparse.Namespace) -> None:
    page = None if given.report is None else report_path(given.report, given.overwrite)
    view = view_of(given)
    said: list[str] = []

    def say(line: str) -> None:
        print(line)
        said.append(line)

    with warnings_kept() as warned:
        before = view.open(given.source)
        colours = _colours(given.rgb, before)
        say(view.describe(before, _bytes(given.memory)))
        done = upscale(
            given.source, given.target, given.weights, given.scale, _bytes(given.memory), given.overwrite,
            given.interleave, view, given.force_units, given.precision, say, given.symmetries,
        )  # fmt: skip
    for line in _results(done, before):
        say(line)
    for remark in done.remarks:
        print(f"beware: {remark}")
    if not given.no_quicklook:
        print(_quicklook(done, colours, given.overwrite))
    say(f"{done.seconds:.1f} s, at most {done.peak_memory / 1e9:.2f} GB of memory")
    if page:
        write_scene_page(page, before, done, given.weights, said, [*warned, *done.remarks], colours)
        print(f"{page}: a page on it")


def _results(done: Upscaled, before: Scene) -> list[str]:
    """What came out, in lines."""
    after = done.open()
    sizes = [" x ".join(map(str, scene.shape[1:])) for scene in (before, after)]
    lines = [f"{done.path}: {done.shape[0]} bands of {sizes[1]} pixels (from {sizes[0]}), {done.dtype}"]
    if before.transform:
        lines.append(f"pixel size {_pixel_size(before)} -> {_pixel_size(after)}, upper left corner unchanged")
    if done.no_data:
        lines.append(f"{done.no_data} pixels without data, as in the input")
    return [*lines, f"{done.clipped} values clipped to the range of {done.dtype}", _beyond_in_words(done)]


def _colours(rgb: str | None, scene: Scene) -> list[int] | None:
    bands = None if rgb is None else numbers_in(rgb, scene.shape[0], "--rgb")
    if bands is not None and len(bands) != 3:
        raise ValueError(f"--rgb names three bands such as 30,20,10, got {rgb!r}")
    return bands


def _quicklook(done: Upscaled, bands: list[int] | None, overwrite: bool) -> str:
    """Write the new scene as a picture beside it; a line on it."""
    from matplotlib.image import imsave

    path = done.path.with_name(f"{done.path.stem}-quicklook.png")
    if path.exists() and not overwrite:
        return f"{path} exists, and is not replaced without --overwrite"
    with written_whole(path) as temporary:
        imsave(temporary, picture(done.open(), bands))
    return f"{path}: a picture of it"


def _beyond_in_words(done: Upscaled) -> str:
    share = done.beyond / (len(done.bands) * math.prod(done.shape[1:]))
    line = f"{done.beyond} values ({share:.2g} of all) lie outside of the range that their band has in the input"
    if done.beyond:
        line += f", by at most {done.farthest:.2g} of that range"
    if done.held:
        line += f"; {done.held} went farther than their neighbours in the input allow, and were held back"
    return line


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


def _pixel_size(scene: Scene) -> str:
    t = scene.transform
    return f"{math.hypot(t.a, t.d):g} x {math.hypot(t.b, t.e):g}"


def _bytes(text: str) -> float:
    """2G, 500M, 2e9 as a number of bytes."""
    match = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([KMG]?)B?\s*", text, re.IGNORECASE)
    try:
        number = float(match[1]) * UNITS[match[2].upper()]
        if not 0 < number < 2**63:
            raise ValueError
        return number
    except (TypeError, ValueError):
        raise ValueError(
            f"--memory must be a number of bytes, or one with K, M or G such as 2G, got {text!r}"
        ) from None
