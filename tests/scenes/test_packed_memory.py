"""Formats that can only be read whole, or in large pieces: within `memory`, or refused before anything is read."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import scipy.io

from lkca.scenes import open_scene
from lkca.sharpening.upscale import upscale

SHAPE = (200, 150, 40)  # H, W, B
BYTES = 200 * 150 * 40 * 8


def written(kind: str, folder: Path) -> Path:
    cube = np.zeros(SHAPE)
    if kind == "mat":
        scipy.io.savemat(folder / "s.mat", {"cube": cube}, do_compression=True)
    elif kind == "npz":
        np.savez_compressed(folder / "s.npz", cube=cube)
    else:
        size = {"width": SHAPE[1], "height": SHAPE[0], "count": SHAPE[2]}
        options = {"blockysize": SHAPE[0], "compress": "deflate", "dtype": "float64"}
        with rasterio.open(folder / "s.tif", "w", driver="GTiff", **size, **options) as raster:
            raster.write(cube.transpose(2, 0, 1))
    return folder / f"s.{kind}"


@pytest.mark.parametrize("kind", ["mat", "npz", "tif"])
def test_counted_before_it_is_read(kind: str, tmp_path: Path) -> None:
    scene = open_scene(written(kind, tmp_path))
    assert scene.at_once >= BYTES
    taken = 500_000_000
    with pytest.raises(ValueError, match=r"s\.\w+: its format packs .* give more \(--memory\), or save it as ENVI"):
        scene.check_memory(taken + BYTES - 1, taken)
    scene.check_memory(taken + 4 * BYTES, taken)
    assert "cube" not in scene.__dict__


@pytest.mark.parametrize("kind", ["mat", "npz", "tif"])
def test_refused_by_upscale_before_it_is_read(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(kind, tmp_path)
    monkeypatch.setattr("lkca.sharpening.upscale.resident", lambda: 100_000_000)
    with pytest.raises(ValueError, match="its format packs"):
        upscale(path, tmp_path / "out.tif", "bicubic", 2, memory=101_000_000, log=str)
    assert not (tmp_path / "out.tif").exists()


def test_formats_that_are_read_by_rows_are_never_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", np.zeros((4, 5, 3)))
    open_scene(tmp_path / "s.npy").check_memory(1, 10**12)
