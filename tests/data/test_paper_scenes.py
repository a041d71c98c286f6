"""The paper's three scenes and the Los Angeles scenes, on small fakes in the exact real formats."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lkca.data.dataset import Dataset, TopTiles
from lkca.data.datasets import DATASETS, load_dataset
from lkca.data.loaders import OTHER_SCENES
from lkca.data.read import open_scene_file
from lkca.data.split import Area
from tests.data.scene_files import coded, write_chikusei, write_houston, write_pavia, write_v5

WRITERS = {"chikusei": write_chikusei, "houston2018": write_houston, "pavia_centre": write_pavia}
SMALL = {  # shape, rows, columns, bands, variant
    "chikusei": ((6, 40, 60), (3, 35), (5, 53), None, TopTiles(8, 4)),
    "houston2018": ((50, 20, 45), None, None, (0, 48), TopTiles(8, 5)),
    "pavia_centre": ((6, 40, 30), None, None, None, TopTiles(9, 3, 4000.0)),
}
LA = ("airport-1", "airport-2", "airport-3", "urban-4", "urban-5")


@pytest.fixture(params=WRITERS)
def big(request, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Dataset, np.ndarray]]:
    """A declaration with small numbers, its file, and the (B, H, W) array in it."""
    name = request.param
    shape, rows, columns, bands, tiles = SMALL[name]
    small = replace(DATASETS[name], shape=shape, rows=rows, columns=columns, bands=bands, variants={"small": tiles})
    monkeypatch.setitem(DATASETS, name, small)
    cube = coded(*shape)
    WRITERS[name](folder / small.files[0], cube)
    return small, cube


def test_crop_tests_and_peak(big: tuple[Dataset, np.ndarray]) -> None:
    dataset, cube = big
    split = load_dataset(dataset.name)
    ranges = zip((dataset.bands, dataset.rows, dataset.columns), cube.shape, strict=True)
    crop = cube[tuple(slice(*(part or (0, length))) for part, length in ranges)]
    tiles = dataset.variants["small"]
    peak = tiles.peak or crop.max()
    right = np.clip(crop / peak, 0, 1)
    assert split.peak == peak and right.max() == 1 and (tiles.peak is None or crop.max() > peak)
    assert len(split.test) == tiles.count
    for i, test in enumerate(split.test):
        assert test.cube == pytest.approx(right[:, : tiles.size, i * tiles.size : (i + 1) * tiles.size], abs=1e-6)
        assert test.cube.shape[1:] == (tiles.size, tiles.size)
    (train,) = split.train
    assert train.cube == pytest.approx(right[:, tiles.size :], abs=1e-6)
    assert train.cube.dtype == np.float32 and split.bands == len(crop)
    assert all(np.shares_memory(area.cube.base, train.cube.base) for area in split.test)  # one array, no copies


def test_wavelengths(big: tuple[Dataset, np.ndarray]) -> None:
    dataset, _ = big
    split = load_dataset(dataset.name)
    assert len(split.wavelengths) == split.bands and np.all(np.diff(split.wavelengths) > 0)
    if dataset.name == "houston2018":  # the file's own, without the last two
        assert split.wavelengths == pytest.approx(np.linspace(374.4, 1059.7, 50)[:48], abs=0.06)
    else:
        assert (split.wavelengths[0], split.wavelengths[-1]) == dataset.wavelength_range
    assert all(0 <= band < split.bands for band in split.rgb)


def test_another_size_is_refused(big: tuple[Dataset, np.ndarray], folder: Path) -> None:
    dataset, cube = big
    file = folder / dataset.files[0]
    WRITERS[dataset.name](file, cube[:, :-1])
    b, h, w = dataset.shape
    with pytest.raises(ValueError, match=rf"{file.name} .*\({b}, {h - 1}, {w}\).* has \({b}, {h}, {w}\)"):
        load_dataset(dataset.name)


@pytest.mark.parametrize(
    ("shape", "likely"), [((7, 9, 8), "Pavia University"), ((30, 6, 40), r"Pavia Centre .*\(W, B, H\)")]
)
def test_another_scene_is_recognised(
    shape: tuple[int, int, int], likely: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DATASETS, "pavia_centre", replace(DATASETS["pavia_centre"], shape=(6, 40, 30)))
    monkeypatch.setitem(OTHER_SCENES, "Pavia University", (7, 9, 8))
    write_pavia(folder / "Pavia.mat", coded(*shape))
    with pytest.raises(ValueError, match=likely):
        load_dataset("pavia_centre")


def test_constant_band_is_warned_of(big: tuple[Dataset, np.ndarray], folder: Path) -> None:
    dataset, cube = big
    cube[2] = 7
    WRITERS[dataset.name](folder / dataset.files[0], cube)
    with pytest.warns(UserWarning, match=r"one value everywhere .*index 2"):
        assert load_dataset(dataset.name).train[0].cube[2].std() == pytest.approx(0, abs=1e-8)


def test_declared_protocols() -> None:
    """The numbers of the published protocols."""
    chikusei = DATASETS["chikusei"]
    assert (chikusei.rows, chikusei.columns) == ((107 - 1, 2410), (144 - 1, 2191))  # 1-based there
    for name, size in (
        ("chikusei", (128, 2304, 2048)),
        ("houston2018", (48, 1202, 4172)),
        ("pavia_centre", (102, 1096, 715)),
    ):
        dataset = DATASETS[name]
        ranges = zip((dataset.bands, dataset.rows, dataset.columns), dataset.shape, strict=True)
        assert tuple(part[1] - part[0] if part else length for part, length in ranges) == size
        for tiles in dataset.variants.values():
            assert tiles.size * tiles.count <= size[2] and size[1] - tiles.size >= max(dataset.patch.values())
            assert all(tiles.size % scale == 0 for scale in dataset.patch)


# --- Los Angeles


@pytest.fixture
def few_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in DATASETS["la_aviris"].variants:
        monkeypatch.setitem(DATASETS, f"abu-{name}", replace(DATASETS[f"abu-{name}"], shape=(12, 100, 100)))


def write_la(folder: Path, bright: str = "", hot: str = "") -> dict[str, np.ndarray]:
    """Five scenes (B, H, W) of random numbers; airport-2 begins with the ground that urban-5 ends with."""
    rng = np.random.default_rng(0)
    scenes = {name: rng.integers(-5, 3000, (12, 100, 100)).astype(np.int16) for name in LA}
    scenes["airport-2"][:, :, :20] = scenes["urban-5"][:, :, 80:]
    if bright:
        scenes[bright] *= 2
    if hot:
        scenes[hot][7, 50, 50] = 30_000
    for name, cube in scenes.items():
        write_v5(folder / f"abu-{name}.mat", cube, map=np.zeros((100, 100)))
    return scenes


def spectra(areas: tuple[Area, ...]) -> set[bytes]:
    """What tells pixels apart: eight bands of their random spectra."""
    return {s.tobytes() for a in areas for s in np.ascontiguousarray(a.cube[:8].reshape(8, -1).T)}


def test_la_never_parts_the_overlap(folder: Path, few_bands: None) -> None:
    scenes = write_la(folder)
    joined = np.concatenate([scenes["urban-5"][:, :, :80], scenes["airport-2"]], axis=2)
    for variant in DATASETS["la_aviris"].variants:
        split = load_dataset("la_aviris", variant)
        areas = {area.name: area.cube for area in split.train + split.test}
        train, test = spectra(split.train), spectra(split.test)
        assert not train & test
        # every pixel of every scene is there, the shared ones once
        assert len(train) + len(test) == sum(cube[0].size for cube in areas.values()) == 5 * 100 * 100 - 20 * 100
        assert [area.name for area in split.test] == [variant]
        found = areas["urban-5+airport-2"]
        assert np.allclose(found, np.clip(joined / split.peak, 0, 1), rtol=0, atol=1e-6)


def test_la_peak_comes_from_the_training_scenes_alone(folder: Path, few_bands: None) -> None:
    scenes = write_la(folder, bright="airport-3", hot="urban-4")
    split = load_dataset("la_aviris", "airport-3")
    parts = [scenes["airport-1"], scenes["urban-4"], scenes["urban-5"][:, :, :80], scenes["airport-2"]]
    training = np.concatenate([part.ravel() for part in parts])
    assert split.peak == pytest.approx(np.percentile(training.astype(float), 99.99), rel=1e-6)
    assert all(a.cube.min() >= 0 and a.cube.max() == 1 for a in split.train + split.test)


def test_la_real(real_scenes) -> None:
    folder = real_scenes(*DATASETS["la_aviris"].files)
    parts = {n: open_scene_file(folder / f"abu-{n}.mat", key="data").read() for n in ("airport-2", "urban-5")}
    assert np.array_equal(parts["airport-2"][:, :, :20], parts["urban-5"][:, :, 80:])
    split = load_dataset("la_aviris")
    assert [a.cube.shape for a in split.train] == [(205, 100, 100), (205, 100, 100), (205, 100, 180)]
    assert split.peak == pytest.approx(7697, abs=1) and split.rgb == (29, 18, 9)
