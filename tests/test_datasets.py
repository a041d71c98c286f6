"""Datasets: the big ones on small fakes in the exact real formats, la_aviris on fakes with its real overlap."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import spectral.io.envi

from lkca.data import datasets
from lkca.data.datasets import DATASETS
from lkca.data.loaders import dataset_names, find_dataset, hot_pixel_limit, load_dataset, normalise, without_no_data
from lkca.data.patches import Area
from lkca.data.split import Dataset, Reading
from lkca.scenes import open_scene
from lkca.scenes.cube import largest_valid_rectangle, read_cube
from lkca.training.evaluation import low_resolution

SHAPE = (50, 40, 60)  # of the fakes, (B, H, W): square nowhere, so that swapped axes show
PEAK = 10_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "scenes"
    folder.mkdir()
    monkeypatch.setenv("LKCA_DATA", str(folder))
    return folder


def coded(bands: int, height: int, width: int) -> np.ndarray:
    """(H, W, B), as MATLAB shows it; the value says row, column and band."""
    row, column, band = np.ogrid[:height, :width, :bands]
    return (band * height * width + row * width + column + 1).astype(np.int32)


# --- the three big scenes: files as their publishers wrote them


def write_chikusei(path: Path, cube: np.ndarray, key: str = "chikusei") -> None:
    """MATLAB v7.3: HDF5 behind a 512-byte header, axes reversed, doubles, chunked and compressed."""
    with h5py.File(path, "w", userblock_size=512) as file:
        data = file.create_dataset(key, data=cube.T.astype(np.float64), chunks=(2, 4, 8), compression="gzip")
        data.attrs["MATLAB_class"] = np.bytes_("double")
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: PCWIN64, Created on: Tue Jun 07 2016 HDF5 schema 1.00 .")


def write_houston(path: Path, cube: np.ndarray) -> None:
    """ENVI header beside a band-sequential .pix file of unsigned 16-bit numbers, wavelengths in nm."""
    fields = {"wavelength": [f"{nm:.1f}" for nm in np.linspace(374.4, 1059.7, cube.shape[2])]}
    fields |= {"wavelength units": "Nanometers"}
    spectral.io.envi.save_image(
        str(path), cube.astype(np.uint16), interleave="bsq", ext=".pix", dtype=np.uint16, metadata=fields
    )


def write_pavia(path: Path, cube: np.ndarray, key: str = "pavia") -> None:
    """MATLAB v5, compressed, doubles of whole numbers."""
    scipy.io.savemat(path, {key: cube.astype(np.float64)}, do_compression=True)


WRITERS = {"chikusei": write_chikusei, "houston2018": write_houston, "pavia_centre": write_pavia}
SMALL = {  # shape, rows, columns, bands, reading
    "chikusei": ((6, 40, 60), (3, 35), (5, 53), None, Reading(8, 4)),
    "houston2018": ((50, 20, 45), None, None, (0, 48), Reading(8, 5)),
    "pavia_centre": ((6, 40, 30), None, None, None, Reading(9, 3, 4000.0)),
}


@pytest.fixture(params=WRITERS)
def big(request, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Dataset, np.ndarray]:
    """A declaration with small numbers, its file, and the (H, W, B) array in it."""
    name = request.param
    shape, rows, columns, bands, reading = SMALL[name]
    small = replace(DATASETS[name], shape=shape, rows=rows, columns=columns, bands=bands, readings={"small": reading})
    monkeypatch.setitem(datasets.DATASETS, name, small)
    cube = coded(*shape)
    WRITERS[name](folder / small.files[0], cube)
    return small, cube


def test_big_scene_crop_tests_and_peak(big: tuple[Dataset, np.ndarray]) -> None:
    dataset, cube = big
    split = load_dataset(dataset.name)
    top, bottom = dataset.rows or (0, cube.shape[0])
    left, right = dataset.columns or (0, cube.shape[1])
    first, last = dataset.bands or (0, cube.shape[2])
    reading = dataset.readings["small"]
    crop = cube[top:bottom, left:right, first:last].transpose(2, 0, 1)
    peak = reading.peak or crop.max()
    wanted = np.clip(crop / peak, 0, 1)
    assert split.peak == peak and wanted.max() == 1
    if reading.peak:
        assert crop.max() > peak  # so something was clipped
    size = reading.test_size
    assert len(split.test) == reading.tests
    for i, test in enumerate(split.test):
        assert test.cube == pytest.approx(wanted[:, :size, i * size : (i + 1) * size], abs=1e-6)
        assert test.cube.shape[1:] == (size, size)
    (train,) = split.train
    assert train.cube == pytest.approx(wanted[:, size:], abs=1e-6)
    assert train.cube.dtype == np.float32 and split.bands == last - first
    assert all(np.shares_memory(area.cube.base, train.cube.base) for area in split.test)  # one array, no copies


def test_big_scene_wavelengths(big: tuple[Dataset, np.ndarray]) -> None:
    dataset, _ = big
    split = load_dataset(dataset.name)
    assert len(split.wavelengths) == split.bands and np.all(np.diff(split.wavelengths) > 0)
    if dataset.name == "houston2018":  # the file's own, without the last two
        assert split.wavelengths == pytest.approx(np.linspace(374.4, 1059.7, 50)[:48], abs=0.06)
    else:
        assert (split.wavelengths[0], split.wavelengths[-1]) == dataset.wavelength_range
    assert all(0 <= band < split.bands for band in split.rgb)


def test_big_scene_of_another_size(big: tuple[Dataset, np.ndarray], folder: Path) -> None:
    dataset, cube = big
    file = folder / dataset.files[0]
    WRITERS[dataset.name](file, cube[:-1]) if dataset.name != "houston2018" else (
        file.unlink(),
        file.with_suffix(".pix").unlink(),
        write_houston(file, cube[:-1]),
    )
    b, h, w = dataset.shape
    with pytest.raises(ValueError, match=rf"{file.name} .*\({b}, {h - 1}, {w}\).* has \({b}, {h}, {w}\).*original"):
        load_dataset(dataset.name)


@pytest.mark.parametrize("name", ["chikusei", "pavia_centre"])
def test_big_scene_under_another_key(name: str, folder: Path) -> None:
    file = folder / DATASETS[name].files[0]
    WRITERS[name](file, coded(3, 8, 9), key="cube")
    with pytest.raises(ValueError, match=rf"{file.name}.*{DATASETS[name].key}.*cube"):
        load_dataset(name)


def test_big_scene_truncated(big: tuple[Dataset, np.ndarray], folder: Path) -> None:
    dataset, _ = big
    file = folder / dataset.files[-1]
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=file.stem):
        load_dataset(dataset.name)


def test_constant_band_is_said(big: tuple[Dataset, np.ndarray], folder: Path) -> None:
    dataset, cube = big
    cube[:, :, 2] = 7
    for file in folder.iterdir():
        file.unlink()
    WRITERS[dataset.name](folder / dataset.files[0], cube)
    with pytest.warns(UserWarning, match=r"one value everywhere .*index 2"):
        assert load_dataset(dataset.name).train[0].cube[2].std() == pytest.approx(0, abs=1e-8)


def test_declared_protocols() -> None:
    """The numbers of the published protocols."""
    chikusei = DATASETS["chikusei"]
    assert chikusei.rows[1] - chikusei.rows[0] == 2304 and chikusei.columns[1] - chikusei.columns[0] == 2048
    assert (chikusei.rows[0] + 1, chikusei.columns[0] + 1) == (107, 144)  # 1-based
    for name, bands in (("chikusei", 128), ("houston2018", 48), ("pavia_centre", 102)):
        dataset = DATASETS[name]
        b, h, w = dataset.shape
        first, last = dataset.bands or (0, b)
        assert last - first == bands
        height = (dataset.rows or (0, h))[1] - (dataset.rows or (0, h))[0]
        width = (dataset.columns or (0, w))[1] - (dataset.columns or (0, w))[0]
        for reading in dataset.readings.values():
            assert reading.test_size * reading.tests <= width
            assert height - reading.test_size >= max(dataset.patch.values())
            assert all(reading.test_size % scale == 0 for scale in dataset.patch)


@pytest.mark.parametrize("name", [name for name in dataset_names() if DATASETS[name].files])
def test_missing_file_says_what_where_from_and_where_to(name: str, folder: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        load_dataset(name)
    message = str(caught.value)
    for part in (name, *DATASETS[name].files, DATASETS[name].source, "LKCA_DATA", str(folder)):
        assert part in message


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match="unknown dataset 'chikusai': choose one of chikusei, .* or give the path"):
        load_dataset("chikusai")
    with pytest.raises(ValueError, match="'synthetic' has no reading 'large': choose one of default, "):
        load_dataset("synthetic", "large")
    with pytest.raises(FileNotFoundError, match="nowhere.mat"):
        load_dataset("nowhere.mat")


# --- la_aviris

LA = ("airport-1", "airport-2", "airport-3", "urban-4", "urban-5")


def write_la(folder: Path, bright: str = "", hot: str = "") -> dict[str, np.ndarray]:
    """Five scenes (H, W, B) of random numbers; airport-2 begins with the ground that urban-5 ends with."""
    rng = np.random.default_rng(0)
    scenes = {n: rng.integers(-5, 3000, (100, 100, 205)).astype(np.int16) for n in LA}
    scenes["airport-2"][:, :20] = scenes["urban-5"][:, 80:]
    if bright:
        scenes[bright] *= 2
    if hot:
        scenes[hot][50, 50, 100] = 30_000
    for name, cube in scenes.items():
        scipy.io.savemat(folder / f"abu-{name}.mat", {"data": cube, "map": np.zeros((100, 100))})
    return scenes


def spectra(areas: tuple[Area, ...]) -> set[bytes]:
    """What tells pixels apart: eight bands of their random spectra."""
    return {s.tobytes() for a in areas for s in np.ascontiguousarray(a.cube[20:28].reshape(8, -1).T)}


@pytest.mark.parametrize("reading", DATASETS["la_aviris"].readings)
def test_la_never_parts_the_overlap(reading: str, folder: Path) -> None:
    scenes = write_la(folder)
    split = load_dataset("la_aviris", reading)
    train, test = spectra(split.train), spectra(split.test)
    assert not train & test
    # every pixel of every scene is there, the shared ones once
    assert len(train) + len(test) == 5 * 100 * 100 - 20 * 100
    assert sum(a.cube[0].size for a in split.train + split.test) == 5 * 100 * 100 - 20 * 100
    assert [a.name for a in split.test] == [reading] and reading not in [a.name for a in split.train]
    joined = next(a for a in split.train + split.test if a.name == "urban-5+airport-2")
    wanted = np.concatenate([scenes["urban-5"][:, :80], scenes["airport-2"]], axis=1).transpose(2, 0, 1)
    assert np.allclose(joined.cube, np.clip(wanted / split.peak, 0, 1), rtol=0, atol=1e-6)


def test_la_peak_comes_from_the_training_scenes_alone(folder: Path) -> None:
    scenes = write_la(folder, bright="airport-3", hot="urban-4")
    split = load_dataset("la_aviris", "airport-3")
    joined = np.concatenate([scenes["urban-5"][:, :80], scenes["airport-2"]], axis=1)
    training = np.concatenate([scenes["airport-1"].ravel(), scenes["urban-4"].ravel(), joined.ravel()])
    assert split.peak == pytest.approx(np.percentile(training.astype(float), 99.99), rel=1e-6)
    assert all(a.cube.min() >= 0 and a.cube.max() == 1 for a in split.train + split.test)


def test_la_other_file_under_a_name(folder: Path) -> None:
    write_la(folder)
    scipy.io.savemat(folder / "abu-airport-2.mat", {"data": np.ones((100, 100, 102))})
    with pytest.raises(ValueError, match=r"abu-airport-2.mat .*\(102, 100, 100\).* has \(205, 100, 100\)"):
        load_dataset("la_aviris")


def test_la_real(real_scenes) -> None:
    folder = real_scenes(*DATASETS["la_aviris"].files)
    parts = {n: open_scene(folder / f"abu-{n}.mat", key="data").cube for n in ("airport-2", "urban-5")}
    assert np.array_equal(parts["airport-2"][:, :, :20], parts["urban-5"][:, :, 80:])
    split = load_dataset("la_aviris")
    assert [a.cube.shape for a in split.train] == [(205, 100, 100), (205, 100, 100), (205, 100, 180)]
    assert split.peak == pytest.approx(7697, abs=1)
    assert len(split.checksum) == 64 and split.rgb == (29, 18, 9)


# --- a scene of one's own


def save(folder: Path, cube: np.ndarray) -> str:
    """(B, H, W) as .npy in the field's order (H, W, B)."""
    np.save(folder / "mine.npy", cube.transpose(1, 2, 0))
    return str(folder / "mine.npy")


@pytest.mark.parametrize(("height", "width"), [(40, 24), (24, 40), (20, 20), (41, 13)])
def test_own_scene_far_quarter_tests(tmp_path: Path, height: int, width: int) -> None:
    cube = coded(4, height, width).transpose(2, 0, 1)
    split = load_dataset(save(tmp_path, cube))
    axis = 0 if height >= width else 1
    line = 3 * max(height, width) // 4
    rest, far = (cube[:, :line], cube[:, line:]) if axis == 0 else (cube[:, :, :line], cube[:, :, line:])
    assert split.peak == pytest.approx(np.percentile(rest.astype(float), 99.99), rel=1e-6)
    assert split.train[0].cube == pytest.approx(np.clip(rest / split.peak, 0, 1), abs=1e-6)
    assert split.test[0].cube == pytest.approx(np.clip(far / split.peak, 0, 1), abs=1e-6)
    assert split.reading == "far-quarter" and split.train[0].no_data.sum() == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_own_scene_leaves_no_data_out(tmp_path: Path, bad: float) -> None:
    cube = np.random.default_rng(0).random((3, 40, 20)).astype(np.float32)
    cube[1, 5, 5] = cube[2, 33, 2] = cube[:, 37, 19] = bad
    split = load_dataset(save(tmp_path, cube))
    assert np.argwhere(split.train[0].no_data).tolist() == [[5, 5]]
    assert np.array_equal(split.train[0].cube[:, 5, 5], [0, 0, 0])
    # columns 3 to 18 of the ten test rows are the largest rectangle without rows 33 at 2 and 37 at 19
    assert split.test[0].no_data is None
    assert split.test[0].cube == pytest.approx(np.clip(cube[:, 30:40, 3:19] / split.peak, 0, 1), abs=1e-6)
    assert all(np.isfinite(a.cube).all() for a in split.train + split.test)


def test_own_scene_without_any_data(tmp_path: Path) -> None:
    cube = np.ones((3, 40, 20), np.float32)
    cube[0] = np.nan
    with pytest.raises(ValueError, match="mine.npy: not one of its 800 pixels has data"):
        load_dataset(save(tmp_path, cube))
    cube = np.random.default_rng(0).random((3, 40, 20)).astype(np.float32)
    cube[0, :30] = np.nan
    with pytest.raises(ValueError, match="mine.npy: no pixel with data is left to train on"):
        load_dataset(save(tmp_path, cube))
    cube = np.random.default_rng(0).random((3, 40, 20)).astype(np.float32)
    cube[0, 30:] = np.nan
    with pytest.raises(ValueError, match="every pixel of the area is no-data"):
        load_dataset(save(tmp_path, cube))


@pytest.mark.parametrize("value", [0, -3])
@pytest.mark.filterwarnings("ignore:mine.npy. one value everywhere")
def test_own_scene_without_light(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="maximum is -?[03].0: nothing to normalise by"):
        load_dataset(save(tmp_path, np.full((3, 40, 20), value, np.float32)))


@pytest.mark.parametrize("cube", [np.ones((20, 20)), np.ones((3, 20, 20), complex)])
def test_own_scene_that_is_none(tmp_path: Path, cube: np.ndarray) -> None:
    np.save(tmp_path / "mine.npy", cube)
    with pytest.raises(ValueError, match="mine.npy"):
        load_dataset(str(tmp_path / "mine.npy"))


def test_own_scene_real(real_scenes) -> None:
    """hysu_full: 86x123 pixels, int16, a no-data value; an odd size, cropped when measured."""
    split = load_dataset(str(real_scenes("hysu_full.hdr", "hysu_full.tif") / "hysu_full.hdr"))
    assert split.train[0].cube.shape == (135, 86, 92) and split.test[0].cube.shape == (135, 86, 31)
    lr, hr = low_resolution(split.test[0], 4)
    assert lr.shape == (135, 21, 7) and hr.shape == (135, 84, 28)


def test_a_path_needs_no_declaration(tmp_path: Path) -> None:
    dataset = find_dataset(str(tmp_path / "my.scene.hdr"))
    assert dataset.patch.keys() == {2, 4, 8} and list(dataset.readings) == ["far-quarter"]


# --- made scenes


def test_synthetic_is_the_same_every_time() -> None:
    a, b = load_dataset("synthetic", "tiny"), load_dataset("synthetic", "tiny")
    assert a.checksum == b.checksum and a.checksum != ""
    for x, y in zip(a.train + a.test, b.train + b.test, strict=True):
        assert np.array_equal(x.cube, y.cube)
    assert len({x.cube.tobytes() for x in a.train + a.test}) == 3
    assert [x.cube.shape for x in a.train + a.test] == [(8, 48, 48)] * 3
    assert all(x.cube.min() >= 0 and x.cube.max() <= 1 for x in a.train + a.test)


# --- parts


def test_test_area_with_no_data_is_cut_to_what_has_data() -> None:
    cube = np.arange(2 * 6 * 8, dtype=np.float32).reshape(2, 6, 8)
    no_data = np.zeros((6, 8), bool)
    no_data[:, 5] = True
    with pytest.warns(UserWarning, match="6 pixels without data"):
        area = without_no_data(Area("test", cube, no_data))
    assert np.array_equal(area.cube, cube[:, :, :5])


def test_largest_rectangle_against_brute_force() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        no_data = rng.random(rng.integers(1, 9, 2)) < rng.uniform(0, 0.7)
        height, width = no_data.shape
        areas = [
            (bottom - top) * (right - left)
            for top in range(height)
            for bottom in range(top + 1, height + 1)
            for left in range(width)
            for right in range(left + 1, width + 1)
            if not no_data[top:bottom, left:right].any()
        ]
        if not areas:
            with pytest.raises(ValueError, match="every pixel"):
                largest_valid_rectangle(no_data)
            continue
        rows, columns = largest_valid_rectangle(no_data)
        found = no_data[rows, columns]
        assert not found.any() and found.size == max(areas)
        assert found.shape == (rows.stop - rows.start, columns.stop - columns.start)


@pytest.mark.parametrize("side", [1, 3, 50, 120])
def test_hot_pixel_limit_is_numpys_percentile(side: int) -> None:
    rng = np.random.default_rng(side)
    cubes = [(rng.standard_normal((5, side, side + 2)) ** 3).astype(np.float32) for _ in range(2)]
    no_data = rng.random((side, side + 2)) < 0.2
    values = np.concatenate([cubes[0][:, ~no_data].ravel(), cubes[1].ravel()]).astype(float)
    limit = hot_pixel_limit([Area("a", cubes[0], no_data), Area("b", cubes[1])])
    assert limit == pytest.approx(np.percentile(values, 99.99), rel=1e-9)


def test_normalise_clips_in_place() -> None:
    cube = np.array([[[-1.0, 0.0, 2.0, 5.0]]], np.float32)
    assert normalise(cube, 4.0) is cube
    assert cube.ravel().tolist() == [0, 0, 0.5, 1]
    for peak in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="nothing to normalise by"):
            normalise(cube, peak)


@pytest.mark.parametrize("kind", ["npy", "mat v7.3", "mat v5"])
def test_read_cube_part(tmp_path: Path, kind: str) -> None:
    cube = coded(9, 70, 11)
    path = tmp_path / {"npy": "a.npy", "mat v7.3": "a.mat", "mat v5": "b.mat"}[kind]
    {"npy": lambda p, c: np.save(p, c), "mat v7.3": write_chikusei, "mat v5": write_pavia}[kind](path, cube)
    found, no_data = read_cube(open_scene(path), slice(3, 69), slice(2, 10), slice(1, 8))
    assert np.array_equal(found, cube[3:69, 2:10, 1:8].transpose(2, 0, 1)) and found.dtype == np.float32
    assert no_data.shape == (66, 8) and not no_data.any()


MEASURE = """
import sys, threading, time
import numpy as np, torch
from lkca.data.loaders import load_dataset
from lkca.data.patches import split_patches

def resident():
    fields = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
    return sum(int(fields[f].split()[0]) for f in ("RssAnon", "RssShmem")) * 1024

def watch():
    global peak
    while running:
        peak = max(peak, resident())
        time.sleep(0.005)

for path in sys.argv[1:3]:  # small ones: the libraries are imported now
    load_dataset(path)
for path in sys.argv[3:]:
    before = peak = resident()
    running = True
    thread = threading.Thread(target=watch)
    thread.start()
    split = load_dataset(path)
    trained, held_out = split_patches(split.train, 64, 32)
    for i, batch in enumerate(trained.epoch(8, np.random.default_rng(0), torch.device("cpu"))):
        if i == 3:
            break
    running = False
    thread.join()
    print((peak - before) / sum(a.cube.nbytes for a in split.train + split.test))
    del split, trained, held_out, batch
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured through Linux's /proc")
def test_memory_stays_under_1_3_times_the_scene(tmp_path: Path) -> None:
    """Opening, splitting, normalising and iterating, in a process of its own; 160 MB, as .npy and as HDF5."""
    bands, height, width = 40, 1000, 1000
    plane = np.random.default_rng(0).random((height, width), dtype=np.float32)
    for name, shape in (("small", (3, 40, 20)), ("large", (bands, height, width))):
        image = plane[: shape[1], : shape[2]]
        np.save(tmp_path / f"{name}.npy", np.broadcast_to(image[:, :, None], (*shape[1:], shape[0])))
        with h5py.File(tmp_path / f"{name}.mat", "w") as file:
            data = file.create_dataset("cube", (shape[0], shape[2], shape[1]), np.float32)
            for band in range(shape[0]):
                data[band] = image.T
    paths = [str(tmp_path / f"{name}.{kind}") for name in ("small", "large") for kind in ("npy", "mat")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", MEASURE, *paths]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    ratios = [float(line) for line in done.stdout.split()]
    assert len(ratios) == 2 and all(1 <= ratio < 1.3 for ratio in ratios), ratios
