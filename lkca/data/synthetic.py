"""The embedded scene, made from a seed, so that the study runs with nothing to download.

A landscape (`lkca.data.landscape`) is averaged down to pixels and its materials are given spectra; then come light,
haze, the sensor's blur and its noise. Spectra are sums of Gaussians and sigmoids of the wavelength, shaped by
what is known of the materials: the green peak, red edge and plateau of leaves, their water at 970 nm, iron in
soil and tiles at 880 nm, water dark beyond the red.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import gaussian_filter

from lkca.data.landscape import BLOCK, FINE, MATERIALS, Canvas, draw_landscape

# How rough each material looks, as the standard deviation of its brightness; in the order of MATERIALS.
TEXTURE = np.array([0.05, 0.05, 0.09, 0.08, 0.08, 0.07, 0.06, 0.10, 0.03, 0.07, 0.06, 0.03, 0.03, 0.04])
BLUR = 0.45  # standard deviation, in pixels, of the optics' point spread


@dataclass(frozen=True)
class SyntheticScene:
    """A synthetic scene.

    Attributes
    ----------
    cube : numpy.ndarray
        (B, H, W) float32, reflectance-like, in [0, 1].
    wavelengths : numpy.ndarray
        (B,) float64, band centres in nm, increasing.
    labels : numpy.ndarray
        (H, W) uint8, index into `materials` of the material that covers most of the pixel.
    materials : tuple of str
        Names of the materials.
    """

    cube: np.ndarray
    wavelengths: np.ndarray
    labels: np.ndarray
    materials: tuple[str, ...]


def synthetic_scene(
    rows: int = 256,
    columns: int = 256,
    bands: int = 64,
    seed: int = 0,
    *,
    first_nm: float = 400.0,
    last_nm: float = 1000.0,
) -> SyntheticScene:
    """Draw a scene from `seed`; the same arguments give the same bits on the same machine.

    The size of things in pixels does not depend on the size of the scene: a larger scene holds more of them.

    Parameters
    ----------
    rows, columns : int
        Size in pixels, each at least 16.
    bands : int
        Number of bands, at least 1, evenly spaced from `first_nm` to `last_nm`; a single one lies midway.
    seed : int
        Not negative. Spectra of the materials are the same for all seeds; everything else differs.
    first_nm, last_nm : float
        Wavelengths in nm, within 350 and 1100, which the spectra are shaped for.

    Raises
    ------
    ValueError
        A size or the seed is not an integer, or one of them or a wavelength is out of its range.
    """
    for name, value, least in zip(
        ("rows", "columns", "bands", "seed"), (rows, columns, bands, seed), (16, 16, 1, 0), strict=True
    ):
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise ValueError(f"synthetic scene: {name} must be an integer, got {value!r}")
        if value < least:
            raise ValueError(f"synthetic scene: {name} must be at least {least}, got {value}")
    if not 350 <= first_nm < last_nm <= 1100:
        raise ValueError(
            "synthetic scene: wavelengths must satisfy 350 <= first_nm < last_nm <= 1100, "
            f"got first_nm={first_nm}, last_nm={last_nm}"
        )
    wavelengths = np.linspace(first_nm, last_nm, bands) if bands > 1 else np.array([first_nm + last_nm]) / 2
    rng = np.random.default_rng(seed)
    canvas = draw_landscape(rows, columns, rng)
    return SyntheticScene(*_expose(canvas, wavelengths, rng), MATERIALS)


def material_spectra(wavelengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean reflectance of each material and the direction in which one object of it differs from another.

    Parameters
    ----------
    wavelengths : numpy.ndarray
        (B,) nm.

    Returns
    -------
    means, tints : numpy.ndarray
        (B, 14) each, in the order of `MATERIALS`. An object has `mean + t * tint`, t in [-1, 1].
    """
    nm = np.asarray(wavelengths, dtype=np.float64)

    def bump(centre: float, width: float) -> np.ndarray:
        return np.exp(-0.5 * ((nm - centre) / width) ** 2)

    def step(centre: float, width: float) -> np.ndarray:
        return 1 / (1 + np.exp(-(nm - centre) / width))

    def leaf(green: float, plateau: float, edge: float) -> np.ndarray:
        pigments = 0.025 + green * bump(552, 32) + 0.4 * green * bump(620, 40) - 0.008 * bump(675, 16)
        return pigments + plateau * step(edge, 13) * (1 + 0.08 * step(830, 50) - 0.09 * bump(972, 22))

    slope = (nm - 700) / 300  # -1 at 400 nm, +1 at 1000 nm
    iron = 0.03 * bump(880, 50)  # ferric iron absorbs near 880 nm in soils and clay
    soil = 0.05 + 0.13 * step(575, 45) + 0.16 * step(800, 130) - 0.5 * iron
    straw = 0.06 + 0.17 * step(560, 50) + 0.13 * step(760, 70) - 0.02 * bump(675, 18) - 0.02 * bump(972, 22)
    tile = 0.06 + 0.19 * step(592, 20) + 0.09 * step(740, 60) - iron
    water = 0.012 + 0.055 * bump(530, 75) * (1 - 0.3 * step(600, 15)) + 0.02 * (1 - step(580, 60))
    plastic = 0.07 + 0.27 * bump(465, 38) + 0.27 * step(790, 35)
    flat = np.ones_like(nm)
    pairs = {
        "asphalt": (0.11 + 0.025 * slope, 0.025 * flat),
        "concrete": (0.19 + 0.08 * step(520, 70) + 0.03 * slope, 0.05 + 0.02 * slope),
        "soil": (soil, 0.03 + 0.05 * step(650, 110)),
        "gravel": (0.15 + 0.11 * step(540, 60) + 0.05 * slope, 0.04 + 0.02 * slope),
        "grass": (leaf(0.065, 0.31, 716), 0.03 * bump(620, 70) + 0.012 - 0.05 * step(716, 14)),
        "crop": (leaf(0.05, 0.36, 719), 0.02 * bump(560, 40) - 0.06 * step(722, 14)),
        "cereal": (straw, 0.05 * step(560, 60) - 0.02 * bump(675, 18)),
        "tree": (leaf(0.035, 0.25, 717), 0.015 * bump(555, 35) + 0.06 * step(720, 14)),
        "water": (water, 0.020 * bump(570, 60)),
        "clay tile": (tile, 0.05 * step(600, 30) - 0.02 * step(780, 60)),
        "slate": (0.095 - 0.01 * slope, 0.03 + 0.012 * slope),
        "metal": (0.33 - 0.03 * bump(850, 60), 0.10 - 0.03 * slope),
        "membrane": (0.10 + 0.36 * step(415, 14) + 0.01 * slope, 0.07 * flat),
        "blue plastic": (plastic, 0.06 * bump(490, 50) - 0.04 * step(790, 35)),
    }
    means, tints = zip(*(pairs[name] for name in MATERIALS), strict=True)
    return np.stack(means, axis=1), np.stack(tints, axis=1)


def _smooth_field(rows: int, columns: int, scale: float, rng: np.random.Generator) -> np.ndarray:
    """(rows, columns) float32 field of unit variance, give or take, that varies over `scale` pixels."""
    y, x = (np.arange(int(np.ceil(n / scale)) + 4) for n in (rows, columns))
    spline = RectBivariateSpline(y, x, rng.standard_normal((len(y), len(x))))
    return spline(1 + np.arange(rows) / scale, 1 + np.arange(columns) / scale).astype(np.float32)


def _expose(
    canvas: Canvas, wavelengths: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Average the fine samples to pixels, mix the spectra, light the scene and add the sensor's noise."""
    rows, columns, count = canvas.rows, canvas.columns, len(MATERIALS)
    fine_grain = gaussian_filter(rng.standard_normal((rows, columns), dtype=np.float32), 0.7, mode="reflect")
    grain = 0.5 * fine_grain / fine_grain.std() + 0.7 * _smooth_field(rows, columns, 6, rng)
    grain += 0.6 * _smooth_field(rows, columns, 40, rng)
    patches = 0.35 * _smooth_field(rows, columns, 15, rng) + 0.35 * _smooth_field(rows, columns, 60, rng)
    down, right = (np.linspace(-0.05, 0.05, n, dtype=np.float32) for n in (rows, columns))
    light = 1 + np.add.outer(down * np.float32(rng.uniform(-1, 1)), right * np.float32(rng.uniform(-1, 1)))
    light += 0.025 * _smooth_field(rows, columns, 120, rng)
    haze = 1 + 0.15 * _smooth_field(rows, columns, 150, rng)

    means, tints = material_spectra(wavelengths)
    scattered = 0.012 * (450 / wavelengths) ** 4
    spectra = np.column_stack([means, tints, scattered]).astype(np.float32)
    cube = np.empty((len(wavelengths), rows, columns), np.float32)
    labels = np.empty((rows, columns), np.uint8)
    for top in range(0, rows, BLOCK):
        here = np.s_[top : min(top + BLOCK, rows)]
        fine = np.s_[here.start * FINE : here.stop * FINE]
        material, tone, tint = canvas.material[fine], canvas.tone[fine], canvas.tint[fine]
        pixel = np.arange((here.stop - here.start) * columns).reshape(-1, columns)
        cell = (pixel.repeat(FINE, axis=0).repeat(FINE, axis=1) * count + material).ravel()
        sizes, bright, tinted = (
            np.bincount(cell, weights, pixel.size * count).reshape(-1, count)
            for weights in (None, tone.ravel(), (tone * tint).ravel())
        )
        labels[here] = sizes.argmax(axis=1).reshape(-1, columns)
        lit = np.maximum(1 + TEXTURE * grain[here].reshape(-1, 1), 0.3) * light[here].reshape(-1, 1) / FINE**2
        tinted = np.clip(tinted + bright * patches[here].reshape(-1, 1), -bright, bright)
        shares = np.column_stack([bright * lit, tinted * lit, haze[here].reshape(-1, 1)]).astype(np.float32)
        cube[:, here] = (spectra @ shares.T).reshape(len(wavelengths), -1, columns)
    for band, nm in zip(cube, wavelengths, strict=True):
        signal = np.maximum(gaussian_filter(band, BLUR), 0)
        spread = np.sqrt(2e-7 + 2.5e-6 * signal)  # read noise and shot noise
        # Silicon and its optics see least at both ends of the range.
        spread *= 1 + 1.2 * abs((nm - 680) / 330) ** 3
        np.clip(signal + spread * rng.standard_normal(signal.shape, dtype=np.float32), 0, 1, out=band)
    return cube, wavelengths, labels
