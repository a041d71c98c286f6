"""Weights that come with the package: the network for any sensor, ready to use."""

from importlib.resources import files
from pathlib import Path

from lkca.models import SCALES

KINDS = ("made", "real")  # trained on made scenes alone, or on real ones as well
DEFAULT = "made"


def box_file(scale: int, kind: str) -> Path:
    """Where the package has the weights of a scale and kind."""
    return Path(str(files("lkca.box") / f"any-sensor-x{scale}-{kind}.safetensors"))


def box_weights(scale: int, kind: str = DEFAULT) -> Path:
    """The file of the weights that come with the package.

    Raises
    ------
    ValueError
        If there are none for that scale or of that kind.
    """
    if scale not in SCALES or kind not in KINDS:
        raise ValueError(
            f"no weights in the box for scale {scale!r}, trained on {kind!r}: there are scales "
            f"{', '.join(map(str, SCALES))}, each trained on {' or '.join(KINDS)}"
        )
    path = box_file(scale, kind)
    if not path.is_file():
        raise ValueError(f"{path} is not there: `python -m lkca weights --scale {scale} --kind {kind}` trains it")
    return path
