"""Open the products of imaging spectrometers: EMIT, PRISMA, EnMAP, DESIS, NEON's AOP, Tanager.

They are written after the published format descriptions and tested on small synthetic files: no original product was
at hand.
"""

import re
import warnings
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from lkca.data.reading.bands import Bands, checked_gains, describe_bands
from lkca.data.reading.hdf5 import HdfReader, open_hdf5
from lkca.data.wavelengths import in_nanometres
from sharpen.scene.georeference import Georeference, envi_georeference
from sharpen.scene.hdf import band_lists, control_points, number_of, open_cube, packed, scene_of, text_fields
from sharpen.scene.lazy import make_scene

EMIT_CUBES = ("reflectance", "radiance", "reflectance_uncertainty")
TANAGER_CUBES = ("surface_reflectance", "toa_radiance", "ortho_surface_reflectance", "ortho_radiance")
PRISMA_GROUP = re.compile(r"PRS_L2[BCD]_HCO")
SPECTRAL_IMAGE = re.compile(r"SPECTRAL_IMAGE[^/]*$", re.IGNORECASE)


def open_product(
    path: Path, key: str | None = None, layout: str | None = None, default: str | None = None
) -> xr.DataArray:
    """Open an HDF5 or netCDF-4 file: a known product, else its 3-D dataset; see `sharpen.scene.io.open_scene`.

    default : layout of a 3-D dataset whose axes nothing names, see `sharpen.scene.hdf.open_cube`.
    """
    with open_hdf5(path) as file:
        swaths = list(file["HDFEOS/SWATHS"]) if "HDFEOS/SWATHS" in file else []
        prisma = next((name for name in swaths if PRISMA_GROUP.fullmatch(name)), None)
        if layout is None and "sensor_band_parameters" in file:
            return _open_emit(path, file, key)
        if key is None and layout is None:
            if prisma:
                return _open_prisma(path, file, f"HDFEOS/SWATHS/{prisma}")
            for group in ("HDFEOS/GRIDS/HYP", "HDFEOS/SWATHS/HYP"):
                if group in file:
                    return _open_tanager(path, file, group)
            site = next((name for name in file if f"{name}/Reflectance/Reflectance_Data" in file), None)
            if site:
                return _open_neon(path, file[f"{site}/Reflectance"])
    return open_cube(path, key, layout, default)


def _open_emit(path: Path, file: h5py.File, key: str | None) -> xr.DataArray:
    """Open EMIT L1B or L2A: (downtrack, crosstrack, bands), in the sensor's grid with a table of locations."""
    name = key.strip("/") if key else next((name for name in EMIT_CUBES if name in file), None)
    if name is None or name not in file:
        raise ValueError(f"{path}: an EMIT file without {key or ' or '.join(EMIT_CUBES)}; it holds {', '.join(file)}")
    data, parameters = file[name], file["sensor_band_parameters"]
    wavelength, fwhm = in_nanometres(path, data.shape[2], parameters["wavelengths"][()], parameters["fwhm"][()], "nm")
    good = parameters["good_wavelengths"][()] != 0 if "good_wavelengths" in parameters else None
    attrs = {"metadata": text_fields(file.attrs)}
    where = None
    if "location" in file:
        where = control_points(file["location/lat"], file["location/lon"])
        attrs["geolocation"] = (
            "in the sensor's grid: control points come from location/lat and lon; glt_x and glt_y count pixels of the "
            "original size, so that they do not fit a sharpened scene (gdalwarp -tps puts that on a map)"
        )
    return scene_of(path, data, "HWB", attrs, Bands(wavelength, fwhm, good), where)


def _open_tanager(path: Path, file: h5py.File, group: str) -> xr.DataArray:
    """Open Tanager-1: (bands, rows, columns); ortho products on a grid in UTM, basic ones with a table of locations."""
    fields = file[f"{group}/Data Fields"]
    name = next((name for name in TANAGER_CUBES if name in fields), None)
    if name is None:
        raise ValueError(f"{path}: a Tanager file without {' or '.join(TANAGER_CUBES)}; it holds {', '.join(fields)}")
    data = fields[name]
    bands = describe_bands(path, data.shape[0], band_lists(file, data)).updated(packed(path, data, data.shape[0]))
    if "GRIDS" in group:
        where = _hdfeos_grid(file, file[group])
    else:
        where = control_points(*(file[f"{group}/Geolocation Fields/{name}"] for name in ("Latitude", "Longitude")))
    attrs = {"metadata": text_fields({**file[group].attrs, **data.attrs})}
    mask = None
    if "nodata_pixels" in fields:
        attrs["mask"] = "nodata_pixels"
        mask = _HdfMask(path, fields["nodata_pixels"].name)
    return scene_of(path, data, "BHW", attrs, bands, where, mask=mask)


def _open_neon(path: Path, group: h5py.Group) -> xr.DataArray:
    """Open NEON AOP reflectance: (rows, columns, bands), whole numbers; water vapour absorbs in its band windows."""
    data, spectral = group["Reflectance_Data"], group["Metadata/Spectral_Data"]
    wavelength, fwhm = in_nanometres(path, data.shape[2], spectral["Wavelength"][()], spectral["FWHM"][()], "nm")
    good = np.ones(data.shape[2], bool)
    for number in (1, 2):
        if wavelength is not None and (window := group.attrs.get(f"Band_Window_{number}_Nanometers")) is not None:
            low, high = map(float, window)
            good &= (wavelength < low) | (wavelength > high)
    system = group["Metadata/Coordinate_System"]
    map_info = system["Map_Info"][()]
    map_info = map_info.decode() if isinstance(map_info, bytes) else str(map_info)
    where = envi_georeference(path, {"map info": "{" + map_info.strip("{} ") + "}"})
    if "EPSG Code" in system:
        where = Georeference(CRS.from_epsg(int(system["EPSG Code"][()])), where.transform)
    gains = np.full(data.shape[2], 1 / number_of(data.attrs, "Scale_Factor", 1.0))
    bands = Bands(wavelength, fwhm, good, None, *checked_gains(path, gains, 0 * gains))
    no_data = number_of(data.attrs, "Data_Ignore_Value", None)
    return scene_of(path, data, "HWB", {"metadata": text_fields(group.attrs)}, bands, where, no_data)


def _open_prisma(path: Path, file: h5py.File, group: str) -> xr.DataArray:
    """Open PRISMA L2: two cubes (rows, bands, columns), sorted by wavelength, without the bands that are empty.

    Reflectance is min + number * (max - min) / 65535, with limits for each cube. 0 in all bands of the first cube is no
    data. Corners of an L2D are the centres of the corner pixels; L2B and L2C have a table of locations.
    """
    names = {"VNIR": "Vnir", "SWIR": "Swir"}
    cubes = {
        cube: file[f"{group}/Data Fields/{cube}_Cube"] for cube in names if f"{group}/Data Fields/{cube}_Cube" in file
    }
    if not cubes:
        raise ValueError(f"{path}: a PRISMA file without VNIR_Cube or SWIR_Cube in {group}/Data Fields")
    found = []  # of each band: wavelength, width, gain, offset, name, cube, place in it
    for cube, data in cubes.items():
        centres, widths = (
            np.asarray(file.attrs[f"List_{what}_{names[cube]}"], float).ravel() for what in ("Cw", "Fwhm")
        )
        there = centres > 0
        if (flags := file.attrs.get(f"List_Cw_{names[cube]}_Flags")) is not None:
            there &= np.asarray(flags).ravel().astype(int) != 0
        low, high = (number_of(file.attrs, f"L2Scale{names[cube]}{end}", None) for end in ("Min", "Max"))
        gain, low = (1.0, 0.0) if low is None or high is None else ((high - low) / 65535, low)
        found += [
            (centres[band], widths[band], gain, low, f"{cube} {band + 1}", data.name, int(band))
            for band in np.flatnonzero(there)
        ]
    found.sort()
    wavelength, fwhm, gains, offsets, band_names, *_ = zip(*found, strict=True)
    reader = _JoinedReader(path, [(name, band) for *_, name, band in found])
    first = next(iter(cubes.values()))
    shape = (len(found), first.shape[0], first.shape[2])
    attrs = {"source": str(path), "files": [str(path)], "mask": "0 in all bands", "metadata": text_fields(file.attrs)}
    bands = Bands(np.array(wavelength), np.array(fwhm), None, band_names, *checked_gains(path, gains, offsets))
    where = _prisma_georeference(file, group, shape)
    return make_scene(reader, shape, first.dtype, attrs, bands, where, mask=_AllZero(path, first.name, first.shape[1]))


def _prisma_georeference(file: h5py.File, group: str, shape: tuple[int, int, int]) -> Georeference:
    if "Epsg_Code" in file.attrs and shape[1] > 1 and shape[2] > 1:
        left, right, top, bottom = (
            number_of(file.attrs, f"Product_{corner}corner_{axis}", 0)
            for corner, axis in (("UL", "easting"), ("LR", "easting"), ("UL", "northing"), ("LR", "northing"))
        )
        width, height = (right - left) / (shape[2] - 1), (bottom - top) / (shape[1] - 1)
        transform = Affine(width, 0, left - width / 2, 0, height, top - height / 2)
        return Georeference(CRS.from_epsg(int(number_of(file.attrs, "Epsg_Code", 0))), transform)
    places = file.get(f"{group}/Geolocation Fields")
    if places is not None and "Latitude" in places:
        return control_points(places["Latitude"], places["Longitude"])
    return Georeference()


def _hdfeos_grid(file: h5py.File, group: h5py.Group) -> Georeference:
    """Return the georeference of an HDF-EOS grid in UTM: outer corners, zone, negative in the south."""
    text = file["HDFEOS INFORMATION/StructMetadata.0"][()]
    text = text.decode() if isinstance(text, bytes) else str(text)

    def numbers(name: str) -> list[float]:
        found = re.search(rf"{name}=\(?([-\d.eE+,]+)\)?", text)
        if not found:
            raise ValueError(f"{file.filename}: its StructMetadata does not say {name}")
        return [float(number) for number in found[1].split(",")]

    (left, top), (right, bottom) = numbers("UpperLeftPointMtrs"), numbers("LowerRightMtrs")
    width, height = (right - left) / numbers("XDim")[0], (bottom - top) / numbers("YDim")[0]
    if (code := number_of(group.attrs, "epsg_code", None)) is None:
        zone = int(numbers("ZoneCode")[0])
        code = 32600 + zone if zone > 0 else 32700 - zone
    return Georeference(CRS.from_epsg(int(code)), Affine(width, 0, left, 0, height, top))


# --- EnMAP and DESIS: a GeoTIFF, and beside it an XML file that describes the bands


@dataclass(frozen=True)
class Product:
    """bands : as the XML file describes them. no_data : its background value. file : its path."""

    bands: Bands
    no_data: float | None
    file: Path


def image_of(metadata: Path) -> Path:
    """Return the spectral image that a METADATA.XML of EnMAP or DESIS describes."""
    stem = re.sub(r"METADATA\.xml$", "", metadata.name, flags=re.IGNORECASE)
    for entry in sorted(metadata.parent.iterdir()):
        if (
            entry.name.startswith(stem)
            and SPECTRAL_IMAGE.search(entry.name)
            and entry.suffix.lower() in (".tif", ".jp2")
        ):
            return entry
    raise FileNotFoundError(f"{metadata}: no spectral image {stem}SPECTRAL_IMAGE.TIF beside it; give the image itself")


def read_product(image: Path, count: int) -> Product | None:
    """Return how the METADATA.XML of EnMAP or DESIS beside an image describes it; None for any other image."""
    if not SPECTRAL_IMAGE.search(image.name):
        return None
    stem = SPECTRAL_IMAGE.sub("", image.name)
    candidates = [image.with_name(f"{stem}METADATA.{end}") for end in ("XML", "xml")]
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        return None
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f"{path}: not XML, truncated or damaged ({error}). Copy or download it again.") from error
    described = next(root.iter("bandCharacterisation"), [])
    rows = [_band_of(element) for element in described if element.tag in ("bandID", "band")]
    if len(rows) != count or None in rows:
        warnings.warn(
            f"{path}: describes {len(rows) - rows.count(None)} whole bands, but {image.name} has {count}; left out",
            stacklevel=3,
        )
        return None
    centres, widths, gains, offsets = zip(*(numbers for _, numbers in sorted(rows)), strict=True)
    wavelength, fwhm = in_nanometres(path, count, centres, widths, "nm")
    expected = {
        int(number)
        for element in root.iter("expectedChannelsList")
        for number in re.findall(r"\d+", element.text or "")
    }
    good = np.array([number in expected for number, _ in sorted(rows)]) if expected else None
    background = root.findtext(".//specific/backgroundValue")
    bands = Bands(wavelength, fwhm, good, None, *checked_gains(path, gains, offsets))
    return Product(bands, float(background) if background else None, path)


def _band_of(element: ElementTree.Element) -> tuple[int, tuple[float, ...]] | None:
    """Return a band's number, and its wavelength, width, gain and offset; EnMAP and DESIS differ in the names."""
    number = element.get("number") or element.findtext("bandNumber")
    texts = [
        element.findtext(enmap) or element.findtext(desis) or default
        for enmap, desis, default in (
            ("wavelengthCenterOfBand", "wavelengthCenterOfBand", None),
            ("FWHMOfBand", "wavelengthWidthOfBand", None),
            ("GainOfBand", "gainOfBand", "1"),
            ("OffsetOfBand", "offsetOfBand", "0"),
        )
    ]
    return None if number is None or None in texts else (int(number), tuple(float(text) for text in texts))


class _JoinedReader:
    """Reads bands that lie in several datasets (rows, bands, columns): each a dataset's name and a place in it."""

    def __init__(self, path: Path, parts: list[tuple[str, int]]) -> None:
        self.path, self.parts = path, parts

    def __call__(self, rows: slice, columns: slice, bands: list[int]) -> NDArray:
        selected = [self.parts[band] for band in bands]
        images: dict[tuple[str, int], NDArray] = {}
        for name in {name for name, _ in selected}:
            places = sorted({place for each, place in selected if each == name})
            block = HdfReader(self.path, name, "HBW")(rows, columns, places)
            images |= {(name, place): image for place, image in zip(places, block, strict=True)}
        return np.stack([images[part] for part in selected])


class _AllZero:
    """True where all `count` bands of a dataset (rows, bands, columns) are 0."""

    def __init__(self, path: Path, name: str, count: int) -> None:
        self.reader, self.count = HdfReader(path, name, "HBW"), count

    def __call__(self, rows: slice, columns: slice) -> NDArray[np.bool_]:
        return ~self.reader(rows, columns, list(range(self.count))).any(axis=0)


class _HdfMask:
    """True where a dataset (H, W) is not 0."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name

    def __call__(self, rows: slice, columns: slice) -> NDArray[np.bool_]:
        with open_hdf5(self.path) as file:
            return file[self.name][rows, columns] != 0
