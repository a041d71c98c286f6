"""Sharpening a scene file: what comes out, where there is no data, and within how much memory."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from lkca.scenes import open_scene
from lkca.sharpening.scene_rows import SceneRows, SourceFiles
from lkca.sharpening.upscale import upscale
from lkca.training.weights import load_weights
from tests.sharpening.small_scene import PEAK, WAVELENGTHS, B, H, R, W, bicubic, expected, quiet, write_scene

# --- what comes out


def test_bicubic_of_whole_numbers(scene: Path, cube: np.ndarray, tmp_path: Path) -> None:
    done = bicubic(scene, tmp_path / "out.hdr")
    after = done.open()
    assert done.shape == after.shape == (B, R * H, R * W) and after.dtype == cube.dtype
    assert (done.clipped, done.no_data) == (0, 0) and done.seconds > 0 and done.peak_memory > 5e7
    assert np.array_equal(after.cube, expected(cube).round())
    assert np.allclose(after.wavelengths, WAVELENGTHS)


@pytest.mark.parametrize("given", ["file", "folder"])
def test_a_network_is_what_it_is_in_one_piece(
    scene: Path, weights: Path, cube: np.ndarray, tmp_path: Path, given: str
) -> None:
    upscale(scene, tmp_path / "out.hdr", weights if given == "file" else weights.parent, log=quiet)
    model = load_weights(weights)[0]
    whole = expected(cube, model, PEAK)
    assert np.abs(whole - expected(cube)).max() > 20  # else bicubic alone would pass
    assert np.abs(open_scene(tmp_path / "out.hdr").cube - whole).max() <= 0.51


@pytest.mark.parametrize("shape", [(1, W), (H, 1), (1, 1)])
@pytest.mark.parametrize("network", ["bicubic", "weights"])
def test_one_pixel_high_or_wide(
    shape: tuple[int, int], network: str, weights: Path, cube: np.ndarray, tmp_path: Path
) -> None:
    small = cube[:, : shape[0], : shape[1]]
    source = write_scene(tmp_path / "small.hdr", small)
    done = upscale(source, tmp_path / "out.hdr", weights if network == "weights" else "bicubic", R, log=quiet)
    model = load_weights(weights)[0] if network == "weights" else None
    assert np.abs(done.open().cube - expected(small, model, PEAK if model else 1)).max() <= 0.51


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64"])
def test_types_are_kept(dtype: str, cube: np.ndarray, tmp_path: Path) -> None:
    cube = (cube / 4).astype(dtype)
    done = bicubic(write_scene(tmp_path / "scene.hdr", cube), tmp_path / "out.hdr")
    assert done.open().dtype == np.dtype(dtype) and done.clipped == 0
    assert np.abs(done.open().cube.astype(float) - expected(cube)).max() <= (0.51 if dtype[0] in "ui" else 1e-3)


def test_formats_that_are_read_whole(cube: np.ndarray, tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "scene.npz", cube.transpose(1, 2, 0))
    assert not open_scene(tmp_path / "scene.npz").reads_parts
    done = bicubic(tmp_path / "scene.npz", tmp_path / "out.hdr")
    assert np.array_equal(done.open().cube, expected(cube).round())


def test_numbers_beyond_the_type_are_clipped_and_counted(tmp_path: Path) -> None:
    cube = np.zeros((2, 8, 8), np.uint8)
    cube[:, :, 4:] = 255
    source = write_scene(tmp_path / "scene.hdr", cube, wavelengths=None)
    with pytest.warns(UserWarning, match=r"out.hdr: 128 of 512 values did not fit uint8"):
        done = bicubic(source, tmp_path / "out.hdr")
    free = expected(cube).round()
    assert done.clipped == ((free < 0) | (free > 255)).sum() == 128
    assert np.array_equal(done.open().cube, free.clip(0, 255))


def test_the_greatest_int32_does_not_turn_negative(tmp_path: Path) -> None:
    cube = np.zeros((1, 8, 8), np.int32)
    cube[:, :, 4:] = 2**31 - 1
    source = write_scene(tmp_path / "scene.hdr", cube, wavelengths=None)
    with pytest.warns(UserWarning, match="did not fit int32"):
        done = bicubic(source, tmp_path / "out.hdr")
    assert done.open().cube[:, :, -4:].min() > 2e9


# --- no data


@pytest.mark.parametrize("kind", ["no-data value", "NaN", "infinity", "NaN beside a no-data value"])
def test_no_data_stays_and_does_not_smear(kind: str, cube: np.ndarray, tmp_path: Path) -> None:
    number = -9999 if "value" in kind else None
    damaged = cube.astype(np.float32 if kind != "no-data value" else np.int16)
    marks = {"no-data value": -9999, "infinity": np.inf}
    damaged[2, 3:6, 4:7] = marks.get(kind, np.nan)  # one band is enough
    fields = {} if number is None else {"data ignore value": number}
    done = bicubic(write_scene(tmp_path / "scene.hdr", damaged, **fields), tmp_path / "out.hdr")
    after = done.open()
    hole = np.zeros((R * H, R * W), bool)
    hole[R * 3 : R * 6, R * 4 : R * 7] = True
    assert done.no_data == hole.sum() == 36
    assert np.array_equal(after.mask, hole)
    lost = after.cube[:, hole]
    assert np.isnan(lost).all() if number is None else (lost == number).all()
    smooth = expected(cube)
    assert np.abs(after.cube[:, ~hole] - smooth[:, ~hole]).max() < 60  # a -9999 would shine through by thousands
    far = np.zeros_like(hole)
    far[:, : R * 2] = True  # beyond the kernel's reach
    assert np.abs(after.cube[:, far] - smooth[:, far]).max() <= 0.51


def test_holes_are_filled_from_the_nearest_pixel(scene: Path, cube: np.ndarray, tmp_path: Path) -> None:
    cube = cube.copy()
    cube[:, 2:, :5] = 0
    source = open_scene(write_scene(tmp_path / "holes.hdr", cube, **{"data ignore value": 0}))
    for memory in (1e9, 2000):  # held, and in a file
        rows = SceneRows(source, SourceFiles(source), 2.0, memory, tmp_path)
        assert rows.missing.sum() == 7 * 5
        filled = 2 * rows.rows(0, H).numpy()
        assert np.array_equal(filled[:, 2:4, 0], cube[:, 1, [0]].repeat(2, 1))  # straight above
        assert np.array_equal(filled[:, 8, 3:5], cube[:, 8, [5]].repeat(2, 1))  # to the right
        assert np.array_equal(filled[:, ~rows.missing], cube[:, ~rows.missing])
        assert np.array_equal(2 * rows.rows(3, 5).numpy(), filled[:, 3:5])
        rows.close()


@pytest.mark.parametrize("number", [500, 0, -32768])
def test_a_measured_value_does_not_become_no_data(number: int, tmp_path: Path) -> None:
    """Between the rows of 490 and 510 bicubic gives 500 or so: no such pixel may vanish."""
    cube = np.full((2, 8, 8), number + 10 if number < 0 else number - 10, np.int16)
    cube[:, 4:] = number + 10
    cube[0, 0, 0] = number
    if number < 0:
        cube[:, 4:] = number + 10
        cube[:, 1:4] = number + 1
    source = write_scene(tmp_path / "scene.hdr", cube, wavelengths=None, **{"data ignore value": number})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        after = bicubic(source, tmp_path / "out.hdr", scale=8).open()
    assert after.mask.sum() == 64 and after.mask[:8, :8].all()


def test_no_pixel_with_data(cube: np.ndarray, tmp_path: Path) -> None:
    source = write_scene(tmp_path / "scene.hdr", np.full_like(cube, 7), **{"data ignore value": 7})
    with pytest.raises(ValueError, match=r"scene.hdr: 0 of 6 bands are used.*no data anywhere.*no-data value"):
        bicubic(source, tmp_path / "out.hdr")
    assert not list(tmp_path.glob("*out*"))


# --- memory


def test_an_image_too_large_to_be_held(
    scene: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upscale(scene, tmp_path / "held.hdr", weights, log=quiet)
    monkeypatch.setattr("lkca.sharpening.scene_rows.SHARE_HELD", 0)
    monkeypatch.setattr("lkca.sharpening.scene_rows.SHARE_READ", 1e-9)  # a row at a time
    upscale(scene, tmp_path / "filed.hdr", weights, log=quiet)
    assert np.array_equal(open_scene(tmp_path / "held.hdr").cube, open_scene(tmp_path / "filed.hdr").cube)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {
        f"{name}{end}" for name in ("scene", "held", "filed") for end in (".hdr", ".img")
    } | {"weights.safetensors"}


def test_memory_that_is_too_small(scene: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="memory of 0.00 GB is too small"):
        bicubic(scene, tmp_path / "out.hdr", memory=1000)
    assert not list(tmp_path.glob("*out*"))
