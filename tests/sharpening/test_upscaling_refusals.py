"""Sharpening a scene file: every input that must be refused or said."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from lkca.scenes import Scene, open_scene
from lkca.sharpening import upscale as upscaling
from lkca.sharpening.upscale import upscale
from lkca.training.weights import load_weights
from tests.sharpening.small_scene import (
    WAVELENGTHS,
    B,
    H,
    R,
    W,
    bicubic,
    quiet,
    write_scene,
    write_weights,
)

# --- weights that do not fit


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({"bands": 5, "wavelengths": None}, {}, r"scene.hdr has 6 usable bands, but .*safetensors was trained on 5 \("),
        (
            {"wavelengths": [*WAVELENGTHS[:3], 810.0, *WAVELENGTHS[4:]]},
            {},
            r"scene.hdr: band 4 is at 750.0 nm, but .*safetensors was trained with it at 810.0 nm \(1 of 6 bands",
        ),
        ({}, {"scale": 4}, r"safetensors enlarges 2 times, but scale 4 is asked for"),
    ],
    ids=["bands", "wavelengths", "scale"],
)
def test_weights_of_something_else(scene: Path, tmp_path: Path, changes: dict, settings: dict, message: str) -> None:
    weights = write_weights(tmp_path / "w.safetensors", **changes)
    with pytest.raises(ValueError, match=message):
        upscale(scene, tmp_path / "out.hdr", weights, log=quiet, **settings)
    assert not list(tmp_path.glob("*out*"))


def test_a_small_difference_of_wavelengths_is_none(scene: Path, tmp_path: Path) -> None:
    weights = write_weights(tmp_path / "w.safetensors", wavelengths=list(WAVELENGTHS + 40))  # spacing 100
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        upscale(scene, tmp_path / "out.hdr", weights, log=quiet)


@pytest.mark.parametrize("silent", ["scene", "weights"])
def test_only_one_knows_its_wavelengths(silent: str, cube: np.ndarray, tmp_path: Path) -> None:
    source = write_scene(tmp_path / "scene.hdr", cube, None if silent == "scene" else WAVELENGTHS)
    weights = write_weights(tmp_path / "w.safetensors", **({"wavelengths": None} if silent == "weights" else {}))
    with pytest.warns(UserWarning, match="knows its wavelengths, .* does not"):
        upscale(source, tmp_path / "out.hdr", weights, log=quiet)


def test_old_weights_without_patch_and_scale_factor(scene: Path, tmp_path: Path) -> None:
    weights = write_weights(tmp_path / "w.safetensors", patch=None, scale_factor=None)
    upscale(scene, tmp_path / "out.hdr", weights, log=quiet)
    assert load_weights(weights)[1].patch is None


def test_no_such_weights(scene: Path, tmp_path: Path) -> None:
    for given, kind, message in (
        (tmp_path / "none", FileNotFoundError, "no weights at .*none"),
        ("lkca-lr", ValueError, "lkca-lr is a network's name: give a run's folder"),
    ):
        with pytest.raises(kind, match=message):
            upscale(scene, tmp_path / "out.hdr", given, log=quiet)


# --- the scene's numbers


def test_another_scale_factor_is_converted(scene: Path, weights: Path, cube: np.ndarray, tmp_path: Path) -> None:
    """Reflectance as a float against the same as 10000ths: the same picture."""
    upscale(scene, tmp_path / "plain.hdr", weights, log=quiet)
    tenfold = write_scene(tmp_path / "ten.hdr", 10 * cube.astype(np.int32), **{"reflectance scale factor": 10.0})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        upscale(tenfold, tmp_path / "out.hdr", weights, log=quiet)
    assert np.abs(open_scene(tmp_path / "out.hdr").cube / 10 - open_scene(tmp_path / "plain.hdr").cube).max() <= 0.56


@pytest.mark.parametrize("factor", [1e-3, 1e2])
def test_numbers_of_another_kind_are_refused(factor: float, weights: Path, cube: np.ndarray, tmp_path: Path) -> None:
    source = write_scene(tmp_path / "scene.hdr", (cube * factor).astype(np.float32))
    message = r"scene.hdr: its median is .* but for .*safetensors the brightest is about 900"
    with pytest.raises(ValueError, match=message + ".*--force-units"):
        upscale(source, tmp_path / "out.hdr", weights, log=quiet)
    assert not list(tmp_path.glob("*out*"))
    with pytest.warns(UserWarning, match=message):
        upscale(source, tmp_path / "out.hdr", weights, log=quiet, force_units=True)


# --- files


class Growing:
    """A scene whose file changes when it is read."""

    def __init__(self, change: str) -> None:
        self.change, self.reads = change, 0

    def __call__(self, scene: Scene, *part: slice) -> np.ndarray:
        block = self.original(scene, *part)
        self.reads += 1
        if self.reads == 2:
            data = scene.path.with_suffix(".img")
            if self.change == "vanishes":
                data.unlink()
            elif self.change == "grows":
                data.write_bytes(data.read_bytes() + b"more")
            elif self.change == "shrinks":
                data.write_bytes(data.read_bytes()[:-4])
            else:
                os.utime(data, ns=(1, 1))
        return block

    original = staticmethod(Scene.read)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("vanishes", "scene.img vanished while it was read"),
        ("grows", "scene.img changed while it was read: it had 1188 bytes, now it has 1192"),
        ("shrinks", "scene.img changed while it was read: it had 1188 bytes, now it has 1184"),
        ("is written again", "scene.img changed while it was read"),
    ],
)
def test_a_file_that_changes_while_it_is_read(
    change: str, message: str, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Growing(change)
    monkeypatch.setattr(Scene, "read", lambda *given: reader(*given))
    monkeypatch.setattr("lkca.sharpening.scene_rows.SHARE_READ", 1e-9)  # a row at a time
    with pytest.raises(OSError, match=message):
        bicubic(scene, tmp_path / "out.hdr")
    assert reader.reads == 2 and not list(tmp_path.glob("*out*"))


@pytest.mark.parametrize("target", ["scene.hdr", "scene.img", "scene.dat", "link.hdr", "sub/../scene.hdr"])
def test_the_input_is_never_overwritten(target: str, scene: Path, tmp_path: Path) -> None:
    (tmp_path / "link.hdr").symlink_to(scene)
    (tmp_path / "sub").mkdir()
    before = [path.read_bytes() for path in (scene, scene.with_suffix(".img"))]
    with pytest.raises(ValueError, match="would overwrite the scene that is read, .*scene.img and .*scene.hdr"):
        bicubic(scene, tmp_path / target, overwrite=True)
    assert before == [path.read_bytes() for path in (scene, scene.with_suffix(".img"))]


def test_an_existing_file_is_kept(scene: Path, tmp_path: Path) -> None:
    bicubic(scene, tmp_path / "out.hdr")
    before = (tmp_path / "out.hdr").read_bytes()
    with pytest.raises(OSError, match="out.* exists"):
        bicubic(scene, tmp_path / "out.hdr", scale=4)
    assert (tmp_path / "out.hdr").read_bytes() == before
    assert bicubic(scene, tmp_path / "out.hdr", scale=4, overwrite=True).open().shape == (B, 4 * H, 4 * W)


@pytest.mark.parametrize("where", ["writing", "computing"])
def test_an_error_on_the_way_leaves_nothing(
    where: str, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lkca.scenes import writing

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def broken(*given: object) -> Iterator[tuple[int, torch.Tensor]]:
        yield 0, torch.zeros(B, R, R * W)
        full()

    if where == "writing":
        monkeypatch.setattr(writing.SceneWriter, "write", full)
    else:
        monkeypatch.setattr(upscaling, "upscaled_strips", broken)
    with pytest.raises(OSError, match="No space left on device"):
        bicubic(scene, tmp_path / "out.hdr")
    assert not list(tmp_path.glob("*out*"))
