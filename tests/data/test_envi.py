"""ENVI headers as ENVI, GDAL and cameras write them, and ENVI files that are no images of spectra."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from lkca.data.reading.read import open_scene_file, read_cube
from tests.data.scene_files import header_text, write_envi, write_tiff, write_tiff_pair

WAVELENGTHS = "{450, 550, 650, 750, 850}"


@pytest.mark.parametrize("given", ["header", "data"])
def test_fields(given: str, tmp_path: Path, cube: np.ndarray) -> None:
    header = write_envi(
        tmp_path / "scene.dat",
        cube,
        "bil",
        **{
            "wavelength units": "Micrometers",
            "wavelength": "{0.45, 0.55, 0.65,\n 0.75, 2.5}",
            "fwhm": "{0.01, 0.01, 0.01, 0.01, 0.02}",
            "Band Names": "{blue, green, red, edge, far}",
            "data ignore value": int(cube[0, 0, 0]),
            "reflectance scale factor": 10000.0,
            "sensor type": "HySpex",
            "description": "{written by a test}",
        },
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = open_scene_file(header if given == "header" else tmp_path / "scene.dat")
    np.testing.assert_allclose(found.wavelengths, [450, 550, 650, 750, 2500])
    np.testing.assert_allclose(found.bands.fwhm, [10, 10, 10, 10, 20])
    np.testing.assert_array_equal(read_cube(found)[1], (cube == cube[0, 0, 0]).any(axis=0))
    np.testing.assert_array_equal(found.read(), cube)  # as stored: not divided by the scale factor
    assert found.metadata["sensor type"] == "HySpex" and found.metadata["description"] == "written by a test"
    assert found.metadata["band names"] == "{blue, green, red, edge, far}"


CARELESS = {
    "no byte order": {"byte order": None},
    "trailing commas": {"wavelength": "{450, 550, 650, 750, 850,}", "bbl": "{1, 1, 0, 1, 1,\n}"},
    "wavelengths": {"wavelength": None, "wavelengths": WAVELENGTHS},
    "open at the end": {"wavelength": None, "wavelength ": WAVELENGTHS.removesuffix("}")},
    "frame offsets of zero": {"major frame offsets": "{0, 0}", "minor frame offsets": "{0, 0}"},
    "blanks": {"wavelength": "{ 450 ,  550,\n\n650 , 750,850 }"},
}


@pytest.mark.parametrize("kind", CARELESS)
@pytest.mark.filterwarnings("ignore:.*braces of 'wavelength' are never closed")
def test_careless_headers(kind: str, tmp_path: Path, cube: np.ndarray) -> None:
    header = write_envi(tmp_path / "s.img", cube, **{"wavelength": WAVELENGTHS, **CARELESS[kind]})
    found = open_scene_file(header)
    np.testing.assert_array_equal(found.read(), cube)
    np.testing.assert_allclose(found.wavelengths, [450, 550, 650, 750, 850])
    if kind == "trailing commas":
        assert found.metadata["bbl"] == "{1, 1, 0, 1, 1}"


def test_braces_that_are_closed_nowhere_end_at_the_next_field(tmp_path: Path, cube: np.ndarray) -> None:
    header = write_envi(tmp_path / "s.img", cube, description="{written by a test\nof cameras", wavelength=WAVELENGTHS)
    with pytest.warns(UserWarning, match="s.hdr: the braces of 'description'"):
        found = open_scene_file(header)
    np.testing.assert_array_equal(found.read(), cube)
    np.testing.assert_allclose(found.wavelengths, [450, 550, 650, 750, 850])


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("first", ["ENVI", "envi", "Envi"])
def test_encodings_and_first_lines(encoding: str, first: str, tmp_path: Path, cube: np.ndarray) -> None:
    header = write_envi(tmp_path / "s.img", cube, **{"band names": "{grün, b, c, d, e}"})
    header.write_bytes(header.read_text().replace("ENVI", first, 1).encode(encoding))
    for path in (header, tmp_path / "s.img"):
        found = open_scene_file(path)
        assert found.metadata["band names"] == "{grün, b, c, d, e}"
        np.testing.assert_array_equal(found.read(), cube)


def test_half_a_pair(tmp_path: Path, cube: np.ndarray) -> None:
    header = write_envi(tmp_path / "a.img", cube)
    (tmp_path / "a.img").rename(tmp_path / "b.img")
    (tmp_path / "a.txt").write_text("a note")
    with pytest.raises(FileNotFoundError, match=r"a.hdr: .*4200 bytes; found a.txt"):
        open_scene_file(header)
    with pytest.raises(FileNotFoundError, match=r"b.img: .*Expected b.hdr or b.img.hdr"):
        open_scene_file(tmp_path / "b.img")
    pair = write_tiff_pair(tmp_path / "c.tif", cube)
    write_tiff(tmp_path / "c.tif", cube[:3])
    for path in (pair, tmp_path / "c.tif"):
        with pytest.raises(ValueError, match=r"c.hdr: .*\(5, 70, 6\), but c.tif has \(3, 70, 6\)"):
            open_scene_file(path)


def test_the_likeliest_of_several_data_files(tmp_path: Path, cube: np.ndarray) -> None:
    write_envi(tmp_path / "a.dat", cube + 1)
    header = write_envi(tmp_path / "a.img", cube)
    with pytest.warns(UserWarning, match="a.hdr: a.img and a.dat fit it equally well; a.img is read"):
        np.testing.assert_array_equal(open_scene_file(header).read(), cube)
    np.testing.assert_array_equal(open_scene_file(tmp_path / "a.dat").read(), cube + 1)


def test_data_longer_than_described(tmp_path: Path, cube: np.ndarray) -> None:
    header = write_envi(tmp_path / "a.img", cube, bands=4)
    with pytest.warns(UserWarning, match="a.img: 840 bytes more"):
        np.testing.assert_array_equal(open_scene_file(header).read(), cube[:4])


@pytest.mark.parametrize(
    "fields",
    [
        {"lines": None},
        {"interleave": None},
        {"interleave": "zigzag"},
        {"data type": 99},
        {"data type": 6},
        {"bands": 0},
        {"bands": -2},
        {"samples": "{30}"},
        {"samples": "2e1"},
        {"header offset": -5},
        {"byte order": 7},
        {"file compression": 1},
        {"lines": 10**9},
        {"file type": "ENVI Spectral Library", "spectra names": "{a, b}"},
        {"file type": "ENVI Classification", "classes": 240},
        {"file type": "PCI"},
        {"file type": "ENVI Meta File"},
        {"major frame offsets": "{0, 96}"},
        {"minor frame offsets": "{8, 0}"},
        {"read procedures": "{pci_read_spatial, pci_read_spectral}"},
    ],
    ids=str,
)
def test_headers_that_cannot_be_or_are_of_no_image(fields: dict, tmp_path: Path, cube: np.ndarray) -> None:
    header = write_envi(tmp_path / "s.img", cube)
    header.write_text(header_text(cube, **{"interleave": "bsq", **fields}))
    for path in (header, tmp_path / "s.img"):
        with pytest.raises(ValueError, match=r"s\.(hdr|img): "):
            open_scene_file(path)


def test_scene_is_read_from_header_and_data(tmp_path: Path, cube: np.ndarray) -> None:
    """A checksum covers both, else a result of other data of the same size would be taken for this one's."""
    header = write_envi(tmp_path / "s.img", cube)
    for path in (header, tmp_path / "s.img"):
        assert open_scene_file(path).files == [tmp_path / "s.img", header]
