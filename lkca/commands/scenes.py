"""`upscale`: sharpen a scene file."""

import argparse
import dataclasses
import math
import re

from lkca.box import DEFAULT
from lkca.commands import Defaults
from lkca.models.precision import AUTO, PRECISIONS
from lkca.paths import written_whole
from lkca.scenes.bands import numbers_in
from lkca.scenes.picture import picture
from lkca.scenes.scene import Scene
from lkca.scenes.variables import BANDS_FIRST
from lkca.scenes.view import SceneView
from lkca.sharpening.scene_page import report_path, warnings_kept, write_scene_page
from lkca.sharpening.upscale import Upscaled, upscale

UNITS = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9}


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
    parser.add_argument(
        "--directions",
        type=int,
        help="spectral directions that the network for any sensor sharpens (default: 4; 8 take longer, for 0.01 dB)",
    )
    parser.set_defaults(do=_upscale)


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
            given.interleave, view, given.force_units, given.precision, say, given.symmetries, given.directions,
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
