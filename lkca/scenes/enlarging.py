"""What becomes of a scene's description when its pixels are cut into smaller ones."""

from typing import TYPE_CHECKING

from lkca.scenes.no_data import held_as
from lkca.scenes.scene import Scene

if TYPE_CHECKING:
    from affine import Affine

STALE = (
    "x start", "y start", "geo points", "rpc info", "pseudo projection info", "autodarkstartline",
    "classes", "class names", "class lookup", "complex function", "read procedures",
    "area_or_point", "tifftag_xresolution", "tifftag_yresolution", "tifftag_resolutionunit",
)  # fmt: skip
"""Header fields and tags that speak of the old pixels, of a larger image, or of classes that are none any more."""


def enlarged(scene: Scene, scale: int) -> dict[str, object]:
    """What `SceneWriter` is told beside path, shape and dtype when `scene` is enlarged `scale` times.

    Wavelengths, FWHM, band names, scale factor, gains and offsets, CRS and the header's other fields (`bbl`,
    `default bands`, `sensor type`, ...) stay as they are. The outer corner of the upper left pixel stays where it is;
    `transform`, `pixel size` and `map info` get pixels `scale` times smaller. `map info` keeps its projection, zone,
    datum, units and rotation; its reference pixel moves with the pixels, its easting and northing stay.

    Left out, because they would be wrong: `x start` and `y start` (places in a larger image that was not enlarged),
    `geo points`, `rpc info` and `pseudo projection info` (in old pixels), `autodarkstartline` (an old row), `classes`,
    `class names` and `class lookup` (numbers between two classes are no class), `complex function`, `read procedures`,
    a TIFF's resolution in pixels per inch and its `AREA_OR_POINT`; a no-data value that the scene's type cannot hold,
    for no pixel can have it. Fields such as `lines` or `data type` follow from what is written.

    Parameters
    ----------
    scale : int
        New pixels along each side of an old one.

    Raises
    ------
    ValueError
        A scale that is no whole number of at least 1.
    """
    if scale != int(scale) or scale < 1:
        raise ValueError(f"scale is {scale}, expected a whole number of at least 1")
    metadata = {name: value for name, value in scene.metadata.items() if name.lower() not in STALE}
    for name, change in (("map info", _map_info), ("pixel size", _pixel_size)):
        if name in metadata:
            try:
                metadata[name] = change(_items(metadata[name]), scale)
            except (ValueError, IndexError):  # not as ENVI writes it, so nobody can say where its pixels are
                del metadata[name]
    no_data = scene.no_data
    if no_data is not None and scene.dtype.kind in "iu" and held_as(no_data, scene.dtype) is None:
        no_data = None
    return {
        "wavelengths": scene.wavelengths,
        "fwhm": scene.fwhm,
        "band_names": scene.band_names,
        "no_data": no_data,
        "scale_factor": scene.scale_factor,
        "gains": scene.gains,
        "offsets": scene.offsets,
        "crs": scene.crs,
        "transform": None if scene.transform is None else _smaller_pixels(scene.transform, scale),
        "metadata": metadata,
    }


def _smaller_pixels(transform: "Affine", scale: int) -> "Affine":
    a, b, c, d, e, f = tuple(transform)[:6]
    return type(transform)(a / scale, b / scale, c, d / scale, e / scale, f)


def _map_info(items: list[str], scale: int) -> str:
    """{projection, reference x, y (from 1, in pixels), easting, northing, pixel width, height, ...}"""
    x, y = ((float(item) - 1) * scale + 1 for item in items[1:3])
    width, height = (float(item) / scale for item in (items[5], items[6]))
    return _joined([items[0], f"{x:.15g}", f"{y:.15g}", *items[3:5], f"{width:.15g}", f"{height:.15g}", *items[7:]])


def _pixel_size(items: list[str], scale: int) -> str:
    return _joined([*(f"{float(item) / scale:.15g}" for item in (items[0], items[1])), *items[2:]])


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.strip("{} ").split(",")]


def _joined(items: list[str]) -> str:
    return "{" + ", ".join(items) + "}"
