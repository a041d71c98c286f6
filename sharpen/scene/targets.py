"""Check the name of a file to write: its format and interleave, and files in the way."""

from collections.abc import Mapping
from pathlib import Path

from lkca.data.reading.envi import DATA_SUFFIXES as ENVI_SUFFIXES

TIFF_SUFFIXES = (".tif", ".tiff")
INTERLEAVES = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (1, 2, 0)}
"""Interleave -> the order of the axes (band, row, column) in the file."""
SIDECARS = (".aux.xml", ".ovr", ".msk")  # what GDAL and QGIS put beside an image: statistics, overviews, a mask


def target_files(path: Path) -> tuple[Path, Path | None]:
    """Return the data file and the header (None for a GeoTIFF) that are written for a name.

    Raises
    ------
    ValueError
        The suffix is of neither GeoTIFF nor ENVI.
    """
    suffix = path.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        return path, None
    if suffix in ENVI_SUFFIXES:
        return path, path.with_suffix(".hdr")
    if suffix == ".hdr":
        stem = path.with_suffix("")  # of scene.img.hdr, that is the data
        return stem if stem.suffix.lower() in ENVI_SUFFIXES else path.with_suffix(".img"), path
    raise ValueError(
        f"{path}: a scene is written as GeoTIFF ({', '.join(TIFF_SUFFIXES)}) or ENVI "
        f"(.hdr, {', '.join(ENVI_SUFFIXES)}); the suffix {suffix!r} says neither. Choose one of these."
    )


def choose_interleave(data: Path, metadata: Mapping[str, str], asked: str | None) -> str:
    """Return the interleave of the name, else `asked`, else the input's, else bil; for a GeoTIFF `asked`, else bsq.

    Raises
    ------
    ValueError
        The format has no such interleave, or the name says another one.
    """
    is_tiff = data.suffix.lower() in TIFF_SUFFIXES
    choices = ("bsq", "bip") if is_tiff else tuple(INTERLEAVES)
    if asked is not None and asked not in choices:
        raise ValueError(f"{data}: interleave is {asked!r}, expected one of {', '.join(choices)}")
    by_name = data.suffix.lower().removeprefix(".")
    if by_name in INTERLEAVES:
        if asked not in (None, by_name):
            raise ValueError(f"{data}: interleave is {asked!r}, but the name says {by_name}; change one of them")
        return by_name
    own = str(metadata.get("interleave", "")).lower()
    return asked or (own if own in choices and not is_tiff else choices[0] if is_tiff else "bil")


def check_target(data: Path, header: Path | None, overwrite: bool) -> list[Path]:
    """Return leftover files to remove once `data` is written.

    Raises
    ------
    FileExistsError, FileNotFoundError, IsADirectoryError
        Something stands in the way, or there is no such folder.
    """
    if not data.parent.is_dir():
        raise FileNotFoundError(f"{data}: there is no folder {data.parent}; make it, or choose another")
    leftovers = [Path(f"{data}{end}") for end in SIDECARS]
    if header is None:
        beside = data.with_suffix(".hdr")
        others = [entry for entry in _same_stem(data) if entry.suffix.lower() in ENVI_SUFFIXES or not entry.suffix]
        if beside.is_file() and not others:
            raise FileExistsError(
                f"{beside}: this ENVI header would be taken for that of {data.name}; choose another name"
            )
    else:
        for entry in _same_stem(header):
            if (entry.name == header.stem or entry.suffix.lower() in ENVI_SUFFIXES) and entry.name != data.name:
                raise FileExistsError(
                    f"{entry}: would share the header {header.name} with {data.name}; choose another name"
                )
        leftovers += [path for path in (Path(f"{data}.hdr"),) if path != header]
    for path in filter(None, (data, header, *leftovers)):
        if path.is_dir():
            raise IsADirectoryError(f"{path}: a folder of that name is in the way; choose another name")
        if header is not None and data.exists() and not header.exists() and not overwrite:
            raise FileExistsError(
                f"{data}: exists without its header, as if its writing was killed just before the end. If you do not "
                "need it, replace it with --overwrite (overwrite=True); else choose another name."
            )
        if path.exists() and not overwrite:
            raise FileExistsError(
                f"{path}: exists. Choose another name, or replace it with --overwrite (overwrite=True)."
            )
    return leftovers


def _same_stem(path: Path) -> list[Path]:
    """Return the files beside `path` whose name, with or without a suffix, is its stem."""
    return [entry for entry in path.parent.iterdir() if path.stem in (entry.name, entry.stem) and entry.is_file()]
