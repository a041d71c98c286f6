"""A scene is written whole or not at all, and what cannot be written is said before."""

import errno
import shutil
import threading
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from rasterio.errors import RasterioIOError

from lkca.scenes import open_scene, row_files
from lkca.scenes.writing import SceneWriter
from tests.scenes.rewriting import files, write

B, H, W = 5, 9, 7
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def cube() -> np.ndarray:
    return np.random.default_rng(0).integers(-300, 8000, (B, H, W)).astype(np.int16)


@pytest.mark.parametrize("name", ["a.bsq", "a.bip", "a.tif"])
@pytest.mark.parametrize("existing", [False, True])
def test_nothing_is_left_of_a_write_that_fails(name: str, existing: bool, tmp_path: Path, cube, monkeypatch) -> None:
    path = tmp_path / name
    if existing:
        write(path, cube)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    new = cube + 1

    def unchanged() -> bool:
        return before == {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    for error in (RuntimeError("stop"), KeyboardInterrupt(), FileNotFoundError("the input")):
        with (
            pytest.raises(type(error)) as caught,
            SceneWriter(path, new.shape, new.dtype, overwrite=existing) as writer,
        ):
            writer.write(0, new[:, :5])
            assert (open_scene(path).cube == cube).all() if existing else not path.exists()
            raise error
        assert caught.value is error and unchanged()
    with (
        pytest.raises(ValueError, match=r"3 of 9 rows were not written, the first of them row 5"),
        SceneWriter(path, new.shape, new.dtype, overwrite=existing) as writer,
    ):
        writer.write(8, new[:, 8:])
        writer.write(0, new[:, :5])
    assert unchanged()

    with pytest.raises(ValueError, match="with block"):
        writer.write(0, new)


@pytest.mark.parametrize(
    "name, method, error",
    [
        ("a.bsq", "RawFile._put", OSError(errno.ENOSPC, "No space left on device")),
        ("a.bip", "RawFile._put", OSError(errno.ENOSPC, "No space left on device")),
        ("a.tif", "TiffFile.write", RasterioIOError("Write failed.")),  # GDAL does not say why
        ("a.tif", "TiffFile.finish", OSError(errno.EIO, "not what was written")),
    ],
)
@pytest.mark.parametrize("existing", [False, True])
def test_a_disk_that_fills_up(name, method, error, existing, tmp_path: Path, cube, monkeypatch) -> None:
    if existing:
        write(tmp_path / name, cube)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    owner, function = getattr(row_files, method.split(".")[0]), method.split(".")[1]
    usual, calls = getattr(owner, function), []

    def full(*given) -> None:
        calls.append(given)
        if len(calls) > 1 or function == "finish":
            monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10, 10, 0))
            raise error
        usual(*given)

    monkeypatch.setattr(owner, function, full)
    with pytest.raises(OSError, match=rf"could not write .*{name}: .*0 bytes are free.*untouched") as caught:
        write(tmp_path / name, cube + 1, overwrite=existing)
    assert caught.value.errno == (errno.ENOSPC if function != "finish" else errno.EIO)
    assert before == {file.name: file.read_bytes() for file in tmp_path.iterdir()}


@pytest.mark.parametrize("name", ["a.bil", "a.tif"])
def test_too_little_space_is_found_before_anything_is_written(name: str, tmp_path: Path, monkeypatch) -> None:
    shape = (128, 2304, 2048)
    needed = 2 * 128 * 2304 * 2048
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(needed, 1, needed))
    message = rf"needs 12\d{{8}} bytes \(1.21 GB\), but only {needed} \(1.21 GB\) are free"
    with pytest.raises(OSError, match=message) as caught:
        SceneWriter(tmp_path / name, shape, np.int16)
    assert caught.value.errno == errno.ENOSPC and not files(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(needed, 1, needed + 10**7))
    SceneWriter(tmp_path / name, shape, np.int16)


def test_a_tiff_that_gdal_did_not_write_whole_is_found(tmp_path: Path, cube, monkeypatch) -> None:
    """GDAL closes a file on a full disk without an error."""
    monkeypatch.setattr(row_files, "_bands_first", np.zeros_like)  # a block that never got to the disk reads as 0
    with pytest.raises(OSError, match="a.tif: the file does not hold what was written to it"):
        write(tmp_path / "a.tif", cube)
    assert not files(tmp_path)


@pytest.mark.parametrize("name", ["a.bsq", "a.hdr", "a.tif"])
def test_overwriting(name: str, tmp_path: Path, cube) -> None:
    write(tmp_path / name, cube)
    data = next(path for path in tmp_path.iterdir() if path.suffix != ".hdr")
    stale = [Path(f"{data}{end}") for end in (".aux.xml", ".ovr", *([] if name == "a.tif" else [".hdr"]))]
    for path in stale:
        path.write_text("of the old one")
    kept = files(tmp_path)
    with pytest.raises(FileExistsError, match=rf"{data.name}: exists.*--overwrite"):
        SceneWriter(tmp_path / name, cube.shape, cube.dtype)
    new = cube[:3, :, :5].astype(np.float32)
    with SceneWriter(tmp_path / name, new.shape, new.dtype, overwrite=True) as writer:
        assert set(kept) < set(files(tmp_path))
        writer.write(0, new)
    np.testing.assert_array_equal(open_scene(tmp_path / name).cube, new)
    assert files(tmp_path) == [path for path in kept if tmp_path / path not in stale]
    data.unlink()
    data.mkdir()
    with pytest.raises(IsADirectoryError, match=rf"{data.name}: a folder of that name"):
        SceneWriter(tmp_path / name, cube.shape, cube.dtype, overwrite=True)


@pytest.mark.parametrize(
    "there, name, error, message",
    [
        ([], "a.png", ValueError, r"GeoTIFF \(.tif, .tiff\) or ENVI \(.hdr, .img, .dat.*'.png' says neither"),
        ([], "a", ValueError, "suffix '' says neither"),
        ([], "no/folder/a.tif", FileNotFoundError, r"no folder .*no/folder; make it"),
        (["a.hdr"], "a.img", FileExistsError, "a.hdr: exists"),
        (["a.dat"], "a.img", FileExistsError, "a.dat: would share the header a.hdr with a.img"),
        (["a"], "a.hdr", FileExistsError, "a: would share the header a.hdr with a.img"),
    ],
)
def test_names_that_cannot_be_written(there, name, error, message, tmp_path: Path) -> None:
    for other in there:
        (tmp_path / other).write_text("")
    with pytest.raises(error, match=message):
        SceneWriter(tmp_path / name, (B, H, W), np.int16)
    assert files(tmp_path) == there


def test_a_tiff_beside_a_header(tmp_path: Path, cube) -> None:
    write(tmp_path / "a.img", cube, scale_factor=7)
    assert write(tmp_path / "a.tif", cube + 1).scale_factor == 1  # the header has data of its own
    assert open_scene(tmp_path / "a.hdr").scale_factor == 7
    (tmp_path / "a.img").unlink()
    with pytest.raises(FileExistsError, match="a.hdr: an ENVI header that would be taken for that of a.tif"):
        SceneWriter(tmp_path / "a.tif", cube.shape, cube.dtype, overwrite=True)


@pytest.mark.parametrize(
    "said, message",
    [
        ({"interleave": "bip"}, "interleave is 'bip', but the name says bil"),
        ({"interleave": "tif"}, "interleave is 'tif', expected one of bsq, bil, bip"),
        ({"no_data": 40000}, "no-data value 40000 does not fit int16"),
        ({"no_data": np.nan}, "no-data value nan does not fit int16"),
        ({"scale_factor": 0}, "scale factor is 0"),
        ({"wavelengths": np.ones(4)}, "4 wavelengths for 5 bands"),
        ({"band_names": ["a"]}, "1 band_names for 5 bands"),
        ({"shape": (5, 0, 7)}, r"shape is \(5, 0, 7\)"),
        ({"shape": (5, 7)}, r"shape is \(5, 7\)"),
    ],
)
def test_bad_descriptions(said: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        SceneWriter(tmp_path / "a.bil", **{"shape": (B, H, W), "dtype": np.int16, **said})
    assert not files(tmp_path)


def test_nan_as_no_data(tmp_path: Path) -> None:
    for name in ("a.img", "b.tif"):
        assert np.isnan(write(tmp_path / name, np.ones((B, H, W), np.float32), no_data=np.nan).no_data)


@pytest.mark.parametrize("name", ["a.bsq", "a.tif"])
def test_bad_strips(name: str, tmp_path: Path, cube) -> None:
    with SceneWriter(tmp_path / name, cube.shape, cube.dtype) as writer:
        for row, strip, message in [
            (0, cube[:4], r"a strip of shape \(4, 9, 7\) and type int16, expected \(5, rows, 7\) and int16"),
            (0, cube.astype(np.float32), "type float32, expected"),
            (6, cube[:, :4], "rows 6 to 9 are not in the scene, whose rows are 0 to 8"),
            (-1, cube[:, :1], "rows -1 to -1 are not"),
        ]:
            with pytest.raises(ValueError, match=message):
                writer.write(row, strip)
        writer.write(3, cube[:, 3:])
        with pytest.raises(ValueError, match="row 3 has been written already"):
            writer.write(2, cube[:, 2:4])
        thread = threading.Thread(target=writer.write, args=(0, cube[:, :3]))
        thread.start()
        thread.join()
    np.testing.assert_array_equal(open_scene(tmp_path / name).cube, cube)
