"""Files that are damaged, or made to harm: one message that names the file, and no other file is read."""

import io
import tracemalloc
import zipfile
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest
import rasterio

from lkca.data.loaders import load_dataset
from lkca.paths import expanded
from lkca.scenes import open_scene
from lkca.scenes.cube import read_cube

CUBE = np.random.default_rng(0).random((6, 5, 4))


def hdf5(path: Path, name: str = "cube") -> Path:
    with h5py.File(path, "w") as file:
        file[name] = CUBE
    return path


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("kind", ["dangling", "looping", "external", "type", "null"])
def test_hdf5_with_what_is_no_array(kind: str, beside: bool, tmp_path: Path) -> None:
    path = tmp_path / "scene.mat"
    with h5py.File(path, "w") as file:
        if kind == "dangling":
            file["bad"] = h5py.SoftLink("/nowhere")
        elif kind == "looping":
            file["bad"] = h5py.SoftLink("/bad")
        elif kind == "external":
            file["bad"] = h5py.ExternalLink(str(hdf5(tmp_path / "other.h5")), "/cube")
        elif kind == "type":
            file["bad"] = np.dtype("f8")
        else:
            file.create_dataset("bad", dtype="f8", shape=None)
        if beside:
            file["good"] = CUBE
    if beside:
        assert open_scene(path).cube.shape == (6, 4, 5)
    with pytest.raises(ValueError, match="scene.mat: bad"):
        open_scene(path, key="bad")


@pytest.mark.parametrize("kind", ["raw", "virtual"])
def test_hdf5_reads_no_other_files(kind: str, tmp_path: Path) -> None:
    path, secret = tmp_path / "scene.mat", tmp_path / "secret"
    secret.write_bytes(CUBE.tobytes())
    with h5py.File(path, "w") as file:
        if kind == "raw":
            file.create_dataset("cube", CUBE.shape, "f8", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
        else:
            layout = h5py.VirtualLayout(CUBE.shape, "f8")
            layout[:] = h5py.VirtualSource(str(hdf5(tmp_path / "other.h5")), "cube", CUBE.shape)
            file.create_virtual_dataset("cube", layout)
    with pytest.raises(ValueError, match="scene.mat: the numbers of cube lie in other files"):
        open_scene(path)


def test_damaged_hdf5(tmp_path: Path) -> None:
    path = hdf5(tmp_path / "scene.mat")
    healthy = path.read_bytes()
    for place in range(0, 2048, 16):
        damaged = bytearray(healthy)
        damaged[place : place + 4] = b"\xff\xfe\x00\x7f"
        path.write_bytes(damaged)
        try:
            assert open_scene(path).cube.shape == (6, 4, 5)
        except ValueError as error:
            assert "scene.mat" in str(error)


@pytest.mark.parametrize("header", ["{'descr': '<f8', 'fortran_order': False, 'shape': (6, 5, 4", "\x00(", "{", "'''"])
def test_damaged_start_of_npy(header: str, tmp_path: Path) -> None:
    text = header.encode("latin-1").ljust(117) + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + CUBE.tobytes()
    (tmp_path / "scene.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"scene.npy: not a .npy file, or its start is damaged"):
        open_scene(tmp_path / "scene.npy")
    with zipfile.ZipFile(tmp_path / "scene.npz", "w") as archive:
        archive.writestr("cube.npy", content)
    with pytest.raises(ValueError, match=r"scene.npz: not a readable .npz file"):
        open_scene(tmp_path / "scene.npz")


def test_damaged_npz(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, cube=CUBE)
    healthy = buffer.getvalue()
    for place in range(30, 200, 3):
        damaged = bytearray(healthy)
        damaged[place] ^= 0xFF
        (tmp_path / "scene.npz").write_bytes(damaged)
        try:
            open_scene(tmp_path / "scene.npz").cube  # noqa: B018
        except ValueError as error:
            assert "scene.npz" in str(error)


@pytest.mark.parametrize(
    "field", ["samples = {30}", "header offset = -5", "byte order = 7", "bands = -2", "samples = 2e1"]
)
def test_envi_headers_that_cannot_be(field: str, tmp_path: Path) -> None:
    fields = {"samples": 5, "lines": 4, "bands": 2, "data type": 4, "interleave": "bsq", "byte order": 0}
    name, _, value = field.partition(" = ")
    fields[name] = value
    text = "ENVI\n" + "".join(f"{name} = {value}\n" for name, value in fields.items())
    (tmp_path / "s.hdr").write_text(text)
    (tmp_path / "s.img").write_bytes(bytes(4000))
    with pytest.raises(ValueError, match="s.hdr: not a usable description"):
        open_scene(tmp_path / "s.hdr")


def test_tiff_of_too_many_bands_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "scene.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=1, height=1, count=20_000, dtype="uint8", interleave="pixel", SPARSE_OK=True
    ):
        pass
    with pytest.raises(ValueError, match="scene.tif: says that it has 20000 bands"):
        open_scene(path)


def test_scene_larger_than_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "scene.npy", CUBE)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 100}))
    with pytest.raises(ValueError, match="scene.npy: 0.0 GB as a cube in memory"):
        read_cube(open_scene(tmp_path / "scene.npy"))


def test_home_of_nobody() -> None:
    with pytest.raises(ValueError, match="~nobody at all/x: there is no such user"):
        open_scene("~nobody at all/x")
    assert expanded("~") == Path.home()


def test_checksum_covers_the_data_of_an_envi_pair(tmp_path: Path) -> None:
    from lkca.scenes.writing import SceneWriter

    checksums = []
    for seed in (0, 1):
        cube = np.random.default_rng(seed).random((3, 64, 64)).astype(np.float32)
        with SceneWriter(tmp_path / "s.hdr", cube.shape, cube.dtype, overwrite=True) as writer:
            writer.write(0, cube)
        split = load_dataset(str(tmp_path / "s.hdr"))
        checksums.append(split.checksum)
        assert load_dataset(str(tmp_path / "s.img")).checksum == split.checksum and len(split.partial) == 2
    assert checksums[0] != checksums[1]


def test_nothing_is_allocated_before_it_is_known_to_be_there(tmp_path: Path) -> None:
    text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 100000, 1000)}".ljust(117) + b"\n"
    (tmp_path / "s.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
    tracemalloc.start()
    with pytest.raises(ValueError, match="s.npy: truncated"):
        open_scene(tmp_path / "s.npy")
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()
