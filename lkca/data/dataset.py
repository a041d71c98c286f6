"""Define what the declaration of a dataset holds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class TopTiles(NamedTuple):
    """A protocol variant of a big scene: square test images side by side along the top, the rows below train.

    size, count : side in pixels and number of the test images.
    peak : the value in the file that becomes 1; None takes the maximum of the rows, columns and bands used.
    """

    size: int
    count: int
    peak: float | None = None


class SyntheticScenes(NamedTuple):
    """Synthetic scenes of one size: side in pixels, number of bands, and the seeds of those that test, train, validate.

    train_seeds : if empty, the scenes to train on are generated on the fly.
    validation_seeds : if empty, a part of the training scenes validates.
    """

    size: int
    bands: int
    test_seeds: Sequence[int]
    train_seeds: Sequence[int] = ()
    validation_seeds: Sequence[int] = ()


class OnePlaceOut(NamedTuple):
    """The small real scenes, all resampled to `bands` bands: those of one place test, the others train."""

    place: str
    bands: int


@dataclass(frozen=True)
class Dataset:
    """The facts of a dataset.

    variants : named variants of its protocol, where the protocol leaves something open; the first is the default.
    kind : which function of `lkca.data.loaders` reads it.
    files : names in `LKCA_DATA`; the first is opened, of a scene in parts one for each entry of `side_by_side`.
    key : variable in a MATLAB file. shape : (B, H, W) of the file, which is checked.
    rows, columns, bands : (first, last + 1) of the part that the protocol uses; None for all.
    patch, stride : HR pixels by scale. The paper gives them for Chikusei; elsewhere they are this study's.
    rgb : band numbers, from 0, to show as red, green, blue; None leaves that to the wavelengths.
    wavelength_range : first and last in nm, if the file has none. wavelengths : a function that returns all, in nm.
    left_out : ranges (first, last + 1) of bands without information: blank, dead or in water-vapour absorption.
    side_by_side : for a scene in several files, the columns (first, last + 1) of each, joined from left to right.
    package : installed Python package that has the files; they are then not in `LKCA_DATA`.
    sensor, place : which instrument took it, and where.
    source, citation : where to get it, whom to cite.
    urls : addresses that lead straight to files, by file name. steps : how to get the files by hand.
    """

    name: str
    title: str
    variants: Mapping[str, object]
    patch: Mapping[int, int]
    stride: Mapping[int, int]
    kind: str
    source: str
    citation: str = ""
    files: tuple[str, ...] = ()
    key: str | None = None
    shape: tuple[int, int, int] | None = None
    rows: tuple[int, int] | None = None
    columns: tuple[int, int] | None = None
    bands: tuple[int, int] | None = None
    rgb: tuple[int, int, int] | None = None
    wavelength_range: tuple[float, float] | None = None
    wavelengths: Callable[[], Sequence[float]] | None = None
    left_out: tuple[tuple[int, int], ...] = ()
    side_by_side: tuple[tuple[int, int], ...] = ()
    package: str = ""
    sensor: str = ""
    place: str = ""
    urls: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[str, ...] = ()
