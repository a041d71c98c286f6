"""Read the text headers of ENVI files, as ENVI, GDAL and cameras write them."""

import re
import tempfile
import warnings
from pathlib import Path

from spectral.io.envi import read_envi_header
from spectral.utilities.errors import SpyException

from lkca.data.reading.bands import meaning

NUMBER_LISTS = ("wavelength", "fwhm", "bbl")  # lists of numbers, in which no line has a "="
FIELD_OF_A_NUMBER = re.compile(r"\s*(samples|lines|bands|data type)\s*=\s*\d", re.IGNORECASE)
Header = dict[str, str | list[str]]


def read_header(path: Path, quiet: bool = False) -> Header:
    """Read a header's fields: names in lower case, values in braces as lists.

    A header may be in UTF-8, UTF-16 or Latin-1, begin with `envi` in lower case, lack `byte order` (0 is taken, as ENVI
    does), leave a brace open, and end lists with a comma.

    quiet : whether to leave out warnings, for a header that is read again.

    Raises
    ------
    ValueError
        If it is not an ENVI header.
    """
    text = _decoded(path)
    text = re.sub(r"^\s*envi\b", "ENVI", text, flags=re.IGNORECASE)
    if not re.search(r"^\s*byte order\s*=", text, flags=re.IGNORECASE | re.MULTILINE):
        text = text.rstrip() + "\nbyte order = 0\n"
    text, unclosed = _close_braces(text)
    if unclosed and not quiet:
        names = " and ".join(map(repr, unclosed))
        warnings.warn(f"{path}: the braces of {names} are never closed; they are taken to end there", stacklevel=3)
    if not quiet and (twice := _different_twice(text)):
        warnings.warn(f"{path}: names {', '.join(twice)} twice; the last value is taken", stacklevel=3)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # spectral warns that it turns names to lower case
        copy = Path(folder) / "header.hdr"
        copy.write_text(text, errors="replace")  # spectral reads the machine's own encoding
        try:
            fields = read_envi_header(copy)
        except SpyException as error:
            raise ValueError(
                f"{path}: not an ENVI header: expected 'ENVI' on the first line, then 'name = value' lines "
                f"({one_line(error)})"
            ) from error
    for value in fields.values():
        if isinstance(value, list):
            while len(value) > 1 and not value[-1].strip():
                value.pop()
    return fields


def is_header(path: Path) -> bool:
    """Return whether a file begins as an ENVI header does."""
    return re.match(r"\s*envi\b", _decoded(path)[:64], flags=re.IGNORECASE) is not None


def text_of(fields: Header, name: str) -> str:
    """Return a field as text, a list in braces; "" if it is missing."""
    value = fields.get(name, "")
    return value if isinstance(value, str) else "{" + ", ".join(value) + "}"


def as_texts(fields: Header) -> dict[str, str]:
    """Return all fields as texts, lists in braces."""
    return {name: text_of(fields, name) for name in fields}


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


def _close_braces(text: str) -> tuple[str, list[str]]:
    """Close braces that are still open at the next field or at the end; return the text and these fields."""
    lines, name, unclosed = [], "", []
    for line in text.splitlines():
        field = re.match(r"\s*([A-Za-z][^={}]*?)\s*=\s*(\{)?", line)
        if name and field and (field[2] or meaning(name) in NUMBER_LISTS or FIELD_OF_A_NUMBER.match(line)):
            lines[-1] += "}"
            unclosed.append(name)
            name = ""
        if field and field[2] and not name:
            name = field[1]
        if "}" in line:
            name = ""
        lines.append(line)
    if name:
        lines[-1] += "}"
        unclosed.append(name)
    return "\n".join([*lines, ""]), unclosed


def _different_twice(text: str) -> list[str]:
    """Return the names of fields that a header has more than once, with different first lines."""
    found: dict[str, set[str]] = {}
    for name, value in re.findall(r"^\s*([A-Za-z][^={}\n]*?)\s*=\s*(.*?)\s*$", text, re.MULTILINE):
        found.setdefault(name.lower(), set()).add(value)
    return [name for name, values in found.items() if len(values) > 1]


def one_line(error: Exception) -> str:
    """Return the message of an error on one line."""
    return f"unknown value {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
