"""A scene is written whole or not at all, and what cannot be written is said before."""

import errno
import os
import shutil
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from rasterio.errors import RasterioIOError

from sharpen.scene import row_files
from sharpen.scene.io import SceneWriter, open_scene, write_scene
from tests.data.scene_files import write_envi, write_tiff

B, H, W = 5, 40, 7
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def cube() -> np.ndarray:
    return np.random.default_rng(0).integers(-300, 8000, (B, H, W)).astype(np.int16)


def scene(cube: np.ndarray, **attrs) -> xr.DataArray:
    return xr.DataArray(cube, dims=("band", "y", "x"), attrs=attrs)


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("name", ["a.bsq", "a.bip", "a.tif"])
@pytest.mark.parametrize("existing", [False, True])
def test_nothing_is_left_of_a_write_that_fails(name: str, existing: bool, tmp_path: Path, cube: np.ndarray) -> None:
    path = tmp_path / name
    if existing:
        write_scene(path, scene(cube))
    before = files(tmp_path)
    for error in (RuntimeError("stop"), KeyboardInterrupt(), FileNotFoundError("the input")):
        with pytest.raises(type(error)) as caught, SceneWriter(path, scene(cube + 1), overwrite=existing) as writer:
            writer.write(cube[:, :20] + 1)
            raise error
        assert caught.value is error and files(tmp_path) == before
    for strip in (cube[:, :20], cube[:, :, :3], cube[:4]):  # too few rows, too few columns, too few bands
        with pytest.raises(ValueError, match=name), SceneWriter(path, scene(cube), overwrite=existing) as writer:
            writer.write(strip)
        assert files(tmp_path) == before
    with pytest.raises(ValueError, match=name), SceneWriter(path, scene(cube), overwrite=existing) as writer:
        writer.write(cube)
        writer.write(cube[:, :1])
    assert files(tmp_path) == before


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize(
    ("name", "method", "error", "code"),
    [
        ("a.bsq", "EnviFile.write", OSError(errno.ENOSPC, "No space left on device"), errno.ENOSPC),
        ("a.tif", "TiffFile.write", RasterioIOError("Write failed."), errno.ENOSPC),  # GDAL does not say why
        ("a.tif", "TiffFile.finish", OSError(errno.EIO, "not what was written"), errno.EIO),
    ],
)
def test_a_disk_that_fills_up(
    name: str, method: str, error: Exception, code: int, existing: bool, tmp_path: Path, cube, monkeypatch
) -> None:
    if existing:
        write_scene(tmp_path / name, scene(cube))
    before = files(tmp_path)
    owner, function = method.split(".")

    def full(*_: object) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10, 10, 0))
        raise error

    monkeypatch.setattr(getattr(row_files, owner), function, full)
    with (
        pytest.raises(OSError, match=f"{name}.*0 bytes are free") as caught,
        SceneWriter(tmp_path / name, scene(cube), overwrite=existing) as writer,
    ):
        for row in range(H):
            writer.write(cube[:, row : row + 1])
    assert caught.value.errno == code and files(tmp_path) == before


def test_a_tiff_that_gdal_did_not_write_whole_is_found(tmp_path: Path, cube: np.ndarray, monkeypatch) -> None:
    """GDAL closes a file on a full disk without an error; what never got to the disk reads as 0."""
    flush = row_files.TiffFile._flush

    def lost(self, rows: int) -> None:
        raster, self.raster = self.raster, SimpleNamespace(write=lambda *_, **__: None)
        flush(self, rows)
        self.raster = raster

    monkeypatch.setattr(row_files.TiffFile, "_flush", lost)
    with pytest.raises(OSError, match="a.tif"):
        write_scene(tmp_path / "a.tif", scene(cube))
    assert not files(tmp_path)


@pytest.mark.parametrize("name", ["a.bil", "a.tif"])
def test_too_little_space_is_found_before_anything_is_written(name: str, tmp_path: Path, monkeypatch) -> None:
    large = xr.DataArray(np.broadcast_to(np.int16(0), (128, 576, 512)), dims=("band", "y", "x"))
    needed = 2 * large.size * 16
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(needed, 1, needed))
    with pytest.raises(OSError, match=rf"{name}.*12\d{{8}} bytes.*{needed}") as caught:
        SceneWriter(tmp_path / name, large, 4)
    assert caught.value.errno == errno.ENOSPC and not files(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(needed, 1, needed + 10**7))
    SceneWriter(tmp_path / name, large, 4)


@pytest.mark.parametrize("name", ["a.bsq", "a.hdr", "a.tif"])
def test_overwriting_removes_what_belonged_to_the_old_file(name: str, tmp_path: Path, cube: np.ndarray) -> None:
    write_scene(tmp_path / name, scene(cube))
    data = next(path for path in tmp_path.iterdir() if path.suffix != ".hdr")
    kept = set(files(tmp_path))
    for end in (".aux.xml", ".ovr", *([] if name == "a.tif" else [".hdr"])):
        Path(f"{data}{end}").write_text("of the old one")
    with pytest.raises(FileExistsError, match=f"{data.name}.*--overwrite"):
        SceneWriter(tmp_path / name, scene(cube))
    new = cube[:3, :, :5].astype(np.float32)
    write_scene(tmp_path / name, scene(new), overwrite=True)
    np.testing.assert_array_equal(open_scene(tmp_path / name), new)
    assert set(files(tmp_path)) == kept
    data.unlink()
    data.mkdir()
    with pytest.raises(IsADirectoryError, match=data.name):
        SceneWriter(tmp_path / name, scene(cube), overwrite=True)


@pytest.mark.parametrize(
    ("there", "name", "error"),
    [
        ([], "a.png", ValueError),
        ([], "a", ValueError),
        ([], "no/folder/a.tif", FileNotFoundError),
        (["a.hdr"], "a.img", FileExistsError),
        (["a.img"], "a.img", FileExistsError),
        (["a.dat"], "a.img", FileExistsError),
        (["a"], "a.hdr", FileExistsError),
        (["a.hdr"], "a.tif", FileExistsError),
    ],
)
def test_names_that_cannot_be_written(there: list[str], name: str, error: type, tmp_path: Path, cube) -> None:
    for other in there:
        (tmp_path / other).write_text("ENVI\n")
    with pytest.raises(error, match=(there or [name])[0]):
        SceneWriter(tmp_path / name, scene(cube))
    assert sorted(files(tmp_path)) == there


def test_a_tiff_beside_an_envi_pair(tmp_path: Path, cube: np.ndarray) -> None:
    write_scene(tmp_path / "a.img", scene(cube, scale_factor=0.25))
    write_scene(tmp_path / "a.tif", scene(cube + 1))
    assert open_scene(tmp_path / "a.tif").attrs["scale_factor"] == 1
    assert open_scene(tmp_path / "a.hdr").attrs["scale_factor"] == 0.25


@pytest.mark.parametrize("target", ["scene.hdr", "scene.img", "link.hdr", "sub/../scene.hdr", "pair.tif"])
def test_the_input_is_never_overwritten(target: str, tmp_path: Path, cube: np.ndarray) -> None:
    write_envi(tmp_path / "scene.img", cube)
    write_tiff(tmp_path / "pair.tif", cube)
    (tmp_path / "link.hdr").symlink_to(tmp_path / "scene.hdr")
    (tmp_path / "sub").mkdir()
    source = open_scene(tmp_path / ("pair.tif" if target == "pair.tif" else "scene.hdr"))
    before = (tmp_path / "scene.img").read_bytes(), (tmp_path / "pair.tif").read_bytes()
    with pytest.raises(ValueError, match="would overwrite"):
        SceneWriter(tmp_path / target, source, 2, overwrite=True)
    assert before == ((tmp_path / "scene.img").read_bytes(), (tmp_path / "pair.tif").read_bytes())


@pytest.mark.parametrize(
    "options",
    [
        {"interleave": "bip"},
        {"interleave": "tif"},
        {"dtype": "complex64"},
        {"dtype": "float16"},
        {"dtype": "int8"},
        {"dtype": "bool"},
        {"scale": 0},
        {"scale": 1.5},
        {"bands": []},
        {"bands": [5]},
        {"compress": "deflate"},
    ],
    ids=str,
)
def test_settings_that_cannot_be(options: dict, tmp_path: Path, cube: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a.bil"):
        SceneWriter(tmp_path / "a.bil", scene(cube), **options)
    assert not files(tmp_path)


# --- kills

OLD, NEW = np.full((2, 3, 4), 7, np.int16), np.arange(2 * 5 * 6, dtype=np.float32).reshape(2, 5, 6)
STEPS = ("mkstemp", "fsync", "replace", "unlink")


def killed_at(step: int, path: Path) -> bool:
    """Write in a process that dies before its `step`-th file operation; return whether it came that far."""
    process = os.fork()
    if not process:
        count = 0

        def counted(function):
            def wrapped(*given, **named):
                nonlocal count
                if count == step:
                    os._exit(9)
                count += 1
                return function(*given, **named)

            return wrapped

        os.fsync, Path.replace, Path.unlink = counted(os.fsync), counted(Path.replace), counted(Path.unlink)
        write_scene(path, scene(NEW), overwrite=True)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 9


@pytest.mark.faults
@pytest.mark.parametrize("suffix", [".img", ".tif"])
@pytest.mark.parametrize("before", [True, False])
def test_killed_at_every_step(before: bool, suffix: str, tmp_path: Path) -> None:
    """No header ever stands beside data that is not its own, and the next writing leaves nothing behind."""
    step, came = 0, True
    while came:
        folder = tmp_path / str(step)
        folder.mkdir()
        path = folder / f"s{suffix}"
        if before:
            write_scene(path, scene(OLD))
        came = killed_at(step, path)
        try:
            found = open_scene(path).values
            assert np.array_equal(found, NEW) or (before and np.array_equal(found, OLD))
        except FileNotFoundError:
            if path.exists():
                with pytest.raises(FileExistsError, match="without its header"):
                    SceneWriter(path, scene(NEW))
        write_scene(path, scene(NEW), overwrite=True)
        np.testing.assert_array_equal(open_scene(path), NEW)
        assert {file.name for file in folder.iterdir()} == ({"s.tif"} if suffix == ".tif" else {"s.img", "s.hdr"})
        step += 1
    assert step > (2 if suffix == ".tif" else 5)
