"""The five AVIRIS scenes over Los Angeles, on fakes with their real overlap."""

from pathlib import Path

import numpy as np
import pytest
import scipy.io

from lkca.data.datasets import DATASETS
from lkca.data.loaders import load_dataset
from lkca.data.patches import Area
from lkca.scenes import open_scene

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
