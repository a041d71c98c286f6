"""What cannot be opened gets one message that names the file; nothing else is read, and nothing is unpickled."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio

from sharpen.scene.io import open_scene
from tests.data.scene_files import B, H, W, write_envi, write_npy, write_tiff
from tests.sharpen.scene.files import WRITERS


@pytest.fixture
def cube() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 8000, (B, H, W)).astype(np.int16)


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if kind not in ("vrt", "jpeg 2000", "pages of ImageJ")])
@pytest.mark.parametrize("part", [0.03, 0.5, 0.97])
def test_truncated_files(kind: str, part: float, tmp_path: Path, cube: np.ndarray) -> None:
    path = WRITERS[kind](tmp_path, cube)
    data = max(tmp_path.glob("a*"), key=lambda file: file.stat().st_size if file.suffix != ".hdr" else 0)
    os.truncate(data, int(part * data.stat().st_size))
    with pytest.raises((ValueError, FileNotFoundError), match="a"):
        found = open_scene(path).values
        np.testing.assert_array_equal(found, cube)  # GDAL reads some formats to their last whole block
        raise ValueError("a: whole all the same")


# Further headers that are refused: tests/data/test_envi.py.
@pytest.mark.parametrize("fields", [{"file type": "ENVI Spectral Library"}, {"data type": 6}, {"bands": 6}], ids=str)
@pytest.mark.parametrize("given", ["a.hdr", "a.img"])
def test_envi_files_that_are_no_images_or_cannot_be(fields: dict, given: str, tmp_path: Path, cube: np.ndarray) -> None:
    write_envi(tmp_path / "a.img", cube, **fields)
    with pytest.raises(ValueError, match=r"a\.(hdr|img)"):
        open_scene(tmp_path / given)


@pytest.mark.parametrize(
    "name",
    [
        f"a.{end}"
        for end in ["jpg", "tif", "mat", "npy", "npz", "hdr", "img", "nc", "h5", "vrt", "xml", "hdf", "jp2", "grib"]
    ],
)
def test_a_file_that_is_something_else(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("<html>404 not found</html>" * 40)
    with pytest.raises((ValueError, FileNotFoundError), match=name) as error:
        open_scene(tmp_path / name)
    assert "\n" not in str(error.value)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ValueError, match=name):
        open_scene(tmp_path / name)


def test_missing_files(tmp_path: Path, cube: np.ndarray) -> None:
    write_npy(tmp_path / "houston_2018.npy", cube)
    with pytest.raises(FileNotFoundError, match="Houston2018.npy.*houston_2018.npy"):
        open_scene(tmp_path / "Houston2018.npy")
    for name in ("nowhere/a.npy", 'NETCDF:"none.nc":reflectance', "HDF5:none.h5://a"):
        with pytest.raises(FileNotFoundError, match="no such file"):
            open_scene(tmp_path / name if "/a.npy" in name else name)
    with pytest.raises(ValueError, match=str(tmp_path)):
        open_scene(tmp_path)
    with pytest.raises(ValueError, match="nobody at all"):
        open_scene("~nobody at all/x")


def test_a_vrt_whose_source_is_gone(tmp_path: Path, cube: np.ndarray) -> None:
    path = WRITERS["vrt"](tmp_path, cube)
    (tmp_path / "source.tif").unlink()
    with pytest.raises(FileNotFoundError, match="a.vrt.*source.tif"):
        open_scene(path)


def test_arrays_that_are_no_scene(tmp_path: Path) -> None:
    """Those of MATLAB and numpy: tests/data/test_damaged_files.py."""
    for array in (np.ones((4, 5)), np.ones((2, 3, 4, 5)), np.ones((3, 4, 5), np.complex64)):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["cube"] = array
        with pytest.raises(ValueError, match="a.h5"):
            open_scene(tmp_path / "a.h5")
    with pytest.raises(ValueError, match="a.tif"):
        open_scene(write_tiff(tmp_path / "a.tif", array))


@pytest.mark.parametrize("kind", ["raw", "virtual", "external link"])
def test_hdf5_reads_no_other_files(kind: str, tmp_path: Path) -> None:
    cube, secret = np.ones((6, 5, 4)), tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["cube"] = cube
    path = tmp_path / "scene.h5"
    with h5py.File(path, "w") as file:
        if kind == "raw":
            file.create_dataset("cube", cube.shape, "f8", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout(cube.shape, "f8")
            layout[:] = h5py.VirtualSource(str(secret), "cube", cube.shape)
            file.create_virtual_dataset("cube", layout)
        else:
            file["cube"] = h5py.ExternalLink(str(secret), "/cube")
    for key in (None, "cube"):
        with pytest.raises(ValueError, match="scene.h5"):
            open_scene(path, key=key)


def test_a_key_or_layout_where_it_means_nothing(tmp_path: Path, cube: np.ndarray) -> None:
    write_tiff(tmp_path / "a.tif", cube)
    for options in ({"key": "data"}, {"layout": "BHW"}):
        with pytest.raises(ValueError, match="a.tif"):
            open_scene(tmp_path / "a.tif", **options)
    write_npy(tmp_path / "a.npy", cube)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["cube"] = cube
    for name in ("a.npy", "a.h5"):
        with pytest.raises(ValueError, match="CHW"):
            open_scene(tmp_path / name, layout="CHW")


def test_a_tiff_of_too_many_bands(tmp_path: Path) -> None:
    size = {"width": 1, "height": 1, "count": 20_000, "dtype": "uint8"}
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", interleave="pixel", SPARSE_OK=True, **size):
        pass
    with pytest.raises(ValueError, match="a.tif.*20000"):
        open_scene(tmp_path / "a.tif")


def test_a_stack_of_imagej_of_which_gdal_sees_one_image(tmp_path: Path, cube: np.ndarray) -> None:
    note = "ImageJ=1.54f\nimages=5\nslices=5\n"
    write_tiff(tmp_path / "a.tif", cube[:1], lambda raster: raster.update_tags(TIFFTAG_IMAGEDESCRIPTION=note))
    with pytest.raises(ValueError, match="a.tif.*5 images"):
        open_scene(tmp_path / "a.tif")


def test_bands_of_unlike_types(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", np.ones((1, 4, 5), np.uint8))
    write_tiff(tmp_path / "b.tif", np.ones((1, 4, 5), np.float32))
    bands = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{i}"><SimpleSource><SourceFilename relativeToVRT="1">{name}.tif'
        f"</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for i, (name, kind) in enumerate((("a", "Byte"), ("b", "Float32")), 1)
    )
    (tmp_path / "c.vrt").write_text(f'<VRTDataset rasterXSize="5" rasterYSize="4">{bands}</VRTDataset>')
    with pytest.raises(ValueError, match="c.vrt.*float32, uint8"):
        open_scene(tmp_path / "c.vrt")
