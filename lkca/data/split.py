"""What a dataset is: its declaration, the readings of its protocol, and the split that a run sees."""

from collections.abc import Mapping
from dataclasses import dataclass, field

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
    """

    dataset: str
    reading: str
    train: tuple[Area, ...]
    test: tuple[Area, ...]
    wavelengths: NDArray[np.float64] | None
    rgb: tuple[int, int, int]
    peak: float
    checksum: str

    @property
    def bands(self) -> int:
        return self.train[0].cube.shape[0]


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
    notes: str = field(default="", repr=False)
