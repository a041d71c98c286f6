"""Scene files to damage, what is read of them, and which of their bytes nothing protects."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import rasterio
import scipy.io
from affine import Affine
from numpy.typing import NDArray

from lkca.data.no_data import find_no_data
from lkca.data.reading.read import open_scene_file
from sharpen.scene.georeference import georeference_of
from sharpen.scene.io import gains_and_offsets, open_scene, read_block

B, H, W = 5, 9, 8
CUBE = np.random.default_rng(0).integers(1, 999, (B, H, W)).astype(np.int16)
NM = [450.0, 550.0, 650.0, 750.0, 850.0]
TOO_LARGE = 10**8  # bytes: of a damaged size only a corner is read
Fields = dict[str, object]

WORDS = {  # field -> a warning has one of these, if it speaks of the field
    "values": ("bytes more", "chunks"),
    "no data": ("no data", "data ignore value", "bytes more", "chunks"),
    "wavelengths": ("wavelength", "fwhm"),
    "scale": ("gain", "scale factor"),
    "place": ("georeference", "map info"),
    "good bands": ("bad bands", "bbl"),
}


# --- the files


def mat5(path: Path, **options: object) -> None:
    scipy.io.savemat(path, {"cube": CUBE.transpose(1, 2, 0), "wavelength": NM}, **options)


def mat73(path: Path, **options: object) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("cube", data=CUBE.transpose(0, 2, 1), **options)
        file["wavelength"] = np.array([NM])
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .")


def npz(path: Path, save: Callable[..., None]) -> None:
    save(path, cube=CUBE.transpose(1, 2, 0).astype(np.float32), wavelength=NM)


def tiff(path: Path, **options: object) -> None:
    size = {"width": W, "height": H, "count": B, "dtype": "int16", "nodata": -1, "blockysize": 2}
    place = {"crs": "EPSG:32632", "transform": Affine(4, 0, 669640, 0, -4, 5328106)}
    with rasterio.open(path, "w", driver="GTiff", **size, **place, **options) as raster:
        raster.write(CUBE)
        raster.scales = (1e-4,) * B
        for band, nm in enumerate(NM, 1):
            raster.update_tags(band, wavelength=str(nm), wavelength_units="nm")


def envi(path: Path, interleave: str = "bip") -> None:
    path.with_suffix(".hdr").write_text(
        f"ENVI\nsamples = {W}\nlines = {H}\nbands = {B}\ndata type = 2\ninterleave = {interleave}\nbyte order = 0\n"
        "header offset = 0\nwavelength units = nm\nwavelength = {450, 550, 650, 750, 850}\nfwhm = {9, 9, 9, 9, 8}\n"
        "map info = {UTM, 1, 1, 669640, 5328106, 4, 4, 32, North, WGS-84}\nreflectance scale factor = 10000\n"
        "data ignore value = -1\nbbl = {1, 1, 1, 0, 1}\n"
    )
    path.write_bytes(CUBE.transpose(1, 2, 0).tobytes())


WRITERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "MATLAB v5, compressed": ("s.mat", lambda path: mat5(path, do_compression=True)),
    "MATLAB v5, plain": ("s.mat", mat5),
    "MATLAB v7.3, compressed": ("s.mat", lambda path: mat73(path, chunks=(2, 4, 4), compression="gzip")),
    "MATLAB v7.3, plain": ("s.mat", mat73),
    "npy": ("s.npy", lambda path: np.save(path, CUBE.transpose(1, 2, 0))),
    "npz, compressed": ("s.npz", lambda path: npz(path, np.savez_compressed)),
    "npz, plain": ("s.npz", lambda path: npz(path, np.savez)),
    "GeoTIFF, compressed": ("s.tif", lambda path: tiff(path, compress="deflate")),
    "GeoTIFF, plain": ("s.tif", tiff),
    "ENVI, header": ("s.hdr", lambda path: envi(path.with_suffix(".img"))),
    "ENVI, data": ("s.img", envi),
}


# --- which bytes nothing protects


def unprotected(kind: str, path: Path) -> NDArray[np.bool_]:
    """Return True for each byte of the healthy file without a checksum over it.

    GDAL does not look at the one that a compressed TIFF has.
    """
    bare = np.ones(path.stat().st_size, bool)
    if kind.startswith("npz") or kind == "MATLAB v5, compressed":
        bare[:] = False  # zip has a CRC-32 of each member, a compressed variable an Adler-32
    elif kind == "MATLAB v7.3, compressed":
        with h5py.File(path) as file:
            data = file["cube"].id
            for number in range(data.get_num_chunks()):
                chunk = data.get_chunk_info(number)
                bare[chunk.byte_offset : chunk.byte_offset + chunk.size] = False
    return bare


def may_end(kind: str, content: bytes) -> bool:
    """Return whether a file that was cut to this looks whole: text does anywhere, MATLAB v5 between variables."""
    if kind == "ENVI, header":
        return True
    place = 128
    while kind.startswith("MATLAB v5") and place + 8 <= len(content):
        place += 8 + int.from_bytes(content[place + 4 : place + 8], "little")
    return place == len(content)


# --- what is read


def by_lkca(path: Path) -> Fields:
    """Return what `lkca` reads of a scene."""
    scene = open_scene_file(path)
    values = scene.read(*_part(scene.shape, scene.dtype))
    return {
        "values": _plain(values),
        "no data": (scene.no_data, _plain(find_no_data(values, scene.no_data, path))),
        "wavelengths": (_plain(scene.bands.wavelength), _plain(scene.bands.fwhm)),
        "scale": (_plain(scene.bands.gains), _plain(scene.bands.offsets)),
        "good bands": _plain(scene.bands.good),
        "place": scene.metadata.get("map info"),
    }


def by_sharpen(path: Path) -> Fields:
    """Return what `sharpen` reads of a scene."""
    scene = open_scene(path)
    values, missing = read_block(scene, *_part(scene.shape, scene.dtype))
    where, no_data = georeference_of(scene), scene.rio.nodata
    return {
        "values": _plain(values),
        "no data": (None if no_data is None else float(no_data), _plain(missing)),
        "wavelengths": tuple(_plain(scene.coords.get(name)) for name in ("wavelength", "fwhm")),
        "scale": tuple(map(_plain, gains_and_offsets(scene))),
        "place": (where.crs and where.crs.to_wkt(), where.transform, len(where.gcps)),
        "good bands": _plain(scene.coords["good_band"]),
    }


READERS: dict[str, Callable[[Path], Fields]] = {"lkca": by_lkca, "sharpen": by_sharpen}


def _part(shape: tuple[int, ...], dtype: np.dtype) -> tuple[slice, slice]:
    small = np.prod(shape, dtype=object) * dtype.itemsize < TOO_LARGE
    return (slice(None), slice(None)) if small else (slice(0, 2), slice(0, 4))


def _plain(array: object) -> object:
    """Return an array as what can be compared, NaN and type included."""
    return None if array is None else ((a := np.asarray(array)).dtype.str, a.shape, a.tobytes())


# --- what came of it


@dataclass(frozen=True)
class Verdict:
    """outcome : one of `tests.faults.conftest.OUTCOMES`. found : for the message of a failure."""

    outcome: str
    found: object


def judge(read: Callable[[Path], Fields], path: Path, right: Fields, may_differ: bool) -> Verdict:
    """Read a damaged file and say what came of it.

    right : what the healthy file gives. may_differ : whether a byte was damaged that nothing protects.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            found = read(path)
        except (ValueError, FileNotFoundError) as error:
            clear = path.stem + "." in str(error) and "\n" not in str(error).strip()
            return Verdict("refused" if clear else "silent", repr(error))
        except Exception as error:
            return Verdict("silent", repr(error))
    messages = [str(warning.message) for warning in said if path.stem + "." in str(warning.message)]
    different = [name for name in right if found[name] != right[name]]
    unsaid = [name for name in different if not any(word in text for word in WORDS[name] for text in messages)]
    if unsaid:
        unnoticed = "numbers" if "values" in unsaid else "description"
        return Verdict(unnoticed if may_differ else "silent", {name: (right[name], found[name]) for name in unsaid})
    return Verdict("warned" if different else "equal", messages)
