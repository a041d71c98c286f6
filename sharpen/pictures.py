"""Draw scenes in colour without holding them in memory as a whole."""

import warnings
from collections.abc import Sequence

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile
from torch import Tensor

from lkca.data.wavelengths import rgb_bands, shows_colours
from sharpen.image.tiles import Rows, spans

NO_DATA = 0.85  # the grey of pixels without data
MIDDLE_SIDE = 48  # LR pixels on a side of the detail from the middle of a scene
CHUNK_ROWS = 64  # LR rows read at once
MAX_SIDE = 1000  # pixels on the longer side of a picture of a whole scene
SAMPLED_ROWS = 64  # from which principal components are computed
TINT = 0.12  # how strongly the second and third component colour the grey
PERCENTILES = (2, 98)  # between which a picture is stretched


class Colours:
    """How a scene is shown in colour.

    Shown are the bands `rgb`, or those nearest to red, green and blue. A scene without such wavelengths is shown by its
    principal components: the first is the brightness, the next two tint it.

    lr : the scene. wavelengths : (b,) in nm, or None. rgb : three of its bands, from 0.
    """

    def __init__(self, lr: Rows, wavelengths: NDArray | None, rgb: Sequence[int] | None = None) -> None:
        bands, height, _ = lr.shape
        self.components = rgb is None and not shows_colours(wavelengths) and bands > 3
        if not self.components:
            self.bands = list(rgb_bands(bands, wavelengths) if rgb is None else rgb)
            return
        rows = np.unique(np.linspace(0, height - 1, SAMPLED_ROWS).round().astype(int))
        pixels = torch.cat([lr.rows(row, row + 1) for row in rows], dim=1).flatten(1).double()
        _, vectors = torch.linalg.eigh(torch.cov(pixels).reshape(bands, bands))
        vectors = vectors.flip(1)[:, :3]
        self.vectors = (vectors * vectors.sum(0).sign()).float()  # an eigenvector's sign is arbitrary

    def of(self, values: Tensor) -> Tensor:
        """Return the three channels (3, n, m) of values (b, n, m)."""
        if not self.components:
            return values[self.bands].clone()
        return torch.tensordot(self.vectors.T, values, 1)

    def show(self, channels: NDArray, missing: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the picture (n, m, 3) in [0, 1] of channels (3, n, m), each stretched by its own percentiles."""
        first, second, third = (_stretched(channel.astype(float), missing) for channel in channels)
        if self.components:
            warm, green = 2 * second - 1, 2 * third - 1
            first, second, third = first + TINT * warm, first + TINT * green, first - TINT * (warm + green) / 2
        shown = np.stack([first, second, third], axis=-1).clip(0, 1)
        shown[missing] = NO_DATA
        return shown


class Picture:
    """A picture that is collected strip by strip.

    shape : (h, w) of the scene. rows, columns : the part to show; by default the whole scene, every n-th pixel.
    """

    def __init__(
        self, colours: Colours, shape: tuple[int, int], rows: slice | None = None, columns: slice | None = None
    ) -> None:
        step = 1 if rows else max(1, -(-max(shape) // MAX_SIDE))
        self.colours = colours
        self.rows = range(*(rows or slice(None, None, step)).indices(shape[0]))
        self.columns = slice(*(columns or slice(None, None, step)).indices(shape[1]))
        self.parts: list[tuple[NDArray, NDArray[np.bool_]]] = []

    def add(self, first: int, strip: Tensor, missing: NDArray[np.bool_] | None = None) -> None:
        """Add a strip (b, n, w) that begins at row `first`."""
        chosen = [row - first for row in self.rows if first <= row < first + strip.shape[1]]
        if not chosen:
            return
        channels = self.colours.of(strip[:, chosen, self.columns]).numpy()
        holes = np.zeros(channels.shape[1:], bool) if missing is None else missing[chosen, self.columns]
        self.parts.append((channels, holes))

    def image(self) -> NDArray[np.float64]:
        """Return (n, m, 3) in [0, 1]."""
        channels, missing = (np.concatenate([part[n] for part in self.parts], axis=1 - n) for n in (0, 1))
        return self.colours.show(channels, missing)


class ScenePictures:
    """Pictures of the whole scene and of its middle, before and after sharpening.

    size : (h, w) of the scene. scale : r.
    """

    def __init__(self, colours: Colours, size: Sequence[int], scale: int) -> None:
        side = min(*size, MIDDLE_SIDE)
        corner = [(length - side) // 2 for length in size]
        self.side, self.size, self.scale = side, tuple(size), scale
        self.before, self.after = (
            (
                Picture(colours, tuple(length * factor for length in size)),
                Picture(colours, tuple(length * factor for length in size),
                        *(slice(first * factor, (first + side) * factor) for first in corner)),
            )
            for factor in (1, scale)
        )  # fmt: skip

    def add(self, first: int, strip: Tensor, missing: NDArray[np.bool_] | None) -> None:
        """Add a strip (b, n, r·w) of the sharpened scene that begins at row `first`."""
        for picture in self.after:
            picture.add(first, strip, missing)

    def pairs(self, lr: Rows) -> dict[str, dict[str, NDArray[np.float64]]]:
        """Return the pictures before and after, by title; lr : the LR scene, with a mask `missing`."""
        for start, stop, _, _ in spans(self.size[0], CHUNK_ROWS):
            for picture in self.before:
                picture.add(start, lr.rows(start, stop), lr.missing[start:stop])
        sizes = [f"{self.size[0] * f} x {self.size[1] * f} pixels" for f in (1, self.scale)]
        whole, middle = zip(self.before, self.after, strict=True)
        return {
            "The whole scene": {f"{when}, {size}": picture.image() for when, size, picture
                                in zip(("before", "after"), sizes, whole, strict=True)},
            f"Its middle, {self.side} x {self.side} input pixels":
                {when: picture.image() for when, picture in zip(("before", "after"), middle, strict=True)},
        }  # fmt: skip


def png(image: NDArray[np.float64]) -> bytes:
    """Return a picture (n, m, 3) in [0, 1] as a PNG file."""
    height, width, channels = image.shape
    size = {"height": height, "width": width, "count": channels, "dtype": "uint8"}
    with warnings.catch_warnings(), rasterio.Env(GDAL_PAM_ENABLED="NO"), MemoryFile() as file:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with file.open(driver="PNG", **size) as raster:
            raster.write((255 * image).round().astype(np.uint8).transpose(2, 0, 1))
        return file.read()


def _stretched(channel: NDArray, missing: NDArray[np.bool_]) -> NDArray:
    if missing.all():
        return np.zeros(channel.shape)
    low, high = np.percentile(channel[~missing], PERCENTILES)
    return ((channel - low) / (high - low if high > low else 1)).clip(0, 1)
