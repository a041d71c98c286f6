"""Synthetic scenes behave like real ones: reproducible, physically shaped, mixed, and hard to upsample."""

import hashlib

import numpy as np
import pytest
import torch

from lkca.data.synthetic.canvas import FINE
from lkca.data.synthetic.landscape import draw_landscape
from lkca.data.synthetic.materials import MATERIALS, material_spectra
from lkca.data.synthetic.scenes import SyntheticScene, synthetic_scene
from lkca.data.synthetic.sensors import landscape_cube
from lkca.resize import resize


@pytest.fixture(scope="module")
def scene() -> SyntheticScene:
    return synthetic_scene(192, 160, bands=64, seed=3)


@pytest.fixture(scope="module")
def materials() -> np.ndarray:
    """Return the material in the middle of each pixel of that scene, index into MATERIALS."""
    return draw_landscape(192, 160, np.random.default_rng(3)).material[FINE // 2 :: FINE, FINE // 2 :: FINE]


def band_at(scene: SyntheticScene, nm: float) -> np.ndarray:
    return scene.cube[np.abs(scene.wavelengths - nm).argmin()]


def bicubic_mpsnr(cube: np.ndarray, scale: int) -> float:
    truth = torch.from_numpy(cube)
    error = resize(resize(truth, 1 / scale), scale) - truth
    return float((-10 * error.square().mean(dim=(1, 2)).log10()).mean())


def test_the_same_seed_gives_the_same_bits_and_another_seed_another_landscape() -> None:
    first, again, other = (synthetic_scene(48, 64, 8, seed) for seed in (5, 5, 6))
    assert first.cube.tobytes() == again.cube.tobytes() and np.abs(first.cube - other.cube).mean() > 0.02


def test_what_lies_where_is_that_of_all_published_runs() -> None:
    """Whole numbers, the same on every machine: a change in drawing makes every committed number stale."""
    drawn = b"".join(draw_landscape(64, 48, np.random.default_rng(seed)).material.tobytes() for seed in range(4))
    assert hashlib.sha256(drawn).hexdigest() == "ac9631fec13b3bbfc03e9fb059bd6920799586291bb8d70b44c66e2b130b156b"


@pytest.mark.parametrize(
    ("height", "width", "bands", "seed"), [(16, 16, 1, 0), (16, 90, 3, 1), (101, 37, 128, 2), (64, 64, 2, 2**40)]
)
def test_any_size_gives_a_finite_cube_in_range(height: int, width: int, bands: int, seed: int) -> None:
    scene = synthetic_scene(height, width, bands, seed)
    assert scene.cube.shape == (bands, height, width) and scene.cube.dtype == np.float32
    assert np.isfinite(scene.cube).all() and scene.cube.min() >= 0 and scene.cube.max() <= 1
    assert (scene.cube.std(axis=(1, 2)) > 0.003).all()  # no band is constant


def test_wavelengths_run_from_first_to_last_and_a_single_band_lies_midway() -> None:
    np.testing.assert_allclose(synthetic_scene(16, 16, 4).wavelengths[[0, 3]], [400, 1000])
    np.testing.assert_allclose(synthetic_scene(16, 16, 1).wavelengths, [700])


@pytest.mark.parametrize("bands", [16, 64, 128])
def test_adjacent_bands_are_correlated_above_99_percent(bands: int) -> None:
    correlation = np.corrcoef(synthetic_scene(96, 96, bands, seed=1).cube.reshape(bands, -1))
    assert np.diagonal(correlation, offset=1).mean() > (0.99 if bands >= 48 else 0.96)


def test_noise_is_there_and_small(scene: SyntheticScene) -> None:
    # Third differences along the spectrum see almost nothing but noise; their variance is 20 times the noise's.
    noise = np.diff(scene.cube[42:54], n=3, axis=0).std() / np.sqrt(20)
    assert 120 < scene.cube[42:54].mean() / noise < 350


def test_leaves_have_a_green_peak_a_red_edge_and_a_water_band() -> None:
    means, _ = material_spectra(np.array([450, 552, 675, 715, 730, 850, 930, 972]))
    slopes = np.diff(material_spectra(np.arange(650.0, 800.0))[0], axis=0)
    for number in (MATERIALS.index(name) for name in ("grass", "crop", "tree")):
        blue, green, red, edge, past_edge, plateau, before, water = means[:, number]
        assert green > 1.5 * blue and green > 1.3 * red and plateau > 5 * red and water < 0.98 * before
        assert red < 0.5 * plateau < past_edge + edge
        assert 710 <= 650 + slopes[:, number].argmax() <= 725


def test_the_picture_shows_the_materials(scene: SyntheticScene, materials: np.ndarray) -> None:
    ratio = band_at(scene, 850) / band_at(scene, 670)
    named = {name: materials == number for number, name in enumerate(MATERIALS)}
    green = named["grass"] | named["crop"] | named["tree"]
    assert green.mean() > 0.1 and np.median(ratio[green]) > 4
    assert np.median(ratio[named["asphalt"]]) < 1.6 and np.median(ratio[named["water"]]) < 1
    assert (np.bincount(materials.ravel(), minlength=len(MATERIALS)) > 20).sum() >= 7


def test_pixels_on_edges_are_mixed(scene: SyntheticScene, materials: np.ndarray) -> None:
    # A mixed pixel lies between its two neighbours across an edge: water meets brighter land in the infrared.
    infrared = band_at(scene, 850)
    water = materials == MATERIALS.index("water")
    bright, dark = np.median(infrared[~water]), np.median(infrared[water])
    shore = np.zeros_like(water)
    shore[1:-1, 1:-1] = (water[:-2, 1:-1] != water[2:, 1:-1]) | (water[1:-1, :-2] != water[1:-1, 2:])
    share = (infrared - dark) / (bright - dark)
    between = (share > 0.2) & (share < 0.8)
    assert between[shore].mean() > 0.3 and between[water & ~shore].mean() < 0.1


@pytest.mark.parametrize("seed", range(3))
def test_bicubic_loses_detail_but_not_everything(seed: int) -> None:
    cube = synthetic_scene(128, 128, 16, seed).cube
    assert 25 < bicubic_mpsnr(cube, 8) < bicubic_mpsnr(cube, 4) - 1 < 33
    assert 26.5 < bicubic_mpsnr(cube, 4) < 34


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"height": 15}, "height"),
        ({"width": 0}, "width"),
        ({"bands": 0}, "bands"),
        ({"seed": -1}, "seed"),
        ({"height": 64.0}, "height"),
        ({"seed": None}, "seed"),
        ({"bands": True}, "bands"),
    ],
)
def test_impossible_arguments_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        synthetic_scene(**{"height": 16, "width": 16, "bands": 2, **arguments})


# --- scenes of unlike sensors


def test_scenes_of_unlike_sensors_are_reproducible_and_differ() -> None:
    cubes = [landscape_cube(seed, 48) for seed in range(6)]
    assert all(cube.shape == (24, 48, 48) and cube.dtype == np.float32 and np.isfinite(cube).all() for cube in cubes)
    assert landscape_cube(3, 48).tobytes() == cubes[3].tobytes()
    assert len({cube.tobytes() for cube in cubes}) == 6
    softness = [bicubic_mpsnr(cube / cube.max(), 4) for cube in cubes]
    assert max(softness) - min(softness) > 3


@pytest.mark.parametrize(("seed", "side"), [(-1, 48), (0, 15)])
def test_impossible_scenes_of_unlike_sensors(seed: int, side: int) -> None:
    with pytest.raises(ValueError, match=f"{seed}.*{side}"):
        landscape_cube(seed, side)
