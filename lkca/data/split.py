"""What a dataset is: its declaration, the readings of its protocol, and the split that a run sees."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lkca.data.patches import Area


@dataclass(frozen=True)
class Split:
    """A dataset as a run sees it.

    train, test : areas in [0, 1]; of a large scene they are views of one array.
    wavelengths : (B,) in nm, or None.
    rgb : band numbers to show as red, green, blue.
    peak : the file's number that became 1.
    checksum : SHA-256 over the source files (over the cubes for a made scene).
    validation : areas to choose the best weights by, where not a part of the training areas does.
    partial : checksums of single ones of several files, which runs of older versions recorded.
    """

    dataset: str
    reading: str
    train: tuple[Area, ...]
    test: tuple[Area, ...]
    wavelengths: NDArray[np.float64] | None
    rgb: tuple[int, int, int]
    peak: float
    checksum: str
    validation: tuple[Area, ...] = ()
    partial: tuple[str, ...] = ()

    @property
    def bands(self) -> int:
        return (*self.train, *self.test)[0].cube.shape[0]


class MadeScenes(NamedTuple):
    """Which made scenes train and test: their seeds, their side in pixels, their number of bands."""

    train_seeds: tuple[int, ...]
    test_seed: int
    size: int
    bands: int


class FreshScenes(NamedTuple):
    """Made scenes that train but once, and the seeds of those that validate and test, all of one size and sensor."""

    validation_seeds: range
    test_seeds: range
    size: int
    bands: int


@dataclass(frozen=True)
class SensorReading:
    """Which scenes of all sensors train a network for any of them.

    real : real scenes beside made ones. left_out : the sensor that tests. validates : the sensor that chooses the
    weights; None lets made scenes choose. made : number of made scenes, the same in every epoch; None draws fresh ones
    as training goes.
    """

    real: bool
    left_out: str | None = None
    validates: str | None = None
    made: int | None = None


@dataclass(frozen=True)
class Reading:
    """One way to read a big scene's protocol: square tests side by side along the top, the rows below train.

    test_size, tests : side and number of the test images.
    peak : the file's number that becomes 1; None takes the crop's maximum.
    """

    test_size: int
    tests: int
    peak: float | None = None


@dataclass(frozen=True)
class Dataset:
    """What is known of a dataset.

    files : names in `LKCA_DATA`, the first is opened.
    key : variable in a MATLAB file. shape : (B, H, W) that the file must have.
    rows, columns, bands : (first, last + 1) of the part that the protocol uses; None for all.
    readings : named readings of the protocol, the first is the default.
    patch, stride : HR pixels by scale. The paper gives them for Chikusei; elsewhere they are this study's.
    wavelength_range : first and last in nm, where the file does not say. wavelengths : a function that returns all.
    left_out : ranges (first, last + 1) of bands that hold nothing to learn: blank, dead or in water vapour.
    side_by_side : of a scene in several files, the columns (first, last + 1) of each, joined from left to right.
    package : installed Python package that ships the files, instead of `LKCA_DATA`.
    sensor, place, pixel_size : what took it, where, and how many metres a pixel is wide; None where unknown.
    source, citation : where to get it, whom to cite.
    """

    name: str
    title: str
    readings: Mapping[str, object]
    patch: Mapping[int, int]
    stride: Mapping[int, int]
    kind: str
    source: str
    citation: str
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
    notes: str = field(default="", repr=False)
