"""What a declaration of a dataset says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class TopTiles(NamedTuple):
    """A protocol variant of a big scene: square test images side by side along the top, the rows below train.

    size, count : side in pixels and number of the test images.
    peak : the file's number that becomes 1; None takes the crop's maximum.
    """

    size: int
    count: int
    peak: float | None = None


class SyntheticScenes(NamedTuple):
    """Synthetic scenes that train and one that tests: seeds, side in pixels, number of bands."""

    train_seeds: tuple[int, ...]
    test_seed: int
    size: int
    bands: int


class SyntheticStream(NamedTuple):
    """Synthetic scenes generated on the fly to train; the seeds of those that validate and test, all of one size."""

    validation_seeds: range
    test_seeds: range
    size: int
    bands: int


class OnePlaceOut(NamedTuple):
    """The small real scenes without those of one place, which test; all resampled to the same number of bands."""

    place: str
    bands: int


@dataclass(frozen=True)
class Dataset:
    """The facts of a dataset.

    variants : named variants of its protocol, where that leaves something open; the first is the default.
    kind : which function of `lkca.data.loaders` reads it.
    files : names in `LKCA_DATA`; the first is opened.
    key : variable in a MATLAB file. shape : (B, H, W) that the file must have.
    rows, columns, bands : (first, last + 1) of the part that the protocol uses; None for all.
    patch, stride : HR pixels by scale. The paper gives them for Chikusei; elsewhere they are this study's.
    rgb : band numbers, from 0, to show as red, green, blue; None leaves that to the wavelengths.
    wavelength_range : first and last in nm, where the file does not say. wavelengths : a function that returns all.
    left_out : ranges (first, last + 1) of bands that hold nothing to learn: blank, dead or in water vapour.
    side_by_side : of a scene in several files, the columns (first, last + 1) of each, joined from left to right.
    package : installed Python package that ships the files, instead of `LKCA_DATA`.
    sensor, place, pixel_size : what took it, where, and how many metres a pixel is wide; None where unknown.
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
    pixel_size: float | None = None
    urls: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[str, ...] = ()
    notes: str = field(default="", repr=False)
