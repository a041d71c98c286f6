"""`export`: trained weights as an ONNX file."""

import argparse

from lkca.commands import Defaults
from lkca.sharpening.onnx_export import export_onnx


def add(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "export", help="write trained weights as an ONNX file, for other programs", formatter_class=Defaults
    )
    parser.add_argument("weights", help="a run's folder, or its weights.safetensors")
    parser.add_argument("target", help="the file to write, NAME.onnx")
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it is there")
    parser.set_defaults(do=_export)


def _export(given: argparse.Namespace) -> None:
    export_onnx(given.weights, given.target, given.overwrite)
    print(f"wrote {given.target}")
