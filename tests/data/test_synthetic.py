"""The synthetic scene behaves like a real one: reproducible, physically shaped, mixed, and hard to enlarge."""

import numpy as np
import pytest
import torch

from lkca.data.landscape import FINE, MATERIALS, METAL, Canvas
from lkca.data.synthetic import SyntheticScene, material_spectra, synthetic_scene
from lkca.measures.resize import resize


@pytest.fixture(scope="module")
def scene() -> SyntheticScene:
    return synthetic_scene(192, 160, bands=64, seed=3)


def band_at(scene: SyntheticScene, nm: float) -> np.ndarray:
    return scene.cube[np.abs(scene.wavelengths - nm).argmin()]


def bicubic_mpsnr(cube: np.ndarray, scale: int) -> float:
    truth = torch.from_numpy(cube)
    error = resize(resize(truth, 1 / scale), scale) - truth
    return float((-10 * error.square().mean(dim=(1, 2)).log10()).mean())


def test_the_same_seed_gives_the_same_bits_and_another_seed_another_landscape():
    first, again, other = (synthetic_scene(48, 64, 8, seed) for seed in (5, 5, 6))
    assert first.cube.tobytes() == again.cube.tobytes()
    assert first.labels.tobytes() == again.labels.tobytes()
    assert (first.labels != other.labels).mean() > 0.3
    assert np.abs(first.cube - other.cube).mean() > 0.02


@pytest.mark.parametrize(
    ("rows", "columns", "bands", "seed"), [(16, 16, 1, 0), (16, 90, 3, 1), (101, 37, 128, 2), (64, 64, 2, 2**40)]
)
def test_any_size_gives_a_finite_cube_in_range(rows, columns, bands, seed):
    scene = synthetic_scene(rows, columns, bands, seed)
    assert scene.cube.shape == (bands, rows, columns)
    assert scene.cube.dtype == np.float32
    assert scene.cube.flags.c_contiguous
    assert np.isfinite(scene.cube).all()
    assert scene.cube.min() >= 0
    assert scene.cube.max() <= 1
    assert (scene.cube.std(axis=(1, 2)) > 0.003).all()  # no band is constant
    assert scene.labels.shape == (rows, columns)
    assert scene.labels.dtype == np.uint8
    assert scene.labels.max() < len(scene.materials)


def test_wavelengths_run_from_first_to_last_and_a_single_band_lies_midway():
    np.testing.assert_allclose(synthetic_scene(16, 16, 4, first_nm=430, last_nm=860).wavelengths[[0, 3]], [430, 860])
    np.testing.assert_allclose(synthetic_scene(16, 16, 1).wavelengths, [700])


@pytest.mark.parametrize("bands", [16, 64, 128])
def test_adjacent_bands_are_correlated_above_99_percent(bands):
    correlation = np.corrcoef(synthetic_scene(96, 96, bands, seed=1).cube.reshape(bands, -1))
    assert np.diagonal(correlation, offset=1).mean() > (0.99 if bands >= 48 else 0.96)


def test_noise_is_there_and_small(scene):
    # Third differences along the spectrum see almost nothing but noise; their variance is 20 times the noise's.
    noise = np.diff(scene.cube[42:54], n=3, axis=0).std() / np.sqrt(20)
    ratio = scene.cube[42:54].mean() / noise
    assert 120 < ratio < 350, f"signal-to-noise ratio {ratio:.0f}"


def test_leaves_have_a_green_peak_a_red_edge_and_a_water_band():
    nm = np.array([450, 552, 675, 715, 730, 850, 930, 972])
    means, _ = material_spectra(nm)
    for name in ("grass", "crop", "tree"):
        blue, green, red, edge, past_edge, plateau, before, water = means[:, MATERIALS.index(name)]
        assert green > 1.5 * blue
        assert green > 1.3 * red
        assert plateau > 5 * red
        assert red < 0.5 * plateau < past_edge + edge
        assert water < 0.98 * before
    fine = np.arange(650.0, 800.0)
    slopes = np.diff(material_spectra(fine)[0], axis=0)
    for name in ("grass", "crop", "tree"):
        assert 710 <= fine[slopes[:, MATERIALS.index(name)].argmax()] <= 725


def test_other_materials_have_their_known_shapes():
    nm = np.arange(400.0, 1001.0, 10)
    means, tints = material_spectra(nm)
    spectra = dict(zip(MATERIALS, means.T, strict=True))
    assert (np.diff(spectra["water"][nm >= 550]) < 0).all()
    assert spectra["water"][nm == 900] < 0.02
    assert (np.diff(spectra["soil"]) > -1e-3).all()
    assert np.ptp(spectra["asphalt"]) < 0.06
    assert spectra["clay tile"][nm == 650] > 3 * spectra["clay tile"][nm == 500]
    assert spectra["blue plastic"][nm == 460] > 3 * spectra["blue plastic"][nm == 600]
    extremes = np.stack([means - tints, means + tints])
    assert extremes.min() > 0
    assert extremes.max() < 0.8


def test_the_picture_shows_what_the_labels_say(scene):
    ratio = band_at(scene, 850) / band_at(scene, 670)
    named = {name: scene.labels == number for number, name in enumerate(scene.materials)}
    green = named["grass"] | named["crop"] | named["tree"]
    assert green.mean() > 0.1
    assert np.median(ratio[green]) > 4
    assert np.median(ratio[named["asphalt"]]) < 1.6
    assert np.median(ratio[named["water"]]) < 1
    assert (np.bincount(scene.labels.ravel(), minlength=len(MATERIALS)) > 20).sum() >= 7


def test_pixels_on_edges_are_mixed(scene):
    # A mixed pixel lies between its two neighbors across an edge: water meets brighter land in the infrared.
    infrared = band_at(scene, 850)
    water = scene.labels == MATERIALS.index("water")
    bright, dark = np.median(infrared[~water]), np.median(infrared[water])
    shore = np.zeros_like(water)
    shore[1:-1, 1:-1] = (water[:-2, 1:-1] != water[2:, 1:-1]) | (water[1:-1, :-2] != water[1:-1, 2:])
    share = (infrared - dark) / (bright - dark)
    between = (share > 0.2) & (share < 0.8)
    assert between[shore].mean() > 0.3
    assert between[water & ~shore].mean() < 0.1


@pytest.mark.parametrize("seed", range(3))
def test_bicubic_loses_detail_but_not_everything(seed):
    cube = synthetic_scene(128, 128, 16, seed).cube
    assert 25 < bicubic_mpsnr(cube, 8) < bicubic_mpsnr(cube, 4) - 1 < 33
    assert 26.5 < bicubic_mpsnr(cube, 4) < 34


def test_detail_is_structure_rather_than_noise(scene):
    # What bicubic loses is the same in neighboring bands; noise and independent texture would not be.
    truth = torch.from_numpy(scene.cube)
    lost = (truth - resize(resize(truth, 1 / 4), 4)).numpy().reshape(len(scene.cube), -1)
    assert np.diagonal(np.corrcoef(lost), offset=1).mean() > 0.97


def test_shapes_cover_their_area_and_cast_shadows_away_from_themselves():
    canvas = Canvas(40, 40, np.random.default_rng(0))
    square = np.array([[10.0, 10.0], [10.0, 20.0], [20.0, 20.0], [20.0, 10.0]])
    canvas.shadow(square, 4)
    canvas.fill(square, METAL, tone=1.0)
    assert (canvas.material == METAL).sum() == (10 * FINE) ** 2
    shaded = np.argwhere(canvas.tone < 1) / FINE
    swept = 10 * 4 * np.abs(canvas.sun).sum()  # beyond the square: side x shift, along both axes
    assert len(shaded) == pytest.approx(swept * FINE**2, rel=0.1)
    assert (shaded.mean(axis=0) - 15) @ canvas.sun > 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rows": 15}, "rows must be at least 16, got 15"),
        ({"columns": 0}, "columns must be at least 16, got 0"),
        ({"bands": 0}, "bands must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"rows": 64.0}, "rows must be an integer, got 64.0"),
        ({"seed": None}, "seed must be an integer, got None"),
        ({"bands": True}, "bands must be an integer, got True"),
        ({"first_nm": 300.0}, "got first_nm=300.0"),
        ({"last_nm": 2500.0}, "last_nm=2500.0"),
        ({"first_nm": 900.0, "last_nm": 800.0}, "first_nm < last_nm"),
        ({"last_nm": float("nan")}, "last_nm=nan"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        synthetic_scene(**{"rows": 16, "columns": 16, "bands": 2, **arguments})
