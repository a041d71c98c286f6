"""ENVI: a text header beside its data, raw in any interleave, or a TIFF.

spectral reads the header; the numbers are mapped as they are (its `load` casts to float32 and divides). GDAL
reads the georeference.
"""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from spectral.io.envi import check_compatibility, gen_params
from spectral.utilities.errors import SpyException

from lkca.scenes.envi_fields import (
    Header,
    georeference,
    listed,
    number,
    numbers,
    one_line,
    read_header,
    text_of,
    whole_number,
)
from lkca.scenes.geotiff import is_tiff, open_geotiff
from lkca.scenes.scene import Scene, mapped_reader
from lkca.scenes.units import units
from lkca.scenes.variables import check_array
from lkca.scenes.wavelengths import in_nanometres

DATA_SUFFIXES = (".img", ".dat", ".raw", ".bin", ".pix", ".bsq", ".bil", ".bip", ".hyspex", ".sli")
"""Suffixes of raw data, the likelier first; a file of another suffix, or none, is taken if its size fits."""
AXES = {
    "bsq": ("bands", "lines", "samples"),
    "bil": ("lines", "bands", "samples"),
    "bip": ("lines", "samples", "bands"),
}


def find_header(data: Path) -> Path | None:
    """The ENVI header beside a data file: `scene.hdr` or `scene.img.hdr` for `scene.img`."""
    candidates = [Path(f"{data}{end}") for end in (".hdr", ".HDR")]
    if data.suffix:
        candidates += [data.with_suffix(end) for end in (".hdr", ".HDR")]
    return next((path for path in candidates if path != data and path.is_file() and _starts_as_header(path)), None)


def open_envi(path: Path) -> Scene:
    """Open an ENVI pair by its header or its data file; see `lkca.open_scene`."""
    if path.suffix.lower() == ".hdr":
        header_path, fields = path, read_header(path)
        data = find_data(path, fields)
        if is_tiff(data):
            return open_tiff_pair(path, path, data)
    else:
        data = path
        header_path = find_header(path)
        if header_path is None:
            raise FileNotFoundError(
                f"{path}: ENVI data without its header. Expected {path.with_suffix('.hdr').name} or "
                f"{path.name}.hdr beside it; without one its size, number type and order are unknown. "
                "A writing that was killed just before its end leaves that too: then write it again."
            )
        fields = read_header(header_path)

    try:
        check_compatibility(fields)
        params = gen_params(fields)
        _check_whole_numbers(fields)
    except (SpyException, KeyError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{header_path}: not a usable description of the data ({one_line(error)}). Expected samples, "
            "lines, bands, data type, interleave and byte order as ENVI writes them; mend the header."
        ) from error
    order = AXES.get(str(fields["interleave"]).lower())
    if order is None:
        raise ValueError(f"{header_path}: interleave is {fields['interleave']!r}, expected one of {', '.join(AXES)}")
    if str(fields.get("file compression", "0")) != "0":
        raise ValueError(f"{header_path}: its data is compressed, which is not read. Save it uncompressed.")
    sizes = {"bands": params.nbands, "lines": params.nrows, "samples": params.ncols}
    dtype = np.dtype(params.dtype)
    shape = (params.nbands, params.nrows, params.ncols)
    check_array(header_path, shape, dtype.name, "image")
    _check_size(header_path, data, _bytes_needed(fields))

    def open_view() -> np.ndarray:
        stored = np.memmap(data, dtype, mode="r", offset=params.offset, shape=tuple(sizes[axis] for axis in order))
        return stored.transpose([order.index(axis) for axis in ("bands", "lines", "samples")])

    native = dtype.newbyteorder("=")
    scene = Scene(path, "envi", shape, native, mapped_reader(open_view, native))
    return _with_fields(scene, header_path, fields)


def open_tiff_pair(path: Path, header_path: Path, data: Path | None = None) -> Scene:
    """Open a TIFF with an ENVI header beside it: the numbers from the TIFF, what they mean from the header.

    A header of another image that only shares the name, and does not say that its data is a TIFF, is left
    alone.
    """
    fields = read_header(header_path)
    scene = open_geotiff(data or path)
    if data is None and has_raw_data(header_path, fields):
        return scene
    says = tuple(whole_number(fields, name) for name in ("bands", "lines", "samples"))
    if says != scene.shape:
        if data is None and not _means_tiff(fields):
            return scene
        raise ValueError(
            f"{header_path}: says (bands, lines, samples) {says}, but {scene.path.name} has {scene.shape}. "
            "One of the two belongs to another image."
        )
    return _with_fields(replace(scene, path=path, format="envi+geotiff"), header_path, fields)


def _with_fields(scene: Scene, header_path: Path, fields: Header) -> Scene:
    """`scene` with what the header says; where it says nothing, what the TIFF said stays."""
    bands = scene.shape[0]
    wavelengths, fwhm = in_nanometres(
        header_path,
        bands,
        listed(fields, "wavelength"),
        listed(fields, "fwhm"),
        text_of(fields, "wavelength units"),
    )
    names = listed(fields, "band names")
    no_data = number(header_path, fields, "data ignore value")
    scale = _units(header_path, fields, bands)
    crs, transform = scene.crs, scene.transform
    if transform is None and "map info" in fields:
        crs, transform = georeference(header_path, fields)
    return replace(
        scene,
        wavelengths=scene.wavelengths if wavelengths is None else wavelengths,
        fwhm=scene.fwhm if fwhm is None else fwhm,
        band_names=tuple(names) if names and len(names) == bands else scene.band_names,
        no_data=scene.no_data if no_data is None else no_data,
        **scale,
        crs=crs,
        transform=transform,
        metadata={name: text_of(fields, name) for name in fields},
    )


def _units(header_path: Path, fields: Header, bands: int) -> dict[str, object]:
    """What the header says of the numbers' unit; nothing where it says nothing.

    "data gain values" and "data offset values" (so GDAL, too, calls them) multiply, "reflectance scale factor" divides.
    """
    factor = number(header_path, fields, "reflectance scale factor")
    gains = numbers(header_path, fields, "data gain values", bands)
    offsets = numbers(header_path, fields, "data offset values", bands)
    found = {"scale_factor": factor} if factor else {}
    if gains is None and offsets is None:
        return found
    said = units(header_path, [1.0] * bands if gains is None else gains, [0.0] * bands if offsets is None else offsets)
    if said.get("scale_factor") == 1 and "gains" not in said:
        return found
    if factor and factor != 1 and not np.isclose(said.get("scale_factor", 1.0), factor):
        warnings.warn(
            f"{header_path}: data gain values and reflectance scale factor {factor:g} disagree; the gains are taken",
            stacklevel=2,
        )
    return said or found


def has_raw_data(header_path: Path, fields: Header) -> bool:
    """Whether the header describes raw data beside it, and not a TIFF that only shares the name."""
    if _means_tiff(fields):
        return False
    try:
        return not is_tiff(find_data(header_path, fields))
    except FileNotFoundError:
        return False


def find_data(header_path: Path, fields: Header) -> Path:
    stem = header_path.stem  # "scene", or "scene.img" for scene.img.hdr
    beside = sorted(
        path
        for path in header_path.parent.iterdir()
        if stem in (path.name, path.stem) and path.suffix.lower() != ".hdr" and path.is_file()
    )
    needed = _bytes_needed(fields)
    tiffs = [path for path in beside if is_tiff(path)]
    raws = [
        path
        for path in beside
        if path not in tiffs
        and (path.name == stem or path.suffix.lower() in DATA_SUFFIXES or path.stat().st_size == needed)
    ]

    def unlikely(path: Path) -> tuple[bool, int]:
        suffix = path.suffix.lower()
        return path.stat().st_size != needed, DATA_SUFFIXES.index(suffix) if suffix in DATA_SUFFIXES else 99

    raws.sort(key=unlikely)
    candidates = tiffs + raws if _means_tiff(fields) else raws + tiffs
    if not candidates:
        others = ", ".join(path.name for path in beside) or "nothing of that name"
        raise FileNotFoundError(
            f"{header_path}: ENVI header without its data. Expected beside it {stem} with a suffix "
            f"such as .img, .dat or .tif, or none{'' if needed is None else f', of {needed} bytes'}; found {others}."
        )
    return candidates[0]


def _check_whole_numbers(fields: Header) -> None:
    """ValueError for numbers that are none of ENVI's; spectral takes any."""
    for name in ("samples", "lines", "bands", "header offset"):
        if name in fields and int(str(fields[name])) < 0:
            raise ValueError(f"{name} is {fields[name]}, expected at least 0")
    if str(fields["byte order"]).strip() not in ("0", "1"):
        raise ValueError(f"byte order is {fields['byte order']}, expected 0 or 1")


def _bytes_needed(fields: Header) -> int | None:
    try:
        params = gen_params(fields)
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
    return params.offset + params.nrows * params.ncols * params.nbands * np.dtype(params.dtype).itemsize


def _check_size(header_path: Path, data: Path, needed: int) -> None:
    found = data.stat().st_size
    if found < needed:
        raise ValueError(
            f"{data}: truncated: {found} bytes, but {header_path.name} describes {needed}. Copy or "
            "download it again, or mend the header's samples, lines, bands, header offset or data type."
        )
    if found > needed:
        warnings.warn(
            f"{data}: {found - needed} bytes more than {header_path.name} describes; they are not read",
            stacklevel=2,
        )


def _means_tiff(fields: Header) -> bool:
    return "tif" in (text_of(fields, "file type") + text_of(fields, "interleave")).lower()


def _starts_as_header(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(16).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"ENVI")
