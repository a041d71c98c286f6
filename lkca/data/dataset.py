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
    """Synthetic scenes of one size: side in pixels, number of bands, and the seeds of those that test, train, validate.

    train_seeds : where empty, the scenes to train on are generated on the fly.
    validation_seeds : where empty, a part of the training scenes validates.
    """

    size: int
    bands: int
    test_seeds: Sequence[int]
    train_seeds: Sequence[int] = ()
    validation_seeds: Sequence[int] = ()


class OnePlaceOut(NamedTuple):
    """The small real scenes without those of one place, which test; all resampled to the same number of bands."""

    place: str
    bands: int


@dataclass(frozen=True)
class Dataset:
    """The facts of a dataset.

    variants : named variants of its protocol, where that leaves something open; the first is the default.
    kind : which function of `lkca.data.loaders` reads it.
    files : names in `LKCA_DATA`; the first is opened, or as many as lie side by side.
    key : variable in a MATLAB file. shape : (B, H, W) that the file must have.
    rows, columns, bands : (first, last + 1) of the part that the protocol uses; None for all.
    patch, stride : HR pixels by scale. The paper gives them for Chikusei; elsewhere they are this study's.
    rgb : band numbers, from 0, to show as red, green, blue; None leaves that to the wavelengths.
    wavelength_range : first and last in nm, where the file does not say. wavelengths : a function that returns all.
    left_out : ranges (first, last + 1) of bands that hold nothing to learn: blank, dead or in water vapour.
    side_by_side : of a scene in several files, the columns (first, last + 1) of each, joined from left to right.
    package : installed Python package that ships the files, instead of `LKCA_DATA`.
    sensor, place : what took it, and where.
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
