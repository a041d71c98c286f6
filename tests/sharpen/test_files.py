"""`sharpen.sharpen_file`: what comes out, in numbers and in description, and when nothing does."""

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio

import sharpen
from sharpen.files import Sharpened, sharpen_file, sharpen_many
from sharpen.image.strips import USED_SHARE, Method
from sharpen.image.tiles import resident
from sharpen.scene.io import open_scene
from tests.sharpen.scenes import B, H, W, mixture, write_envi, write_network, write_run_weights

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
PLAIN = {"psf": "bicubic", "noise": np.inf, "precision": "float32"}


def quiet(line: str) -> None:
    """Take a line of progress."""


@pytest.fixture
def cube() -> np.ndarray:
    return mixture().round().astype(np.int16)


@pytest.fixture
def scene(tmp_path: Path, cube: np.ndarray) -> Path:
    return write_envi(tmp_path / "scene.hdr", cube)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_network(tmp_path / "w.safetensors")


def bicubic(source: Path, target: Path, **options: object) -> Sharpened:
    return sharpen_file(source, target, 2, weights="bicubic", log=quiet, **options)


@pytest.mark.parametrize("little", [False, True])
@pytest.mark.parametrize("settings", [PLAIN, {"psf": "gaussian:0.5", "noise": 30.0, "precision": "float32"}])
def test_a_file_gets_the_numbers_of_an_array(
    scene: Path, cube: np.ndarray, weights: Path, tmp_path: Path, settings: dict, little: bool
) -> None:
    memory = (resident() + 6e7) / USED_SHARE if little else 2e9
    done = sharpen_file(scene, tmp_path / "out.tif", weights=weights, memory=memory, log=quiet, **settings)
    expected = np.rint(sharpen.sharpen(cube, weights=weights, **settings))
    with rasterio.open(tmp_path / "out.tif") as raster:
        assert np.abs(raster.read() - expected).max() <= 1
    assert done.shape == (B, 2 * H, 2 * W) and done.dtype == np.int16 and done.clipped == done.no_data == 0


@pytest.mark.parametrize("name", ["out.tif", "out.hdr"])
def test_corners_wavelengths_and_type_stay(scene: Path, tmp_path: Path, name: str) -> None:
    bicubic(scene, tmp_path / name)
    before, after = open_scene(scene), open_scene(tmp_path / name)
    assert after.rio.bounds() == pytest.approx(before.rio.bounds()) and after.rio.crs == before.rio.crs
    assert after.rio.resolution() == pytest.approx((15, -15)) and after.dtype == before.dtype
    assert np.allclose(after.coords["wavelength"], before.coords["wavelength"])
    assert (tmp_path / "out-quicklook.png").read_bytes().startswith(b"\x89PNG")


def test_no_data_stays_no_data(cube: np.ndarray, tmp_path: Path) -> None:
    cube[2, 5:8, 9] = -1  # in one band: the pixel has no data
    source = write_envi(tmp_path / "s.hdr", cube, **{"data ignore value": -1})
    done = bicubic(source, tmp_path / "out.tif")
    values = open_scene(tmp_path / "out.tif").values
    holes = np.zeros((2 * H, 2 * W), bool)
    holes[10:16, 18:20] = True
    assert np.array_equal((values == -1).all(axis=0), holes) and done.no_data == holes.sum()
    assert values[:, ~holes].min() > 200


def test_bands_that_are_not_used_are_no_data(cube: np.ndarray, tmp_path: Path) -> None:
    cube[4] = -1
    source = write_envi(tmp_path / "s.hdr", cube, bbl="{1, 0, 1, 1, 1, 1}", **{"data ignore value": -1})
    said: list[str] = []
    done = sharpen_file(source, tmp_path / "out.tif", 2, weights="bicubic", log=said.append)
    after = open_scene(tmp_path / "out.tif")
    assert done.bands == (0, 2, 3, 5) and (after.values[[1, 4]] == -1).all() and (after.values[[0, 2, 3, 5]] > 0).all()
    assert any("2" in line and "5" in line and "left out" in line for line in said)
    assert bicubic(source, tmp_path / "two.tif", bands="2,6").bands == (1, 5)


def test_values_out_of_range_and_clipped_are_counted(tmp_path: Path) -> None:
    cube = np.full((2, 16, 16), 3, np.uint8)
    cube[:, 8:] = 250
    source = write_envi(tmp_path / "s.hdr", cube)
    with pytest.warns(UserWarning, match="did not fit uint8"):
        done = bicubic(source, tmp_path / "out.tif")
    exact = sharpen.sharpen(cube, 2, weights="bicubic")
    outside = (exact > 250.5) | (exact < 2.5)
    assert done.clipped == ((np.rint(exact) > 255) | (np.rint(exact) < 0)).sum() > 0
    assert done.out_of_range == outside.sum() and done.max_excess == pytest.approx((exact.max() - 250) / 247, rel=1e-3)


def test_wavelengths_from_a_file(cube: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", cube.transpose(1, 2, 0))
    (tmp_path / "w.txt").write_text("0.4, 0.5, 0.6\n0.7 0.8 0.9")
    bicubic(tmp_path / "s.npz", tmp_path / "out.tif", wavelengths=tmp_path / "w.txt")
    assert np.allclose(open_scene(tmp_path / "out.tif").coords["wavelength"], [400, 500, 600, 700, 800, 900])
    (tmp_path / "w.txt").write_text("400 500")
    with pytest.raises(ValueError, match="w.txt.*6 wavelengths"):
        bicubic(tmp_path / "s.npz", tmp_path / "two.tif", wavelengths=tmp_path / "w.txt")


def test_weights_of_a_run_need_their_bands_and_unit(scene: Path, cube: np.ndarray, tmp_path: Path) -> None:
    weights = write_run_weights(tmp_path / "run.safetensors")
    done = sharpen_file(scene, tmp_path / "out.tif", weights=weights, log=quiet)
    assert done.shape == (B, 2 * H, 2 * W)
    with pytest.raises(ValueError, match="5 usable bands"):
        sharpen_file(scene, tmp_path / "x.tif", weights=weights, bands="1-5", log=quiet)
    shifted = write_run_weights(tmp_path / "shifted.safetensors", wavelengths=[450.0, 550, 650, 750, 850, 1050])
    with pytest.raises(ValueError, match="band 6 is at 950.0 nm"):
        sharpen_file(scene, tmp_path / "x.tif", weights=shifted, log=quiet)
    other = write_envi(tmp_path / "counts.hdr", (cube * 20).astype(np.int16))
    with pytest.raises(ValueError, match="same unit"):
        sharpen_file(other, tmp_path / "x.tif", weights=weights, log=quiet)
    with pytest.warns(UserWarning, match="same unit"):
        sharpen_file(other, tmp_path / "x.tif", weights=weights, force_units=True, log=quiet)
    assert not (tmp_path / "y.tif").exists()


def test_equal_reflectances_stay_equal_whatever_the_scale_factor(cube: np.ndarray, tmp_path: Path) -> None:
    weights = write_run_weights(tmp_path / "run.safetensors", scale_factor=1000.0)
    results = []
    for factor in (1000, 5000):
        numbers = (cube.astype(float) * factor / 1000).astype(np.float32)
        source = write_envi(tmp_path / f"{factor}.hdr", numbers, **{"reflectance scale factor": factor})
        sharpen_file(source, tmp_path / f"out{factor}.tif", weights=weights, log=quiet)
        results.append(open_scene(tmp_path / f"out{factor}.tif").values / factor)
    assert np.allclose(*results, rtol=1e-4)


def test_standard_deviations_are_a_second_file(scene: Path, tmp_path: Path) -> None:
    sd = tmp_path / "sd.tif"
    weights = write_network(tmp_path / "local.safetensors")
    sharpen_file(scene, tmp_path / "out.tif", weights=weights, uncertainty=sd, log=quiet)
    values = open_scene(sd)
    assert values.shape == (B, 2 * H, 2 * W) and values.dtype == np.float32 and (values.values > 0).all()
    assert values.rio.bounds() == open_scene(scene).rio.bounds()
    with pytest.raises(ValueError, match="bicubic"):
        bicubic(scene, tmp_path / "x.tif", uncertainty=tmp_path / "sd2.tif")


# --- when nothing is written


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"scene.hdr", "scene.img", "w.safetensors"}


def test_an_existing_file_is_kept(scene: Path, tmp_path: Path) -> None:
    bicubic(scene, tmp_path / "out.tif", quicklook=False)
    before = (tmp_path / "out.tif").read_bytes()
    with pytest.raises(FileExistsError, match="out.tif"):
        sharpen_file(scene, tmp_path / "out.tif", 4, weights="bicubic", log=quiet)
    assert (tmp_path / "out.tif").read_bytes() == before
    assert sharpen_file(scene, tmp_path / "out.tif", 4, weights="bicubic", overwrite=True, log=quiet).shape[1] == 4 * H


@pytest.mark.parametrize("target", ["scene.hdr", "scene.img", "link.hdr", "sub/../scene.hdr"])
def test_the_input_is_never_overwritten(scene: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "link.hdr").symlink_to(scene)
    (tmp_path / "sub").mkdir()
    before = [path.read_bytes() for path in (scene, scene.with_suffix(".img"))]
    with pytest.raises(ValueError, match="scene"):
        bicubic(scene, tmp_path / target, overwrite=True)
    assert before == [path.read_bytes() for path in (scene, scene.with_suffix(".img"))]


@pytest.mark.parametrize("change", ["written", "removed"])
def test_a_scene_that_changes_while_it_is_read(scene: Path, tmp_path: Path, change: str, monkeypatch) -> None:
    from sharpen import scene_rows

    read = scene_rows.read_block

    def changing(*given: object, **named: object) -> object:
        found = read(*given, **named)
        data = scene.with_suffix(".img")
        if change == "removed":
            data.unlink()
        else:
            os.utime(data, ns=(1, 1))
        return found

    monkeypatch.setattr(scene_rows, "read_block", changing)
    with pytest.raises(OSError, match="scene.img .*(vanished|changed)"):
        bicubic(scene, tmp_path / "out.tif")
    assert left(tmp_path) == set()


@pytest.mark.parametrize("name", ["out.tif", "out.hdr"])
@pytest.mark.parametrize("old", [False, True])
def test_an_error_half_way_leaves_the_old_file_or_nothing(
    scene: Path, tmp_path: Path, name: str, old: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if old:
        bicubic(scene, tmp_path / name, quicklook=False)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    strips = Method.strips

    def failing(self: Method, lr: object, memory: float) -> object:
        for number, strip in enumerate(strips(self, lr, memory)):
            if number == 2:
                raise OSError(28, "No space left on device")
            yield strip

    monkeypatch.setattr(Method, "strips", failing)
    with pytest.raises(OSError, match="No space left"):
        bicubic(scene, tmp_path / name, overwrite=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_scene_without_data_is_refused(tmp_path: Path) -> None:
    source = write_envi(tmp_path / "s.hdr", np.full((3, 8, 8), -1, np.int16), **{"data ignore value": -1})
    with pytest.raises(ValueError, match="s.hdr"):
        bicubic(source, tmp_path / "out.tif")
    assert not (tmp_path / "out.tif").exists()


# --- several scenes


def test_several_scenes_resume(cube: np.ndarray, tmp_path: Path) -> None:
    sources = [write_envi(tmp_path / f"s{n}.hdr", cube) for n in range(3)]
    (tmp_path / "s1.img").write_bytes(b"short")
    out, said = tmp_path / "out", []
    settings = {"weights": "bicubic", "scale": 2, "quicklook": False}
    assert not sharpen_many(sources, out, log=said.append, **settings)
    assert [("error" in line) for line in said] == [False, True, False] and "s1" in said[1]
    first = (out / "s0.img").stat().st_mtime_ns
    write_envi(tmp_path / "s1.hdr", cube)
    assert sharpen_many(sources, out, log=said.append, **settings)
    assert sorted(path.name for path in out.glob("*.hdr")) == ["s0.hdr", "s1.hdr", "s2.hdr"]
    assert (out / "s0.img").stat().st_mtime_ns == first
    np.save(tmp_path / "s0.npy", cube.transpose(1, 2, 0))
    (tmp_path / "twice").mkdir()
    with pytest.raises(ValueError, match="s0.hdr"):
        sharpen_many([sources[0], sources[0]], tmp_path / "twice", **settings)
