"""Sharpen arrays: a cube in, a cube of the same kind out."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lkca.data.no_data import find_no_data
from lkca.files import Log
from sharpen.choose import check_bands, choose_method
from sharpen.image.tiles import ImageRows

if TYPE_CHECKING:
    import xarray as xr

    Cube = NDArray | Tensor | xr.DataArray


WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def sharpen(
    cube: "Cube",
    scale: int | None = None,
    psf: str = "auto",
    noise: str | float = "auto",
    weights: str | Path | None = None,
    no_data: float | None = None,
    *,
    components: int | None = None,
    symmetries: bool = False,
    precision: str = "float32",
    log: Log = lambda line: None,
) -> "Cube":
    """Sharpen a cube in memory, as `sharpen_file` sharpens a file.

    >>> sharper = sharpen(cube)                              # doctest: +SKIP
    >>> sharper = sharpen(cube, 2, weights="runs/NAME")      # doctest: +SKIP
    >>> sharper = sharpen(open_scene("scene.hdr"))           # doctest: +SKIP

    Parameters
    ----------
    cube : (B, h, w), NumPy array (masked ones too), tensor, or DataArray with dims (band, y, x); real numbers in any
        unit (for weights of a run: the unit of its scene).
    scale : 2, 4 or 8; None takes the scale of the weights, else 4.
    psf, noise, weights, components, symmetries, precision : see `sharpen.choose.choose_method`; "auto" estimates from
        the image.
    no_data : a pixel with this value in any band has no data. The same holds for masked pixels, NaN and infinity, what
        a DataArray declares as no data, and undeclared fill values, with a warning (`lkca.data.no_data`).
    log : gets a line on what was estimated.

    Returns
    -------
    (B, scale·h, scale·w), of the kind of `cube`. Floating-point types are kept, integers become float32. A pixel
    without data becomes scale x scale pixels of NaN, which a masked array masks.

    Raises
    ------
    ValueError
        If the cube is not (B, h, w) of real numbers or holds no data, or if weights, scale or PSF do not fit.
    FileNotFoundError
        If there is no such weights or kernel file.
    """
    values, missing = _read(cube, no_data)
    method, metadata = choose_method(weights, scale, psf, noise, components, symmetries, precision)
    with np.errstate(over="ignore"):  # values too large for float32 become infinite: no data
        numbers = values.astype(np.float32)
    x, peak = torch.from_numpy(fill_missing(numbers, missing)), 1.0
    if metadata is not None:
        check_bands("the cube", len(x), None, metadata, weights)
        peak = metadata.peak
    rows = ImageRows(x / peak if peak != 1 else x)
    method.prepare(rows, missing)
    if method.remark:
        log(method.remark)
    result = torch.empty(len(x), *(method.scale * side for side in x.shape[1:]))
    row = 0
    for strip, _ in method.strips(rows):
        result[:, row : row + strip.shape[1]] = strip
        row += strip.shape[1]
    result *= peak
    if not result.isfinite().all():
        raise ValueError(f"weights {weights} give NaN or infinite values on this cube: train them again")
    holes = missing.repeat(method.scale, 0).repeat(method.scale, 1)
    result[:, torch.from_numpy(holes)] = torch.nan
    return _like(cube, result, holes, method.scale)


def fill_missing(values: NDArray, missing: NDArray[np.bool_]) -> NDArray:
    """Fill each pixel of (B, h, w) without data with the spectrum of the nearest one with data; 0 if none has data."""
    if not missing.any():
        return values
    if missing.all():
        return np.zeros_like(values)
    from scipy.ndimage import distance_transform_edt

    rows, columns = distance_transform_edt(missing, return_distances=False, return_indices=True)
    return np.ascontiguousarray(values[:, rows, columns])


def _read(cube: "Cube", no_data: float | None) -> tuple[NDArray, NDArray[np.bool_]]:
    """Return the values (B, h, w) in native byte order, and a mask (h, w) of the pixels without data."""
    _check_shape(cube)
    name = "the cube"
    if isinstance(cube, Tensor):
        array = cube.detach().cpu()
        if array.dtype == torch.bfloat16:  # NumPy has no such type
            no_data = no_data and float(torch.tensor(no_data).bfloat16())
            array = array.float()
        array = array.numpy()
        missing = np.zeros(array.shape[1:], bool)
    elif isinstance(cube, np.ndarray):
        array, missing = np.ma.getdata(cube), np.ma.getmaskarray(cube).any(axis=0)
    else:
        from sharpen.scene.io import read_block  # imports GDAL, which arrays do not need

        array, missing = read_block(cube)
        name = cube.attrs.get("source", name)
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    if missing.any() and not missing.all():  # masked values are ignored
        array = np.where(missing, array[:, ~missing][:, :1, None], array)
    with np.errstate(over="ignore"):  # from comparisons with half precision
        missing = missing | find_no_data(array, no_data, name)
    if missing.all():
        raise ValueError(f"{name}: not one of {missing.size} pixels has data in all {len(array)} bands")
    return array, missing


def _check_shape(cube: "Cube") -> None:
    dtype, shape, dims = (getattr(cube, what, None) for what in ("dtype", "shape", "dims"))
    real = dtype.is_floating_point or dtype in WHOLE if isinstance(cube, Tensor) else np.dtype(dtype).kind in "iuf"
    if not hasattr(cube, "shape") or len(shape) != 3 or 0 in shape or not real:
        raise ValueError(f"a cube is (B, h, w) of real numbers, got {dtype} of shape {tuple(shape or ())}")
    if dims is not None and dims != ("band", "y", "x"):
        raise ValueError(f"a DataArray has dims (band, y, x), got {dims}: rename and transpose them")


def _like(cube: "Cube", result: Tensor, holes: NDArray[np.bool_], scale: int) -> "Cube":
    """Return the result as the kind of `cube`."""
    if isinstance(cube, Tensor):
        return result.to(cube.device, cube.dtype if cube.is_floating_point() else torch.float32)
    kind = np.dtype(getattr(cube, "dtype", np.float32))
    values = result.numpy().astype(kind.newbyteorder("=") if kind.kind == "f" else np.float32, copy=False)
    if isinstance(cube, np.ma.MaskedArray):
        return np.ma.array(values, mask=np.broadcast_to(holes, values.shape))
    if hasattr(cube, "dims"):
        from sharpen.scene.io import upsampled

        return upsampled(cube, values, scale)
    return values
