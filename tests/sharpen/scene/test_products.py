"""Products of imaging spectrometers: small files made to the published layouts. No original product was at hand."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from affine import Affine
from rasterio.transform import GCPTransformer

from sharpen.scene.georeference import georeference_of
from sharpen.scene.io import SceneWriter, gains_and_offsets, open_scene, read_block, usable_bands
from tests.data.scene_files import write_tiff

B, H, W = 6, 20, 30
NM = np.linspace(400, 2450, B)
PLACED = Affine(30, 0, 600000, 0, -30, 5000000)
LATITUDE = 45 - 0.0003 * np.add.outer(np.arange(H), 0.1 * np.arange(W))
LONGITUDE = 7 + 0.0004 * np.add.outer(0.1 * np.arange(H), np.arange(W))


@pytest.fixture
def cube() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 9000, (B, H, W)).astype(np.uint16)


def check_place_of_table(scene) -> None:
    """The tables give the middles of pixels."""
    with GCPTransformer(georeference_of(scene).gcps) as points:
        x, y = points.xy([3, 12], [5, 22], offset="center")
    np.testing.assert_allclose((x, y), (LONGITUDE[[3, 12], [5, 22]], LATITUDE[[3, 12], [5, 22]]), atol=1e-7)


@pytest.mark.parametrize("name", ["reflectance", "radiance"])
def test_emit(name: str, tmp_path: Path, cube: np.ndarray) -> None:
    values = (cube / 10000).astype(np.float32)
    values[:, 0, 0] = -9999
    path = tmp_path / "EMIT_L2A_RFL_001.nc"
    with h5py.File(path, "w") as file:
        data = file.create_dataset(name, data=values.transpose(1, 2, 0), chunks=(10, 10, 3))
        data.attrs["_FillValue"] = np.float32([-9999.0])
        file["mask"] = np.zeros((H, W, 8), np.float32)
        bands = file.create_group("sensor_band_parameters")
        bands["wavelengths"], bands["fwhm"] = NM.astype(np.float32), np.full(B, 8.5, np.float32)
        bands["good_wavelengths"] = np.array([1, 1, 0, 1, 0, 1], np.float32)
        place = file.create_group("location")
        place["lat"], place["lon"] = LATITUDE, LONGITUDE
        place["glt_x"] = place["glt_y"] = np.zeros((25, 35), np.int32)
        file.attrs["spatial_ref"] = "GEOGCS[...]"
    for given in (path, f'NETCDF:"{path}":{name}'):
        scene = open_scene(given)
        np.testing.assert_array_equal(scene, values)
        np.testing.assert_allclose(scene.wavelength, NM)
        np.testing.assert_allclose(scene.fwhm, 8.5)
        assert usable_bands(scene)[0] == [0, 1, 3, 5]
        assert scene.rio.crs.to_epsg() == 4326 and read_block(scene)[1].sum() == 1
        check_place_of_table(scene)
        assert "glt" in scene.attrs["geolocation"]
    with SceneWriter(tmp_path / "out.tif", scene, 2, holes=True) as writer:
        writer.write(np.nan_to_num(values).repeat(2, 1).repeat(2, 2))
    assert len(open_scene(tmp_path / "out.tif").rio.get_gcps()) == 121


@pytest.mark.parametrize("level", ["L2D", "L2C"])
def test_prisma(level: str, tmp_path: Path) -> None:
    """Wavelengths fall in each cube; 0 marks bands that hold nothing; corners are the middles of corner pixels."""
    random = np.random.default_rng(0)
    vnir, swir = (random.integers(1, 65535, (H, bands, W)).astype(np.uint16) for bands in (4, 3))
    vnir[0, :, 0] = swir[0, :, 0] = 0
    vnir[5, 1, 5] = 0  # one dark band is data
    path = tmp_path / f"PRS_{level}_STD.he5"
    with h5py.File(path, "w") as file:
        group = f"HDFEOS/SWATHS/PRS_{level}_HCO"
        file[f"{group}/Data Fields/VNIR_Cube"], file[f"{group}/Data Fields/SWIR_Cube"] = vnir, swir
        file[f"{group}/Geolocation Fields/Latitude"] = LATITUDE
        file[f"{group}/Geolocation Fields/Longitude"] = LONGITUDE
        file.attrs.update(
            List_Cw_Vnir=np.float32([900, 700, 500, 0]), List_Fwhm_Vnir=np.float32([12, 11, 10, 0]),
            List_Cw_Vnir_Flags=np.int8([1, 1, 1, 0]), List_Cw_Swir=np.float32([2400, 1500, 890]),
            List_Fwhm_Swir=np.float32([9, 8, 7]), List_Cw_Swir_Flags=np.int8([1, 1, 1]),
            L2ScaleVnirMin=np.float32(0), L2ScaleVnirMax=np.float32(1), L2ScaleSwirMin=np.float32(0.1),
            L2ScaleSwirMax=np.float32(0.9),
        )  # fmt: skip
        if level == "L2D":
            file.attrs.update(
                Epsg_Code=np.int64(32632), Product_ULcorner_easting=600015.0, Product_ULcorner_northing=4999985.0,
                Product_LRcorner_easting=600015.0 + 30 * (W - 1), Product_LRcorner_northing=4999985.0 - 30 * (H - 1),
            )  # fmt: skip
    scene = open_scene(path)
    assert scene.wavelength.values.tolist() == [500, 700, 890, 900, 1500, 2400]
    assert scene.fwhm.values.tolist() == [10, 11, 7, 12, 8, 9]
    wanted = np.stack([vnir[:, 2], vnir[:, 1], swir[:, 2], vnir[:, 0], swir[:, 1], swir[:, 0]])
    np.testing.assert_array_equal(scene, wanted)
    np.testing.assert_array_equal(scene[[4, 0], 2:5, 3:9], wanted[[4, 0], 2:5, 3:9])
    gains, offsets = gains_and_offsets(scene)
    np.testing.assert_allclose(gains * 65535, [1, 1, 0.8, 1, 0.8, 0.8], rtol=1e-6)
    np.testing.assert_allclose(offsets, [0, 0, 0.1, 0, 0.1, 0.1], rtol=1e-6)
    missing = read_block(scene)[1]
    assert missing.sum() == 1 and missing[0, 0]
    if level == "L2D":
        assert scene.rio.crs.to_epsg() == 32632 and scene.rio.transform().almost_equals(PLACED, 1e-6)
    else:
        check_place_of_table(scene)


XML = {
    "EnMAP": """<level_X><specific>
      <backgroundValue>-32768</backgroundValue>
      <vnirProductQuality><expectedChannelsList>1,2,3</expectedChannelsList></vnirProductQuality>
      <swirProductQuality><expectedChannelsList>4,6</expectedChannelsList></swirProductQuality>
      <bandCharacterisation>{bands}</bandCharacterisation></specific></level_X>""",
    "DESIS": """<hsi_doc><specific><interiorOrientation><band><bandNumber>1</bandNumber></band></interiorOrientation>
      <bandCharacterisation>{bands}</bandCharacterisation></specific></hsi_doc>""",
}
BAND = {
    "EnMAP": "<bandID number='{i}'><wavelengthCenterOfBand>{nm}</wavelengthCenterOfBand><FWHMOfBand>{fwhm}</FWHMOfBand>"
    "<GainOfBand>0.0001</GainOfBand><OffsetOfBand>{offset}</OffsetOfBand></bandID>",
    "DESIS": "<band><bandNumber>{i}</bandNumber><wavelengthCenterOfBand>{nm}</wavelengthCenterOfBand>"
    "<wavelengthWidthOfBand>{fwhm}</wavelengthWidthOfBand><gainOfBand>0.0001</gainOfBand><offsetOfBand>{offset}</offsetOfBand></band>",
}  # fmt: skip
IMAGE = {
    "EnMAP": ("ENMAP01-____L2A-DT01_20220724T104526Z_008-SPECTRAL_IMAGE.TIF", "METADATA.XML"),
    "DESIS": ("DESIS-HSI-L2A-DT03_001-20190101T000000-V0210-SPECTRAL_IMAGE.tif", "METADATA.xml"),
}


@pytest.mark.parametrize("offset", [0, 0.5])
@pytest.mark.parametrize("sensor", XML)
def test_enmap_and_desis(sensor: str, offset: float, tmp_path: Path, cube: np.ndarray) -> None:
    cube = cube.astype(np.int16)
    cube[4], cube[:, 0, 0] = -32768, -32768
    image = tmp_path / IMAGE[sensor][0]
    nodata = {} if sensor == "EnMAP" else {"nodata": -32768}
    write_tiff(image, cube, crs="EPSG:32632", transform=PLACED, **nodata)
    bands = [BAND[sensor].format(i=i + 1, nm=NM[i], fwhm=6.5, offset=offset * i) for i in reversed(range(B))]
    metadata = image.with_name(image.name.replace("SPECTRAL_IMAGE", "METADATA")).with_suffix(IMAGE[sensor][1][-4:])
    metadata.write_text(XML[sensor].format(bands="".join(bands)))
    for path in (image, metadata):
        scene = open_scene(path)
        np.testing.assert_array_equal(scene, cube)
        np.testing.assert_allclose(scene.wavelength, NM)
        np.testing.assert_allclose(scene.fwhm, 6.5)
        np.testing.assert_allclose(gains_and_offsets(scene), ([1e-4] * B, offset * np.arange(B)))
        assert scene.rio.nodata == -32768 and scene.rio.crs.to_epsg() == 32632 and scene.rio.transform() == PLACED
        assert usable_bands(scene)[0] == [0, 1, 2, 3, 5]
        assert str(metadata) in scene.attrs["files"]
    if sensor == "EnMAP":
        assert scene.good_band.values.tolist() == [True] * 4 + [False, True]
    metadata.write_text(XML[sensor].format(bands=bands[0]))
    with pytest.warns(UserWarning, match="METADATA"):
        assert "wavelength" not in open_scene(image).coords
    metadata.write_text("<level_X>")
    with pytest.raises(ValueError, match="METADATA"):
        open_scene(image)
    image.unlink()
    with pytest.raises(FileNotFoundError, match="METADATA"):
        open_scene(metadata)


def test_neon(tmp_path: Path, cube: np.ndarray) -> None:
    cube = cube.astype(np.int16)
    cube[:, 3, 4] = -9999
    path = tmp_path / "NEON_D17_SJER_DP3_257000_4112000_reflectance.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("SJER/Reflectance")
        data = group.create_dataset("Reflectance_Data", data=cube.transpose(1, 2, 0))
        data.attrs["Data_Ignore_Value"], data.attrs["Scale_Factor"] = -9999.0, 10000.0
        group.attrs["Band_Window_1_Nanometers"], group.attrs["Band_Window_2_Nanometers"] = [1340, 1445], [1790, 1955]
        group["Metadata/Spectral_Data/Wavelength"] = [400.0, 900.0, 1400.0, 1600.0, 1800.0, 2400.0]
        group["Metadata/Spectral_Data/FWHM"] = np.full(B, 5.8)
        group["Metadata/Coordinate_System/Map_Info"] = np.bytes_(
            "UTM,  1.000,  1.000, 257000.00, 4113000.0, 1.0000000e+000, 1.0000000e+000, 11, North, WGS-84, units=Meters"
        )
        group["Metadata/Coordinate_System/EPSG Code"] = np.bytes_("32611")
        group["Metadata/Ancillary_Imagery/Aerosol"] = np.zeros((H, W))
    scene = open_scene(path)
    np.testing.assert_array_equal(scene, cube)
    assert scene.wavelength.values[-1] == 2400 and scene.good_band.values.tolist() == [
        True,
        True,
        False,
        True,
        False,
        True,
    ]
    np.testing.assert_allclose(gains_and_offsets(scene)[0], 1e-4)
    assert scene.rio.nodata == -9999 and scene.rio.crs.to_epsg() == 32611
    assert scene.rio.transform().almost_equals(Affine(1, 0, 257000, 0, -1, 4113000))


@pytest.mark.parametrize("kind", ["basic", "ortho"])
@pytest.mark.parametrize("name", ["surface_reflectance", "toa_radiance"])
def test_tanager(kind: str, name: str, tmp_path: Path, cube: np.ndarray) -> None:
    values = cube.astype(np.float32)
    values[:, 2, 2] = -9999
    path = tmp_path / f"20250101_000000_00_4001_{kind}_sr_hdf5.h5"
    group = f"HDFEOS/{'SWATHS' if kind == 'basic' else 'GRIDS'}/HYP"
    with h5py.File(path, "w") as file:
        data = file.create_dataset(f"{group}/Data Fields/{name}", data=values)
        data.attrs["wavelengths"], data.attrs["fwhm"] = NM.astype(np.float32), np.full(B, 5.5, np.float32)
        data.attrs["good_wavelengths"] = np.uint8([1, 1, 1, 0, 1, 1])
        data.attrs["_FillValue"] = np.float32(-9999)
        file[f"{group}/Data Fields/nodata_pixels"] = np.eye(H, W, dtype=np.uint8)
        if kind == "basic":
            file[f"{group}/Geolocation Fields/Latitude"] = LATITUDE
            file[f"{group}/Geolocation Fields/Longitude"] = LONGITUDE
        file["HDFEOS INFORMATION/StructMetadata.0"] = np.bytes_(
            f'GROUP=GridStructure\n\tGridName="HYP"\n\tXDim={W}\n\tYDim={H}\n\tUpperLeftPointMtrs=(600000.0,5000000.0)\n'
            f"\tLowerRightMtrs=({600000 + 30 * W}.0,{5000000 - 30 * H}.0)\n\tProjection=HE5_GCTP_UTM\n\tZoneCode=-32\n"
        )
    scene = open_scene(path)
    np.testing.assert_array_equal(scene, values)
    np.testing.assert_allclose(scene.wavelength, NM)
    assert scene.good_band.values.tolist() == [True, True, True, False, True, True]
    np.testing.assert_array_equal(read_block(scene)[1], np.eye(H, W, dtype=bool))
    if kind == "basic":
        check_place_of_table(scene)
    else:
        assert scene.rio.crs.to_epsg() == 32732 and scene.rio.transform().almost_equals(PLACED)


def test_products_without_their_cube(tmp_path: Path) -> None:
    for name, group in (("emit", "sensor_band_parameters"), ("tanager", "HDFEOS/GRIDS/HYP/Data Fields"),
                        ("prisma", "HDFEOS/SWATHS/PRS_L2D_HCO/Data Fields")):  # fmt: skip
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file.create_group(group)
        with pytest.raises(ValueError, match=f"{name}.h5"):
            open_scene(tmp_path / f"{name}.h5")


def test_a_scale_factor_of_unknown_direction_is_named(tmp_path: Path, cube: np.ndarray) -> None:
    path = tmp_path / "stranger.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("reflectance", data=cube)
        data.attrs["Scale_Factor"] = 10000.0
    with pytest.warns(UserWarning, match="Scale_Factor = 10000.0"):
        scene = open_scene(path, layout="BHW")
    np.testing.assert_array_equal(scene.to_numpy(), cube)
