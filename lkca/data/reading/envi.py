"""Open ENVI scenes: a text header beside its data, which is raw in any interleave, or a TIFF.

`spectral` parses the header, after errors that cameras make in it are repaired. The numbers are memory-mapped
unchanged: `spectral`'s own `load` would cast them to float32 and divide them.
"""

import contextlib
import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from spectral.io.envi import check_compatibility, gen_params
from spectral.utilities.errors import SpyException

from lkca.data.reading.array_files import check_array, mapped_reader
from lkca.data.reading.bands import describe_bands, numbers_of
from lkca.data.reading.envi_header import Header, as_texts, is_header, one_line, read_header, text_of
from lkca.data.reading.geotiff import is_tiff, open_geotiff
from lkca.data.reading.scene_file import SceneFile

DATA_SUFFIXES = (".img", ".dat", ".raw", ".bin", ".pix", ".bsq", ".bil", ".bip", ".hyspex", ".sli")
"""Suffixes of raw data, the likeliest first; a file with another suffix, or none, is taken if its size fits."""
AXES = {"bsq": "BHW", "bil": "HBW", "bip": "HWB"}
NO_IMAGES = {  # a word of `file type` -> what such a file holds
    "library": "spectra, not an image",
    "classification": "classes, not spectra",
    "pci": "a PCI database, whose lines are padded",
    "meta": "a list of other files",
    "mosaic": "a list of other files",
}
UNREAD_FIELDS = ("major frame offsets", "minor frame offsets", "read procedures")  # in headers of padded lines


def find_header(data: Path) -> Path | None:
    """Return the ENVI header beside a data file: `scene.hdr` or `scene.img.hdr` for `scene.img`; None if there is none.

    For a file such as `scene.jp2` it is also None if `scene.hdr` belongs to `scene.img`.
    """
    candidates = [Path(f"{data}{end}") for end in (".hdr", ".HDR")]
    if data.suffix:
        candidates += [data.with_suffix(end) for end in (".hdr", ".HDR")]
    header = next((path for path in candidates if path != data and path.is_file() and is_header(path)), None)
    if header is None or data.name == header.stem or data.suffix.lower() in DATA_SUFFIXES or is_tiff(data):
        return header
    with contextlib.suppress(FileNotFoundError, ValueError):  # opening the scene raises it again
        if find_data(header, read_header(header, quiet=True)) != data:
            return None
    return header


def open_envi(path: Path) -> SceneFile:
    """Open an ENVI pair by its header or its data file; see `lkca.data.reading.read.open_scene_file`."""
    if path.suffix.lower() == ".hdr":
        header_path, data = path, find_data(path, read_header(path, quiet=True), quiet=False)
        if is_tiff(data):
            return open_tiff(data, path)
    else:
        data, header_path = path, find_header(path)
        if header_path is None:
            raise FileNotFoundError(
                f"{path}: ENVI data without its header. Expected {path.with_suffix('.hdr').name} or {path.name}.hdr "
                "beside it; without one its size, number type and order are unknown."
            )
    fields = read_header(header_path)
    _check_type(header_path, fields)
    try:
        check_compatibility(fields)
        params = gen_params(fields)
        for name in ("samples", "lines", "bands", "header offset"):
            if int(text_of(fields, name) or 0) < 0:
                raise ValueError(f"{name} is {fields[name]}, expected at least 0")
        if text_of(fields, "byte order").strip() not in ("0", "1"):
            raise ValueError(f"byte order is {fields['byte order']}, expected 0 or 1")
        order = AXES[text_of(fields, "interleave").lower()]
    except (SpyException, KeyError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{header_path}: not a usable description of the data ({one_line(error)}). Expected samples, lines, bands, "
            "data type, interleave (bsq, bil or bip) and byte order as ENVI writes them; correct the header."
        ) from error
    if text_of(fields, "file compression") not in ("", "0"):
        raise ValueError(f"{header_path}: its data is compressed, which is not supported. Save it uncompressed.")
    shape, dtype = (params.nbands, params.nrows, params.ncols), np.dtype(params.dtype)
    check_array(header_path, shape, dtype.name, "image")
    needed, found = _bytes_needed(fields), data.stat().st_size
    if found < needed:
        raise ValueError(
            f"{data}: truncated: {found} bytes, but {header_path.name} describes {needed}. Copy or download it again, "
            "or correct the header's samples, lines, bands, header offset or data type."
        )
    if found > needed:
        warnings.warn(f"{data}: {found - needed} bytes more than {header_path.name} describes; not read", stacklevel=3)
    stored = tuple(dict(zip("BHW", shape, strict=True))[axis] for axis in order)

    def open_view() -> np.ndarray:
        return np.memmap(data, dtype, "r", params.offset, stored).transpose([order.index(axis) for axis in "BHW"])

    scene = SceneFile(
        path, "envi", shape, dtype.newbyteorder("="), mapped_reader(open_view), [data, header_path]
    )  # fmt: skip
    return _with_fields(scene, header_path, fields)


def open_tiff(path: Path, header: Path | None = None) -> SceneFile:
    """Open a GeoTIFF with the ENVI header beside it, if any: the TIFF has the numbers, the header their meaning.

    header : given if the scene was opened by the header's name.
    """
    scene = open_geotiff(path)
    found = tiff_header(path, scene.shape, header)
    if found is None:
        return scene
    files = [scene.files[0], found[0], *(file for file in scene.files[1:] if file != found[0])]
    return _with_fields(replace(scene, path=header or path, format="envi+geotiff", files=files), *found)


def tiff_header(data: Path, shape: tuple[int, int, int], header: Path | None = None) -> tuple[Path, Header] | None:
    """Return the ENVI header of a TIFF of shape (B, H, W), and its fields; None if there is none.

    A header that does not say that its data is a TIFF, and only shares the name with another image, does not count.

    header : given if the TIFF was found by the header's name.

    Raises
    ------
    ValueError
        If the header belongs to this TIFF, but gives another size, or does not describe an image.
    """
    path = header or find_header(data)
    if path is None:
        return None
    fields = read_header(path)
    described = tuple(text_of(fields, name).strip() for name in ("bands", "lines", "samples"))
    fits = described == tuple(map(str, shape))
    if header is None and not _means_tiff(fields) and not (fits and is_tiff(find_data(path, fields))):
        return None
    if not fits:
        raise ValueError(
            f"{path}: says (bands, lines, samples) ({', '.join(described)}), but {data.name} has {shape}. "
            "One of the two belongs to another image."
        )
    _check_type(path, fields)
    return path, fields


def find_data(header_path: Path, fields: Header, quiet: bool = True) -> Path:
    """Return the data file of a header, the likeliest of those that share its name.

    quiet : whether to leave out the warning about other files that fit as well.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    stem = header_path.stem  # "scene", or "scene.img" for scene.img.hdr
    beside = sorted(
        path
        for path in header_path.parent.iterdir()
        if stem in (path.name, path.stem) and path.suffix.lower() != ".hdr" and path.is_file()
    )
    needed = _bytes_needed(fields)
    tiffs = [path for path in beside if is_tiff(path)]
    sized = [path for path in beside if path not in tiffs and path.stat().st_size == needed]

    def unlikely(path: Path) -> tuple[bool, bool, int]:
        suffix = path.suffix.lower()
        rank = DATA_SUFFIXES.index(suffix) if suffix in DATA_SUFFIXES else len(DATA_SUFFIXES)
        return (path in tiffs) != _means_tiff(fields), path not in sized, rank

    named = [path for path in beside if path.name == stem or path.suffix.lower() in DATA_SUFFIXES]
    candidates = sorted({*tiffs, *sized, *named}, key=lambda path: (unlikely(path), path))
    if not candidates:
        others = ", ".join(path.name for path in beside) or "nothing of that name"
        raise FileNotFoundError(
            f"{header_path}: ENVI header without its data. Expected beside it {stem} with a suffix such as .img, .dat "
            f"or .tif, or none{'' if needed is None else f', of {needed} bytes'}; found {others}."
        )
    if len(sized) > 1 and candidates[0] not in tiffs and not quiet:
        alike = " and ".join(path.name for path in candidates if path in sized)
        warnings.warn(
            f"{header_path}: {alike} fit it equally well; {candidates[0].name} is read. Give the data file itself "
            "to read another",
            stacklevel=4,
        )
    return candidates[0]


def _with_fields(scene: SceneFile, header_path: Path, fields: Header) -> SceneFile:
    """Return `scene` with what the header says; where it says nothing, the TIFF's own description stays."""
    texts = as_texts(fields)
    bands = scene.bands.updated(describe_bands(header_path, scene.shape[0], texts))
    ignored = numbers_of(header_path, texts, "data ignore value", 1)
    return replace(scene, bands=bands, no_data=ignored[0] if ignored else scene.no_data, metadata=texts)


def _check_type(header_path: Path, fields: Header) -> None:
    """Raise ValueError for an ENVI file that is no plain image."""
    kind = text_of(fields, "file type") or ("classification" if "class names" in fields else "")
    for word, what in NO_IMAGES.items():
        if word in kind.lower():
            raise ValueError(f"{header_path}: file type is {kind!r}: it holds {what}. Choose an image of spectra.")
    for name in UNREAD_FIELDS:
        if re.search(r"[1-9a-z]", text_of(fields, name).lower()):
            raise ValueError(
                f"{header_path}: {name} = {text_of(fields, name)}: its data has gaps, which are not supported. "
                "Convert it to a plain ENVI file with the program that wrote it."
            )


def _bytes_needed(fields: Header) -> int | None:
    try:
        params = gen_params(fields)
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
    return params.offset + params.nrows * params.ncols * params.nbands * np.dtype(params.dtype).itemsize


def _means_tiff(fields: Header) -> bool:
    return "tif" in (text_of(fields, "file type") + text_of(fields, "interleave")).lower()
