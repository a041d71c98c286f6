"""The command `sharpen`. Help and wrong arguments answer at once: what takes seconds to import comes after them."""

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

UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}
IDLE_THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}  # do not hold a core: twice as fast on a busy machine
HUGE_PAGES = {"THP_MEM_ALLOC_ENABLE": "1"}  # (Linux), in which feature maps come and go in two thirds of the time
LEAST_MEMORY = 1e7  # bytes
PLENTY = 1.5e9  # bytes; with less memory freed memory is given back, and pages are small, which leave no gaps
FREED_BYTES = 300_000_000  # of freed memory that the process keeps at the end of its heap
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of malloc.h
PSF = "bicubic, mean, gaussian:SIGMA in LR pixels, sensor:NAME, or a kernel file"
EPILOG = """other commands:
  sharpen finetune SCENE    train the network further on a scene itself, and say whether that gains anything
  sharpen info SCENE        what is to be known of a scene, without sharpening it
  sharpen export OUT.onnx   write the network for other programs

Several scenes: sharpen many/*.hdr OUT/ keeps what is done already, one line a scene.
A part of a scene: gdal_translate -srcwin, or xarray's .isel in Python.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the status: 0 done, 1 not (all) done for printed reasons, 2 wrong, 130 interrupted."""
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
        print("interrupted: nothing half-finished was left; the same command begins again", file=sys.stderr)
        return 130


# --- arguments


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        print(f"error: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)


def sharpen_parser() -> Parser:
    """Return the arguments of `sharpen SCENE OUT`."""
    parser = Parser(
        prog="sharpen",
        usage="sharpen SCENE OUT [options]\n       sharpen SCENE... OUT/ [options]",
        description="Raise the spatial resolution of a hyperspectral scene, file to file, georeference and all.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sharpen {__version__}")
    parser.add_argument("paths", nargs="+", metavar="SCENE OUT", help="scenes, then a .tif, .hdr or .img, or a folder")
    _add_scale(parser)
    _add_degradation(parser)
    parser.add_argument(
        "--weights",
        help="the folder of a run, or a weights file; bicubic, back-projection or wiener: no network (default: the "
        "pretrained network for any sensor)",
    )
    parser.add_argument("--memory", type=_bytes, default="2G", help="the most to hold: 2G (default), 500M, or bytes")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    _add_reading(parser)
    group = parser.add_argument_group("output")
    group.add_argument("--interleave", choices=("bsq", "bil", "bip"), help="of an ENVI file (default: the scene's)")
    group.add_argument("--uncertainty", metavar="FILE", help="also write a standard deviation for every value")
    group.add_argument("--report", metavar="PAGE.html", help="also write a page on what was done")
    group.add_argument("--rgb", help="bands of the picture beside OUT, such as 30,20,10 (default: by wavelength)")
    group.add_argument("--no-quicklook", dest="quicklook", action="store_false", help="no picture beside OUT")
    group = parser.add_argument_group("the network")
    group.add_argument("--components", type=int, help="principal components that it sharpens (default 4, at x2 all)")
    group.add_argument("--symmetries", action="store_true", help="mean over eight symmetries: eight times slower")
    group.add_argument(
        "--precision", choices=("auto", "float32", "bfloat16"), default="auto",
        help="auto (default): bfloat16 where the processor has it, which changes 0.005 dB at most",
    )  # fmt: skip
    group.add_argument("--force-units", action="store_true", help="go on though the unit looks wrong")
    return parser


def finetune_parser() -> Parser:
    """Return the arguments of `sharpen finetune`."""
    parser = Parser(
        prog="sharpen finetune",
        description="Train the pretrained network further on a scene itself, degraded. A quarter of the scene is held "
        "out. There the result is measured against the pretrained network, Wiener deconvolution, back-projection and "
        "bicubic. The command to use is printed.",
    )
    parser.add_argument("scene", help="the scene")
    _add_scale(parser)
    _add_degradation(parser)
    parser.add_argument("--weights", help="a file to begin with (default: the pretrained weights)")
    parser.add_argument("--epochs", type=int, default=20, help="the most that are trained (default 20)")
    _add_reading(parser)
    return parser


def info_parser() -> Parser:
    """Return the arguments of `sharpen info`."""
    parser = Parser(prog="sharpen info", description="Print what is to be known of a scene.")
    parser.add_argument("scene", help="the scene")
    _add_reading(parser)
    return parser


def export_parser() -> Parser:
    """Return the arguments of `sharpen export`."""
    parser = Parser(
        prog="sharpen export",
        description="Write the network as an ONNX file, from eigenimages and conditions (k, 5, h, w) to residuals "
        "(k, 1, r·h, r·w) before back-projection. `sharpen.image.deconvolve.network_inputs` makes the former, and says "
        "how to use the latter. Needs pip install 'lkca[onnx]'.",
    )
    parser.add_argument("target", metavar="OUT.onnx", help="the file to write")
    _add_scale(parser)
    parser.add_argument("--weights", help="a weights file, or the folder of a run (default: the pretrained weights)")
    parser.add_argument("--overwrite", action="store_true", help="replace the file")
    return parser


def _add_scale(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scale", type=int, choices=(2, 4, 8), help="new pixels along an old one (default 4)")


def _add_degradation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--psf", default="auto", help=f"of the sensor: auto (default) estimates it; {PSF}")
    parser.add_argument(
        "--noise", type=_decibels, default="auto",
        help="auto (default) estimates it; none; or signal to noise in dB, as 30",
    )  # fmt: skip


def _add_reading(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how the scene is read")
    group.add_argument("--bands", help="such as 1-129,136-224 (default: all but bad ones and those without data)")
    group.add_argument("--key", help="the variable of a .mat, .npz, HDF5 or netCDF file that holds several cubes")
    group.add_argument("--layout", help="axes of an array: HWB, BHW, HBW, … (default: the format's usual order)")
    group.add_argument("--wavelengths", metavar="FILE", help="a text file with a wavelength for each band")


def _bytes(text: str) -> float:
    """Return 2G, 500M, 2e9 as a number of bytes."""
    match = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([KMG]?)B?\s*", text, re.IGNORECASE)
    try:
        number = float(match[1]) * UNITS[match[2].upper()] if match else 0.0
    except ValueError:
        number = 0.0
    if not LEAST_MEMORY <= number < 2**63:  # `--memory 2` means gigabytes, and must not be taken for two bytes
        raise argparse.ArgumentTypeError(
            f"a number with M or G such as 2G, or of bytes (10 million at least), not {text!r}"
        )
    return number


def _decibels(text: str) -> str | float:
    try:
        return text if text == "auto" else float("inf" if text == "none" else text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"auto, none or a number of dB, not {text!r}") from None


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
            raise ValueError(f"--{single[0]} is of one scene: sharpen them one by one")
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
    """Print what is to be known of a scene."""
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
    """Let the C library (Linux) serve all threads from one heap, where each uses again what another one has freed.

    keep : freed memory stays for the next feature map, because what the kernel gives has to be cleared.
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
