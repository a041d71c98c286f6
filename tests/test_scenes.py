"""Scenes: small fakes written in the real formats, the real ones where `LKCA_DATA` has them, and bad files."""

import os
import tracemalloc
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import scipy.io
import spectral.io.envi
from affine import Affine

from lkca.paths import data_folder
from lkca.scenes import check_cube, open_scene
from lkca.scenes.wavelengths import in_nanometres

B, H, W = 5, 70, 6  # more rows than are read at once from a TIFF
UTM32 = Affine(0.7, 0, 669639.6, 0, -0.7, 5328106.0)
MAP_INFO = "{UTM, 1.000, 1.000, 669639.600, 5328106.000, 0.7, 0.7, 32, North, WGS-84, units=Meters}"


@pytest.fixture
def cube() -> np.ndarray:
    return np.random.default_rng(0).integers(-300, 8000, (B, H, W)).astype(np.int16)


# --- writers of the real formats


def write_v5(path: Path, cube: np.ndarray, **others) -> Path:
    scipy.io.savemat(path, {"data": cube.transpose(1, 2, 0), **others}, do_compression=True)
    return path


def write_v73(path: Path, cube: np.ndarray, key: str = "chikusei", chunks=None, **others) -> Path:
    """As MATLAB saves -v7.3: a 512-byte block of text before the HDF5, axes reversed, the class as an attribute."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in {key: cube.transpose(1, 2, 0), **others}.items():
            data = file.create_dataset(name, data=array.T, chunks=chunks if name == key else None)
            classes = {"float64": b"double", "float32": b"single"}
            data.attrs["MATLAB_class"] = np.bytes_(classes.get(array.dtype.name, array.dtype.name.encode()))
        file.create_group("#refs#")
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .")
    return path


def header_text(cube: np.ndarray, interleave: str, **fields) -> str:
    kinds = {"int16": 2, "float32": 4, "uint16": 12, "complex64": 6}
    basic = {
        "samples": cube.shape[2],
        "lines": cube.shape[1],
        "bands": cube.shape[0],
        "data type": kinds[cube.dtype.name],
        "interleave": interleave,
        "byte order": 0,
    }
    lines = [f"{name} = {value}" for name, value in {**basic, **fields}.items() if value is not None]
    return "\n".join(["ENVI", "description = {made by a test}", *lines, ""])


def write_envi(path: Path, cube: np.ndarray, interleave="bsq", big_endian=False, offset=0, **fields) -> Path:
    """Writes `path` (the data) and its header; returns the header."""
    axes = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (1, 2, 0)}.get(interleave, (0, 1, 2))
    stored = cube.transpose(axes).astype(cube.dtype.newbyteorder(">" if big_endian else "<"))
    path.write_bytes(b"x" * offset + stored.tobytes())
    order = {"byte order": int(big_endian), "header offset": offset}
    header = path.with_suffix(".hdr")
    header.write_text(header_text(cube, interleave and interleave.upper(), **{**order, **fields}))
    return header


def write_tiff(path: Path, cube: np.ndarray, **profile) -> Path:
    count, height, width = cube.shape
    shape = {"count": count, "height": height, "width": width, "dtype": cube.dtype.name}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", **{**shape, **profile}) as raster:
            raster.write(cube)
    return path


def write_tiff_pair(path: Path, cube: np.ndarray, tiff=None, **fields) -> Path:
    write_tiff(path, cube, **(tiff or {}))
    fields = {"file type": "TIFF", **fields}
    path.with_suffix(".hdr").write_text(header_text(cube, "tif", **fields))
    return path.with_suffix(".hdr")


def write_npy(path: Path, cube: np.ndarray, fortran: bool = False) -> Path:
    array = cube.transpose(1, 2, 0)
    np.save(path, np.asfortranarray(array) if fortran else np.ascontiguousarray(array))
    return path


def write_npz(path: Path, cube: np.ndarray, **others) -> Path:
    np.savez_compressed(path, scene=cube.transpose(1, 2, 0), **others)
    return path


WRITERS = {
    "matlab": lambda folder, cube: write_v5(folder / "a.mat", cube),
    "matlab v7.3": lambda folder, cube: write_v73(folder / "a.mat", cube),
    "matlab v7.3 chunked": lambda folder, cube: write_v73(folder / "a.mat", cube, chunks=(2, 4, 16)),
    "envi bsq": lambda folder, cube: write_envi(folder / "a.img", cube),
    "envi bil": lambda folder, cube: write_envi(folder / "a.dat", cube, "bil", big_endian=True),
    "envi bip": lambda folder, cube: write_envi(folder / "a.pix", cube, "bip", offset=7),
    "envi no suffix": lambda folder, cube: write_envi(folder / "a", cube, "bip", big_endian=True, offset=128),
    "envi+geotiff": lambda folder, cube: write_tiff_pair(folder / "a.tif", cube),
    "geotiff": lambda folder, cube: write_tiff(folder / "a.tif", cube, interleave="pixel", blockysize=16),
    "numpy npy": lambda folder, cube: write_npy(folder / "a.npy", cube),
    "numpy fortran": lambda folder, cube: write_npy(folder / "a.npy", cube, fortran=True),
    "numpy npz": lambda folder, cube: write_npz(folder / "a.npz", cube),
}


# --- what is read


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_gives_the_same_numbers(kind, tmp_path, cube, monkeypatch):
    monkeypatch.setattr("lkca.scenes.scene.BLOCK_BYTES", 600)  # several blocks
    scene = open_scene(WRITERS[kind](tmp_path, cube))
    assert kind.startswith(scene.format)
    assert scene.shape == cube.shape and scene.dtype == np.int16 and scene.dtype.isnative
    for rows, columns, bands in [
        (slice(2, 69), slice(1, 4), slice(1, 5, 2)),
        (slice(-3, None), slice(None, None, -2), [3, 0, 3, -1]),
        (slice(60, 3, -7), slice(0, 1), [2]),
        (slice(5, 5), slice(None), [0, 1]),
    ]:
        part = scene.read(rows, columns, bands)
        assert part.dtype == np.int16
        np.testing.assert_array_equal(part, cube[:, rows, columns][bands])
    assert ("cube" in scene.__dict__) == (not scene.reads_parts)
    np.testing.assert_array_equal(scene.cube, cube)
    assert scene.cube is scene.cube and scene.cube.flags.c_contiguous and scene.cube.flags.writeable
    part = scene.read()
    part[:] = 0  # a copy
    np.testing.assert_array_equal(scene.read(), cube)
    with pytest.raises(ValueError, match="no band 5; it has 5, numbered 0 to 4"):
        scene.read(bands=[5])


@pytest.mark.parametrize(
    "write, suffix", [(write_v5, ".mat"), (write_v73, ".mat"), (write_npy, ".npy"), (write_npz, ".npz")]
)
def test_layout_bands_first(write, suffix, tmp_path, cube):
    bands_last = cube.transpose(2, 0, 1)  # what `write` stores as (H, W, B) is then `cube` itself
    scene = open_scene(write(tmp_path / f"a{suffix}", bands_last), layout="BHW")
    assert scene.shape == cube.shape
    np.testing.assert_array_equal(scene.read(slice(3, 9), slice(2, 4), [1, 4]), cube[[1, 4], 3:9, 2:4])
    np.testing.assert_array_equal(scene.cube, cube)
    with pytest.raises(ValueError, match="'CHW' is unknown: choose 'HWB'"):
        open_scene(scene.path, layout="CHW")


def test_doubles_that_matlab_stored_as_small_integers_come_back_as_doubles(tmp_path, cube):
    raw = tmp_path / "a.mat"
    write_v5(raw, cube.astype(np.float64))
    scene = open_scene(raw)
    assert scene.dtype == scene.read(bands=[0]).dtype == scene.cube.dtype == np.float64
    np.testing.assert_array_equal(scene.cube, cube)


def test_key_chooses_among_variables(tmp_path, cube):
    other = np.zeros((3, 4, 2), np.float32)
    for path in (
        write_v5(tmp_path / "five.mat", cube, other=other),
        write_v73(tmp_path / "seven.mat", cube, key="data", other=other),
    ):
        with pytest.raises(ValueError, match="several 3-D arrays, say which by key=.*data.*other"):
            open_scene(path)
        assert open_scene(path, key="other").shape == (2, 3, 4)
        np.testing.assert_array_equal(open_scene(path, key="data").cube, cube)
        with pytest.raises(ValueError, match=r"no variable 'dta'. Did you mean 'data'\? It holds: .*other \(3, 4, 2\)"):
            open_scene(path, key="dta")


@pytest.mark.parametrize("write, suffix", [(write_v5, ".mat"), (write_v73, ".mat"), (write_npz, ".npz")])
def test_wavelengths_beside_the_cube(write, suffix, tmp_path, cube):
    nm = np.linspace(400.0, 900.0, B)[None]
    scene = open_scene(write(tmp_path / f"a{suffix}", cube, wavelength=nm, map=np.zeros((H, W))))
    np.testing.assert_array_equal(scene.wavelengths, nm[0])


@pytest.mark.parametrize("given", ["header", "data"])
def test_envi_header_fields(given, tmp_path, cube):
    header = write_envi(
        tmp_path / "scene.dat",
        cube,
        "bil",
        **{
            "wavelength units": "Micrometers",
            "wavelength": "{0.45, 0.55, 0.65,\n 0.75, 2.5}",
            "fwhm": "{0.01, 0.01, 0.01, 0.01, 0.02}",
            "Band Names": "{blue, green, red, edge, far}",
            "data ignore value": -300,
            "reflectance scale factor": 10000.0,
            "map info": MAP_INFO,
            "sensor type": "HySpex",
        },
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scene = open_scene(header if given == "header" else tmp_path / "scene.dat")
    assert scene.path == (header if given == "header" else tmp_path / "scene.dat")
    np.testing.assert_allclose(scene.wavelengths, [450, 550, 650, 750, 2500])
    np.testing.assert_allclose(scene.fwhm, [10, 10, 10, 10, 20])
    assert scene.band_names == ("blue", "green", "red", "edge", "far")
    assert scene.no_data == -300 and scene.scale_factor == 10000
    assert scene.crs.to_epsg() == 32632 and scene.transform.almost_equals(UTM32)
    assert scene.metadata["sensor type"] == "HySpex" and scene.metadata["description"] == "made by a test"
    assert scene.rgb_bands() == (2, 1, 0)
    np.testing.assert_array_equal(scene.cube, cube)  # as stored: not divided by the scale factor

    # What spectral writes from `metadata` means the same again.
    spectral.io.envi.save_image(
        str(tmp_path / "again.hdr"), scene.cube.transpose(1, 2, 0), metadata=scene.metadata, ext="img"
    )
    again = open_scene(tmp_path / "again.hdr")
    np.testing.assert_allclose(again.wavelengths, scene.wavelengths)
    assert again.transform == scene.transform and again.crs == scene.crs and again.band_names == scene.band_names


def test_envi_latin1_header_and_the_right_one_of_several_files(tmp_path, cube):
    header = write_envi(tmp_path / "scene.X17", cube, **{"band names": "{grün, b, c, d, e}"})
    header.write_bytes(b"\n".join(header.read_text().encode("latin-1").splitlines()))
    for other in ("scene.txt", "scene.png", "scene.dat", "scene2.img"):
        (tmp_path / other).write_bytes(b"a note")
    scene = open_scene(header)
    assert scene.band_names[0] == "grün"
    np.testing.assert_array_equal(scene.cube, cube)
    assert open_scene(tmp_path / "scene.X17").band_names == scene.band_names


def test_header_of_another_image_beside_a_tiff_is_left_alone(tmp_path, cube):
    write_envi(tmp_path / "scene.img", cube)
    write_tiff(tmp_path / "scene.tif", cube[:2, :9])
    assert open_scene(tmp_path / "scene.tif").format == "geotiff"
    assert open_scene(tmp_path / "scene.hdr").format == "envi"


@pytest.mark.parametrize("tiff", [{}, {"crs": "EPSG:32632", "transform": UTM32, "nodata": -1}])
def test_georeference_of_a_tiff_pair_comes_from_the_tiff_else_from_the_header(tiff, tmp_path, cube):
    wrong = MAP_INFO.replace("669639.600", "1.0") if tiff else MAP_INFO
    scene = open_scene(write_tiff_pair(tmp_path / "a.tif", cube, tiff, **{"map info": wrong}))
    assert scene.format == "envi+geotiff"
    assert scene.crs.to_epsg() == 32632 and scene.transform.almost_equals(UTM32)
    assert scene.no_data == tiff.get("nodata")


def test_geotiff_tags(tmp_path, cube):
    path = write_tiff(tmp_path / "a.tif", cube, crs="EPSG:32632", transform=UTM32, nodata=-300)
    with rasterio.open(path, "r+") as raster:
        raster.scales = [0.0001] * B
        for index in raster.indexes:
            raster.update_tags(index, wavelength=0.4 + index / 10, wavelength_units="um", fwhm=0.01)
            raster.set_band_description(index, f"band {index}")
        raster.update_tags(sensor="HySpex")
    scene = open_scene(path)
    np.testing.assert_allclose(scene.wavelengths, [500, 600, 700, 800, 900])
    np.testing.assert_allclose(scene.fwhm, 10)
    assert scene.scale_factor == pytest.approx(10000) and scene.no_data == -300
    assert scene.crs.to_epsg() == 32632 and scene.transform.almost_equals(UTM32)
    assert scene.band_names[4] == "band 5" and scene.metadata["sensor"] == "HySpex"
    np.testing.assert_array_equal(scene.mask, (cube == -300).any(axis=0))
    plain = open_scene(write_tiff(tmp_path / "plain.tif", cube))
    assert plain.crs is plain.transform is plain.wavelengths is plain.band_names is plain.no_data is None
    assert plain.scale_factor == 1.0


@pytest.mark.parametrize(
    "values, unit, expected",
    [
        ([0.4, 2.5], None, [400, 2500]),
        ([0.4, 2.5], "Unknown", [400, 2500]),
        ([400, 2500], "", [400, 2500]),
        ([4000, 25000], "Angstroms", [400, 2500]),
        ([8.0, 20.0], "Micrometers", [8000, 20000]),
        ([0.4, 2500], "unknown", None),
        ([1, 2], "Index", None),
        ([20, 30], None, None),
    ],
)
def test_wavelengths_in_nanometres(values, unit, expected):
    found, fwhm = in_nanometres(Path("a.hdr"), 2, values, ["0.01", "0.02"], unit)
    if expected is None:
        assert found is fwhm is None
    else:
        np.testing.assert_allclose(found, expected)
        np.testing.assert_allclose(fwhm, np.array([0.01, 0.02]) * expected[0] / values[0])


@pytest.mark.parametrize("values", [[400.0] * 3, [400.0, np.nan], [400.0, "b"], [0.0, 500.0]])
def test_wavelengths_that_do_not_fit_are_left_out_with_a_warning(values):
    with pytest.warns(UserWarning, match="a.hdr: .*wavelengths.*left out"):
        assert in_nanometres(Path("a.hdr"), 2, values) == (None, None)


def test_rgb_bands(tmp_path, cube):
    scene = open_scene(write_npz(tmp_path / "a.npz", cube, wavelengths=np.array([440, 500, 560, 630, 900.0])))
    assert scene.rgb_bands() == (3, 2, 0)
    infrared = open_scene(write_npz(tmp_path / "b.npz", cube, wavelengths=np.linspace(1000, 2500, B)))
    assert infrared.rgb_bands() == (4, 2, 0)
    assert open_scene(write_npz(tmp_path / "c.npz", cube[:1])).rgb_bands() == (0, 0, 0)


# --- nothing is read before it is needed


def huge_envi(folder: Path, interleave: str) -> Path:
    header = write_envi(folder / "a.img", np.zeros((1, 1, 1), np.uint16), interleave)
    sizes = header.read_text().replace("samples = 1", "samples = 40000").replace("lines = 1", "lines = 40000")
    header.write_text(sizes.replace("bands = 1\n", "bands = 200\n"))
    os.truncate(folder / "a.img", 40000 * 40000 * 200 * 2)
    return header


def huge_npy(folder: Path) -> Path:
    with (folder / "a.npy").open("wb") as stream:
        np.lib.format.write_array_header_1_0(
            stream, {"descr": "<u2", "fortran_order": False, "shape": (40000, 40000, 200)}
        )
        stream.truncate(stream.tell() + 40000 * 40000 * 200 * 2)
    return folder / "a.npy"


def huge_v73(folder: Path) -> Path:
    with h5py.File(folder / "a.mat", "w") as file:
        file.create_dataset("chikusei", (200, 40000, 40000), np.uint16, chunks=(8, 64, 64))
    return folder / "a.mat"


def huge_tiff(folder: Path) -> Path:
    options = {"sparse_ok": True, "bigtiff": True, "tiled": True, "interleave": "band"}
    size = {"count": 200, "height": 40000, "width": 40000, "dtype": "uint16"}
    with (
        pytest.warns(rasterio.errors.NotGeoreferencedWarning),
        rasterio.open(folder / "a.tif", "w", driver="GTiff", **size, **options) as raster,
    ):
        raster.write(np.zeros((1, 256, 256), np.uint16), [1], window=((0, 256), (0, 256)))
    return folder / "a.tif"


@pytest.mark.parametrize(
    "write",
    [lambda f: huge_envi(f, "bsq"), lambda f: huge_envi(f, "bip"), huge_npy, huge_v73, huge_tiff],
    ids=["bsq", "bip", "npy", "v7.3", "tiff"],
)
def test_a_scene_of_640_gigabytes_opens_and_gives_a_window(write, tmp_path):
    scene = open_scene(write(tmp_path))
    assert scene.shape == (200, 40000, 40000)
    window = scene.read(slice(39998, 40000), slice(20000, 20003), [0, 199])
    np.testing.assert_array_equal(window, np.zeros((2, 2, 3)))
    assert "cube" not in scene.__dict__


def test_matlab_v5_is_described_without_its_data(tmp_path, cube, monkeypatch):
    path = write_v5(tmp_path / "a.mat", cube)
    monkeypatch.setattr(scipy.io, "loadmat", lambda *a, **k: pytest.fail("read before it was needed"))
    assert open_scene(path).shape == cube.shape


@pytest.mark.parametrize(
    "write",
    [
        lambda f, cube: write_envi(f / "a.img", cube, "bip", **{"data ignore value": 7}),
        lambda f, cube: write_npy(f / "a.npy", cube),
        lambda f, cube: write_v73(f / "a.mat", cube, chunks=(8, 8, 8)),
        lambda f, cube: write_v73(f / "a.mat", cube),
        lambda f, cube: write_tiff(f / "a.tif", cube, nodata=7),
    ],
    ids=["bip", "npy", "v7.3 chunked", "v7.3", "tiff"],
)
def test_no_second_copy_of_the_cube_in_memory(write, tmp_path):
    cube = np.ones((160, 1000, 40), np.float32)
    scene = open_scene(write(tmp_path, cube))
    tracemalloc.start()
    assert not scene.mask.any()  # reads the cube
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert cube.nbytes <= scene.cube.nbytes < peak < 1.15 * cube.nbytes


# --- pixels without data, and bands that carry nothing


def test_mask_of_no_data_nan_and_infinity(tmp_path):
    cube = np.ones((3, 4, 5), np.float32)
    cube[0, 0, 0], cube[1, 1, 1], cube[2, 2, 2] = np.nan, -np.inf, np.float32(-9999.9)
    expected = np.zeros((4, 5), bool)
    expected[[0, 1, 2], [0, 1, 2]] = True
    scene = open_scene(write_envi(tmp_path / "a.img", cube, **{"data ignore value": "-9999.9"}))
    np.testing.assert_array_equal(scene.mask, expected)


@pytest.mark.parametrize("no_data, masked", [("3", 1), ("3.5", 0), ("1e9", 0), ("nan", 0), ("-3.4e+38", 0)])
def test_mask_of_whole_numbers(no_data, masked, tmp_path):
    cube = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    scene = open_scene(write_envi(tmp_path / "a.img", cube, **{"data ignore value": no_data}))
    assert scene.mask.sum() == masked


def test_check_cube_names_constant_bands(cube):
    mask = np.zeros((H, W), bool)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_cube(cube, mask, "a.mat")
    cube[1], cube[4] = 7, 0
    cube[4, 0, 0], mask[0, 0] = 9, True  # the pixel that differs has no data
    with pytest.warns(UserWarning, match=r"a.mat: .* 2 of 5 bands, counted from 1: 2 \(index 1\), 5 \(index 4\)"):
        check_cube(cube, mask, "a.mat")
    with pytest.raises(ValueError, match="a.mat: not one of its 420 pixels has data"):
        check_cube(cube, ~mask | mask, "a.mat")


# --- bad files: one error that names the file, what was found and what to do


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("part", [0.03, 0.5, 0.97])
def test_truncated_file(kind, part, tmp_path, cube):
    path = WRITERS[kind](tmp_path, cube)
    data = path if path.suffix != ".hdr" else next(f for f in tmp_path.iterdir() if f.suffix != ".hdr")
    os.truncate(data, int(part * data.stat().st_size))
    with pytest.raises(ValueError, match=r"truncated|damaged|whole|readable") as error:
        open_scene(path).cube  # noqa: B018
    assert data.stem in str(error.value) and "again" in str(error.value)


def test_missing_file_suggests_similar_names(tmp_path, cube):
    write_npy(tmp_path / "houston_2018.npy", cube)
    with pytest.raises(FileNotFoundError, match=r"Houston2018.npy: no such file. Did you mean houston_2018.npy\?"):
        open_scene(tmp_path / "Houston2018.npy")
    with pytest.raises(FileNotFoundError, match="nowhere does not exist either"):
        open_scene(tmp_path / "nowhere" / "a.npy")
    with pytest.raises(ValueError, match="a folder, expected a scene file"):
        open_scene(tmp_path)


@pytest.mark.parametrize(
    "name, message",
    [
        ("a.jpg", "not a scene.*suffix '.jpg'.*Expected: MATLAB"),
        ("a.tif", "not a TIFF file, though its name says so: it starts with b'<html>"),
        ("a.mat", "not a .mat file, or truncated"),
        ("a.npy", "not a .npy file"),
        ("a.npz", "not a whole .npz file"),
        ("a.hdr", "not an ENVI header"),
        ("a.img", "ENVI data without its header. Expected a.hdr or a.img.hdr"),
    ],
)
def test_a_file_that_is_something_else(name, message, tmp_path):
    (tmp_path / name).write_text("<html>404 not found</html>" * 40)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        open_scene(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ValueError, match=f"{name}: the file is empty"):
        open_scene(tmp_path / name)


def save_mat(path: Path, array: np.ndarray) -> None:
    scipy.io.savemat(path, {"data": array})


def save_v73(path: Path, array: np.ndarray) -> None:
    if array.dtype.kind == "c":
        array = array.astype(np.complex128).view([("real", "f8"), ("imag", "f8")])
    with h5py.File(path, "w") as file:
        file["data"] = array.T.astype(object if array.dtype.kind in "US" else array.dtype)


SAVERS = {
    "mat": save_mat,
    "v73.mat": save_v73,
    "npy": np.save,
    "npz": lambda path, array: np.savez(path, data=array),
}


@pytest.mark.parametrize("ending", SAVERS)
@pytest.mark.parametrize(
    "array, message",
    [
        (np.ones((4, 5)), r"2 axes, shape \(4, 5\); a scene has three"),
        (np.ones((2, 3, 4, 5)), r"4 axes, shape \(.*\); a scene has three"),
        (np.ones((3, 4, 5), np.complex64), "complex numbers"),
        (np.full((2, 3, 4), "text"), "of type|a scene has three"),
    ],
    ids=["2-D", "4-D", "complex", "text"],
)
def test_an_array_that_is_no_scene(ending, array, message, tmp_path):
    path = tmp_path / f"a.{ending}"
    SAVERS[ending](path, array)
    with pytest.raises(ValueError, match=message) as error:
        open_scene(path).cube  # noqa: B018
    assert str(path) in str(error.value)


def test_objects_are_never_unpickled(tmp_path):
    objects = np.array([[[{}, 1]]], dtype=object)
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "a.npz", data=objects)
    scipy.io.savemat(tmp_path / "a.mat", {"data": objects, "s": {"x": 1.0}})
    for name in ("a.npy", "a.npz"):
        with pytest.raises(ValueError, match=f"{name}: .* is of type object"):
            open_scene(tmp_path / name)
    with pytest.raises(ValueError, match=r"no 3-D array of real numbers.*It holds: data \(1, 1, 2\) cell, s"):
        open_scene(tmp_path / "a.mat")


def test_key_or_layout_where_they_mean_nothing(tmp_path, cube):
    write_npy(tmp_path / "a.npy", cube)
    write_tiff(tmp_path / "a.tif", cube)
    for name in ("a.npy", "a.tif"):
        with pytest.raises(ValueError, match=f"{name}: key 'data' was given.*leave it out"):
            open_scene(tmp_path / name, key="data")
    with pytest.raises(ValueError, match="a.tif: layout 'BHW' was given.*leave it out"):
        open_scene(tmp_path / "a.tif", layout="BHW")


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"lines": None}, 'a.hdr: .*"lines" missing.*mend the header'),
        ({"interleave": None}, '"interleave" missing'),
        ({"interleave": "zigzag"}, "interleave is 'ZIGZAG', expected one of bsq, bil, bip"),
        ({"data type": 99}, "unknown value '99'"),
        ({"data type": 6}, "complex numbers"),
        ({"bands": "five"}, "five"),
        ({"bands": 0}, "empty"),
        ({"bands": 6}, "a.img: truncated: 4200 bytes, but a.hdr describes 5040"),
        ({"file compression": 1}, "compressed"),
        ({"band names": "{never closed"}, "breaks off"),
    ],
)
def test_bad_envi_header(fields, message, tmp_path, cube):
    with pytest.raises(ValueError, match=message) as error:
        open_scene(write_envi(tmp_path / "a.img", cube, **fields))
    assert str(tmp_path / "a.") in str(error.value)


def test_half_an_envi_pair(tmp_path, cube):
    header = write_envi(tmp_path / "a.img", cube)
    (tmp_path / "a.img").rename(tmp_path / "b.img")
    (tmp_path / "a.txt").write_text("a note")
    with pytest.raises(FileNotFoundError, match=r"a.hdr: ENVI header without its data.*4200 bytes; found a.txt"):
        open_scene(header)
    with pytest.raises(FileNotFoundError, match="b.img: ENVI data without its header. Expected b.hdr or b.img.hdr"):
        open_scene(tmp_path / "b.img")
    pair = write_tiff_pair(tmp_path / "c.tif", cube)
    write_tiff(tmp_path / "c.tif", cube[:3])
    for path in (pair, tmp_path / "c.tif"):
        with pytest.raises(ValueError, match=r"c.hdr: says .*\(5, 70, 6\), but c.tif has \(3, 70, 6\)"):
            open_scene(path)


def test_envi_data_longer_than_described(tmp_path, cube):
    header = write_envi(tmp_path / "a.img", cube, bands=4)
    with pytest.warns(UserWarning, match="a.img: 840 bytes more than a.hdr describes"):
        scene = open_scene(header)
    np.testing.assert_array_equal(scene.cube, cube[:4])


# --- the real ones


def real(name: str) -> Path:
    path = data_folder() / name
    if not path.is_file():
        pytest.skip(f"{name} is not in {data_folder()}; set LKCA_DATA to the folder that has it")
    return path


@pytest.mark.parametrize("name", ["hysu_full.hdr", "hysu_full.tif"])
def test_real_hysu(name):
    scene = open_scene(real(name))
    assert scene.format == "envi+geotiff" and scene.shape == (135, 86, 123) and scene.dtype == np.int16
    assert scene.no_data == 15000 and scene.scale_factor == 10000
    assert scene.crs.to_epsg() == 32632 and scene.transform.almost_equals(UTM32)
    # Its unit is "Unknown" and its values 0.417 to 0.903: micrometres.
    np.testing.assert_allclose(scene.wavelengths[[0, -1]], [417.4, 902.79])
    assert (np.diff(scene.wavelengths) > 3).all() and np.all((scene.fwhm > 4.5) & (scene.fwhm < 5))
    assert len(scene.band_names) == 135 and scene.rgb_bands() == (64, 37, 9)
    assert scene.cube.min() == 93 and scene.cube.max() == 8141 and not scene.mask.any()
    np.testing.assert_array_equal(scene.read(slice(10, 20), slice(5, 9), [134]), scene.cube[[134], 10:20, 5:9])


@pytest.mark.parametrize("name", ["airport-1", "airport-2", "airport-3", "urban-4", "urban-5"])
def test_real_abu(name):
    scene = open_scene(real(f"abu-{name}.mat"))  # beside `data` there is a 2-D `map`
    assert scene.format == "matlab" and scene.shape == scene.cube.shape == (205, 100, 100)
    assert scene.cube.dtype == scene.dtype and not scene.mask.any()
    stored = scipy.io.loadmat(scene.path)["data"]
    np.testing.assert_array_equal(scene.cube[146], stored[:, :, 146])
