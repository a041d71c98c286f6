"""Files of strangers that GDAL and h5py open: virtual rasters over other files, netCDF, alpha bands, foreign .mat."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from rasterio.shutil import copy as gdal_copy

from lkca.data.reading.read import open_scene_file
from sharpen.scene.georeference import georeference_of
from sharpen.scene.io import open_scene, read_block
from tests.data.scene_files import write_tiff
from tests.sharpen.scene.files import NM, converted, write_gcps, write_netcdf3, write_rpcs

pytestmark = pytest.mark.filterwarnings(
    "ignore::rasterio.errors.NotGeoreferencedWarning", "ignore::PendingDeprecationWarning"
)
B, H, W = 5, 14, 11
CUBE = np.random.default_rng(2).integers(300, 8000, (B, H, W)).astype(np.int16)
UM = [nm / 1e3 for nm in NM]


@pytest.mark.parametrize("unit", ["nm", "um", None, "cm-1"])
@pytest.mark.parametrize("through", ["nc", "vrt"])
def test_netcdf_3_and_a_vrt_over_it(unit: str | None, through: str, tmp_path: Path, recwarn) -> None:
    """Nothing says where its rows lie: they stay in the file's order."""
    path = write_netcdf3(tmp_path / "s.nc", CUBE)
    with scipy.io.netcdf_file(path, "a") as file:
        variable = file.variables["wavelength"]
        variable[:] = UM if unit == "um" else NM
        if unit:
            variable.units = unit
    if through == "vrt":
        gdal_copy(path, tmp_path / "s.vrt", driver="VRT")
    scene = open_scene(tmp_path / f"s.{through}")
    np.testing.assert_array_equal(scene, CUBE)
    if unit == "cm-1":
        assert "wavelength" not in scene.coords and any("'cm-1'" in str(each.message) for each in recwarn)
    else:
        np.testing.assert_allclose(scene.wavelength, NM, rtol=1e-6)


@pytest.mark.parametrize("through", ["NETCDF", "HDF5"])
def test_a_vrt_over_hdf5(through: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "s.nc", "w") as file:
        file["cube"] = CUBE
    name = f"{through}:{tmp_path}/s.nc:{'//' if through == 'HDF5' else ''}cube"
    gdal_copy(name, tmp_path / "s.vrt", driver="VRT")
    np.testing.assert_array_equal(open_scene(tmp_path / "s.vrt"), CUBE)


@pytest.mark.filterwarnings("ignore:.*nothing tells which axis")
def test_netcdf_4_with_unsigned_numbers_and_with_chunks_left_out(tmp_path: Path) -> None:
    large = CUBE.astype(np.uint16) + 30000
    with h5py.File(tmp_path / "s.nc", "w") as file:
        data = file.create_dataset("cube", CUBE.shape, "i2", chunks=(1, H, W))
        data[:4] = large[:4].view(np.int16)
        data.attrs["_Unsigned"], data.attrs["_FillValue"] = np.bytes_("true"), large[0, 0, 0].view(np.int16)
    with pytest.warns(UserWarning, match="s.nc: 1 of 5 chunks"):
        scene = open_scene(tmp_path / "s.nc")
    values, missing = read_block(scene, bands=[0, 1, 2, 3])
    np.testing.assert_array_equal(values, large[:4])
    np.testing.assert_array_equal(missing, (large[:4] == large[0, 0, 0]).any(axis=0))


def test_a_vrt_over_a_netcdf_that_says_where_it_lies(tmp_path: Path) -> None:
    """GDAL puts the north on top, and the transform fits that."""
    path = converted(tmp_path / "s.nc", CUBE[:1], "netCDF")
    gdal_copy(path, tmp_path / "s.vrt", driver="VRT")
    scene = open_scene(tmp_path / "s.vrt")
    np.testing.assert_array_equal(scene, CUBE[:1])
    assert scene.rio.transform().e == pytest.approx(-0.7)


@pytest.mark.parametrize(("write", "what"), [(write_gcps, "control points"), (write_rpcs, "RPC")])
def test_places_in_a_vrt_are_kept_or_missed_aloud(write: Callable, what: str, tmp_path: Path) -> None:
    write(tmp_path / "s.tif", CUBE)
    right = georeference_of(open_scene(tmp_path / "s.tif"))
    gdal_copy(tmp_path / "s.tif", tmp_path / "s.vrt", driver="VRT")
    found = georeference_of(open_scene(tmp_path / "s.vrt"))
    place = [(point.row, point.col, point.x, point.y) for point in right.gcps]
    assert place == [(point.row, point.col, point.x, point.y) for point in found.gcps] and found.crs == right.crs
    assert (found.rpcs and found.rpcs.to_dict()) == (right.rpcs and right.rpcs.to_dict())
    band = '<VRTRasterBand dataType="Int16" band="1"><SimpleSource><SourceFilename relativeToVRT="1">s.tif'
    end = "</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    (tmp_path / "h.vrt").write_text(f'<VRTDataset rasterXSize="{W}" rasterYSize="{H}">{band}{end}')
    with pytest.warns(UserWarning, match=rf"h.vrt: .*s.tif has .*{what}"):
        np.testing.assert_array_equal(open_scene(tmp_path / "h.vrt"), CUBE[:1])


def test_no_data_of_one_band(tmp_path: Path) -> None:
    converted(tmp_path / "s.vrt", CUBE, "VRT")
    text = (tmp_path / "s.vrt").read_text()
    place = text.index(">", text.index('band="3"')) + 1
    (tmp_path / "s.vrt").write_text(f"{text[:place]}<NoDataValue>{CUBE[2, 4, 4]}</NoDataValue>{text[place:]}")
    values, missing = read_block(open_scene(tmp_path / "s.vrt"))
    np.testing.assert_array_equal(values, CUBE)
    np.testing.assert_array_equal(missing, CUBE[2] == CUBE[2, 4, 4])


def test_the_fourth_of_four_bands_of_bytes_is_called_alpha(tmp_path: Path) -> None:
    """By GDAL, which writes it so unless it is told: near infrared would be a mask."""
    path = write_tiff(tmp_path / "s.tif", (CUBE[:4] % 250).astype(np.uint8))
    with pytest.warns(UserWarning, match="s.tif: its band 4 .*alpha"):
        assert open_scene(path).shape == (3, H, W)


def test_a_mat_file_of_another_program_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "s.mat", "w") as file:
        file["cube"] = CUBE.transpose(1, 2, 0)
    for read in (open_scene, open_scene_file):
        with pytest.warns(UserWarning, match="s.mat: was not written by MATLAB.*BWH"):
            read(tmp_path / "s.mat")
    np.testing.assert_array_equal(open_scene(tmp_path / "s.mat", layout="BWH"), CUBE)
