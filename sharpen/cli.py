"""The command `sharpen`. Help and argument errors come at once: slow imports stand inside the functions."""

import argparse
import contextlib
import ctypes
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from lkca import __version__
from lkca.cli import print_each_warning_once

BYTE_UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}
IDLE_THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}  # waiting threads free their core: twice as fast on a busy machine
HUGE_PAGES = {"THP_MEM_ALLOC_ENABLE": "1"}  # Linux; allocating feature maps then takes a third less time
MIN_MEMORY = 1e7  # bytes
PLENTY = 1.5e9  # bytes of --memory; with less, pages stay small and freed memory goes back to the system
FREED_BYTES = 300_000_000  # of freed memory that the process keeps for its next feature maps
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of malloc.h
PSF = "bicubic, mean, gaussian:SIGMA in LR pixels, sensor:NAME, or a kernel file"
EPILOG = """other commands:
  sharpen finetune SCENE    train the network further on the scene itself, and measure whether that helps
  sharpen info SCENE        print a scene's metadata, usable bands and estimated PSF
  sharpen export OUT.onnx   write the network for other programs

Several scenes: sharpen many/*.hdr OUT/ skips scenes that are done already, and prints one line for each.
Part of a scene: cut it out with gdal_translate -srcwin, or with xarray's .isel in Python.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 0 done, 1 failed for a printed reason, 130 interrupted.

    Wrong arguments raise SystemExit(2).
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        make, run = COMMANDS.get(words[0] if words else "", (sharpen_parser, run_sharpen))
        options = make().parse_args(words[1:] if run is not run_sharpen else words)
        plenty = getattr(options, "memory", PLENTY) >= PLENTY
        for name, value in (IDLE_THREADS | HUGE_PAGES if plenty else IDLE_THREADS).items():
            os.environ.setdefault(name, value)  # before torch is loaded
        warnings.showwarning = print_each_warning_once()
        return 0 if run(options) is not False else 1
    except (ValueError, OSError, ImportError) as error:
        return _fail(error)
    except MemoryError as error:
        return _fail(f"not enough memory ({error}): give a smaller scene, or less --memory")
    except RuntimeError as error:
        if "alloc" not in str(error):  # torch's way to say it
            raise
        return _fail("not enough memory: give a smaller scene, or less --memory")
    except KeyboardInterrupt:
        print("interrupted: no partial file was left; repeat the command to go on", file=sys.stderr)
        return 130


# --- arguments


class Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line."""

    def error(self, message: str) -> NoReturn:
        print(f"error: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)


def sharpen_parser() -> Parser:
    """Return the arguments of `sharpen SCENE OUT`."""
    parser = Parser(
        prog="sharpen",
        usage="sharpen SCENE OUT [options]\n       sharpen SCENE... OUT/ [options]",
        description="Raise the spatial resolution of a hyperspectral scene, file to file, with its georeference.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sharpen {__version__}")
    parser.add_argument(
        "paths", nargs="+", metavar="SCENE OUT", help="scenes, then the output: .tif, .hdr, .img or a folder"
    )
    _add_scale(parser)
    _add_degradation(parser)
    parser.add_argument(
        "--weights",
        help="a weights file or the folder of a run; or bicubic, back-projection or wiener, which use no network "
        "(default: the pretrained network, for any sensor)",
    )
    parser.add_argument("--memory", type=_bytes, default="2G", help="memory limit: 2G (default), 500M, or bytes")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    _add_reading(parser)
    group = parser.add_argument_group("output")
    group.add_argument(
        "--interleave",
        choices=("bsq", "bil", "bip"),
        help="order of the bands (default: ENVI as the scene, GeoTIFF bsq)",
    )
    group.add_argument("--uncertainty", metavar="FILE", help="also write a standard deviation for every value")
    group.add_argument("--report", metavar="PAGE.html", help="also write a page with pictures, numbers and warnings")
    group.add_argument("--rgb", help="bands of the quicklook, such as 30,20,10 (default: by wavelength)")
    group.add_argument("--no-quicklook", dest="quicklook", action="store_false", help="do not write OUT-quicklook.png")
    group = parser.add_argument_group("the network")
    group.add_argument("--components", type=int, help="principal components to sharpen (default 4; at x2: 8)")
    group.add_argument("--symmetries", action="store_true", help="average over flips and rotations: eight times slower")
    group.add_argument(
        "--precision", choices=("auto", "float32", "bfloat16"), default="auto",
        help="auto (default): bfloat16 where the processor has it, which changes about 0.001 dB",
    )  # fmt: skip
    group.add_argument(
        "--force-units", action="store_true", help="go on if the scene seems to be in another unit than the weights"
    )
    return parser


def finetune_parser() -> Parser:
    """Return the arguments of `sharpen finetune`."""
    parser = Parser(
        prog="sharpen finetune",
        description="Train the pretrained network further on the scene itself, degraded. On a held-out "
        "quarter, compare the result with the pretrained network, Wiener deconvolution, back-projection and "
        "bicubic. Print the command that sharpens the scene by the best of them.",
    )
    parser.add_argument("scene", help="the scene")
    _add_scale(parser)
    _add_degradation(parser)
    parser.add_argument("--weights", help="weights to start from (default: the pretrained ones)")
    parser.add_argument("--epochs", type=int, default=20, help="maximum number of epochs (default 20)")
    _add_reading(parser)
    return parser


def info_parser() -> Parser:
    """Return the arguments of `sharpen info`."""
    parser = Parser(prog="sharpen info", description="Print a scene's metadata, usable bands and estimated PSF.")
    parser.add_argument("scene", help="the scene")
    _add_reading(parser)
    return parser


def export_parser() -> Parser:
    """Return the arguments of `sharpen export`."""
    parser = Parser(
        prog="sharpen export",
        description="Write the network as an ONNX file. It maps eigenimages and conditions (k, 5, h, w) to residuals "
        "(k, 1, r·h, r·w) before back-projection. In `sharpen.image.deconvolve`, `network_inputs` makes the inputs and "
        "`sharpen_tensor` shows how residuals become bands. Needs pip install 'lkca[onnx]'.",
    )
    parser.add_argument("target", metavar="OUT.onnx", help="the file to write")
    _add_scale(parser)
    parser.add_argument("--weights", help="a weights file, or the folder of a run (default: the pretrained weights)")
    parser.add_argument("--overwrite", action="store_true", help="replace the file")
    return parser


def _add_scale(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scale", type=int, choices=(2, 4, 8), help="upsampling factor (default: that of --weights, else 4)"
    )


def _add_degradation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--psf", default="auto", help=f"the sensor's PSF: auto (default) estimates it; or {PSF}")
    parser.add_argument(
        "--noise", type=_decibels, default="auto",
        help="auto (default) estimates it; or none; or the signal-to-noise ratio in dB, such as 30",
    )  # fmt: skip


def _add_reading(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how the scene is read")
    group.add_argument("--bands", help="such as 1-129,136-224 (default: all except bad bands and bands without data)")
    group.add_argument("--key", help="the variable of a .mat, .npz, HDF5 or netCDF file that holds several cubes")
    group.add_argument("--layout", help="order of the axes: HWB, BHW, HBW, … (default: the format's usual one)")
    group.add_argument("--wavelengths", metavar="FILE", help="a text file with a wavelength for each band")


def _bytes(text: str) -> float:
    """Return the bytes that a text such as 2G, 500M or 2e9 means."""
    match = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([KMG]?)B?\s*", text, re.IGNORECASE)
    try:
        number = float(match[1]) * BYTE_UNITS[match[2].upper()] if match else 0.0
    except ValueError:
        number = 0.0
    if not MIN_MEMORY <= number < 2**63:  # `--memory 2` most likely means 2G, not two bytes
        raise argparse.ArgumentTypeError(
            f"expected a size such as 2G or 500M, or at least 10 million bytes, not {text!r}"
        )
    return number


def _decibels(text: str) -> str | float:
    try:
        return text if text == "auto" else float("inf" if text == "none" else text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected auto, none or a number of dB, not {text!r}") from None


# --- commands


def run_sharpen(options: argparse.Namespace) -> bool | None:
    """Sharpen one scene, or several into a folder."""
    *sources, target = options.paths
    if not sources:
        raise ValueError("name a scene and the file to write: sharpen SCENE OUT")
    given = {name: value for name, value in vars(options).items() if name != "paths"}
    _tune_allocator(keep=options.memory >= PLENTY)
    many = len(sources) > 1 or target.endswith(("/", os.sep)) or Path(target).is_dir()
    if many:
        single = [name for name in ("uncertainty", "report") if given.pop(name)]
        if single:
            raise ValueError(f"--{single[0]} works with one scene only: sharpen the scenes one by one")
        from sharpen.files import sharpen_many

        return sharpen_many(sources, target, **given)
    from sharpen.files import sharpen_file

    done = sharpen_file(sources[0], target, **given)
    for remark in done.remarks:
        print(f"beware: {remark}")
    return None


def run_finetune(options: argparse.Namespace) -> None:
    """Train further on a scene."""
    from sharpen.finetune import finetune

    finetune(**vars(options))


def run_info(options: argparse.Namespace) -> None:
    """Print a scene's metadata, usable bands and estimated PSF."""
    from sharpen.files import describe

    for what, value in describe(options.scene, options.bands, options.key, options.layout, options.wavelengths).items():
        print(f"{what:20} {value}")


def run_export(options: argparse.Namespace) -> None:
    """Write the network as ONNX."""
    from sharpen.image.model import export_network

    export_network(options.target, options.scale, options.weights, options.overwrite)
    print(f"wrote {options.target}")


COMMANDS: dict[str, tuple[Callable[[], Parser], Callable[[argparse.Namespace], bool | None]]] = {
    "finetune": (finetune_parser, run_finetune),
    "info": (info_parser, run_info),
    "export": (export_parser, run_export),
}


def _tune_allocator(keep: bool) -> None:
    """Let the C library (Linux) serve all threads from one heap, so that each can reuse what another has freed.

    keep : keep freed memory for the next feature map; new memory from the kernel would have to be cleared first.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(M_ARENA_MAX, 1)
        if keep:
            mallopt(M_MMAP_THRESHOLD, 2**31 - 1)
            mallopt(M_TRIM_THRESHOLD, FREED_BYTES)


def _fail(message: object) -> int:
    print("error: " + " ".join(str(message).split()), file=sys.stderr)
    return 1
