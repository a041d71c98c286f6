"""Sharpening a scene file: what comes out, and every input that must be refused or said."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from lkca.__main__ import main
from lkca.commands.scenes import _bytes
from lkca.measures.resize import resize
from lkca.models import build_model
from lkca.scenes import Scene, open_scene
from lkca.sharpening import upscale as upscaling
from lkca.sharpening.scene_rows import SceneRows, SourceFiles
from lkca.sharpening.upscale import Upscaled, upscale
from lkca.training.weights import Passport, load_weights, save_weights

B, H, W = 6, 9, 11
R = 2
PEAK = 900.0
WAVELENGTHS = np.linspace(450, 950, B)
ENVI_TYPES = {"uint8": 1, "int16": 2, "int32": 3, "float32": 4, "float64": 5, "uint16": 12}
OPTIONS = {"blocks": 2, "channels": 16, "groups": 2}


@pytest.fixture
def cube() -> np.ndarray:
    """Smooth in space, as a scene is, so that bicubic does not leave the range by much."""
    coarse = torch.from_numpy(np.random.default_rng(0).uniform(200, 800, (B, 3, 4)))
    return resize(coarse, 4).numpy()[:, :H, :W].round().astype(np.int16)


def write_scene(path: Path, cube: np.ndarray, wavelengths=WAVELENGTHS, **fields) -> Path:
    """An ENVI pair, bsq; returns the header."""
    path.with_suffix(".img").write_bytes(np.ascontiguousarray(cube).tobytes())
    bands, lines, samples = cube.shape
    header = {
        "samples": samples, "lines": lines, "bands": bands, "data type": ENVI_TYPES[cube.dtype.name],
        "interleave": "bsq", "byte order": 0, **fields,
    }  # fmt: skip
    if wavelengths is not None:
        header |= {"wavelength units": "Nanometers", "wavelength": "{" + ", ".join(map(str, wavelengths)) + "}"}
    path.with_suffix(".hdr").write_text("\n".join(["ENVI", *(f"{k} = {v}" for k, v in header.items()), ""]))
    return path.with_suffix(".hdr")


@pytest.fixture
def scene(tmp_path: Path, cube: np.ndarray) -> Path:
    return write_scene(tmp_path / "scene.hdr", cube)


def write_weights(path: Path, bands: int = B, **changes) -> Path:
    torch.manual_seed(1)
    model = build_model("lkca-lr", bands, R, **OPTIONS)
    with torch.no_grad():
        for parameter in model.parameters():  # as if trained: what it adds is seen in the numbers
            parameter.add_(0.1 * torch.randn_like(parameter))
    known = {"peak": PEAK, "wavelengths": list(WAVELENGTHS), "patch": 4, "scale_factor": 1.0, "trained_on": "elsewhere"}
    save_weights(path, model, Passport("lkca-lr", bands, R, OPTIONS, **(known | changes)))
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_weights(tmp_path / "weights.safetensors")


def quiet(*_: object) -> None:
    """For `log`."""


def bicubic(source: Path, target: Path, **settings) -> Upscaled:
    return upscale(source, target, "bicubic", settings.pop("scale", R), log=quiet, **settings)


def expected(cube: np.ndarray, model=None, peak: float = 1.0) -> np.ndarray:
    x = torch.from_numpy(cube.astype(np.float32)) / peak
    with torch.inference_mode():
        return ((resize(x, R) if model is None else model(x[None])[0]) * peak).numpy()


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
    with pytest.raises(ValueError, match=r"scene.hdr: not one of its 99 pixels has data .*no-data value"):
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


# --- weights that do not fit


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({"bands": 5, "wavelengths": None}, {}, r"scene.hdr has 6 bands, but .*safetensors was trained on 5 \(elsewh"),
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
        ("bicubic", ValueError, "bicubic fits any scale: say which"),
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
def test_numbers_of_another_kind_are_said(factor: float, weights: Path, cube: np.ndarray, tmp_path: Path) -> None:
    source = write_scene(tmp_path / "scene.hdr", (cube * factor).astype(np.float32))
    with pytest.warns(
        UserWarning, match=r"scene.hdr: its median is .* but for .*safetensors the brightest is about 900"
    ):
        upscale(source, tmp_path / "out.hdr", weights, log=quiet)


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


# --- the command line


def test_upscale_says_what_it_wrote(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out.hdr")
    assert main(["upscale", str(scene), out, "--weights", "bicubic", "--scale", "2", "--memory", "1.5G"]) == 0
    printed = capsys.readouterr().out
    assert "6 bands of 18 x 22 pixels (from 9 x 11), int16" in printed and "0 values clipped" in printed
    assert main(["upscale", str(scene), out, "--weights", "bicubic", "--scale", "2"]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_memory_in_words() -> None:
    assert [_bytes(text) for text in ("2G", "500M", "1.5gb", "2e9", " 64 K ")] == [2e9, 5e8, 1.5e9, 2e9, 64e3]
    for text in ("", "much", "2T", "1.2.3"):
        with pytest.raises(ValueError, match="--memory must be a number of bytes"):
            _bytes(text)


@pytest.mark.filterwarnings("ignore")
def test_train_on_ends_with_the_command_that_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lkca.data.synthetic import synthetic_scene

    made = synthetic_scene(48, 140, 4, seed=3)
    source = write_scene(tmp_path / "own.hdr", (1000 * made.cube).astype(np.int16), made.wavelengths)
    settings = ["--scale", "2", "--epochs", "1", "--stride", "16", "--options", "blocks=1", "channels=16"]
    assert main(["train-on", str(source), *settings]) == 0
    printed = capsys.readouterr().out
    assert "| bicubic" in printed and "| lkca-lr" in printed and "dB, SAM" in printed
    command = printed.split("python -m lkca ")[1].split("\n")[0].replace("OUT.tif", str(tmp_path / "out.hdr")).split()
    assert command[:2] == ["upscale", str(source)]
    assert main(command) == 0
    passport = load_weights(Path(command[-1]) / "weights.safetensors")[1]
    assert (passport.patch, passport.scale_factor) == (16, 1.0)
    assert open_scene(tmp_path / "out.hdr").shape == (4, 96, 280)


@pytest.mark.parametrize(
    ("gain", "angle", "word"), [(0.3, -0.1, "Gained"), (-0.1, 0.2, "NOTHING GAINED"), (0.3, 0.1, "Mixed")]
)
def test_the_gain_is_said_honestly(gain: float, angle: float, word: str) -> None:
    from types import SimpleNamespace

    from lkca.commands.scenes import _gain_in_words

    metrics = {"bicubic": {"MPSNR": 30.0, "SAM": 4.0}, "lkca-lr": {"MPSNR": 30 + gain, "SAM": 4 + angle}}
    assert _gain_in_words(SimpleNamespace(run=SimpleNamespace(model="lkca-lr")), metrics).startswith(word)
