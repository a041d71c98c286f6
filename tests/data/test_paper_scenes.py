"""The paper's three scenes and the Los Angeles scenes, on small fakes in the exact real formats."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lkca.data.dataset import Dataset, TopTiles
from lkca.data.datasets import DATASETS
from lkca.data.loaders import OTHER_SCENES, load_dataset
from lkca.data.reading.read import open_scene_file
from tests.data.scene_files import coded, write_envi, write_v5, write_v73

NM = ", ".join(f"{nm:.1f}" for nm in np.linspace(374.4, 1059.7, 50))
HOUSTON = {"wavelength": f"{{{NM}}}", "wavelength units": "Nanometers"}
WRITERS = {  # as their publishers wrote them
    "chikusei": lambda path, cube: write_v73(path, cube.astype(np.float64), "chikusei", chunks=(2, 4, 8)),
    "houston2018": lambda path, cube: write_envi(path.with_suffix(".pix"), cube.astype(np.uint16), **HOUSTON),
    "pavia_centre": lambda path, cube: write_v5(path, cube.astype(np.float64), "pavia"),
}
SMALL = {  # shape, rows, columns, bands, variant
    "chikusei": ((6, 40, 60), (3, 35), (5, 53), None, TopTiles(8, 4)),
    "houston2018": ((50, 20, 45), None, None, (0, 48), TopTiles(8, 5)),
    "pavia_centre": ((6, 40, 30), None, None, None, TopTiles(9, 3, 4000.0)),
}


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


def test_crop_tests_peak_and_wavelengths(big: tuple[Dataset, np.ndarray]) -> None:
    dataset, cube = big
    split = load_dataset(dataset.name)
    ranges = zip((dataset.bands, dataset.rows, dataset.columns), cube.shape, strict=True)
    crop = cube[tuple(slice(*(part or (0, length))) for part, length in ranges)]
    tiles = dataset.variants["small"]
    peak = tiles.peak or crop.max()
    right = np.clip(crop / peak, 0, 1)
    assert split.peak == peak and right.max() == 1 and (tiles.peak is None or crop.max() > peak)
    for i, test in enumerate(split.test):
        assert test.cube == pytest.approx(right[:, : tiles.size, i * tiles.size : (i + 1) * tiles.size], abs=1e-6)
    (train,) = split.train
    assert train.cube == pytest.approx(right[:, tiles.size :], abs=1e-6)
    assert train.cube.dtype == np.float32 and split.bands == len(crop) and len(split.test) == tiles.count
    assert all(np.shares_memory(area.cube.base, train.cube.base) for area in split.test)  # one array, no copies
    houston = [374.4, 1031.7]  # the file's own, without the last two
    ends = houston if dataset.name == "houston2018" else dataset.wavelength_range
    assert len(split.wavelengths) == len(crop) and split.wavelengths[[0, -1]] == pytest.approx(ends)
    assert all(0 <= band < split.bands for band in split.rgb)


@pytest.mark.parametrize(
    ("shape", "likely"),
    [
        ((7, 9, 8), "probably Pavia University"),
        ((30, 6, 40), r"probably Pavia Centre .*\(W, B, H\)"),
        ((6, 39, 30), r"Pavia.mat holds .*\(6, 39, 30\), but .* \(6, 40, 30\): is it the original"),
    ],
)
def test_another_scene_is_recognised(
    shape: tuple[int, int, int], likely: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DATASETS, "pavia_centre", replace(DATASETS["pavia_centre"], shape=(6, 40, 30)))
    monkeypatch.setitem(OTHER_SCENES, "Pavia University", (7, 9, 8))
    WRITERS["pavia_centre"](folder / "Pavia.mat", coded(*shape))
    with pytest.raises(ValueError, match=likely):
        load_dataset("pavia_centre")


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


def test_la_trains_and_tests_on_other_ground(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No pixel is in two areas, though airport-2 begins with the ground that urban-5 ends with; none is lost."""
    dataset = DATASETS["la_aviris"]
    for name in dataset.variants:
        monkeypatch.setitem(DATASETS, f"abu-{name}", replace(DATASETS[f"abu-{name}"], shape=(12, 100, 100)))
    scenes = np.random.default_rng(0).integers(-5, 3000, (5, 12, 100, 100)).astype(np.int16)
    scenes = dict(zip((Path(file).stem.removeprefix("abu-") for file in dataset.files), scenes, strict=True))
    scenes["airport-2"][:, :, :20] = scenes["urban-5"][:, :, 80:]
    scenes["airport-3"] *= 2
    for name, cube in scenes.items():
        write_v5(folder / f"abu-{name}.mat", cube, map=np.zeros((100, 100)))
    joined = np.concatenate([scenes.pop("urban-5")[:, :, :80], scenes.pop("airport-2")], axis=2)
    scenes["urban-5+airport-2"] = joined
    for variant in dataset.variants:
        split = load_dataset("la_aviris", variant)
        assert [area.name for area in split.test] == [variant]
        training = np.concatenate([cube.ravel() for name, cube in scenes.items() if name != variant])
        assert split.peak == pytest.approx(np.percentile(training.astype(float), 99.99), rel=1e-6)
        areas = {area.name: area.cube for area in split.train + split.test}
        assert areas.keys() == scenes.keys()
        for name, cube in scenes.items():
            assert np.allclose(areas[name], np.clip(cube / split.peak, 0, 1), rtol=0, atol=1e-6)
    spectra = {spectrum.tobytes() for cube in scenes.values() for spectrum in cube.reshape(12, -1).T}
    assert len(spectra) == 5 * 100 * 100 - 20 * 100  # as above, every one is in one area


def test_la_real(real_scenes) -> None:
    folder = real_scenes(*DATASETS["la_aviris"].files)
    parts = {n: open_scene_file(folder / f"abu-{n}.mat", key="data").read() for n in ("airport-2", "urban-5")}
    assert np.array_equal(parts["airport-2"][:, :, :20], parts["urban-5"][:, :, 80:])
    split = load_dataset("la_aviris")
    assert [a.cube.shape for a in split.train] == [(205, 100, 100), (205, 100, 100), (205, 100, 180)]
    assert split.peak == pytest.approx(7697, abs=1) and split.rgb == (29, 18, 9)
