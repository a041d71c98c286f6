"""What the name of a file to be written says, and what may stand in its way."""

from collections.abc import Mapping
from pathlib import Path

from lkca.scenes import envi
from lkca.scenes.envi_fields import read_header
from lkca.scenes.row_files import TIFF_INTERLEAVES

TIFF_SUFFIXES = (".tif", ".tiff")
SIDECARS = (".aux.xml", ".ovr", ".msk")  # what GDAL and QGIS put beside an image: statistics, overviews, a mask


def file_names(path: Path) -> tuple[Path, Path | None]:
    """Data and header."""
    suffix = path.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        return path, None
    if suffix in envi.DATA_SUFFIXES:
        return path, path.with_suffix(".hdr")
    if suffix == ".hdr":
        stem = path.with_suffix("")  # of scene.img.hdr, that is the data
        return stem if stem.suffix.lower() in envi.DATA_SUFFIXES else path.with_suffix(".img"), path
    raise ValueError(
        f"{path}: a scene is written as GeoTIFF ({', '.join(TIFF_SUFFIXES)}) or ENVI "
        f"(.hdr, {', '.join(envi.DATA_SUFFIXES)}); the suffix {suffix!r} says neither. Choose one of these."
    )


def interleave_of(data: Path, metadata: Mapping[str, str], asked: str | None) -> str:
    """By the name, else what is asked for, else the input's own; else bil, for a TIFF bsq."""
    tiff = data.suffix.lower() in TIFF_SUFFIXES
    choices = list(TIFF_INTERLEAVES) if tiff else list(envi.AXES)
    if asked is not None and asked not in choices:
        raise ValueError(f"{data}: interleave is {asked!r}, expected one of {', '.join(choices)}")
    by_name = data.suffix.lower().removeprefix(".")
    if by_name in envi.AXES:
        if asked not in (None, by_name):
            raise ValueError(f"{data}: interleave is {asked!r}, but the name says {by_name}; change one of them")
        return by_name
    own = str(metadata.get("interleave", "")).lower()
    return asked or (own if own in choices else "bsq" if tiff else "bil")


def check_names(data: Path, header: Path | None, overwrite: bool) -> list[Path]:
    """Leftovers to remove when `data` is there; raises where something stands in the way."""
    if not data.parent.is_dir():
        raise FileNotFoundError(f"{data}: there is no folder {data.parent}; make it, or choose another")
    if header is None:
        beside = envi.find_header(data)
        if beside is not None and not envi.has_raw_data(beside, read_header(beside)):
            raise FileExistsError(
                f"{beside}: an ENVI header that would be taken for that of {data.name}; choose another name"
            )
        leftovers = sidecars(data)
    else:
        for path in data.parent.iterdir():
            shared = path.name == header.stem or (
                path.stem == header.stem and path.suffix.lower() in envi.DATA_SUFFIXES
            )
            if shared and path.name != data.name and path.is_file():
                raise FileExistsError(
                    f"{path}: would share the header {header.name} with {data.name}; choose another name"
                )
        leftovers = [*sidecars(data), *({Path(f"{data}.hdr")} - {header})]
    for path in filter(None, (data, header, *leftovers)):
        if path.is_dir():
            raise IsADirectoryError(f"{path}: a folder of that name is in the way; choose another name")
        if header is not None and data.exists() and not header.exists() and not overwrite:
            raise FileExistsError(
                f"{data}: exists without its header, as a writing leaves it that was killed just before its end. If it "
                "is of no use, replace it with --overwrite (overwrite=True); else choose another name."
            )
        if path.exists() and not overwrite:
            raise FileExistsError(
                f"{path}: exists. Choose another name, or replace it with --overwrite (overwrite=True)."
            )
    return leftovers


def sidecars(path: Path) -> list[Path]:
    return [Path(f"{path}{end}") for end in SIDECARS]
