"""Generate synthetic scenes that differ as much as real sensors do, to train a network for any sensor.

`lkca.data.synthetic.scenes` generates realistic scenes of one sensor. Here each seed has another place, ground
sampling, PSF, set of materials and noise. Half are landscapes (`lkca.data.synthetic.landscape`) at one of several
ground samplings; half are dead leaves: random shapes of all sizes that cover each other, with the statistics of natural
images (A. Lee, D. Mumford, J. Huang, IJCV 41, 2001). Both get textures whose power falls with frequency, then the
sensor's blur and noise. Nothing is taken from a measured scene.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from lkca.data.synthetic.canvas import FINE
from lkca.data.synthetic.landscape import draw_landscape
from lkca.data.synthetic.materials import MATERIALS, material_spectra

Cube = NDArray[np.float32]

BANDS = 24  # enough for the leading eigenimages, and fast; an eigenimage does not depend on the number of bands
GROUND_SAMPLINGS = (1, 1, 2, 2, 3, 4)  # landscape pixels, of about 2 m, per scene pixel
SNR_RANGE = (25.0, 50.0)  # dB, relative to three standard deviations of a band
BLUR_RANGE = (0.25, 0.75)  # pixels, standard deviation of the PSF


def landscape_cube(seed: int, side: int = 96, bands: int = BANDS) -> Cube:
    """Generate the scene of a seed, (bands, side, side) float32: reflectance-like values, positive before noise.

    The same arguments give the same bits on the same machine.

    Raises
    ------
    ValueError
        If the seed is negative, or the side is below 16 pixels.
    """
    if seed < 0 or side < 16:
        raise ValueError(f"a synthetic scene needs a seed of at least 0 and 16 pixels on a side, got {seed} and {side}")
    rng = np.random.default_rng((seed, 0x5CE9E))
    fine = _landscape(side, bands, rng) if rng.random() < 0.5 else _dead_leaves(side, bands, rng)
    fine = _textured(fine, bands, rng)
    samples = fine.shape[0] // side
    cube = fine.reshape(side, samples, side, samples, bands).mean(axis=(1, 3)).transpose(2, 0, 1)
    return _exposed(cube.astype(np.float32), rng)


def _landscape(size: int, bands: int, rng: np.random.Generator) -> Cube:
    """Return spectra (samples·size, samples·size, bands) of a landscape at one of several ground samplings."""
    ground = int(rng.choice(GROUND_SAMPLINGS))
    canvas = draw_landscape(size * ground, size * ground, rng)
    samples = 3 if ground == 1 else 2
    step, side = FINE * ground // samples, size * samples
    material, tone, tint = (part[::step, ::step][:side, :side] for part in (canvas.material, canvas.tone, canvas.tint))
    if rng.random() < 0.6:
        means, _ = material_spectra(_wavelengths(bands))
        spectra = (means.T * np.exp(rng.normal(0, 0.15, (len(MATERIALS), 1)))).astype(np.float32)
    else:
        spectra = _library(len(MATERIALS), bands, rng)
    tints = 0.15 * (_library(len(MATERIALS), bands, rng) - spectra)
    return (spectra[material] + tint[..., None] * tints[material]) * tone[..., None]


def _dead_leaves(size: int, bands: int, rng: np.random.Generator) -> Cube:
    """Return spectra (2·size, 2·size, bands) of shapes of all sizes that cover each other."""
    samples = 2
    side = size * samples
    labels = np.zeros((side, side), np.int32)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    count = int(rng.integers(150, 600) * (size / 96) ** 2)
    smallest, largest, power = rng.uniform(0.6, 2), rng.uniform(15, 50), rng.uniform(1.5, 2.5)
    # Radii with a power-law distribution, by inverting it.
    radii = (smallest**-power + rng.random(count) * (largest**-power - smallest**-power)) ** (-1 / power) * samples
    if rng.random() < 0.7:
        radii = np.sort(radii)[::-1]  # small shapes lie on large ones
    aligned, angle = rng.random() < 0.5, rng.uniform(0, np.pi)  # a town, or open land
    for number, radius in enumerate(radii, 1):
        turn = angle + np.pi / 2 * rng.integers(2) + rng.normal(0, 0.1) if aligned else rng.uniform(0, np.pi)
        stretch = np.sqrt(np.exp(rng.uniform(0, 1.2)) if rng.random() < 0.85 else rng.uniform(5, 40))
        middle, margin = rng.uniform(0, side, 2), int(radius * stretch * 1.5) + 2
        (top, left), (bottom, right) = (np.clip(middle + sign * margin, 0, side).astype(int) for sign in (-1, 1))
        dy, dx = (axis[top:bottom, left:right] - at for axis, at in zip((y, x), middle.astype(np.float32), strict=True))
        along = np.abs(dx * np.cos(turn) + dy * np.sin(turn)) / (radius * stretch)
        across = np.abs(dy * np.cos(turn) - dx * np.sin(turn)) / (radius / stretch)
        inside = along**2 + across**2 < 1 if rng.random() < 0.4 else np.maximum(along, across) < 1
        labels[top:bottom, left:right][inside] = number
    library = _library(int(rng.integers(5, 16)), bands, rng)
    first, second = rng.integers(len(library), size=(2, count + 1))
    share = rng.beta(0.5, 3, (count + 1, 1))
    spectra = library[first] * (1 - share) + library[second] * share
    spectra = spectra * np.exp(rng.normal(0, rng.uniform(0.05, 0.4), (count + 1, 1)))
    return spectra.astype(np.float32)[labels]


def _textured(fine: Cube, bands: int, rng: np.random.Generator) -> Cube:
    """Vary the brightness within the objects of a scene (n, n, bands), and mix in other materials."""
    side = len(fine)
    texture = _fractal(side, rng.uniform(1, 3), rng) * rng.uniform(0.02, 0.12)
    texture += _fractal(side, rng.uniform(2, 3.5), rng) * rng.uniform(0, 0.15)
    fine = fine * np.clip(1 + texture, 0.3, 3)[..., None]
    for _ in range(2):
        one, other = _library(2, bands, rng)
        share = _fractal(side, rng.uniform(1.5, 3.5), rng) * rng.uniform(0, 0.06)
        fine = fine + share[..., None] * (one - other)
    return fine


def _exposed(cube: Cube, rng: np.random.Generator) -> Cube:
    """Blur a scene by the sensor's PSF and add noise of another level in each band."""
    blur = rng.uniform(*BLUR_RANGE)
    cube = np.stack([gaussian_filter(band, blur) for band in cube])
    noise = 3 * cube.std(axis=(1, 2), keepdims=True) / 10 ** (rng.uniform(*SNR_RANGE) / 20)
    noise = noise * np.exp(rng.normal(0, 0.4, noise.shape))
    return cube + noise.astype(np.float32) * rng.standard_normal(cube.shape, np.float32)


def _library(count: int, bands: int, rng: np.random.Generator) -> Cube:
    """Return spectra (count, bands): those of `MATERIALS`, and smooth ones with random edges and absorptions."""
    means, _ = material_spectra(_wavelengths(bands))
    t, spectra = np.linspace(0, 1, bands), []
    for _ in range(count):
        if rng.random() < 0.5:
            spectrum = means[:, rng.integers(len(MATERIALS))] * rng.uniform(0.5, 1.5)
        else:
            spectrum = np.full(bands, rng.uniform(0.05, 0.4))
            for _ in range(rng.integers(1, 5)):
                edge, width = rng.uniform(0, 1), rng.uniform(0.01, 0.2)
                spectrum = spectrum + rng.uniform(-0.2, 0.3) / (1 + np.exp(-(t - edge) / width))
            for _ in range(rng.integers(0, 4)):
                centre, width = rng.uniform(0, 1), rng.uniform(0.01, 0.15)
                spectrum = spectrum + rng.uniform(-0.15, 0.15) * np.exp(-0.5 * ((t - centre) / width) ** 2)
        wander = np.cumsum(rng.standard_normal(bands)) / np.sqrt(bands)
        spectra.append(np.clip(spectrum + 0.1 * np.abs(spectrum).mean() * wander, 0.01, 1))
    return np.array(spectra, np.float32)


def _fractal(side: int, power: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a field (side, side) of unit variance whose power spectrum falls as frequency to the -`power`."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = np.inf
    noise = rng.standard_normal(frequency.shape) + 1j * rng.standard_normal(frequency.shape)
    field = np.fft.irfft2(noise * frequency ** (-power / 2), (side, side)).astype(np.float32)
    return field / field.std()


def _wavelengths(bands: int) -> NDArray[np.float64]:
    return np.linspace(400, 1000, bands)
