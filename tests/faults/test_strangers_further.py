"""More files of strangers: read by `sharpen`, by `lkca` and by the command line, each with the right values."""

import warnings
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import scipy.io
import tifffile

from lkca.data.reading.read import open_scene_file, read_cube
from lkca.resize import resize
from sharpen.cli import main
from sharpen.scene.io import gains_and_offsets, open_scene, read_block
from tests.data.scene_files import braces, write_envi, write_tiff
from tests.sharpen.scene.files import NM

pytestmark = pytest.mark.filterwarnings(
    "ignore::rasterio.errors.NotGeoreferencedWarning", "ignore::PendingDeprecationWarning"
)
B, H, W = 5, 14, 11
CUBE = np.random.default_rng(2).integers(300, 8000, (B, H, W)).astype(np.int16)
FIRST = int(CUBE[0, 0, 0])
UM = [nm / 1e3 for nm in NM]
GAINS = [0.1, 0.2, 0.3, 0.4, 0.5]
ONE_BAD = [True, True, False, True, True]


def envi(edit: Callable[[str], str] = lambda text: text, data: bytes = b"", interleave="bsq", offset=0, **fields):
    """Return what writes CUBE as ENVI; edit : of the header's text. data : bytes after the numbers."""

    def write(folder: Path) -> Path:
        header = write_envi(folder / "s.img", CUBE, interleave, offset=offset, **fields)
        header.write_bytes(edit(header.read_text()).encode())
        with (folder / "s.img").open("ab") as stream:
            stream.write(data)
        return header

    return write


def tiff(describe: Callable, **options) -> Callable[[Path], Path]:
    return lambda folder: write_tiff(folder / "s.tif", CUBE, describe, **options)


def of_bands(raster, **tags) -> None:
    for band in raster.indexes:
        raster.update_tags(band, **{name: values[band - 1] for name, values in tags.items()})


def tifffile_of(**options) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        tifffile.imwrite(folder / "s.tif", CUBE, photometric="minisblack", planarconfig="separate", **options)
        return folder / "s.tif"

    return write


def mat(folder: Path, **variables) -> Path:
    scipy.io.savemat(folder / "s.mat", {"cube": CUBE.transpose(1, 2, 0), **variables})
    return folder / "s.mat"


def npz(folder: Path, **variables) -> Path:
    np.savez(folder / "s.npz", cube=CUBE.transpose(1, 2, 0), **variables)
    return folder / "s.npz"


def mat73(folder: Path) -> Path:
    with h5py.File(folder / "s.mat", "w") as file:
        file["cube"] = CUBE.transpose(1, 2, 0).T
        file["cube"].attrs["MATLAB_class"] = np.bytes_("int16")
        file["wavelengths"] = np.array([UM])
        file["wavelength_units"] = np.array([[ord(letter)] for letter in "microns"], np.uint16)
        file["wavelength_units"].attrs["MATLAB_class"] = np.bytes_("char")
    return folder / "s.mat"


def two_data_files(folder: Path) -> Path:
    header = envi()(folder)
    (folder / "s.dat").write_bytes(bytes(CUBE.nbytes))
    return header


# name -> (writer, what it says: wl in nm, fwhm, good, gains, ignored; and a word of the warning, "" for none)
MEMBERS = {
    "unit in the name": (envi(**{"wavelength (nm)": braces(NM)}), {"wl": NM}, ""),
    "units in the names": (
        envi(**{"Wavelengths_um": braces(UM), "fwhm [nm]": braces([9] * B)}), {"wl": NM, "fwhm": 9}, "",
    ),
    "unit in each item": (envi(wavelength=braces(f"{nm} nm" for nm in NM)), {"wl": NM}, ""),
    "unit in braces": (envi(wavelength=braces(UM), **{"wavelength units": "{Micrometers}"}), {"wl": NM}, ""),
    "a name of no length": (envi(**{"wavelength (cm-1)": braces([9e3, 8e3, 7e3, 6e3, 5e3])}), {}, "wavelength cm-1"),
    "lambda": (envi(**{"lambda": braces(NM)}), {"wl": NM}, ""),
    "wavenumbers": (envi(wavelength=braces(NM), **{"wavelength units": "Wavenumber"}), {}, "'wavenumber'"),
    "no unit, both ranges": (envi(wavelength=braces([0.4, 0.5, 600, 700, 2500])), {}, "wavelengths, 0.4 to 2500"),
    "numbers of bands": (envi(wavelength="{1, 2, 3, 4, 5}"), {}, ""),
    "semicolons": (envi(wavelength=braces(NM).replace(",", ";")), {}, "1 wavelengths for 5 bands"),
    "bad bands in words": (envi(**{"Bad Bands List": "{1, true, bad, good, 1.0}"}), {"good": ONE_BAD}, ""),
    "byte-order mark": (envi(lambda text: "\ufeff" + text, wavelength=braces(NM)), {"wl": NM}, ""),
    "CR line ends": (envi(lambda text: text.replace("\n", "\r"), wavelength=braces(NM)), {"wl": NM}, ""),
    "blank after interleave": (envi(lambda text: text.replace("bil", "BIL \t"), interleave="bil"), {}, ""),
    "odd offset": (envi(offset=13), {}, ""),
    "bytes at the end": (envi(data=b"end"), {}, "3 bytes more"),
    "a field twice": (envi(lambda text: text + "sensor = a\nsensor = b\n"), {}, "sensor twice"),
    "open wavelengths, then a plain field": (
        envi(lambda text: f"{text}wavelength = {braces(UM).strip('}')}\nwavelength units = um\n"),
        {"wl": NM},
        "braces of 'wavelength'",
    ),
    "gains without braces": (envi(**{"data gain values": "0.1, 0.2, 0.3, 0.4, 0.5"}), {"gains": GAINS}, ""),
    "one gain": (envi(**{"data gain values": "{0.1}"}), {}, "data gain values"),
    "factor of zero": (envi(**{"reflectance scale factor": 0}), {}, "gain or offset"),
    "ignored, a word": (envi(**{"data ignore value": "none"}), {}, "data ignore value"),
    "two data files": (two_data_files, {}, "s.img and s.dat"),
    "band names in two units": (
        tiff(lambda raster: setattr(raster, "descriptions", [f"{nm} nm" for nm in NM[:4]] + ["2.5 um"])),
        {"wl": NM}, "",
    ),
    "tags of bands": (
        tiff(lambda raster: of_bands(raster, WAVELENGTH=UM, wavelength_units=["um"] * B, bbl=[1, 1, 0, 1, 1])),
        {"wl": NM, "good": ONE_BAD}, "",
    ),
    "tags of bands, unit in each": (
        tiff(lambda raster: of_bands(raster, wavelength=[f"{v} um" for v in UM])), {"wl": NM}, "",
    ),
    "tags of bands, two units": (
        tiff(lambda raster: of_bands(raster, wavelength=[*NM[:4], 2.5], wavelength_units=["nm"] * 4 + ["um"])),
        {"wl": NM}, "",
    ),
    "tags of some bands": (
        tiff(lambda raster: raster.update_tags(2, wavelength=500)), {}, "wavelength for 1 of 5 bands",
    ),
    "no data and factor as tags": (
        tiff(lambda raster: raster.update_tags(ns="ENVI", data_ignore_value=FIRST, reflectance_scale_factor=5000)),
        {"ignored": FIRST, "gains": [2e-4] * B}, "",
    ),
    "big-endian planes": (tifffile_of(byteorder=">"), {}, ""),
    "MATLAB, lists beside": (
        lambda folder: mat(folder, wavelengths=UM, wavelength_units="um", bbl=[1, 1, 0, 1, 1]),
        {"wl": NM, "good": ONE_BAD}, "",
    ),
    "MATLAB, wavenumbers": (lambda folder: mat(folder, wavelength=NM, wavelength_unit="cm-1"), {}, "'cm-1'"),
    "MATLAB v7.3, unit beside": (mat73, {"wl": NM}, ""),
    "npz, wl": (lambda folder: npz(folder, wl=NM), {"wl": NM}, ""),
    "npz, lists beside": (
        lambda folder: npz(folder, wavelength_um=UM, fwhm=[0.01] * B, bbl=ONE_BAD),
        {"wl": NM, "fwhm": 10, "good": ONE_BAD}, "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", MEMBERS)
def test_a_further_member(kind: str, tmp_path: Path) -> None:
    write, says, word = MEMBERS[kind]
    path = write(tmp_path)
    missing = (says["ignored"] == CUBE).any(axis=0) if "ignored" in says else np.zeros((H, W), bool)
    wl, gains = says.get("wl"), says.get("gains", [1.0] * B)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        scene = open_scene(path)
        by_sharpen = [str(each.message) for each in said if each.category is UserWarning]
        said.clear()
        file = open_scene_file(path)
        by_lkca = [str(each.message) for each in said if each.category is UserWarning]
    for messages in (by_sharpen, by_lkca):  # once each
        assert len(messages) == (word != "") and all(path.stem in each and word in each for each in messages), messages

    values, found = read_block(scene)
    np.testing.assert_array_equal(values, CUBE)
    np.testing.assert_array_equal(found, missing)
    np.testing.assert_allclose(gains_and_offsets(scene)[0], gains)
    assert scene.good_band.values.tolist() == says.get("good", [True] * B)
    for name, right in (("wavelength", wl), ("fwhm", [says["fwhm"]] * B if "fwhm" in says else None)):
        one, other = scene.coords.get(name), getattr(file.bands, name)
        assert (one is None) == (other is None) == (right is None)
        if right:
            np.testing.assert_allclose((one.values, other), (right, right))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values, no_data = file.read(), read_cube(file)[1]
        assert main([str(path), str(tmp_path / "out.tif"), "--scale=2", "--weights=bicubic", "--no-quicklook"]) == 0
    np.testing.assert_array_equal(values, CUBE)
    np.testing.assert_array_equal(no_data, missing)
    assert file.bands.good is None if "good" not in says else file.bands.good.tolist() == says["good"]
    np.testing.assert_allclose(gains, [1.0] * B if file.bands.gains is None else file.bands.gains)
    written = open_scene(tmp_path / "out.tif")
    right, hole = resize(CUBE.astype(float), 2), missing.repeat(2, 0).repeat(2, 1)
    good = written.good_band.values
    assert good.tolist() == says.get("good", [True] * B)
    if not hole.any():
        np.testing.assert_allclose(written.values[good], right[good], atol=0.51)
    np.testing.assert_array_equal(read_block(written, bands=np.flatnonzero(good))[1], hole)
    if wl:
        np.testing.assert_allclose(written.wavelength, wl, rtol=1e-6)


def classes(folder: Path) -> Path:
    write_tiff(folder / "s.tif", (CUBE[:1] % 12).astype(np.uint8))
    with rasterio.open(folder / "s.tif", "r+") as raster:
        raster.write_colormap(1, {value: (value, 0, 0, 255) for value in range(12)})
    return folder / "s.tif"


REFUSED = {
    "a classification in lower case": (envi(**{"file type": "envi classification"}), "classes"),
    "a classification with a colour table": (classes, "classes"),
    "complex numbers": (lambda folder: write_tiff(folder / "s.tif", CUBE.astype(np.complex64)), "complex"),
    "pages of other sizes": (lambda folder: other_pages(folder / "s.tif"), "pages"),
    "byte order in words": (envi(lambda text: text.replace("byte order = 0", "byte order = little")), "byte order"),
    "a struct of MATLAB": (lambda folder: struct(folder / "s.mat"), "struct"),
    "truth values": (lambda folder: saved(folder / "s.npy", CUBE > 900), "bool"),
    "four axes": (lambda folder: saved(folder / "s.npy", CUBE[None]), "4 axes"),
}


def other_pages(path: Path) -> Path:
    tifffile.imwrite(path, CUBE, photometric="minisblack")
    tifffile.imwrite(path, CUBE[:, ::2], append=True, photometric="minisblack")
    return path


def struct(path: Path) -> Path:
    scipy.io.savemat(path, {"scene": {"cube": CUBE}})
    return path


def saved(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_scene_is_refused_by_name(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write, word = REFUSED[kind]
    path = write(tmp_path)
    for read in (open_scene, open_scene_file):
        with pytest.raises(ValueError, match=rf"s\.[a-z]+: .*{word}"):
            read(path)
    assert main([str(path), str(tmp_path / "out.tif"), "--weights=bicubic"]) == 1
    assert path.stem + "." in capsys.readouterr().err and not (tmp_path / "out.tif").exists()
