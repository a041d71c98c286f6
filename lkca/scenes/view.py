"""A scene as its user wants it read: which variable, which axes, which part, and what wavelengths."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from lkca.paths import expanded
from lkca.scenes import open_scene
from lkca.scenes.axes import LOOSE_FORMATS, axes_in_doubt
from lkca.scenes.bands import numbers_in, usable_bands
from lkca.scenes.scene import Scene, consecutive
from lkca.scenes.wavelengths import in_nanometres

AXES = {"HWB": "(height, width, bands)", "BHW": "(bands, height, width)", "HBW": "(height, bands, width)"}


@dataclass(frozen=True)
class SceneView:
    """How a scene file is to be read. All are None where the file decides.

    key : the variable of a .mat or .npz file.
    layout : "HWB", "BHW" or "HBW", the order of axes of .mat, .npy and .npz files.
    bands, rows, columns : numbers from 1 on, both ends included, such as "1-129,136-224"; rows and columns one range.
    wavelengths : a text file with a number a band, in nm or micrometres.
    """

    key: str | None = None
    layout: str | None = None
    bands: str | None = None
    rows: str | None = None
    columns: str | None = None
    wavelengths: str | None = None

    def open(self, path: str | Path) -> Scene:
        """The scene, cut to rows and columns, with all its bands; nothing of its cube is read.

        Raises
        ------
        ValueError, FileNotFoundError
            As `lkca.open_scene`; and where a setting does not fit the file.
        """
        scene = open_scene(path, self.key, self.layout or "HWB")
        _, height, width = scene.shape
        if self.wavelengths:
            scene = replace(scene, wavelengths=wavelengths_of(self.wavelengths, scene), fwhm=None)
        if self.rows or self.columns:
            rows, columns = _range(self.rows, height, "rows"), _range(self.columns, width, "columns")
            scene = part(scene, rows=rows, columns=columns)
        return scene

    def open_usable(self, path: str | Path) -> tuple[Scene, list[int], str]:
        """The scene with its usable bands alone, their numbers in the file, and a line on those left out."""
        scene = self.open(path)
        bands, line = usable_bands(scene, self.bands)
        return (scene if bands == list(range(scene.shape[0])) else part(scene, bands=bands)), bands, line

    def describe(self, scene: Scene, memory: float = math.inf) -> str:
        """A line on an opened scene: its bands, size and type, and how its axes were read.

        memory : bytes that the process may hold.

        Warns
        -----
        UserWarning
            The file does not say what its axes are, nor does the view, and others are likelier: see `scenes.axes`.
        """
        bands, height, width = scene.shape
        line = f"{scene.path}: {bands} bands of {height} x {width} pixels, {scene.dtype}"
        if scene.format in LOOSE_FORMATS:
            layout = self.layout or "HWB"
            if not self.layout and (doubt := axes_in_doubt(scene, layout, memory)):
                warnings.warn(doubt, stacklevel=2)
            line += f", axes read as {AXES[layout]}{'' if self.layout else '; --layout BHW or HBW reads others'}"
        return line

    def options(self) -> list[str]:
        """The command line's options that say the same."""
        return [word for name, value in asdict(self).items() if value for word in (f"--{name}", value)]


def part(
    scene: Scene,
    rows: slice = slice(None),
    columns: slice = slice(None),
    bands: Sequence[int] | None = None,
) -> Scene:
    """Some rows, columns and bands of a scene, as a scene whose georeference is that of the part."""
    total, height, width = scene.shape
    top, bottom, _ = rows.indices(height)
    left, right, _ = columns.indices(width)
    chosen = list(range(total)) if bands is None else [int(band) for band in bands]

    def read(r: slice, c: slice, b: list[int]) -> np.ndarray:
        inner = slice(top + r.start, top + r.stop), slice(left + c.start, left + c.stop)
        taken = [chosen[band] for band in b]
        if scene.reads_parts:
            return scene.reader(*inner, taken)
        whole = scene.reader(slice(0, height), slice(0, width), list(range(total)))
        return whole[consecutive(taken), *inner]

    def of(values: Sequence | np.ndarray | None) -> Sequence | np.ndarray | None:
        if values is None:
            return None
        return values[chosen] if isinstance(values, np.ndarray) else tuple(values[band] for band in chosen)

    metadata = dict(scene.metadata)
    if bands is not None:
        for name in [name for name in metadata if name.lower() in ("bbl", "default bands", "band names")]:
            del metadata[name]
    if (top, left, bottom, right) != (0, 0, height, width):
        for name in [name for name in metadata if name.lower() == "map info"]:
            del metadata[name]  # its reference pixel may lie outside; the writer makes it anew from the transform
    transform = scene.transform
    if transform is not None:
        transform = transform @ type(transform).translation(left, top)
    return replace(
        scene,
        shape=(len(chosen), bottom - top, right - left),
        reader=read,
        wavelengths=of(scene.wavelengths),
        fwhm=of(scene.fwhm),
        band_names=of(scene.band_names),
        gains=of(scene.gains),
        offsets=of(scene.offsets),
        transform=transform,
        metadata=metadata,
    )


def wavelengths_of(path: str | Path, scene: Scene) -> np.ndarray:
    """Wavelengths in nm, (B,), from a text file with a number a band, parted by spaces, commas or lines.

    Raises
    ------
    ValueError
        Not so many numbers, or none that can be wavelengths. FileNotFoundError: no such file.
    """
    path = expanded(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of wavelengths")
    words = path.read_text(encoding="utf-8", errors="replace").replace(",", " ").replace(";", " ").split()
    try:
        values = [float(word) for word in words]
    except ValueError as error:
        raise ValueError(f"{path}: expected numbers alone, a wavelength for each band ({error})") from error
    if len(values) != scene.shape[0]:
        raise ValueError(f"{path}: holds {len(values)} wavelengths, but {scene.path} has {scene.shape[0]} bands")
    found, _ = in_nanometres(path, len(values), values)
    if found is None:
        raise ValueError(f"{path}: not wavelengths in nm (300 to 15000) or in micrometres (0.3 to 15)")
    return found


def _range(text: str | None, length: int, what: str) -> slice:
    if not text:
        return slice(0, length)
    numbers = numbers_in(text, length, what)
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise ValueError(f"{what}: {text!r} is not one range such as 101-356")
    return slice(numbers[0], numbers[-1] + 1)
