"""Generate a synthetic scene from a seed, so that the study runs with nothing to download.

A landscape (`lkca.data.synthetic.landscape`) is averaged to pixels, and its materials get spectra
(`lkca.data.synthetic.materials`). Then light, haze, the sensor's blur and its noise are added.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import gaussian_filter

from lkca.data.synthetic.canvas import BLOCK, FINE, Canvas
from lkca.data.synthetic.landscape import draw_landscape
from lkca.data.synthetic.materials import MATERIALS, ROUGHNESS, material_spectra

BLUR = 0.45  # pixels, standard deviation of the sensor's PSF
MIN_SIDE = 16  # pixels
SPECTRAL_RANGE = (400.0, 1000.0)  # nm


@dataclass(frozen=True)
class SyntheticScene:
    """A synthetic scene.

    cube : (B, H, W) float32, reflectance-like, in [0, 1].
    wavelengths : (B,) float64, band centres in nm, increasing.
    """

    cube: np.ndarray
    wavelengths: np.ndarray


def synthetic_scene(
    height: int = 256,
    width: int = 256,
    bands: int = 64,
    seed: int = 0,
) -> SyntheticScene:
    """Generate a scene from `seed`; the same arguments give the same bits on the same machine.

    The size of objects in pixels does not depend on the size of the scene: a larger scene has more of them.

    Parameters
    ----------
    height, width : size in pixels, each at least 16.
    bands : at least 1, evenly spaced over `SPECTRAL_RANGE`; a single band lies in the middle.
    seed : not negative. The spectra of the materials are the same for all seeds; everything else differs.

    Raises
    ------
    ValueError
        If a size or the seed is not an integer in its range.
    """
    arguments = {"height": (height, MIN_SIDE), "width": (width, MIN_SIDE), "bands": (bands, 1), "seed": (seed, 0)}
    for name, (value, least) in arguments.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"synthetic scene: {name} must be an integer of at least {least}, got {value!r}")
    wavelengths = np.linspace(*SPECTRAL_RANGE, bands) if bands > 1 else np.array([sum(SPECTRAL_RANGE) / 2])
    rng = np.random.default_rng(seed)
    canvas = draw_landscape(height, width, rng)
    return SyntheticScene(_expose(canvas, wavelengths, rng), wavelengths)


def _smooth_field(rows: int, columns: int, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Return a (rows, columns) float32 field of about unit variance that varies over `scale` pixels."""
    y, x = (np.arange(int(np.ceil(n / scale)) + 4) for n in (rows, columns))
    spline = RectBivariateSpline(y, x, rng.standard_normal((len(y), len(x))))
    return spline(1 + np.arange(rows) / scale, 1 + np.arange(columns) / scale).astype(np.float32)


def _expose(canvas: Canvas, wavelengths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Average the fine samples to pixels, mix the spectra, light the scene, and add the sensor's blur and noise."""
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
    for top in range(0, rows, BLOCK):
        here = np.s_[top : min(top + BLOCK, rows)]
        fine = np.s_[here.start * FINE : here.stop * FINE]
        material, tone, tint = canvas.material[fine], canvas.tone[fine], canvas.tint[fine]
        pixel = np.arange((here.stop - here.start) * columns).reshape(-1, columns)
        cell = (pixel.repeat(FINE, axis=0).repeat(FINE, axis=1) * count + material).ravel()
        bright, tinted = (
            np.bincount(cell, weights.ravel(), pixel.size * count).reshape(-1, count) for weights in (tone, tone * tint)
        )
        lit = np.maximum(1 + ROUGHNESS * grain[here].reshape(-1, 1), 0.3) * light[here].reshape(-1, 1) / FINE**2
        tinted = np.clip(tinted + bright * patches[here].reshape(-1, 1), -bright, bright)
        shares = np.column_stack([bright * lit, tinted * lit, haze[here].reshape(-1, 1)]).astype(np.float32)
        cube[:, here] = (spectra @ shares.T).reshape(len(wavelengths), -1, columns)
    for band, nm in zip(cube, wavelengths, strict=True):
        signal = np.maximum(gaussian_filter(band, BLUR), 0)
        spread = np.sqrt(2e-7 + 2.5e-6 * signal)  # read noise and shot noise
        # A silicon sensor is least sensitive at both ends of the range.
        spread *= 1 + 1.2 * abs((nm - 680) / 330) ** 3
        np.clip(signal + spread * rng.standard_normal(signal.shape, dtype=np.float32), 0, 1, out=band)
    return cube
