"""Open ENVI scenes: a text header beside its data, raw in any interleave, or a TIFF.

`spectral` parses the header, after it is mended where cameras write it carelessly. The numbers are mapped as they are:
`spectral`'s own `load` would cast them to float32 and divide them.
"""

import contextlib
import re
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from spectral.io.envi import check_compatibility, gen_params, read_envi_header
from spectral.utilities.errors import SpyException

from lkca.data.array_files import check_array, mapped_reader
from lkca.data.geotiff import is_tiff, open_geotiff, own_units
from lkca.data.scene_file import SceneFile
from lkca.data.wavelengths import in_nanometres

DATA_SUFFIXES = (".img", ".dat", ".raw", ".bin", ".pix", ".bsq", ".bil", ".bip", ".hyspex", ".sli")
"""Suffixes of raw data, the likelier first; a file of another suffix, or none, is taken if its size fits."""
AXES = {"bsq": "BHW", "bil": "HBW", "bip": "HWB"}
NO_IMAGES = {  # a word of `file type` -> what such a file holds
    "library": "spectra, not an image",
    "classification": "classes, not spectra",
    "pci": "a PCI database, whose lines are padded",
    "meta": "a list of other files",
    "mosaic": "a list of other files",
}
UNREAD_FIELDS = ("major frame offsets", "minor frame offsets", "read procedures")  # which say that lines are padded
Header = dict[str, str | list[str]]


def find_header(data: Path) -> Path | None:
    """Return the ENVI header beside a data file: `scene.hdr` or `scene.img.hdr` for `scene.img`.

    None too where `scene.hdr` belongs to `scene.img`, and the file is `scene.jp2`.
    """
    candidates = [Path(f"{data}{end}") for end in (".hdr", ".HDR")]
    if data.suffix:
        candidates += [data.with_suffix(end) for end in (".hdr", ".HDR")]
    header = next((path for path in candidates if path != data and path.is_file() and _is_header(path)), None)
    if header is None or data.name == header.stem or data.suffix.lower() in DATA_SUFFIXES or is_tiff(data):
        return header
    with contextlib.suppress(FileNotFoundError, ValueError):  # an error that opening will say
        if find_data(header, read_header(header)) != data:
            return None
    return header


def read_header(path: Path) -> Header:
    """Read a header's fields, names in lower case; lists where it has braces.

    Headers may be in UTF-8, UTF-16 or Latin-1, begin with `envi` in lower case, lack `byte order` (0 is taken, as ENVI
    does), leave a brace open, and end lists with a comma.

    Raises
    ------
    ValueError
        Not an ENVI header.
    """
    text = _decoded(path)
    text = re.sub(r"^\s*envi\b", "ENVI", text, flags=re.IGNORECASE)
    if not re.search(r"^\s*byte order\s*=", text, flags=re.IGNORECASE | re.MULTILINE):
        text = text.rstrip() + "\nbyte order = 0\n"
    text = _close_braces(path, text)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it turns names to lower case
        copy = Path(folder) / "header.hdr"
        copy.write_text(text, errors="replace")  # spectral reads the machine's own encoding
        try:
            fields = read_envi_header(copy)
        except SpyException as error:
            raise ValueError(
                f"{path}: not an ENVI header: expected 'ENVI' on the first line, then 'name = value' lines "
                f"({_one_line(error)})"
            ) from error
    for value in fields.values():
        if isinstance(value, list):
            while len(value) > 1 and not value[-1].strip():
                value.pop()
    return fields


def open_envi(path: Path) -> SceneFile:
    """Open an ENVI pair by its header or its data file; see `lkca.data.read.open_scene_file`."""
    if path.suffix.lower() == ".hdr":
        header_path, fields = path, read_header(path)
        _check_type(header_path, fields)
        data = find_data(path, fields)
        if is_tiff(data):
            return open_tiff_pair(path, path, data)
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
            f"{header_path}: not a usable description of the data ({_one_line(error)}). Expected samples, lines, bands, "
            "data type, interleave (bsq, bil or bip) and byte order as ENVI writes them; mend the header."
        ) from error
    if text_of(fields, "file compression") not in ("", "0"):
        raise ValueError(f"{header_path}: its data is compressed, which is not read. Save it uncompressed.")
    shape, dtype = (params.nbands, params.nrows, params.ncols), np.dtype(params.dtype)
    check_array(header_path, shape, dtype.name, "image")
    needed, found = _bytes_needed(fields), data.stat().st_size
    if found < needed:
        raise ValueError(
            f"{data}: truncated: {found} bytes, but {header_path.name} describes {needed}. Copy or download it again, "
            "or mend the header's samples, lines, bands, header offset or data type."
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


def open_tiff_pair(path: Path, header_path: Path, data: Path | None = None) -> SceneFile:
    """Open a TIFF with an ENVI header beside it: the numbers from the TIFF, what they mean from the header.

    A header of another image that only shares the name, and does not say that its data is a TIFF, is ignored.
    """
    fields = read_header(header_path)
    scene = open_geotiff(data or path)
    described = tuple(text_of(fields, name).strip() for name in ("bands", "lines", "samples"))
    fits = described == tuple(map(str, scene.shape))
    if data is None and not _means_tiff(fields) and not (fits and is_tiff(find_data(header_path, fields))):
        return scene
    if not fits:
        raise ValueError(
            f"{header_path}: says (bands, lines, samples) ({', '.join(described)}), but {scene.path.name} has {scene.shape}. "
            "One of the two belongs to another image."
        )
    _check_type(header_path, fields)
    files = [scene.files[0], header_path, *(file for file in scene.files[1:] if file != header_path)]
    return _with_fields(replace(scene, path=path, format="envi+geotiff", files=files), header_path, fields)


def find_data(header_path: Path, fields: Header) -> Path:
    """Return the data file of a header, the likeliest of those that share its name."""
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
            f"{header_path}: ENVI header without its data. Expected beside it {stem} with a suffix such as .img, .dat or "
            f".tif, or none{'' if needed is None else f', of {needed} bytes'}; found {others}."
        )
    return candidates[0]


def text_of(fields: Header, name: str) -> str:
    """Return a field as the header has it, a list in braces; "" where it is missing."""
    value = fields.get(name, "")
    return value if isinstance(value, str) else "{" + ", ".join(value) + "}"


def _with_fields(scene: SceneFile, header_path: Path, fields: Header) -> SceneFile:
    """Return `scene` with what the header says; where it says nothing, what the TIFF described stays."""
    bands = scene.shape[0]
    centres, widths = (_listed(fields, name) for name in ("wavelength", "fwhm"))
    if centres is None and "wavelengths" in fields:
        centres = _listed(fields, "wavelengths")
    unit = text_of(fields, "wavelength units") or text_of(fields, "wavelength unit")
    wavelengths, fwhm = in_nanometres(header_path, bands, centres, widths, unit)
    gains, offsets = scene.gains, scene.offsets
    if "data gain values" in fields or "data offset values" in fields:
        gains, offsets = own_units(
            header_path,
            _numbers(header_path, fields, "data gain values", bands, 1.0),
            _numbers(header_path, fields, "data offset values", bands, 0.0),
        )
    ignored = _numbers(header_path, fields, "data ignore value", 1, np.nan)[0]
    return replace(
        scene,
        wavelengths=scene.wavelengths if wavelengths is None else wavelengths,
        fwhm=scene.fwhm if fwhm is None else fwhm,
        no_data=scene.no_data if np.isnan(ignored) else ignored,
        gains=gains,
        offsets=offsets,
        metadata={name: text_of(fields, name) for name in fields},
    )


def _check_type(header_path: Path, fields: Header) -> None:
    """Raise ValueError for an ENVI file that is no plain image."""
    kind = text_of(fields, "file type") or ("classification" if "class names" in fields else "")
    for word, what in NO_IMAGES.items():
        if word in kind.lower():
            raise ValueError(f"{header_path}: file type is {kind!r}: it holds {what}. Choose an image of spectra.")
    for name in UNREAD_FIELDS:
        if re.search(r"[1-9a-z]", text_of(fields, name).lower()):
            raise ValueError(
                f"{header_path}: {name} = {text_of(fields, name)}: its data has gaps that are not described here. Convert "
                "it to a plain ENVI file with the program that wrote it."
            )


def _decoded(path: Path) -> str:
    raw = path.read_bytes()
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", errors="replace")
    for encoding in ("utf-16-le", "utf-16-be"):  # without a byte-order mark
        if raw[:8].lower() == "envi".encode(encoding):
            return raw.decode(encoding, errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _is_header(path: Path) -> bool:
    return re.match(r"\s*envi\b", _decoded(path)[:64], flags=re.IGNORECASE) is not None


def _close_braces(path: Path, text: str) -> str:
    """Close a brace that is still open where the next `name = value` line, or the end, is reached; warn of it."""
    lines, name = [], ""
    for line in text.splitlines():
        field = re.match(r"\s*([A-Za-z][\w /-]*?)\s*=\s*(\{)?", line)
        if name and field and field[2] or name and re.match(r"\s*(samples|lines|bands|data type)\s*=\s*\d", line):
            lines[-1] += "}"
            warnings.warn(f"{path}: the braces of {name!r} are never closed; they are taken to end there", stacklevel=4)
            name = ""
        if field and field[2] and not name:
            name = field[1]
        if "}" in line:
            name = ""
        lines.append(line)
    if name:
        lines[-1] += "}"
        warnings.warn(f"{path}: the braces of {name!r} are never closed; they are taken to end there", stacklevel=4)
    return "\n".join([*lines, ""])


def _listed(fields: Header, name: str) -> list[str] | None:
    value = fields.get(name)
    return [value] if isinstance(value, str) else value


def _numbers(path: Path, fields: Header, name: str, count: int, default: float) -> list[float]:
    """Return a field as `count` numbers; all `default` where it is missing, and with a warning where it does not fit."""
    items = _listed(fields, name)
    if items is None:
        return [default] * count
    try:
        found = [float(str(item).strip("{} ")) for item in items]
    except ValueError:
        found = []
    if len(found) != count:
        warnings.warn(f"{path}: {name} = {text_of(fields, name)} is not {count} numbers; it is left out", stacklevel=4)
        return [default] * count
    return found


def _bytes_needed(fields: Header) -> int | None:
    try:
        params = gen_params(fields)
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
    return params.offset + params.nrows * params.ncols * params.nbands * np.dtype(params.dtype).itemsize


def _means_tiff(fields: Header) -> bool:
    return "tif" in (text_of(fields, "file type") + text_of(fields, "interleave")).lower()


def _one_line(error: Exception) -> str:
    return f"unknown value {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
